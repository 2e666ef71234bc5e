"""What of a batch may come in: valid messages of enrolled collars; of the others, why not."""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from gateway.ingest.dating import Dating
from gateway.ingest.rejected import KEPT_TOPIC, Refused
from gateway.registry import Household
from gateway.wire.batch import opened
from gateway.wire.codec import JSON, content_type_of, decode, salvage_key
from gateway.wire.errors import Rejected, RejectReason, UnknownKind
from gateway.wire.messages import MAX_FUTURE_S, MESSAGES, Message, ModelAnswer, Status
from gateway.wire.session import Delivery
from gateway.wire.topics import UNKEYED_KINDS, UPLINK_KINDS, Kind, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

WARN_EVERY_S = 60.0  # of each reason


@dataclass(slots=True)
class Admitted:
    """A delivery that is a valid message of an enrolled collar."""

    delivery: Delivery
    topic: Topic
    message: Message
    filed_at: datetime
    """When it was observed, as far as is known; see `Dating`."""
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
    """One batch of deliveries, judged."""

    admitted: list[Admitted] = field(default_factory=list[Admitted])
    refused: list[Refused] = field(default_factory=list[Refused])
    statuses: list[Status] = field(default_factory=list[Status])
    heard: Heard = field(default_factory=Heard)


class Admission:
    """Judges what arrives."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._dating = Dating()
        self._warned: dict[RejectReason, float] = {}

    def judge(self, batch: list[Delivery], received_at: datetime) -> Sorted:
        """Sort a batch by what is to become of each delivery."""
        judged = Sorted()
        for delivery in batch:
            topic = None
            try:
                topic = Topic.parse(delivery.topic)
                if topic.kind in UPLINK_KINDS:  # our own acknowledgements come back to us
                    self._admit(judged, delivery, topic, received_at)
            except Rejected as error:
                judged.refused.append(self._refuse(delivery, topic, error))
        return judged

    def _open(self, judged: Sorted, carrier: Delivery, topic: Topic, received_at: datetime) -> None:
        """Judge each message of a batch as if it had come alone."""
        batch, lines = opened(topic, carrier.payload, carrier.content_type)
        sent_at = batch.sent_at or carrier.sent_at
        for text, payload in lines:
            delivery = replace(
                carrier, topic=text, payload=payload, content_type=JSON, sent_at=sent_at
            )
            line = None
            try:
                line = Topic.parse(text)
                if line.kind not in MESSAGES:
                    raise Rejected(RejectReason.WRONG_TOPIC, f"a batch carries no {line.kind}")
                self._admit(judged, delivery, line, received_at)
            except Rejected as error:
                judged.refused.append(self._refuse(delivery, line, error))

    def _admit(
        self, judged: Sorted, delivery: Delivery, topic: Topic, received_at: datetime
    ) -> None:
        if topic.collar_id not in self._household.collars:
            raise Rejected(RejectReason.UNKNOWN_COLLAR, f"{topic.collar_id} is not enrolled here")
        if topic.kind is Kind.BATCH:
            self._open(judged, delivery, topic, received_at)
            return
        decoded = decode(topic, delivery.payload, delivery.content_type)
        message = decoded.message
        if isinstance(message, Status):
            judged.statuses.append(message)
        elif isinstance(message, ModelAnswer):
            if delivery.retained:
                raise Rejected(RejectReason.INVALID, "an answer is of its moment: do not retain it")
            judged.heard.answers.append(message)
        elif isinstance(message, Message):
            filed_at = self._dating.filed_at(message, received_at)
            if filed_at > received_at + timedelta(seconds=MAX_FUTURE_S):
                at = message.observed_at.isoformat()
                raise Rejected(RejectReason.FUTURE_DATED, f"observed_at {at} is ahead of us")
            if not delivery.retained:
                judged.heard.spoke.add(topic.collar_id)
            form = content_type_of(delivery.payload, delivery.content_type)
            judged.admitted.append(
                Admitted(delivery, topic, message, filed_at, decoded.extra, form)
            )

    def _refuse(self, delivery: Delivery, topic: Topic | None, error: Rejected) -> Refused:
        collar_id = topic.collar_id if topic else None
        if isinstance(error, UnknownKind):  # of a newer collar: it shall not wait for us for ever
            collar_id = error.collar_id
        key = None
        if topic is None or topic.kind not in UNKEYED_KINDS:
            key = salvage_key(delivery.payload, delivery.content_type, collar_id)
        self._warn(delivery.topic[:KEPT_TOPIC], error)  # a topic may have 64 kB
        return Refused(delivery, collar_id, key, error.reason, error.detail)

    def _warn(self, topic: str, error: Rejected) -> None:
        """Log a refusal, but not each of a flood: the table and the metrics hold them all."""
        now = time.monotonic()
        if now - self._warned.get(error.reason, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned[error.reason] = now
            log.warning("message.rejected", topic=topic, reason=error.reason, detail=error.detail)
