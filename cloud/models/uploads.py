"""A model that somebody made elsewhere: taken only if our key signed it and it is sound."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog

from cloud.errors import Conflict
from cloud.models.interpreter import golden_answers
from cloud.models.models import (
    NewModel,
    Origin,
    State,
    add_model,
    lock_models,
    slot_of,
    taken_versions,
)
from cloud.models.release_key import ReleaseKey
from gateway.wire.release import ModelRefusal, WrongRelease
from gateway.wire.uplink import ModelPackage
from plugins.sdk.errors import ModelRefused
from plugins.sdk.golden import output_step, require_agreement
from plugins.sdk.manifest import COLLAR_BUDGET, Place
from plugins.sdk.package import admitted

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of an uploaded model."""

    package: str
    version: str
    sha256: str
    state: State
    reason: ModelRefusal | None = None
    detail: str = ""


def take_upload(
    connection: psycopg.Connection[Any], given: ModelPackage, key: ReleaseKey, now: datetime
) -> Upload:
    """Keep an uploaded model as a candidate, or as refused with the reason.

    Raises:
        Conflict: Another model has this version.
    """
    release = given.release
    try:
        require_sound(given, key)
    except WrongRelease as error:
        upload = Upload(
            *(_clean(release.package), _clean(release.version), release.sha256),
            *(State.REFUSED, error.reason, error.detail[:300]),
        )
    else:
        upload = Upload(release.package, release.version, release.sha256, State.CANDIDATE)
    refused = upload.state is State.REFUSED
    with connection.transaction():
        lock_models(connection)
        held = None if refused else taken_versions(connection, upload.package).get(upload.version)
        if held is not None and held != upload.sha256:
            raise Conflict(f"{release.ref} is another model; give it a version of its own")
        if held is None:
            new = NewModel(
                package=upload.package,
                version=upload.version,
                slot=_clean(release.slot),
                sha256=upload.sha256,
                origin=Origin.UPLOADED,
                state=upload.state,
                made_at=now,
                release=None if refused else release,
                content=None if refused else given.model,
                reason=upload.reason,
                detail=_clean(upload.detail),
            )
            add_model(connection, new)
    log.info("model.uploaded", model=release.ref, state=upload.state, reason=upload.reason)
    return upload


def require_sound(given: ModelPackage, key: ReleaseKey) -> None:
    """Check all that a collar will check.

    Raises:
        WrongRelease: With the reason that a collar would give.
    """
    release = given.release
    manifest = release.verified([key.public])
    model = manifest.model
    if model is None or manifest.runs_on is not Place.COLLAR:
        raise WrongRelease(ModelRefusal.INVALID_MANIFEST, "it is of no collar package")
    if release.slot != slot_of(model):
        detail = f"a model that does {model.task} is for slot {slot_of(model)}"
        raise WrongRelease(ModelRefusal.UNKNOWN_SLOT, detail)
    if release.size > COLLAR_BUDGET.flash_bytes:
        detail = f"{release.size} bytes; a slot holds {COLLAR_BUDGET.flash_bytes}"
        raise WrongRelease(ModelRefusal.TOO_LARGE, detail)
    if len(given.model) < release.size:
        detail = f"{len(given.model)} of {release.size} bytes came"
        raise WrongRelease(ModelRefusal.TRUNCATED, detail)
    if hashlib.sha256(given.model).hexdigest() != release.sha256:
        raise WrongRelease(ModelRefusal.CORRUPT, "the bytes are not those that were signed")
    try:
        canonical = admitted(given.model, model, manifest.runs_on)
    except ModelRefused as error:
        raise WrongRelease(ModelRefusal.NOT_ADMITTED, str(error)) from None
    try:
        answers = golden_answers(model, canonical)
        require_agreement(release.golden, answers, output_step(canonical))
    except ModelRefused as error:
        raise WrongRelease(ModelRefusal.SELF_TEST_FAILED, str(error)) from None


def _clean(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # which PostgreSQL cannot store
