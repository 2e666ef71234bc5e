"""Topics: ``pawmesh/v1/{site}/{collar_id}/{kind}``, built and parsed in one place."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

from gateway.wire.errors import Rejected, RejectReason, UnknownKind

ROOT = "pawmesh"
VERSION = "v1"
ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
_ID = re.compile(ID_PATTERN)


class Kind(StrEnum):
    """What a topic carries: messages with a key, answers without one, and the gateway's word."""

    BIRTH = "birth"
    STATUS = "status"
    EPOCH = "epoch"
    FIX = "fix"
    EVENT = "event"
    WINDOW = "window"
    SEAL = "seal"
    SLOTS = "slots"
    POWER = "power"
    MODEL = "model"
    """The collar's answer to an offer or a chunk; without a key, as ``status``."""
    BATCH = "batch"
    """Many keyed messages in one packet; itself without a key."""
    ACK = "ack"
    """From here on gateway to collar."""
    DESIRED = "desired"
    OFFER = "offer"
    CHUNK = "chunk"


DOWNLINK_KINDS = frozenset({Kind.ACK, Kind.DESIRED, Kind.OFFER, Kind.CHUNK})
UPLINK_KINDS = frozenset(Kind) - DOWNLINK_KINDS
UNKEYED_KINDS = frozenset({Kind.STATUS, Kind.MODEL, Kind.BATCH})
"""Of those that go up: they are not acknowledged, and said again when it matters."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the contract.

    >>> str(Topic("home", "c1", Kind.FIX))
    'pawmesh/v1/home/c1/fix'
    >>> Topic.parse("pawmesh/v1/home/c1/fix").kind
    <Kind.FIX: 'fix'>
    """

    site: str
    collar_id: str
    kind: Kind

    def __str__(self) -> str:
        return f"{ROOT}/{VERSION}/{self.site}/{self.collar_id}/{self.kind.value}"

    @classmethod
    @lru_cache(maxsize=65_536)  # collars say the same few topics all their life
    def parse(cls, text: str) -> Self:
        """The topic in ``text``.

        Raises:
            Rejected: ``unsupported_version`` or ``wrong_topic``.
            UnknownKind: All but the kind is of the contract: a newer collar's.
        """
        parts = text.split("/")
        if len(parts) != 5 or parts[0] != ROOT:
            raise Rejected(RejectReason.WRONG_TOPIC, f"{text[:80]!r} is not a topic of {ROOT}")
        _, version, site, collar_id, kind = parts
        if version != VERSION:
            raise Rejected(
                RejectReason.UNSUPPORTED_VERSION,
                f"topic {version[:16]!r}; {VERSION} is spoken here",
            )
        if not (_ID.fullmatch(site) and _ID.fullmatch(collar_id)):
            raise Rejected(RejectReason.WRONG_TOPIC, f"site or collar id in {text[:80]!r}")
        try:
            return cls(site, collar_id, Kind(kind))
        except ValueError:
            raise UnknownKind(collar_id, kind) from None


def site_filter(site: str) -> str:
    """Subscription for everything a site's collars send, whatever their version."""
    return f"{ROOT}/+/{site}/+/+"


def downlink_filters(site: str, collar_id: str) -> list[str]:
    """Subscriptions for the gateway's word to one collar."""
    return [str(Topic(site, collar_id, kind)) for kind in sorted(DOWNLINK_KINDS)]


def ack_filter(site: str, collar_id: str) -> str:
    """Subscription for acknowledgements alone: a collar that takes no models needs no more."""
    return str(Topic(site, collar_id, Kind.ACK))
