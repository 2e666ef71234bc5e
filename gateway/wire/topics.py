"""Topics: ``pawmesh/v1/{site}/{collar_id}/{kind}``, built and parsed in one place."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

from gateway.wire.errors import Rejected, RejectReason

ROOT = "pawmesh"
VERSION = "v1"
ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
_ID = re.compile(ID_PATTERN)


class Kind(StrEnum):
    """What a topic carries. All but ``status`` and ``ack`` are messages with a key."""

    BIRTH = "birth"
    STATUS = "status"
    EPOCH = "epoch"
    FIX = "fix"
    EVENT = "event"
    WINDOW = "window"
    SEAL = "seal"
    ACK = "ack"
    """Gateway to collar; everything else goes up."""


UPLINK_KINDS = frozenset(Kind) - {Kind.ACK}


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
            raise Rejected(RejectReason.WRONG_TOPIC, f"kind {kind[:32]!r} is unknown") from None


def site_filter(site: str) -> str:
    """Subscription for everything a site's collars send, whatever their version."""
    return f"{ROOT}/+/{site}/+/+"


def ack_filter(site: str, collar_id: str) -> str:
    """Subscription for the gateway's word to one collar."""
    return str(Topic(site, collar_id, Kind.ACK))
