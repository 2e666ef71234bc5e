"""What was refused is kept, with the reason, where it can be looked at."""

import sqlite3
from dataclasses import dataclass

from gateway.store.store import count
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Key, Message
from gateway.wire.session import Delivery

KEPT_BYTES = 4_096  # of a refused payload
KEPT_TOPIC = 300  # characters of its topic
KEPT_REJECTED = 10_000  # rows


@dataclass(slots=True)
class Refused:
    """A delivery that is not, and why; with its key where that can be read."""

    delivery: Delivery
    collar_id: str | None
    key: Key | None
    reason: RejectReason
    detail: str


def keep_refused(db: sqlite3.Connection, refused: Refused, received_us: int) -> None:
    """Keep the beginning of a delivery, and why it was refused."""
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


def was_refused(db: sqlite3.Connection, message: Message) -> bool:
    """Whether a message of its key was refused before, as far as that is remembered."""
    row = db.execute(
        "SELECT 1 FROM rejected WHERE (collar_id, boot, seq) = (?, ?, ?)",
        (message.collar_id, message.boot, message.seq),
    ).fetchone()
    return row is not None


def prune_refused(db: sqlite3.Connection) -> None:
    """Forget the oldest."""
    db.execute(
        "DELETE FROM rejected WHERE id <= (SELECT max(id) FROM rejected) - ?", (KEPT_REJECTED,)
    )
