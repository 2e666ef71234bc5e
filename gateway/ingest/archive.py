"""What one transaction keeps of what was admitted; and up to where each collar's log is held."""

import sqlite3
from collections import Counter
from typing import Any

import msgspec
from msgspec import structs

from gateway.downlink import Downlink
from gateway.ingest.admission import Admitted, Heard, Sorted
from gateway.ingest.dating import Dating
from gateway.ingest.filing import keep_boots, kept_boots, refile
from gateway.ingest.rejected import Refused, keep_refused, was_refused
from gateway.ingest.runs import Runs, previous_of
from gateway.metrics import MESSAGES, REJECTED
from gateway.registry import Household
from gateway.slots import note_word
from gateway.store import to_us
from gateway.store.store import count
from gateway.wire.codec import digest, salvage_previous
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Birth, Key, Message, Presence, Slots, Status

Outcome = tuple[set[str], list[Refused]]
"""Collars that are to be told where they stand, and what was refused."""

INSERT_MESSAGE = """
INSERT INTO message (collar_id, boot, seq, kind, pet_id, observed_us, sent_us, received_us,
                     content_type, digest, payload, extra, basis)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Archive:
    """A home's messages in the store, with what has to be remembered to take in the next ones."""

    def __init__(self, household: Household, dating: Dating, downlink: Downlink) -> None:
        self._household = household
        self._dating = dating
        self._downlink = downlink
        self._runs = Runs()

    def load(self, db: sqlite3.Connection) -> None:
        """Remember what is stored, and nothing else."""
        for collar_id in self._household.collars:
            row = db.execute(
                """SELECT content_type FROM message WHERE collar_id = ?
                   ORDER BY boot DESC, seq DESC LIMIT 1""",
                (collar_id,),
            ).fetchone()
            if row is not None:
                self._downlink.forms[collar_id] = row["content_type"]
        self._runs.load(db, self._household.registry.site)
        self._dating.restore(kept_boots(db))

    def acked(self, collar_id: str) -> Key | None:
        """Up to where a collar may forget."""
        return self._runs.of(collar_id).acked

    def commit(self, db: sqlite3.Connection, judged: Sorted) -> Outcome:
        """Store what was admitted, and keep what was refused: one transaction."""
        received_us = to_us(judged.received_at)
        fresh, seen = list[Admitted](), list[Admitted]()
        for each in judged.admitted:
            (fresh if self._take_if_new(db, each, judged.heard) else seen).append(each)
        db.executemany(INSERT_MESSAGE, [self._row(each, received_us) for each in fresh])
        conflicts = [self._look_up(db, each, received_us, judged.heard) for each in seen]
        refused = judged.refused + [each for each in conflicts if each is not None]
        for kind, messages in Counter(each.topic.kind for each in fresh).items():
            MESSAGES.labels(kind.value).inc(messages)
        self._take_statuses(db, judged, received_us)
        self._take_refused(db, refused, received_us)
        learnt = self._dating.learnt()
        keep_boots(db, learnt)
        for collar_id, boot in learnt:
            refile(db, self._household, self._dating, collar_id, boot)
        touched = {each.topic.collar_id for each in judged.admitted}
        touched |= {status.collar_id for status in judged.statuses}
        touched |= {each.collar_id for each in refused if each.collar_id is not None}
        self._runs.save(db, touched)
        return touched, refused

    def _take_statuses(self, db: sqlite3.Connection, judged: Sorted, received_us: int) -> None:
        """Of each collar the last word counts, and of its log the last that is no will."""
        for status in {each.collar_id: each for each in judged.statuses}.values():
            _commit_status(db, status, received_us)
            judged.heard.present[status.collar_id] = status.state is Presence.ONLINE
        online = (each for each in judged.statuses if each.state is Presence.ONLINE)
        for status in {each.collar_id: each for each in online}.values():
            run = self._runs.of(status.collar_id)
            run.declare(status.gaps)
            if status.log_start is not None:
                run.start_at(status.log_start)

    def _take_refused(
        self, db: sqlite3.Connection, refused: list[Refused], received_us: int
    ) -> None:
        keep_refused(db, refused, received_us)
        for reason, messages in Counter(each.reason for each in refused).items():
            REJECTED.labels(reason.value).inc(messages)
        for each in refused:
            if each.collar_id is None or each.key is None or each.reason is RejectReason.CONFLICT:
                continue
            previous = salvage_previous(each.delivery.payload, each.delivery.content_type)
            self._runs.of(each.collar_id).hold(each.key, previous)

    def _take_if_new(self, db: sqlite3.Connection, each: Admitted, heard: Heard) -> bool:
        """Hold a message whose key was never seen; the others are looked up afterwards."""
        message, run = each.message, self._runs.of(each.message.collar_id)
        key = message.key
        if not run.is_new(key) or not run.knows_all:
            return False
        run.hold(key, previous_of(message))
        self._note(db, each, heard)
        return True

    def _note(self, db: sqlite3.Connection, each: Admitted, heard: Heard) -> None:
        """Remember what a new message says beside its content."""
        message = each.message
        self._downlink.forms[message.collar_id] = each.content_type
        if each.extra:
            count(db, "unknown_fields", len(each.extra))
        if isinstance(message, Birth) and message.seals:
            boot = (message.collar_id, message.boot)
            db.execute("INSERT OR IGNORE INTO sealing_boot VALUES (?, ?)", boot)
        if isinstance(message, Birth | Slots) and note_word(
            db, structs.replace(message, observed_at=each.filed.at)
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
        if held is None:  # refused, given up or forgotten before, and here it is
            db.execute(INSERT_MESSAGE, self._row(each, received_us))
            MESSAGES.labels(each.topic.kind.value).inc()
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
        observed_us = to_us(each.filed.at)
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
            each.filed.basis.value,
        )


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
