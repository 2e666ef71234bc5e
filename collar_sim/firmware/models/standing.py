"""What a collar knows of its models, those on their way among them, and what changes that in flash.

How it changes is told in `update`, what flash makes of it in `model_memory`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.wire.release import ModelRefusal, Release
from plugins.sdk.manifest import Manifest

REFUSALS_KEPT = 8  # of a collar: more deliveries than that are never under way

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Held:
    """What a slot runs, and the delivery that brought it; None: it was shipped."""

    manifest: Manifest
    rollout: str | None = None


@dataclass(frozen=True, slots=True)
class Spare:
    """A model in the spare place of a slot, as far as it has come."""

    rollout: str
    release: Release
    chunk_bytes: int
    model: bytes = field(default=b"", repr=False)

    @property
    def next_chunk(self) -> int:
        """All before this one are here."""
        return -(-len(self.model) // self.chunk_bytes)

    @property
    def is_complete(self) -> bool:
        """Whether as many bytes are here as were announced."""
        return len(self.model) == self.release.size


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model is not installed."""

    reason: ModelRefusal
    detail: str


@dataclass(frozen=True, slots=True)
class PutSpare:
    """Keep this in the spare place of a slot, instead of what is there."""

    slot: str
    spare: Spare


@dataclass(frozen=True, slots=True)
class EraseSpare:
    """Empty the spare place of a slot."""

    slot: str


@dataclass(frozen=True, slots=True)
class Switch:
    """The spare becomes what the slot runs; what it ran is kept as the one before."""

    slot: str


@dataclass(frozen=True, slots=True)
class FallBack:
    """What the slot ran is erased; the one before runs, or else what was shipped."""

    slot: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Answer this delivery with this refusal whenever it is offered again."""

    mark: bytes
    refusal: Refusal


Write = PutSpare | EraseSpare | Switch | FallBack | Remember


@dataclass(frozen=True)
class Standing:
    """What a collar knows of its models."""

    collar_id: str
    release_key: bytes | None
    """Whose releases it believes (Ed25519, raw); nobody's without it."""
    held: Mapping[str, Held] = field(default_factory=dict[str, Held])
    """By slot; an empty slot is absent."""
    spares: Mapping[str, Spare] = field(default_factory=dict[str, Spare])
    refusals: Mapping[bytes, Refusal] = field(default_factory=dict[bytes, Refusal])
    """By `mark_of`, the oldest first."""


def mark_of(rollout: str, release: Release) -> bytes:
    """What a delivery is remembered by: another rollout of the same release is another try."""
    return hashlib.blake2b(_encode((rollout, release)), digest_size=16).digest()
