"""When a collar wakes its radio: at once for what is urgent, and for the rest by its setting.

Without a setting everything is sent when it is known. With one, what can wait is kept, and goes
out together each so many minutes, or with the next thing that cannot wait.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from collar_sim.firmware.minute import MINUTE, Draft
from collar_sim.firmware.power.energy import Exchange
from gateway.wire.messages import FixSource
from gateway.wire.topics import Kind

URGENT = frozenset({Kind.BIRTH, Kind.FIX, Kind.EVENT, Kind.SLOTS})
"""Kinds that are sent at once; the others wait some seconds, so that a fleet does not speak in
chorus at each full minute."""

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)  # so that a fleet keeps its rhythm from run to run

# Fitted to bench/edge_savings.py, which prints how well; both directions, TLS, TCP and IP.
HEADER_BYTES = 75  # what the writing of a message adds to its fields, and its share of a seal
ALONE_BYTES = 345  # a packet of its own: PUBLISH, PUBACK and the gateway's acknowledgement
UPLOAD_BYTES = 430  # a batch, whatever it carries
PACKED_SHARE = 0.16  # of a message's bytes is left in a batch; samples do not shrink

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Uploads:
    """One collar's setting."""

    every: timedelta | None = None
    """None: nothing waits."""
    phase: timedelta = timedelta()
    """Into which a fleet is spread, so that it does not speak in chorus."""

    @property
    def keepalive_s(self) -> int:
        """Of the connection: long enough that a collar which speaks in time never pings."""
        every_s = MINUTE.total_seconds() if not self.every else self.every.total_seconds()
        return math.ceil(1.5 * max(MINUTE.total_seconds(), every_s))

    @classmethod
    def spread(cls, every: timedelta | None, number: int) -> Self:
        """The setting of one of a fleet, whose minutes are spread by number."""
        minutes = int(every / MINUTE) if every else 0
        return cls(every, number % minutes * MINUTE if minutes else timedelta())

    def is_urgent(self, kind: Kind, fields: Mapping[str, Any]) -> bool:
        """Whether it is sent at once: of a collar that saves, not where it lies at home."""
        if self.every is not None and fields.get("source") == FixSource.WIFI:
            return False
        return kind in URGENT

    def is_due(self, after: datetime, until: datetime) -> bool:
        """Whether what was kept goes out at an instant after the one and up to the other.

        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> ten = Uploads(timedelta(minutes=10), phase=timedelta(minutes=3))
        >>> [n for n in range(60) if ten.is_due(noon + n * MINUTE, noon + (n + 1) * MINUTE)]
        [2, 12, 22, 32, 42, 52]
        """
        if not self.every:
            return True
        origin = _ORIGIN + self.phase
        return (until - origin) // self.every > (after - origin) // self.every


AT_ONCE = Uploads()


def exchanges(
    uploads: Uploads,
    start_at: datetime,
    said: Sequence[Draft],
    kept_bytes: float,
    at_home: Sequence[bool],
) -> tuple[tuple[Exchange, ...], float]:
    """The wakings of the radio in a minute, and the bytes that wait for the next one.

    Args:
        uploads: The collar's setting.
        start_at: When the minute began.
        said: What is said in it, by release.
        kept_bytes: What waits from before.
        at_home: Of each second, whether the home's WiFi is heard.
    """
    found: dict[float, float] = {}

    def send(at_s: float, wire_bytes: float) -> None:
        found[at_s] = found.get(at_s, 0.0) + wire_bytes

    for draft in said:
        at_s = (draft.release_at - start_at).total_seconds()
        payload_bytes = len(_encode(draft.fields)) + HEADER_BYTES
        if uploads.every is None:
            send(at_s, payload_bytes + ALONE_BYTES)
            continue
        kept_bytes += payload_bytes * (1.0 if draft.kind is Kind.WINDOW else PACKED_SHARE)
        if uploads.is_urgent(draft.kind, draft.fields):
            send(at_s, kept_bytes + UPLOAD_BYTES)
            kept_bytes = 0.0
    if kept_bytes and uploads.is_due(start_at, start_at + MINUTE):
        send(MINUTE.total_seconds(), kept_bytes + UPLOAD_BYTES)
        kept_bytes = 0.0
    last = len(at_home) - 1
    return (
        tuple(Exchange(at_s, each, at_home[min(last, int(at_s))]) for at_s, each in found.items()),
        kept_bytes,
    )
