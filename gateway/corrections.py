"""What owners say that their pets did: kept at home, and shared as far as a grant goes.

All are kept; of those that overlap the last said counts. A grant of a pet's raw windows for
training lets a correction out too, for the one is of no use to a model without the other.
"""

import secrets
import sqlite3
from datetime import datetime

from msgspec import Struct

from gateway.registry import Household
from gateway.store import from_us, to_us
from gateway.wire.grants import Grant, Stream
from plugins.sdk.behaviours import Behaviour

TRAINING = "training"  # a grant's purpose, word for word, that lets models learn
SHARED_STATES = ("queued", "sending", "shared")
AT_HOME = "no grant lets raw windows of that time leave for training"


class Correction(Struct, frozen=True, kw_only=True):
    """An owner's word on what a pet did."""

    correction_id: str
    pet_id: str
    start_at: datetime
    end_at: datetime
    behaviour: Behaviour
    said_at: datetime
    state: str
    grant_id: str | None
    why: str

    @property
    def is_shared(self) -> bool:
        """The cloud has it, or will."""
        return self.state in SHARED_STATES


def training_grant(
    household: Household, pet_id: str, now: datetime, start_at: datetime | None = None
) -> Grant | None:
    """The grant of a pet's raw windows for training, active now and reaching back to ``start_at``.

    The one that reaches back furthest, if there are several.
    """
    grants = [
        grant
        for grant in household.grants_of(pet_id, now)
        if (grant.stream, grant.purpose) == (Stream.RAW, TRAINING)
        and (start_at is None or grant.valid_from <= start_at)
    ]
    return min(grants, key=lambda grant: grant.valid_from, default=None)


def say(
    db: sqlite3.Connection,
    household: Household,
    *,
    pet_id: str,
    start_at: datetime,
    end_at: datetime,
    behaviour: Behaviour,
    now: datetime,
) -> Correction:
    """Keep what an owner says; it is queued for the cloud if a grant covers it."""
    grant = training_grant(household, pet_id, now, start_at)
    correction_id = secrets.token_hex(12)
    db.execute(
        "INSERT INTO correction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(correction_id, pet_id, to_us(start_at), to_us(end_at), behaviour.value, to_us(now)),
            *("home", None, AT_HOME),
        ),
    )
    if grant is not None:
        _queue(db, correction_id, grant)
    row = db.execute(
        "SELECT * FROM correction WHERE correction_id = ?", (correction_id,)
    ).fetchone()
    return _correction(row)


def forget(db: sqlite3.Connection, pet_id: str, correction_id: str) -> bool:
    """Take a correction back; returns whether there was one.

    What the cloud has, or may have, stays as an errand until the cloud has forgotten it too.
    """
    marked = db.execute(
        """UPDATE correction SET state = 'forgetting', why = ''
           WHERE (pet_id, correction_id) = (?, ?) AND state IN ('sending', 'shared')""",
        (pet_id, correction_id),
    ).rowcount
    deleted = db.execute(
        """DELETE FROM correction
           WHERE (pet_id, correction_id) = (?, ?) AND state != 'forgetting'""",
        (pet_id, correction_id),
    ).rowcount
    return bool(marked or deleted)


def corrections(
    db: sqlite3.Connection, pet_id: str, since: datetime, until: datetime, limit: int
) -> list[Correction]:
    """A pet's corrections that touch the span, the last said first."""
    rows = db.execute(
        """SELECT * FROM correction
           WHERE pet_id = ? AND start_us < ? AND end_us > ? AND state != 'forgetting'
           ORDER BY said_us DESC, rowid DESC LIMIT ?""",
        (pet_id, to_us(until), to_us(since), limit),
    )
    return [_correction(row) for row in rows]


def corrected(db: sqlite3.Connection, pet_id: str, at: datetime) -> str | None:
    """What a pet did at an instant by its owner's last word on it, if there is one."""
    row = db.execute(
        """SELECT behaviour FROM correction
           WHERE pet_id = ? AND start_us <= ? AND end_us > ? AND state != 'forgetting'
           ORDER BY said_us DESC, rowid DESC LIMIT 1""",
        (pet_id, to_us(at), to_us(at)),
    ).fetchone()
    return row["behaviour"] if row else None


def decide_again(db: sqlite3.Connection, household: Household, now: datetime) -> None:
    """Queue what a grant covers that did not when it was said or sent."""
    for row in db.execute(
        "SELECT * FROM correction WHERE state IN ('home', 'refused') ORDER BY said_us"
    ).fetchall():
        grant = training_grant(household, row["pet_id"], now, from_us(row["start_us"]))
        if grant is not None:
            _queue(db, row["correction_id"], grant)


def count_queued(db: sqlite3.Connection) -> int:
    """How many are still to be told to the cloud, or to be forgotten by it."""
    return db.execute(
        """SELECT count(*) FROM correction WHERE state IN ('queued', 'sending', 'forgetting')"""
    ).fetchone()[0]


def _queue(db: sqlite3.Connection, correction_id: str, grant: Grant) -> None:
    db.execute(
        """UPDATE correction SET state = 'queued', grant_id = ?, why = ?
           WHERE correction_id = ?""",
        (grant.grant_id, f"shared for training under grant {grant.grant_id}", correction_id),
    )


def _correction(row: sqlite3.Row) -> Correction:
    return Correction(
        correction_id=row["correction_id"],
        pet_id=row["pet_id"],
        start_at=from_us(row["start_us"]),
        end_at=from_us(row["end_us"]),
        behaviour=Behaviour(row["behaviour"]),
        said_at=from_us(row["said_us"]),
        state=row["state"],
        grant_id=row["grant_id"],
        why=row["why"],
    )
