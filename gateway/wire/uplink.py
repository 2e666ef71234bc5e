"""What a gateway and the cloud exchange over HTTP: what may leave the house, and who lives in it.

A body is zstd-compressed MessagePack. The gateway signs every request with its own key, so that
the cloud knows the site; the collars' seals prove the content.
"""

import hashlib
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from gateway.wire.errors import Rejected, RejectReason, WrongSeal
from gateway.wire.grants import Grant
from gateway.wire.messages import ModelState, Seal
from gateway.wire.release import MAX_MODEL_BYTES, ModelRefusal, Release
from gateway.wire.scalars import Counter, Id, Instant, Name, Sha256
from gateway.wire.seal import Disclosure
from plugins.sdk.behaviours import Behaviour

MAX_BODY_BYTES = 8 * 2**20  # decompressed; a gateway splits before that
MAX_ROWS = 5_000
SITE_HEADER = "pawmesh-site"
SIGNED_AT_HEADER = "pawmesh-signed-at"
SIGNATURE_HEADER = "pawmesh-signature"
MAX_SIGNATURE_AGE_S = 300.0
MAX_LABEL_S = 3_600.0  # nobody watches a pet do one thing for longer, but sleep
CONTENT_TYPE = "application/vnd.pawmesh.uplink+zstd"

_encode = msgspec.msgpack.Encoder().encode
T = TypeVar("T", bound=Struct)


class Row(Disclosure, frozen=True, kw_only=True, omit_defaults=True):
    """One message as far as it is granted."""

    grant_id: Id
    received_at: Instant


class Group(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of one collar and boot; under one seal, or under none (then they earn nothing)."""

    collar_id: Id
    boot: Counter
    rows: list[Row]
    seal: Seal | None = None
    withheld: dict[int, Annotated[bytes, Meta(min_length=32, max_length=32)]] = {}
    """Hash of every sealed message that is not among the rows, by ``seq``."""


class UplinkBatch(Struct, frozen=True, kw_only=True):
    """What leaves the house at once: outbox entries ``first_id..last_id``, in their order."""

    site: Id
    first_id: Counter
    last_id: Counter
    sent_at: Instant
    groups: list[Group]


class RefusedRow(Struct, frozen=True, kw_only=True):
    """A row the cloud would not take, and why (a stable word)."""

    collar_id: Id
    boot: Counter
    seq: Counter
    reason: Name


class UplinkReceipt(Struct, frozen=True, kw_only=True):
    """The cloud's answer: what it took. ``cursor`` is the last outbox id it has applied."""

    cursor: Counter
    accepted: int
    duplicates: int
    refused: list[RefusedRow] = []


class EnrolledCollar(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A collar of the site, and the pet that wears it now."""

    collar_id: Id
    pet_id: Id
    pet_name: str
    species: str = "dog"
    public_key: bytes | None = None
    assigned_at: Instant


class Deployment(Struct, frozen=True, kw_only=True):
    """A release that some collars of the site shall have."""

    rollout: Id
    slot: Name
    package: Name
    version: Name
    sha256: Sha256
    collars: list[Id]


class Registry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who lives at a site and what is allowed; the gateway keeps the last one it saw."""

    site: Id
    version: Counter
    """Rises with every change."""
    collars: list[EnrolledCollar]
    grants: list[Grant]
    deployments: list[Deployment] = []
    """Of each slot the newest; a collar that has it already is asked nothing."""


class ModelPackage(Struct, frozen=True, kw_only=True):
    """A release and its model: what ``GET /v1/releases/{sha256}`` gives a gateway."""

    release: Release
    model: Annotated[bytes, Meta(min_length=1, max_length=MAX_MODEL_BYTES)]


class DeliveryReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a release stands on its way to one collar."""

    rollout: Id
    collar_id: Id
    state: ModelState
    reason: ModelRefusal | None = None
    detail: Annotated[str, Meta(max_length=300)] = ""
    changed_at: Instant


class DeliveryReports(Struct, frozen=True, kw_only=True):
    """What changed on a site's collars; said again, it changes nothing."""

    site: Id
    reports: Annotated[list[DeliveryReport], Meta(max_length=MAX_ROWS)]


class OwnerLabel(Struct, frozen=True, kw_only=True):
    """What an owner says that a pet did; leaves the house under a grant of its raw windows."""

    label_id: Id
    pet_id: Id
    start_at: Instant
    end_at: Instant
    behaviour: Behaviour
    said_at: Instant
    grant_id: Id

    def __post_init__(self) -> None:
        if not 0 < (self.end_at - self.start_at).total_seconds() <= MAX_LABEL_S:
            raise ValueError(f"a label spans more than 0 and at most {MAX_LABEL_S:g} s")
        if self.behaviour is Behaviour.UNSURE:
            raise ValueError("an owner who is unsure says nothing")


class LabelBatch(Struct, frozen=True, kw_only=True):
    """Labels of a site's pets; the same id again is the same label, or its newer version."""

    site: Id
    labels: Annotated[list[OwnerLabel], Meta(max_length=MAX_ROWS)]


class LabelReceipt(Struct, frozen=True, kw_only=True):
    """The cloud's answer: what it holds now, and why not the others (a stable word by id)."""

    accepted: int
    refused: dict[str, Name] = {}


def pack_body(value: Struct) -> bytes:
    """The compressed body of a request."""
    return zstandard.compress(_encode(value), 3)


def unpack_body(body: bytes, cls: type[T]) -> T:
    """The value in a compressed body.

    Raises:
        Rejected: Not zstd, larger than ``MAX_BODY_BYTES`` when unpacked, or not of this form.
    """
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(body)
        raw = reader.read(MAX_BODY_BYTES + 1)
    except zstandard.ZstdError as error:
        raise Rejected(RejectReason.UNPARSABLE, f"not zstd: {error}") from None
    if len(raw) > MAX_BODY_BYTES:
        raise Rejected(RejectReason.OVERSIZED, f"more than {MAX_BODY_BYTES} bytes unpacked")
    try:
        return msgspec.msgpack.decode(raw, type=cls)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Rejected(RejectReason.INVALID, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(RejectReason.UNPARSABLE, str(error)) from None


def sign_request(
    key: Ed25519PrivateKey, site: str, method: str, path: str, body: bytes, now: datetime
) -> dict[str, str]:
    """Headers that tell the cloud which site speaks."""
    signed_at = now.isoformat()
    signature = key.sign(_statement(site, method, path, signed_at, body))
    return {SITE_HEADER: site, SIGNED_AT_HEADER: signed_at, SIGNATURE_HEADER: signature.hex()}


def verify_request(
    public_key: bytes,
    headers: dict[str, str],
    method: str,
    path: str,
    body: bytes,
    now: datetime,
) -> None:
    """Check that the gateway of the site named in ``headers`` sent this, and just now.

    Raises:
        WrongSeal: It did not, or too long ago.
    """
    try:
        signed_at = datetime.fromisoformat(headers[SIGNED_AT_HEADER])
        age_s = abs((now - signed_at).total_seconds())
        statement = _statement(headers[SITE_HEADER], method, path, headers[SIGNED_AT_HEADER], body)
        signature = bytes.fromhex(headers[SIGNATURE_HEADER])
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement)
    except (KeyError, ValueError, TypeError, InvalidSignature) as error:
        raise WrongSeal("the request is not signed by this site's gateway") from error
    if age_s > MAX_SIGNATURE_AGE_S:
        raise WrongSeal(f"the request was signed {age_s:.0f} s ago; check the clocks")


def _statement(site: str, method: str, path: str, signed_at: str, body: bytes) -> bytes:
    return _encode(
        ("pawmesh-request-v1", site, method, path, signed_at, hashlib.sha256(body).digest())
    )
