"""What of a list of deliveries may come in: valid messages of enrolled collars; else, why not."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from gateway.ingest.dating import FUTURE, OWN
from gateway.ingest.rejected import KEPT_TOPIC, Refused
from gateway.registry import Household
from gateway.wire.batch import opened
from gateway.wire.codec import JSON, content_type_of, decode, salvage_key
from gateway.wire.errors import Rejected, RejectReason, UnknownKind
from gateway.wire.messages import MESSAGES, Message, ModelAnswer, Status
from gateway.wire.session import Delivery
from gateway.wire.topics import UNKEYED_KINDS, UPLINK_KINDS, Kind, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH_LIMIT = 1_000  # messages a commit, and at most one opened batch more
WARN_EVERY_S = 60.0  # of each reason


@dataclass(slots=True)
class Admitted:
    """A delivery that is a valid message of an enrolled collar."""

    delivery: Delivery
    topic: Topic
    message: Message
    extra: dict[str, Any] | None
    content_type: str


@dataclass(slots=True)
class Heard:
    """What a committed batch holds for those who talk to collars."""

    present: dict[str, bool] = field(default_factory=dict[str, bool])
    """Collars that came or went; the last word of each."""
    spoke: set[str] = field(default_factory=set[str])
    """Collars that said anything just now: they are there, whatever their status says."""
    slots: set[str] = field(default_factory=set[str])
    """Collars that told of their model slots."""
    answers: list[ModelAnswer] = field(default_factory=list[ModelAnswer])
    """In the order in which they came."""


@dataclass(slots=True)
class Sorted:
    """Deliveries of one commit, judged."""

    received_at: datetime
    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    admitted: list[Admitted] = field(default_factory=list[Admitted])
    refused: list[Refused] = field(default_factory=list[Refused])
    statuses: list[Status] = field(default_factory=list[Status])
    heard: Heard = field(default_factory=Heard)

    def one_by_one(self) -> "Iterator[Sorted]":
        """The same, each in a commit of its own; all are heard together."""
        for admitted in self.admitted:
            yield Sorted(self.received_at, admitted=[admitted], heard=self.heard)
        for refused in self.refused:
            yield Sorted(self.received_at, refused=[refused], heard=self.heard)
        for status in self.statuses:
            yield Sorted(self.received_at, statuses=[status], heard=self.heard)


Admit = Callable[[Sorted, Delivery, Topic], None]


class Admission:
    """Judges what arrives. No message can end it: what fails unforeseen is refused, and logged."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._warned: dict[RejectReason, float] = {}

    def judge(self, deliveries: list[Delivery], received_at: datetime) -> Sorted:
        """Sort the first of these, one commit's worth, by what is to become of each."""
        judged = Sorted(received_at)
        for delivery in deliveries:
            if len(judged.admitted) + len(judged.refused) >= BATCH_LIMIT:
                break  # a packet may hold hundreds
            judged.deliveries.append(delivery)
            self._sort(judged, delivery, self._admit_packet)
        return judged

    def refuse(self, delivery: Delivery, topic: Topic | None, error: Rejected) -> Refused:
        """What is kept of a message that may not come in."""
        collar_id = topic.collar_id if topic else None
        if isinstance(error, UnknownKind):  # of a newer collar: it shall not wait for us for ever
            collar_id = error.collar_id
        if collar_id not in self._household.collars:
            collar_id = None
        key = None
        if topic is None or topic.kind not in UNKEYED_KINDS:
            try:
                key = salvage_key(delivery.payload, delivery.content_type, collar_id)
            except Exception as failed:  # it is refused already: only its key stays unknown
                if not is_of_a_message(failed):
                    raise
                log.exception("message.failed", topic=delivery.topic[:KEPT_TOPIC])
        self._warn(delivery.topic[:KEPT_TOPIC], error)  # a topic may have 64 kB
        return Refused(delivery, collar_id, key, error.reason, error.detail)

    def _sort(self, judged: Sorted, delivery: Delivery, admit: Admit) -> None:
        topic = None
        try:
            topic = Topic.parse(delivery.topic)
            return admit(judged, delivery, topic)
        except Rejected as error:
            why = error
        except Exception as error:  # one message must not end the others
            if not is_of_a_message(error):
                raise
            log.exception("message.failed", topic=delivery.topic[:KEPT_TOPIC])
            why = failure(error)
        judged.refused.append(self.refuse(delivery, topic, why))

    def _admit_packet(self, judged: Sorted, delivery: Delivery, topic: Topic) -> None:
        if topic.kind not in UPLINK_KINDS:
            return  # our own word, of a broker that echoes it
        if topic.collar_id not in self._household.collars:
            raise Rejected(RejectReason.UNKNOWN_COLLAR, f"{topic.collar_id} is not enrolled here")
        if topic.kind is Kind.BATCH:
            self._open(judged, delivery, topic)
        else:
            self._admit(judged, delivery, topic)

    def _open(self, judged: Sorted, carrier: Delivery, topic: Topic) -> None:
        """Judge each message of a batch as if it had come alone."""
        batch, lines = opened(topic, carrier.payload, carrier.content_type)
        sent_at = batch.sent_at or carrier.sent_at
        for text, payload in lines:
            line = replace(carrier, topic=text, payload=payload, content_type=JSON, sent_at=sent_at)
            self._sort(judged, line, self._admit_line)

    def _admit_line(self, judged: Sorted, line: Delivery, topic: Topic) -> None:
        if topic.kind not in MESSAGES:
            raise Rejected(RejectReason.WRONG_TOPIC, f"a batch carries no {topic.kind}")
        self._admit(judged, line, topic)

    def _admit(self, judged: Sorted, delivery: Delivery, topic: Topic) -> None:
        decoded = decode(topic, delivery.payload, delivery.content_type)
        message = decoded.message
        if isinstance(message, Message):
            self._admit_message(judged, delivery, topic, message, decoded.extra)
        elif isinstance(message, Status):
            judged.statuses.append(message)
        elif isinstance(message, ModelAnswer):
            if delivery.retained:
                raise Rejected(RejectReason.INVALID, "an answer is of its moment: do not retain it")
            judged.heard.answers.append(message)

    def _admit_message(
        self,
        judged: Sorted,
        delivery: Delivery,
        topic: Topic,
        message: Message,
        extra: dict[str, Any] | None,
    ) -> None:
        if message.clock not in OWN and message.observed_at > judged.received_at + FUTURE:
            at = message.observed_at.isoformat()
            raise Rejected(RejectReason.FUTURE_DATED, f"observed_at {at} is ahead of us")
        if not delivery.retained:  # that is of another day, perhaps of another life
            judged.heard.spoke.add(topic.collar_id)
        form = content_type_of(delivery.payload, delivery.content_type)
        judged.admitted.append(Admitted(delivery, topic, message, extra, form))

    def _warn(self, topic: str, error: Rejected) -> None:
        """Log a refusal, but not each of a flood: the table and the metrics hold them all."""
        now = time.monotonic()
        if now - self._warned.get(error.reason, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned[error.reason] = now
            log.warning("message.rejected", topic=topic, reason=error.reason, detail=error.detail)


def failure(error: Exception) -> Rejected:
    """The refusal of a message that failed where none should."""
    return Rejected(RejectReason.INVALID, f"it failed here: {type(error).__name__}")


def is_of_a_message(error: Exception) -> bool:
    """Whether a message can be at fault, and not the store or the machine."""
    if isinstance(error, sqlite3.Error):
        return isinstance(error, sqlite3.IntegrityError | sqlite3.DataError)
    return not isinstance(error, OSError | MemoryError)
