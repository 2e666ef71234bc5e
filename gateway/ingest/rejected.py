"""What was refused is kept, with the reason, where it can be looked at."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.store.store import count
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Key, Message
from gateway.wire.session import Delivery

KEPT_BYTES = 4_096  # of a refused payload
KEPT_TOPIC = 300  # characters of its topic
KEPT_REJECTED = 10_000  # rows of all collars
KEPT_OF_A_COMMIT = 50  # of each collar: enough to see what is wrong, whatever it floods us with
SLACK = 1_000  # rows more before they are pruned


@dataclass(slots=True)
class Refused:
    """A delivery that is not, and why; with its key where that can be read."""

    delivery: Delivery
    collar_id: str | None
    """Of an enrolled one; strangers are all alike."""
    key: Key | None
    reason: RejectReason
    detail: str


def keep_refused(db: sqlite3.Connection, refused: Iterable[Refused], received_us: int) -> None:
    """Keep the beginning of deliveries of one commit, and why each was refused."""
    rows, seen = list[tuple[object, ...]](), Counter[str | None]()
    for each in refused:
        delivery, key = each.delivery, each.key
        seen[each.collar_id] += 1
        if seen[each.collar_id] <= KEPT_OF_A_COMMIT:
            rows.append(
                (
                    received_us,
                    delivery.topic[:KEPT_TOPIC],
                    each.collar_id,
                    key.boot if key else None,
                    key.seq if key else None,
                    each.reason.value,
                    each.detail[:500],
                    len(delivery.payload),
                    delivery.payload[:KEPT_BYTES],
                )
            )
    db.executemany("INSERT INTO rejected VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    count(db, "rejected", seen.total())
    if rows:
        _prune(db)


def was_refused(db: sqlite3.Connection, message: Message) -> bool:
    """Whether a message of its key was refused before, as far as that is remembered."""
    row = db.execute(
        "SELECT 1 FROM rejected WHERE (collar_id, boot, seq) = (?, ?, ?)",
        (message.collar_id, message.boot, message.seq),
    ).fetchone()
    return row is not None


def _prune(db: sqlite3.Connection) -> None:
    """Forget the oldest of who has most: a collar that floods us hides nothing of another."""
    excess = db.execute("SELECT count(*) FROM rejected").fetchone()[0] - KEPT_REJECTED
    if excess > SLACK:
        db.execute(
            """DELETE FROM rejected WHERE id IN (
                 SELECT id FROM (
                   SELECT id, row_number() OVER (PARTITION BY collar_id ORDER BY id DESC) AS nth
                   FROM rejected)
                 ORDER BY nth DESC, id LIMIT ?)""",
            (excess,),
        )
