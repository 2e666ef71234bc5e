"""The door: received, validated, committed, and only then acknowledged to broker and collar."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog

from gateway.contiguity import Contiguity
from gateway.downlink import Downlink
from gateway.metrics import MESSAGES, REJECTED
from gateway.registry import Household
from gateway.slots import note_word
from gateway.store import Store, to_us
from gateway.store.store import count
from gateway.wire.codec import (
    content_type_of,
    decode,
    digest,
    salvage_key,
    salvage_previous,
)
from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.messages import (
    MAX_FUTURE_S,
    Ack,
    Birth,
    Key,
    Message,
    ModelAnswer,
    Presence,
    Slots,
    Status,
)
from gateway.wire.session import Delivery, Session
from gateway.wire.topics import UNKEYED_KINDS, UPLINK_KINDS, Kind, Topic, site_filter

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH_LIMIT = 1_000  # messages a commit
LINGER_S = 0.004  # a lone message waits this long for company; far below the 50 ms we allow
KEPT_BYTES = 4_096  # of a refused payload
KEPT_TOPIC = 300  # characters of its topic
KEPT_REJECTED = 10_000  # rows
WARN_EVERY_S = 60.0  # of each reason

INSERT_MESSAGE = """
INSERT INTO message (collar_id, boot, seq, kind, pet_id, observed_us, sent_us, received_us,
                     content_type, digest, payload, extra)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


@dataclass(slots=True)
class Admitted:
    """A delivery that is a valid message of an enrolled collar."""

    delivery: Delivery
    topic: Topic
    message: Message
    extra: dict[str, Any] | None
    content_type: str


@dataclass(slots=True)
class Refused:
    """A delivery that is not, and why; with its key where that can be read."""

    delivery: Delivery
    collar_id: str | None
    key: Key | None
    reason: RejectReason
    detail: str


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


def _nobody(_: Heard) -> None:
    """Listens when nobody talks to collars."""


class Ingest:
    """Takes a site's messages in; ``committed`` and ``heard`` are called after each commit."""

    def __init__(
        self,
        store: Store,
        household: Household,
        committed: Callable[[], None],
        heard: Callable[[Heard], None] = _nobody,
    ) -> None:
        self._store = store
        self._household = household
        self._committed = committed
        self._heard = heard
        self._runs: dict[str, Contiguity] = {}
        self._warned: dict[RejectReason, float] = {}
        self.downlink = Downlink(household)

    async def open(self, session: Session) -> None:
        """Begin to hear the site's collars."""
        await self._store.read(self._load)
        await session.subscribe(site_filter(self._household.registry.site))
        self.downlink.session = session

    async def run(self, session: Session) -> None:
        """Consume until the session is lost."""
        async for batch in session.batches(BATCH_LIMIT, LINGER_S):
            await self.take(session, batch)

    async def take(self, session: Session, batch: list[Delivery]) -> None:
        """Commit one batch, then acknowledge it."""
        self.downlink.session = session
        received_at = datetime.now(UTC)
        judged = self._judge(batch, received_at)
        touched = await self._store.write(lambda db: self._commit(db, judged, received_at))
        for delivery in batch:
            delivery.settle()
        self._acknowledge(touched, judged.refused)
        self._committed()
        self._heard(judged.heard)

    def _judge(self, batch: list[Delivery], received_at: datetime) -> Sorted:
        judged = Sorted()
        latest = received_at + timedelta(seconds=MAX_FUTURE_S)
        for delivery in batch:
            topic = None
            try:
                topic = Topic.parse(delivery.topic)
                if topic.kind not in UPLINK_KINDS:
                    continue  # our own acknowledgements come back to us
                if topic.collar_id not in self._household.collars:
                    raise Rejected(
                        RejectReason.UNKNOWN_COLLAR, f"{topic.collar_id} is not enrolled here"
                    )
                decoded = decode(topic, delivery.payload, delivery.content_type)
                if isinstance(decoded.message, Status):
                    judged.statuses.append(decoded.message)
                elif isinstance(decoded.message, ModelAnswer):
                    if delivery.retained:
                        raise Rejected(
                            RejectReason.INVALID, "an answer is of its moment: do not retain it"
                        )
                    judged.heard.answers.append(decoded.message)
                elif isinstance(decoded.message, Message):
                    if decoded.message.observed_at > latest:
                        raise Rejected(
                            RejectReason.FUTURE_DATED,
                            f"observed_at {decoded.message.observed_at.isoformat()} is ahead of us",
                        )
                    form = content_type_of(delivery.payload, delivery.content_type)
                    if not delivery.retained:
                        judged.heard.spoke.add(topic.collar_id)
                    judged.admitted.append(
                        Admitted(delivery, topic, decoded.message, decoded.extra, form)
                    )
            except Rejected as error:
                judged.refused.append(self._refuse(delivery, topic, error))
        return judged

    def _refuse(self, delivery: Delivery, topic: Topic | None, error: Rejected) -> Refused:
        collar_id = topic.collar_id if topic else None
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

    def _commit(self, db: sqlite3.Connection, judged: Sorted, received_at: datetime) -> set[str]:
        received_us = to_us(received_at)
        touched = {each.topic.collar_id for each in judged.admitted}
        fresh = [each for each in judged.admitted if self._take_if_new(db, each, judged.heard)]
        db.executemany(INSERT_MESSAGE, [self._row(each, received_us) for each in fresh])
        if len(fresh) < len(judged.admitted):
            new = {id(each) for each in fresh}
            seen = (each for each in judged.admitted if id(each) not in new)
            conflicts = (self._look_up(db, each, received_us, judged.heard) for each in seen)
            judged.refused += [refused for refused in conflicts if refused is not None]
        for kind, messages in Counter(each.topic.kind for each in fresh).items():
            MESSAGES.labels(kind.value).inc(messages)
        for status in judged.statuses:
            _commit_status(db, status, received_us)
            judged.heard.present[status.collar_id] = status.state is Presence.ONLINE
            if status.log_start is not None:
                self._run(status.collar_id).start_at(status.log_start)
            touched.add(status.collar_id)
        for refused in judged.refused:
            _commit_refused(db, refused, received_us)
            REJECTED.labels(refused.reason.value).inc()
            if refused.collar_id in self._household.collars:
                if refused.key is not None and refused.reason is not RejectReason.CONFLICT:
                    delivery = refused.delivery
                    previous = salvage_previous(delivery.payload, delivery.content_type)
                    self._run(refused.collar_id).hold(refused.key, previous)
                touched.add(refused.collar_id)
        if judged.refused:
            _prune_rejected(db)
        for collar_id in touched:
            _save_run(db, collar_id, self._run(collar_id))
        return touched

    def _take_if_new(self, db: sqlite3.Connection, each: Admitted, heard: Heard) -> bool:
        """Hold a message whose key was never seen; the others are looked up afterwards."""
        message, run = each.message, self._run(each.message.collar_id)
        if not run.is_new(message.key):
            return False
        if not run.knows_all and _held_digest(db, message) is not None:
            return False
        run.hold(message.key, _previous_of(message))
        self._note(db, each, heard)
        return True

    def _note(self, db: sqlite3.Connection, each: Admitted, heard: Heard) -> None:
        """Remember what a new message says beside its content."""
        message = each.message
        self.downlink.forms[message.collar_id] = each.content_type
        if each.extra:
            count(db, "unknown_fields", len(each.extra))
        if isinstance(message, Birth) and message.seals:
            boot = (message.collar_id, message.boot)
            db.execute("INSERT OR IGNORE INTO sealing_boot VALUES (?, ?)", boot)
        if isinstance(message, Birth | Slots) and note_word(db, message):
            heard.slots.add(message.collar_id)
            if isinstance(message, Birth) and not each.delivery.retained:
                heard.present.setdefault(message.collar_id, True)

    def _look_up(
        self, db: sqlite3.Connection, each: Admitted, received_us: int, heard: Heard
    ) -> Refused | None:
        """A key that was seen: the same message again, another under its key, or a late one."""
        message, delivery = each.message, each.delivery
        held = _held_digest(db, message)
        if held is None:  # refused or given up before, and here it is
            db.execute(INSERT_MESSAGE, self._row(each, received_us))
            self._note(db, each, heard)
        elif held != digest(delivery.payload):
            detail = f"({message.boot}, {message.seq}) is held with other content"
            return Refused(delivery, message.collar_id, message.key, RejectReason.CONFLICT, detail)
        else:
            count(db, "duplicates", not delivery.retained)
        self._run(message.collar_id).hold(message.key, _previous_of(message))
        return None

    def _row(self, each: Admitted, received_us: int) -> tuple[Any, ...]:
        message, delivery = each.message, each.delivery
        observed_us = to_us(message.observed_at)
        return (
            message.collar_id,
            message.boot,
            message.seq,
            each.topic.kind.value,
            self._household.pet_of(message.collar_id, observed_us),
            observed_us,
            to_us(delivery.sent_at) if delivery.sent_at else None,
            received_us,
            each.content_type,
            digest(delivery.payload),
            delivery.payload,
            msgspec.msgpack.encode(each.extra) if each.extra else None,
        )

    def _acknowledge(self, touched: set[str], refused: list[Refused]) -> None:
        reasons: dict[str, list[str]] = {}
        for each in refused:
            if each.collar_id in self._household.collars:
                said = ascii(f"{each.reason}: {each.detail}")[1:-1]  # so that twenty always fit
                reasons.setdefault(each.collar_id, []).append(said[:200])
        for collar_id in touched:
            acked = self._run(collar_id).acked
            ack = Ack(
                collar_id=collar_id,
                boot=acked.boot if acked else None,
                seq=acked.seq if acked else None,
                refused=reasons.get(collar_id, [])[:20],
            )
            self.downlink.say(collar_id, Kind.ACK, ack)

    def _run(self, collar_id: str) -> Contiguity:
        return self._runs.setdefault(collar_id, Contiguity())

    def _load(self, db: sqlite3.Connection) -> None:
        for collar_id in self._household.collars:
            row = db.execute(
                """SELECT content_type FROM message WHERE collar_id = ?
                   ORDER BY boot DESC, seq DESC LIMIT 1""",
                (collar_id,),
            ).fetchone()
            if row is not None:
                self.downlink.forms[collar_id] = row["content_type"]
        self._runs = {}
        for row in db.execute("SELECT * FROM contiguity"):
            acked = None
            if row["acked_boot"] is not None:
                acked = Key(row["acked_boot"], row["acked_seq"])
            run = Contiguity(Key(row["next_boot"], row["next_seq"]), acked, row["lost"])
            self._runs[row["collar_id"]] = run
        for row in db.execute(
            """SELECT m.collar_id, m.boot, m.seq, m.kind, m.payload, m.content_type
               FROM message m LEFT JOIN contiguity c USING (collar_id)
               WHERE c.collar_id IS NULL OR (m.boot, m.seq) >= (c.next_boot, c.next_seq)
               ORDER BY m.collar_id, m.boot, m.seq"""
        ):
            previous = None
            if row["kind"] == Kind.BIRTH and row["seq"] == 0:
                topic = Topic(self._household.registry.site, row["collar_id"], Kind.BIRTH)
                previous = _previous_of(decode(topic, row["payload"], row["content_type"]).message)
            self._run(row["collar_id"]).hold(Key(row["boot"], row["seq"]), previous)
        for row in db.execute(
            """SELECT r.collar_id, r.boot, r.seq, r.payload
               FROM rejected r JOIN contiguity c USING (collar_id)
               WHERE r.reason != 'conflict' AND (r.boot, r.seq) >= (c.next_boot, c.next_seq)"""
        ):
            key, previous = Key(row["boot"], row["seq"]), salvage_previous(row["payload"])
            self._run(row["collar_id"]).hold(key, previous)


def _previous_of(message: object) -> Key | None:
    return message.previous if isinstance(message, Birth) else None


def _held_digest(db: sqlite3.Connection, message: Message) -> bytes | None:
    row = db.execute(
        "SELECT digest FROM message WHERE (collar_id, boot, seq) = (?, ?, ?)",
        (message.collar_id, message.boot, message.seq),
    ).fetchone()
    return bytes(row["digest"]) if row else None


def _commit_status(db: sqlite3.Connection, status: Status, received_us: int) -> None:
    db.execute(
        """INSERT INTO presence VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
           SET state = excluded.state, boot = excluded.boot, since_us = excluded.since_us
           WHERE presence.state != excluded.state OR presence.boot != excluded.boot""",
        (status.collar_id, status.state.value, status.boot, received_us),
    )


def _commit_refused(db: sqlite3.Connection, refused: Refused, received_us: int) -> None:
    delivery, key = refused.delivery, refused.key
    db.execute(
        "INSERT INTO rejected VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            received_us,
            delivery.topic[:KEPT_TOPIC],
            refused.collar_id,
            key.boot if key else None,
            key.seq if key else None,
            refused.reason.value,
            refused.detail[:500],
            len(delivery.payload),
            delivery.payload[:KEPT_BYTES],
        ),
    )
    count(db, "rejected", 1)


def _prune_rejected(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (KEPT_REJECTED,)
    )


def _save_run(db: sqlite3.Connection, collar_id: str, run: Contiguity) -> None:
    if run.next is None:
        return
    db.execute(
        """INSERT INTO contiguity VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           next_boot = excluded.next_boot, next_seq = excluded.next_seq,
           acked_boot = excluded.acked_boot, acked_seq = excluded.acked_seq,
           lost = excluded.lost""",
        (
            collar_id,
            run.next.boot,
            run.next.seq,
            run.acked.boot if run.acked else None,
            run.acked.seq if run.acked else None,
            run.lost,
        ),
    )
