"""Commits what was admitted, then acknowledges it: to the broker, and to the collar itself."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from gateway.downlink import Downlink
from gateway.ingest.admission import Admission, Admitted, Heard, Sorted
from gateway.ingest.rejected import Refused, keep_refused, prune_refused, was_refused
from gateway.ingest.runs import Runs, previous_of
from gateway.metrics import MESSAGES, REJECTED
from gateway.registry import Household
from gateway.slots import note_word
from gateway.store import Store, to_us
from gateway.store.store import count
from gateway.wire.codec import digest, salvage_previous
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Ack, Birth, Message, Presence, Slots, Status
from gateway.wire.session import Delivery, Session
from gateway.wire.topics import Kind, site_filter

BATCH_LIMIT = 1_000  # messages a commit
LINGER_S = 0.004  # a lone message waits this long for company; far below the 50 ms we allow

INSERT_MESSAGE = """
INSERT INTO message (collar_id, boot, seq, kind, pet_id, observed_us, sent_us, received_us,
                     content_type, digest, payload, extra)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


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
        self._admission = Admission(household)
        self._runs = Runs()
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
        judged = self._admission.judge(batch, received_at)
        touched = await self._store.write(lambda db: self._commit(db, judged, received_at))
        for delivery in batch:
            delivery.settle()
        self._acknowledge(touched, judged.refused)
        self._committed()
        self._heard(judged.heard)

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
            if status.state is Presence.ONLINE:  # a last will knows nothing of the log
                self._runs.of(status.collar_id).declare(status.gaps)
            if status.log_start is not None:
                self._runs.of(status.collar_id).start_at(status.log_start)
            touched.add(status.collar_id)
        for refused in judged.refused:
            keep_refused(db, refused, received_us)
            REJECTED.labels(refused.reason.value).inc()
            if refused.collar_id in self._household.collars:
                if refused.key is not None and refused.reason is not RejectReason.CONFLICT:
                    delivery = refused.delivery
                    previous = salvage_previous(delivery.payload, delivery.content_type)
                    self._runs.of(refused.collar_id).hold(refused.key, previous)
                touched.add(refused.collar_id)
        if judged.refused:
            prune_refused(db)
        self._runs.save(db, touched)
        return touched

    def _take_if_new(self, db: sqlite3.Connection, each: Admitted, heard: Heard) -> bool:
        """Hold a message whose key was never seen; the others are looked up afterwards."""
        message, run = each.message, self._runs.of(each.message.collar_id)
        if not run.is_new(message.key):
            return False
        if not run.knows_all and _held_digest(db, message) is not None:
            return False
        run.hold(message.key, previous_of(message))
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
        if isinstance(message, Birth | Slots) and note_word(
            db, structs.replace(message, observed_at=each.filed_at)
        ):
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
            if not was_refused(db, message):
                self._runs.of(message.collar_id).found(message.key)
        elif held != digest(delivery.payload):
            detail = f"({message.boot}, {message.seq}) is held with other content"
            return Refused(delivery, message.collar_id, message.key, RejectReason.CONFLICT, detail)
        else:
            count(db, "duplicates", not delivery.retained)
        self._runs.of(message.collar_id).hold(message.key, previous_of(message))
        return None

    def _row(self, each: Admitted, received_us: int) -> tuple[Any, ...]:
        message, delivery = each.message, each.delivery
        observed_us = to_us(each.filed_at)
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
            acked = self._runs.of(collar_id).acked
            ack = Ack(
                collar_id=collar_id,
                boot=acked.boot if acked else None,
                seq=acked.seq if acked else None,
                refused=reasons.get(collar_id, [])[:20],
            )
            self.downlink.say(collar_id, Kind.ACK, ack)

    def _load(self, db: sqlite3.Connection) -> None:
        for collar_id in self._household.collars:
            row = db.execute(
                """SELECT content_type FROM message WHERE collar_id = ?
                   ORDER BY boot DESC, seq DESC LIMIT 1""",
                (collar_id,),
            ).fetchone()
            if row is not None:
                self.downlink.forms[collar_id] = row["content_type"]
        self._runs.load(db, self._household.registry.site)


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
