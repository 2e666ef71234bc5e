"""Where each release stands on its way to each collar: a state machine in the store.

A delivery is ``pending``, then ``receiving``, and ends ``installed`` or ``refused``. Three speak of
it: the registry (who shall have what), the collar's answers, and what the collar says of its slots,
which is the truth: an installed model that a later word does not name has been given up.
"""

import sqlite3
from datetime import datetime

from msgspec import Struct

from gateway.registry import Household
from gateway.slots import HeldSlot, held_slots, last_word
from gateway.store import to_us
from gateway.wire.messages import Key, ModelState
from gateway.wire.release import ModelRefusal
from gateway.wire.uplink import Deployment

OPEN = "('pending', 'receiving')"
LAST_OF_BOOT = 2**53 - 1
DETAIL_CHARS = 300  # as much as a report takes


class Change(Struct, frozen=True, kw_only=True):
    """How a delivery ends by the collar's answer."""

    delivery_id: int
    collar_id: str
    state: ModelState
    reason: ModelRefusal | None = None
    detail: str = ""


class OpenDelivery(Struct, frozen=True, kw_only=True):
    """A delivery that is not over."""

    delivery_id: int
    collar_id: str
    rollout: str
    sha256: str
    offline: bool
    """The collar's last word was that it goes."""


def plan(db: sqlite3.Connection, household: Household, now: datetime) -> None:
    """Open what the registry asks for, and end what it does not ask for any more."""
    wanted: dict[tuple[str, str], Deployment] = {}
    for deployment in household.registry.deployments:
        for collar_id in deployment.collars:
            if collar_id in household.collars:
                wanted[collar_id, deployment.slot] = deployment
    for (collar_id, _), each in wanted.items():
        db.execute(  # asked for again: it begins anew, and is the newest
            "DELETE FROM delivery WHERE (collar_id, rollout, reason) = (?, ?, ?)",
            (collar_id, each.rollout, ModelRefusal.SUPERSEDED.value),
        )
        opened = db.execute(
            """INSERT OR IGNORE INTO delivery
                   (collar_id, rollout, slot, package, version, sha256, changed_us)
               VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                *(collar_id, each.rollout, each.slot, each.package, each.version, each.sha256),
                to_us(now),
            ),
        )
        if opened.rowcount:
            compare(db, collar_id, now)
    asked = {(collar_id, each.rollout) for (collar_id, _), each in wanted.items()}
    for row in db.execute(f"SELECT * FROM delivery WHERE state IN {OPEN}").fetchall():
        if (row["collar_id"], row["rollout"]) not in asked:
            over = "another release takes its place, or none is asked for any more"
            settle(db, row["id"], ModelState.REFUSED, now, ModelRefusal.SUPERSEDED, over)


def compare(db: sqlite3.Connection, collar_id: str, now: datetime) -> None:
    """Hold a collar's newest delivery of each slot against what the collar says of its slots."""
    word = last_word(db, collar_id)
    if word is None:
        return
    slots = held_slots(db, collar_id)
    for row in db.execute(
        """SELECT * FROM delivery WHERE id IN
           (SELECT max(id) FROM delivery WHERE collar_id = ? GROUP BY slot)""",
        (collar_id,),
    ).fetchall():
        state, reason = ModelState(row["state"]), row["reason"]
        held = slots.get(row["slot"])
        is_over = state in (ModelState.INSTALLED, ModelState.REFUSED)
        seen = None if row["seen_boot"] is None else Key(row["seen_boot"], row["seen_seq"])
        if held is not None and _is_it(held, row):
            ended = reason == ModelRefusal.SUPERSEDED  # too late: the collar had it already
            if ended or not is_over:
                settle(db, row["id"], ModelState.INSTALLED, now)
            if ended or state is not ModelState.REFUSED:
                _see(db, row["id"], word)
        elif not slots and not is_over:
            detail = "the collar runs no models"
            settle(db, row["id"], ModelState.REFUSED, now, ModelRefusal.UNKNOWN_SLOT, detail)
            _see(db, row["id"], word)
        elif seen is None or word <= seen:
            continue  # it was said before
        elif slots and reason == ModelRefusal.UNKNOWN_SLOT:
            settle(db, row["id"], ModelState.PENDING, now)
        elif state is ModelState.INSTALLED and _gave_up(held, row, seen):
            now_runs = f"{held.package}@{held.version}" if held else "nothing in that slot"
            detail = f"it was installed and given up again: the collar runs {now_runs}"
            settle(db, row["id"], ModelState.REFUSED, now, ModelRefusal.SELF_TEST_FAILED, detail)


def _is_it(held: HeldSlot, row: sqlite3.Row) -> bool:
    """Whether a slot holds what is delivered: the same bytes may come under another version."""
    return (held.package, held.version, held.sha256) == (
        row["package"],
        row["version"],
        row["sha256"],
    )


def _gave_up(held: HeldSlot | None, row: sqlite3.Row, seen: Key) -> bool:
    """Whether a slot that held what was delivered holds something else.

    A collar that said ``installed`` and was not heard of its slots since may call the same bytes
    by the version that it has them from.
    """
    if held is None or held.sha256 != row["sha256"]:
        return True
    return seen.seq != LAST_OF_BOOT


def note_progress(db: sqlite3.Connection, delivery_id: int, next_chunk: int, now: datetime) -> None:
    """The collar has all chunks before ``next_chunk``; it says so again whenever it is offered."""
    row = db.execute(
        f"""UPDATE delivery SET next_chunk = ? WHERE id = ? AND state IN {OPEN}
            RETURNING state""",
        (next_chunk, delivery_id),
    ).fetchone()
    if row is not None and row["state"] == ModelState.PENDING:
        settle(db, delivery_id, ModelState.RECEIVING, now)


def apply_change(db: sqlite3.Connection, change: Change, now: datetime) -> None:
    """Take over a collar's last answer, unless a newer release came in between."""
    row = db.execute(
        f"""SELECT d.id, p.boot FROM delivery d LEFT JOIN presence p USING (collar_id)
            WHERE d.id = ? AND d.state IN {OPEN}""",
        (change.delivery_id,),
    ).fetchone()
    if row is None:
        return
    settle(db, row["id"], change.state, now, change.reason, change.detail)
    if row["boot"] is not None:  # what the next boot says may take it back, and no earlier one
        _see(db, row["id"], Key(row["boot"], LAST_OF_BOOT))


def settle(
    db: sqlite3.Connection,
    delivery_id: int,
    state: ModelState,
    now: datetime,
    reason: ModelRefusal | None = None,
    detail: str = "",
) -> None:
    """Put a delivery into a state, to be reported; its instants only rise."""
    db.execute(
        """UPDATE delivery SET state = ?, reason = ?, detail = ?, reported = 0,
                               changed_us = max(?, changed_us + 1) WHERE id = ?""",
        (
            state.value,
            None if reason is None else reason.value,
            detail[:DETAIL_CHARS],
            to_us(now),
            delivery_id,
        ),
    )


def open_deliveries(db: sqlite3.Connection, collar_ids: set[str] | None) -> list[OpenDelivery]:
    """Deliveries that are not over, of these collars or of all, the oldest first."""
    query = f"""SELECT d.*, coalesce(p.state = 'offline', 0) AS offline
                FROM delivery d LEFT JOIN presence p USING (collar_id)
                WHERE d.state IN {OPEN}"""
    if collar_ids is None:
        rows = db.execute(f"{query} ORDER BY d.id").fetchall()
    else:
        query = f"{query} AND d.collar_id = ? ORDER BY d.id"
        rows = [row for each in collar_ids for row in db.execute(query, (each,))]
    return [
        OpenDelivery(
            delivery_id=row["id"],
            collar_id=row["collar_id"],
            rollout=row["rollout"],
            sha256=row["sha256"],
            offline=bool(row["offline"]),
        )
        for row in rows
    ]


def rollouts(db: sqlite3.Connection) -> set[str]:
    """Every rollout that this home ever heard of."""
    return {row["rollout"] for row in db.execute("SELECT DISTINCT rollout FROM delivery")}


def count_open(db: sqlite3.Connection) -> int:
    """How many deliveries are not over."""
    return db.execute(f"SELECT count(*) FROM delivery WHERE state IN {OPEN}").fetchone()[0]


def count_by_state(db: sqlite3.Connection) -> dict[str, int]:
    """How many deliveries are in each state."""
    return dict(db.execute("SELECT state, count(*) FROM delivery GROUP BY state").fetchall())


def _see(db: sqlite3.Connection, delivery_id: int, key: Key) -> None:
    db.execute(
        "UPDATE delivery SET seen_boot = ?, seen_seq = ? WHERE id = ?",
        (key.boot, key.seq, delivery_id),
    )
