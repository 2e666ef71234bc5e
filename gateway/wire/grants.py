"""What an owner allows, in the form in which gateway and cloud both enforce it."""

from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from gateway.wire.messages import MESSAGES
from gateway.wire.scalars import Id, Instant, Name
from gateway.wire.topics import Kind


class Stream(StrEnum):
    """What a grant is about, in the owner's words."""

    ACTIVITY = "activity"
    POSITION = "position"
    EVENTS = "events"
    RAW = "raw"


class Precision(StrEnum):
    """How exactly a position may be shared."""

    EXACT = "exact"
    M100 = "100m"
    KM1 = "1km"
    KM10 = "10km"


STREAM_OF = {
    Kind.EPOCH: Stream.ACTIVITY,
    Kind.FIX: Stream.POSITION,
    Kind.EVENT: Stream.EVENTS,
    Kind.WINDOW: Stream.RAW,
}
COARSE_LEAF = {
    Precision.M100: "position_100m",
    Precision.KM1: "position_1km",
    Precision.KM10: "position_10km",
}
KNOWN = {
    kind: {field.name for field in msgspec.structs.fields(MESSAGES[kind])} for kind in STREAM_OF
}
"""What may leave at all: a field that we do not know could say anything."""
KNOWN[Kind.FIX] |= set(COARSE_LEAF.values())
BESIDE_COARSE = {"accuracy_m", "source", "age_s"}  # say nothing of where


class Grant(Struct, frozen=True, kw_only=True):
    """One permission: this stream of this pet, for this purpose, to this recipient, until then."""

    grant_id: Id
    pet_id: Id
    stream: Stream
    purpose: Name
    recipient: Name
    precision: Precision = Precision.EXACT
    valid_from: Instant
    """What was observed before is not covered, however late it arrives."""
    expires_at: Instant | None = None
    withdrawn_at: Instant | None = None

    def active_at(self, instant: datetime) -> bool:
        """Whether the grant allows anything at this instant."""
        ends = [end for end in (self.expires_at, self.withdrawn_at) if end is not None]
        return self.valid_from <= instant and all(instant < end for end in ends)

    def leaves(self, kind: Kind, present: set[str]) -> set[str]:
        """Names of those ``present`` leaves of a message of this kind that the grant allows."""
        if STREAM_OF.get(kind) is not self.stream:
            return set()
        if self.stream is not Stream.POSITION or self.precision is Precision.EXACT:
            return present & KNOWN[kind]
        return present & (BESIDE_COARSE | {COARSE_LEAF[self.precision]})
