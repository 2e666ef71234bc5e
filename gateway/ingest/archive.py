"""What one transaction keeps of what was admitted; and up to where each collar's log is held."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
from msgspec import structs

from gateway.downlink import Downlink
from gateway.ingest.admission import Admitted, Heard, Sorted
from gateway.ingest.dating import Dating, Filed
from gateway.ingest.filing import keep_boots, kept_boots, refile
from gateway.ingest.rejected import Refused, keep_refused, was_refused
from gateway.ingest.runs import Runs, previous_of
from gateway.registry import Household
from gateway.slots import note_word
from gateway.store import to_us
from gateway.store.store import count
from gateway.wire.codec import digest, salvage_previous
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Birth, Key, Message, Presence, Slots, Status
from gateway.wire.topics import Kind

REFILED = 1_000  # messages a commit at most that are filed anew; the next ones go on
ROWS_AT_ONCE = 20  # a statement: each looks up the last id, and that costs as much as an index

# OR FAIL: what a statement did before it failed goes with its transaction, and needs no journal
INSERT_MESSAGES = """
INSERT OR FAIL INTO message (collar_id, boot, seq, kind, pet_id, observed_us, sent_us, received_us,
                             content_type, digest, payload, extra, basis) VALUES """
MESSAGE_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction did: true, and to be told and counted, once it is committed."""

    stored: Counter[Kind]
    """New messages."""
    refused: list[Refused]
    acked: dict[str, Key | None]
    """Collars that are to be told where they stand, and up to where each may forget."""


class Archive:
    """A home's messages in the store, with what has to be remembered to take in the next ones."""

    def __init__(self, household: Household, dating: Dating, downlink: Downlink) -> None:
        self._household = household
        self._dating = dating
        self._downlink = downlink
        self._runs = Runs()
        self._to_refile: dict[tuple[str, int], int] = {}
        """Boots that were told when they began, and the id up to which they are filed anew."""
        self._is_ahead = False
        """Something is remembered that was not committed."""

    def load(self, db: sqlite3.Connection) -> None:
        """Remember what is stored, and nothing else."""
        self._downlink.forms = dict(_kept_forms(db, self._household.collars))
        self._runs.load(db, self._household.registry.site)
        kept = list(kept_boots(db))
        self._dating.restore(kept)
        self._to_refile = {(collar_id, boot): 0 for collar_id, boot, _ in kept}
        self._is_ahead = False

    def undone(self) -> None:
        """A transaction was rolled back: the next one begins with what is stored."""
        self._is_ahead = True

    def commit(self, db: sqlite3.Connection, judged: Sorted) -> Outcome:
        """Store what was admitted, and keep what was refused: one transaction."""
        if self._is_ahead:
            self.load(db)
        received_us = to_us(judged.received_at)
        new, again = dict[tuple[str, Key], Admitted](), list[Admitted]()
        for each in judged.admitted:
            key = (each.message.collar_id, each.message.key)
            if key not in new and self._hold_if_new(db, each.message, key[1]):
                new[key] = each
            else:
                again.append(each)
        stored = self._store(db, list(new.values()), judged)
        conflicts = [self._compare(db, each) for each in again]
        refused = judged.refused + [each for each in conflicts if each is not None]
        self._take_statuses(db, judged, received_us)
        self._take_refused(db, refused, received_us)
        for each in keep_boots(db, self._dating.learnt()):
            self._to_refile[each] = 0
        self.refile(db)
        touched = {each.topic.collar_id for each in judged.admitted}
        touched |= {status.collar_id for status in judged.statuses}
        touched |= {each.collar_id for each in refused if each.collar_id is not None}
        self._runs.save(db, touched)
        return Outcome(stored, refused, {each: self._runs.of(each).acked for each in touched})

    def refile(self, db: sqlite3.Connection) -> bool:
        """File some of what was misdated anew; returns whether there is more."""
        if self._is_ahead:
            self.load(db)
        room = REFILED
        while self._to_refile and room > 0:
            boot, after = next(iter(self._to_refile.items()))
            seen, last = refile(db, self._household, self._dating, boot, after, room)
            if seen == room:
                self._to_refile[boot] = last
            else:
                del self._to_refile[boot]
            room -= seen
        return bool(self._to_refile)

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
        for each in refused:
            if each.collar_id is None or each.key is None or each.reason is RejectReason.CONFLICT:
                continue
            previous = salvage_previous(each.delivery.payload, each.delivery.content_type)
            self._runs.of(each.collar_id).hold(each.key, previous)

    def _hold_if_new(self, db: sqlite3.Connection, message: Message, key: Key) -> bool:
        """Hold a message, unless one is held under its key; returns whether it was."""
        run = self._runs.of(message.collar_id)
        if not (run.is_new(key) and run.knows_all):
            if _held_digest(db, message) is not None:
                return False
            if not was_refused(db, message):  # else it was given up or forgotten, and here it is
                run.found(key)
        run.hold(key, previous_of(message))
        return True

    def _store(self, db: sqlite3.Connection, new: list[Admitted], judged: Sorted) -> Counter[Kind]:
        """Store messages of new keys: only these teach when a boot began, and nothing retained."""
        for each in new:
            if not each.delivery.retained:  # that is of another day, perhaps of another life
                self._dating.hear(each.message, judged.received_at)
        rows, received_us = list[tuple[Any, ...]](), to_us(judged.received_at)
        for each in new:  # now that all is heard
            filed = self._dating.file(each.message, judged.received_at, each.delivery.sent_at)
            rows.append(self._row(each, filed, received_us))
            self._note(db, each, filed, judged.heard)
        _insert_messages(db, rows)
        return Counter(each.topic.kind for each in new)

    def _note(self, db: sqlite3.Connection, each: Admitted, filed: Filed, heard: Heard) -> None:
        """Remember what a new message says beside its content."""
        message = each.message
        self._downlink.forms[message.collar_id] = each.content_type
        if each.extra:
            count(db, "unknown_fields", len(each.extra))
        if isinstance(message, Birth) and message.seals:
            boot = (message.collar_id, message.boot)
            db.execute("INSERT OR IGNORE INTO sealing_boot VALUES (?, ?)", boot)
        if isinstance(message, Birth | Slots) and note_word(
            db, structs.replace(message, observed_at=filed.at)
        ):
            heard.slots.add(message.collar_id)
            if isinstance(message, Birth) and not each.delivery.retained:
                heard.present.setdefault(message.collar_id, True)

    def _compare(self, db: sqlite3.Connection, each: Admitted) -> Refused | None:
        """A key that is held: the same message again, or another under its key."""
        message, delivery = each.message, each.delivery
        if _held_digest(db, message) != digest(delivery.payload):
            detail = f"({message.boot}, {message.seq}) is held with other content"
            return Refused(delivery, message.collar_id, message.key, RejectReason.CONFLICT, detail)
        count(db, "duplicates", not delivery.retained)
        self._runs.of(message.collar_id).hold(message.key, previous_of(message))
        return None

    def _row(self, each: Admitted, filed: Filed, received_us: int) -> tuple[Any, ...]:
        message, delivery = each.message, each.delivery
        observed_us = to_us(filed.at)
        return (
            message.collar_id,
            message.boot,
            message.seq,
            str(each.topic.kind),
            self._household.pet_of(message.collar_id, observed_us),
            observed_us,
            to_us(delivery.sent_at) if delivery.sent_at else None,
            received_us,
            each.content_type,
            digest(delivery.payload),
            delivery.payload,
            msgspec.msgpack.encode(each.extra) if each.extra else None,
            int(filed.basis),
        )


def _kept_forms(db: sqlite3.Connection, collar_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of each collar that was heard, the content type of its last message."""
    for collar_id in collar_ids:
        row = db.execute(
            """SELECT content_type FROM message WHERE collar_id = ?
               ORDER BY boot DESC, seq DESC LIMIT 1""",
            (collar_id,),
        ).fetchone()
        if row is not None:
            yield collar_id, row["content_type"]


def _insert_messages(db: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[first : first + ROWS_AT_ONCE]
        statement = INSERT_MESSAGES + ", ".join([MESSAGE_ROW] * len(some))
        db.execute(statement, [*chain.from_iterable(some)])


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
