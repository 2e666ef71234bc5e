"""A signed model, as the cloud releases it and a collar believes it; and why a collar refuses one.

The signature covers what the model is, for which slot, and what it must answer in its self-test.
Who brings it (gateway, broker) can keep it back or spoil it on its way, which the collar notices;
nobody can change it. A collar knows the public keys it may believe from its enrolment.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from gateway.wire.errors import WireError
from gateway.wire.scalars import Name, Sha256
from plugins.sdk.manifest import Manifest

MAX_MANIFEST_BYTES = 6_144
MAX_GOLDEN_BYTES = 4_096
MAX_MODEL_BYTES = 262_144  # what admission reads at all; a collar's budget is far below

_encode = msgspec.msgpack.Encoder().encode


class ModelRefusal(StrEnum):
    """Why a model is not installed. The value is part of the contract: owners read its meaning."""

    UNKNOWN_KEY = "unknown_key"
    """Signed by nobody this collar knows. Enrol it again, or sign with the cloud's release key."""
    WRONG_SIGNATURE = "wrong_signature"
    """The signature is not of this content: it was changed on its way."""
    INVALID_MANIFEST = "invalid_manifest"
    """The manifest cannot be read, or contradicts the release."""
    UNKNOWN_SLOT = "unknown_slot"
    """This collar has no such slot."""
    OLDER = "older"
    """What the slot holds is of this version or a newer one."""
    TOO_LARGE = "too_large"
    """It needs more flash or memory than a slot has."""
    TRUNCATED = "truncated"
    """Fewer bytes came than were announced."""
    CORRUPT = "corrupt"
    """The bytes that came are not the ones that were signed."""
    NOT_ADMITTED = "not_admitted"
    """Malformed, or it uses what no collar runs."""
    WRONG_SHAPE = "wrong_shape"
    """Made for other windows, or other outputs, than this collar's."""
    SELF_TEST_FAILED = "self_test_failed"
    """On this collar it answers otherwise than it did where it was made."""
    SUPERSEDED = "superseded"
    """Another release came before this one was complete."""


class WrongRelease(WireError):
    """A release is not believed; ``reason`` says why in one word, ``detail`` in a sentence."""

    def __init__(self, reason: ModelRefusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Release(Struct, frozen=True, kw_only=True):
    """What is signed about a model; the model's bytes travel apart."""

    slot: Name
    package: Name
    version: Name
    manifest: Annotated[bytes, Meta(min_length=2, max_length=MAX_MANIFEST_BYTES)]
    """The package's ``plugin.toml`` as JSON."""
    sha256: Sha256
    """Of the .tflite, as in the manifest."""
    size: Annotated[int, Meta(ge=1, le=MAX_MODEL_BYTES)]
    """Of the .tflite, in bytes."""
    golden: Annotated[bytes, Meta(max_length=MAX_GOLDEN_BYTES)] = b""
    """What the model must answer to ``plugins.sdk.golden``'s windows."""
    key_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
    """Whose signature: see ``key_id``."""
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    @property
    def ref(self) -> str:
        """How people name it: ``package@version``."""
        return f"{self.package}@{self.version}"

    @classmethod
    def signed(
        cls, key: Ed25519PrivateKey, *, slot: str, manifest: Manifest, size: int, golden: bytes
    ) -> Self:
        """The release of a package, signed.

        Raises:
            ValueError: The manifest is of no model, or too long.
        """
        if manifest.model is None:
            raise ValueError(f"{manifest.id} carries no model")
        unsigned = cls(
            slot=slot,
            package=manifest.id,
            version=manifest.version,
            manifest=msgspec.json.encode(manifest),
            sha256=manifest.model.sha256,
            size=size,
            golden=golden,
            key_id=key_id(key.public_key().public_bytes_raw()),
            signature=bytes(64),
        )
        if len(unsigned.manifest) > MAX_MANIFEST_BYTES:
            raise ValueError(f"the manifest has {len(unsigned.manifest)} bytes")
        return msgspec.structs.replace(unsigned, signature=key.sign(_statement(unsigned)))

    def verified(self, public_keys: list[bytes]) -> Manifest:
        """The manifest, once the signature is one of a known key and the two agree.

        Args:
            public_keys: Ed25519, raw: those whose releases are believed.

        Raises:
            WrongRelease: With the reason.
        """
        known = {key_id(each): each for each in public_keys}
        if self.key_id not in known:
            raise WrongRelease(ModelRefusal.UNKNOWN_KEY, f"signed by {self.key_id}")
        try:
            public_key = Ed25519PublicKey.from_public_bytes(known[self.key_id])
            public_key.verify(self.signature, _statement(self))
        except InvalidSignature:
            raise WrongRelease(
                ModelRefusal.WRONG_SIGNATURE, f"{self.ref} is not what {self.key_id} signed"
            ) from None
        return self._manifest()

    def _manifest(self) -> Manifest:
        try:
            manifest = msgspec.json.decode(self.manifest, type=Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise WrongRelease(ModelRefusal.INVALID_MANIFEST, str(error)) from None
        said = (manifest.id, manifest.version, manifest.model and manifest.model.sha256)
        if said != (self.package, self.version, self.sha256):
            raise WrongRelease(ModelRefusal.INVALID_MANIFEST, f"it is of {said}, not {self.ref}")
        return manifest


def key_id(public_key: bytes) -> str:
    """A short name of a public key: the beginning of its SHA-256, hex.

    >>> key_id(bytes(32))
    '66687aadf862bd77'
    """
    return hashlib.sha256(public_key).hexdigest()[:16]


def version_order(version: str) -> tuple[int, ...]:
    """What versions are compared by.

    >>> version_order("0.10.0") > version_order("0.9.3")
    True
    """
    return tuple(int(part) for part in version.split("."))


def _statement(release: Release) -> bytes:
    return _encode(
        (
            "pawmesh-release-v1",
            release.slot,
            release.package,
            release.version,
            release.manifest,
            release.sha256,
            release.size,
            release.golden,
        )
    )
