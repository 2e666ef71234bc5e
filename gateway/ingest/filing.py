"""What is known of collars' boots, in the store; and what was filed before that was known."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from gateway.ingest.dating import DRIFT, MAX_BOOTS, Dating
from gateway.registry import Household
from gateway.store import from_us, to_us
from gateway.wire.codec import decode
from gateway.wire.errors import Rejected
from gateway.wire.messages import Message
from gateway.wire.topics import Kind, Topic

MISDATED = """SELECT id, kind, payload, content_type, received_us, sent_us, observed_us, basis
              FROM message WHERE collar_id = ? AND boot = ? AND id > ? AND basis < 4
              ORDER BY id LIMIT ?"""  # Basis.CLOCK


def kept_boots(db: sqlite3.Connection) -> Iterator[tuple[str, int, datetime]]:
    """Collar, boot, and when it began, by a clock that somebody had set."""
    for row in db.execute("SELECT * FROM boot_began ORDER BY collar_id, boot"):
        yield row["collar_id"], row["boot"], from_us(row["began_us"])


def keep_boots(
    db: sqlite3.Connection, learnt: dict[tuple[str, int], datetime]
) -> Iterator[tuple[str, int]]:
    """Write down when boots began, as far as they are remembered; yields those to file anew."""
    for (collar_id, boot), began_at in learnt.items():
        was = db.execute(
            "SELECT began_us FROM boot_began WHERE (collar_id, boot) = (?, ?)", (collar_id, boot)
        ).fetchone()
        if was is None or abs(from_us(was["began_us"]) - began_at) > DRIFT:
            yield collar_id, boot
        db.execute(
            """INSERT INTO boot_began VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET began_us = excluded.began_us""",
            (collar_id, boot, to_us(began_at)),
        )
        db.execute(
            """DELETE FROM boot_began WHERE collar_id = ?1 AND boot <=
               (SELECT boot FROM boot_began WHERE collar_id = ?1
                ORDER BY boot DESC LIMIT 1 OFFSET ?2)""",
            (collar_id, MAX_BOOTS),
        )


def refile(
    db: sqlite3.Connection,
    household: Household,
    dating: Dating,
    boot: tuple[str, int],
    after: int,
    limit: int,
) -> tuple[int, int]:
    """File anew what came before anyone knew when its boot began, or while that was wrong.

    What its date is believed of only now was withheld for that, and is decided again.

    Returns:
        How many messages were looked at, and the last one's id.
    """
    collar_id, last = boot[0], after
    rows = db.execute(MISDATED, (*boot, after, limit)).fetchall()
    for row in rows:
        last = row["id"]
        topic = Topic(household.registry.site, collar_id, Kind(row["kind"]))
        try:
            message = decode(topic, row["payload"], row["content_type"]).message
        except Rejected:  # kept by a version that understood it
            continue
        if isinstance(message, Message):
            sent_at = None if row["sent_us"] is None else from_us(row["sent_us"])
            filed = dating.file(message, from_us(row["received_us"]), sent_at)
            moved = abs(filed.at - from_us(row["observed_us"])) > DRIFT
            if filed.basis == row["basis"] and not moved:
                continue
            filed_us = to_us(filed.at)
            db.execute(
                """UPDATE message SET observed_us = ?1, basis = ?2, pet_id = ?3,
                   decided = iif(?2 = 4 AND decided = 1 AND kind != 'seal', 0, decided)
                   WHERE id = ?4""",
                (filed_us, filed.basis.value, household.pet_of(collar_id, filed_us), row["id"]),
            )
    return len(rows), last
