"""What collars say of their model slots: the births and changes among their messages.

A collar's last word is that of the greatest key, whenever it arrived: its flash log may bring
an older one later.
"""

import sqlite3
from datetime import datetime

from msgspec import Struct

from gateway.registry import Household
from gateway.store import from_us, to_us
from gateway.wire.codec import decode
from gateway.wire.errors import Rejected
from gateway.wire.messages import Birth, Key, Slots
from gateway.wire.topics import Kind, Topic


class HeldSlot(Struct, frozen=True, kw_only=True):
    """What one slot of a collar holds, as far as we were told."""

    slot: str
    package: str
    version: str
    sha256: str
    since: datetime


def note_word(db: sqlite3.Connection, message: Birth | Slots) -> bool:
    """Take over what a collar says of its slots; returns whether it is its last word."""
    newer = db.execute(
        """INSERT INTO slots_word VALUES (?, ?, ?) ON CONFLICT DO UPDATE
           SET boot = excluded.boot, seq = excluded.seq
           WHERE (excluded.boot, excluded.seq) > (slots_word.boot, slots_word.seq)""",
        (message.collar_id, message.boot, message.seq),
    ).rowcount
    if not newer:
        return False
    before = held_slots(db, message.collar_id)
    db.execute("DELETE FROM collar_slot WHERE collar_id = ?", (message.collar_id,))
    for each in message.slots:
        held = before.get(each.slot)
        since = message.observed_at
        if held is not None and held.sha256 == each.sha256:
            since = held.since
        db.execute(
            "INSERT OR REPLACE INTO collar_slot VALUES (?, ?, ?, ?, ?, ?)",
            (message.collar_id, each.slot, each.package, each.version, each.sha256, to_us(since)),
        )
    return True


def held_slots(db: sqlite3.Connection, collar_id: str) -> dict[str, HeldSlot]:
    """A collar's slots by name."""
    rows = db.execute("SELECT * FROM collar_slot WHERE collar_id = ? ORDER BY slot", (collar_id,))
    return {
        row["slot"]: HeldSlot(
            slot=row["slot"],
            package=row["package"],
            version=row["version"],
            sha256=row["sha256"],
            since=from_us(row["since_us"]),
        )
        for row in rows
    }


def last_word(db: sqlite3.Connection, collar_id: str) -> Key | None:
    """The key of the message by which a collar last told of its slots."""
    row = db.execute(
        "SELECT boot, seq FROM slots_word WHERE collar_id = ?", (collar_id,)
    ).fetchone()
    return Key(row["boot"], row["seq"]) if row else None


def derive_words(db: sqlite3.Connection, household: Household) -> None:
    """Find in the messages what collars said before this table was kept."""
    known = {row["collar_id"] for row in db.execute("SELECT collar_id FROM slots_word")}
    for collar_id in household.collars.keys() - known:
        row = db.execute(
            """SELECT kind, payload, content_type FROM message
               WHERE collar_id = ? AND kind IN ('birth', 'slots')
               ORDER BY boot DESC, seq DESC LIMIT 1""",
            (collar_id,),
        ).fetchone()
        if row is None:
            continue
        topic = Topic(household.registry.site, collar_id, Kind(row["kind"]))
        try:
            message = decode(topic, row["payload"], row["content_type"]).message
        except Rejected:  # kept by a version that understood it: the next birth tells again
            continue
        if isinstance(message, Birth | Slots):
            note_word(db, message)
