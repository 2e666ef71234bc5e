"""The models that come with Pawmesh: what the first training has to beat.

Which of them is champion: the one of the highest version, whoever made it. A shipped model that
is newer than everything we have takes over; one that is not newer than the champion is kept as
retired. None of them is rolled out by itself: collars bring their own shipped models along.
"""

import json
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog

import plugins
from cloud.models.interpreter import golden_answers
from cloud.models.models import (
    NewModel,
    Origin,
    State,
    add_model,
    champion_of,
    lock_models,
    slot_of,
    taken_versions,
)
from cloud.models.release_key import ReleaseKey
from gateway.wire.release import Release, version_order
from plugins.sdk.errors import ManifestError, ModelRefused
from plugins.sdk.golden import packed
from plugins.sdk.manifest import MANIFEST_FILE, Place
from plugins.sdk.package import Package

log: structlog.stdlib.BoundLogger = structlog.get_logger()

WEIGHTS_FILE = "weights.npz"
CARD_FILE = "card.json"


def shipped_folder() -> Path:
    """Where the packages of this installation are."""
    return Path(plugins.__path__[0])


def register_shipped(connection: psycopg.Connection[Any], folder: Path, key: ReleaseKey) -> None:
    """Make the collar packages in ``folder`` known; harmless to repeat.

    Args:
        connection: In autocommit.
        folder: Packages in folders of their own; one that may not run is logged and left out.
        key: To sign them with, so that they can be rolled out by hand.
    """
    for package in _packages(folder):
        with connection.transaction():
            lock_models(connection)
            _register(connection, package, key)


def _packages(folder: Path) -> Generator[Package]:
    for manifest_file in sorted(folder.glob(f"*/{MANIFEST_FILE}")):
        try:
            package = Package.load(manifest_file.parent)
        except (ManifestError, ModelRefused) as error:
            log.error("model.unusable", folder=str(manifest_file.parent), error=str(error))
            continue
        if package.manifest.runs_on is Place.COLLAR:
            yield package


def _register(connection: psycopg.Connection[Any], package: Package, key: ReleaseKey) -> None:
    manifest, canonical = package.manifest, package.model
    if manifest.model is None or canonical is None:
        raise ValueError(f"{package.ref} carries no model")  # its own check forbids it
    digest = manifest.model.sha256
    held = taken_versions(connection, manifest.id).get(manifest.version)
    if held is not None:
        if held != digest:
            log.warning("model.version_taken", model=package.ref, held=held, shipped=digest)
        return
    content = (package.folder / manifest.model.file).read_bytes()  # what the digest is of
    slot = slot_of(manifest.model)
    champion = champion_of(connection, slot)
    newer = champion is None or version_order(manifest.version) > version_order(champion.version)
    golden = packed(golden_answers(manifest.model, canonical))
    new = NewModel(
        package=manifest.id,
        version=manifest.version,
        slot=slot,
        sha256=digest,
        origin=Origin.SHIPPED,
        state=State.CHAMPION if newer else State.RETIRED,
        made_at=datetime.now(UTC),
        release=Release.signed(
            key.private, slot=slot, manifest=manifest, size=len(content), golden=golden
        ),
        content=content,
        weights=_weights(package.folder),
        card=_card(package.folder),
    )
    add_model(connection, new)
    log.info("model.registered", model=package.ref, state=new.state)


def _weights(folder: Path) -> bytes | None:
    file = folder / WEIGHTS_FILE
    return file.read_bytes() if file.exists() else None


def _card(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / CARD_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        log.warning("card.unreadable", folder=str(folder), error=str(error))
        return {}
