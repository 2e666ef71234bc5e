"""The outbox: what may leave the home, in order, until the cloud says that it has it."""

import sqlite3
from datetime import datetime, timedelta

import msgspec

from gateway.registry import Household
from gateway.store import from_us, to_us
from gateway.store.store import count
from gateway.wire import seal as sealing
from gateway.wire.messages import Seal
from gateway.wire.uplink import Group, RefusedRow, Row, UplinkBatch

BATCH_ROWS = 2_000
BATCH_BYTES = 2 * 2**20  # packed rows; with a seal's rest and hashes well below MAX_BODY_BYTES
KEPT_DAYS = 7  # settled rows stay visible for the owner

_row_decoder = msgspec.msgpack.Decoder(Row)
_hashes_decoder = msgspec.msgpack.Decoder(dict[int, bytes])


def next_batch(
    db: sqlite3.Connection, household: Household, now: datetime, limit: int = BATCH_ROWS
) -> UplinkBatch | None:
    """The oldest queued rows, about ``limit`` of them, as one upload; nothing when there are none.

    Sealed groups stay whole. A grant that ended in the meantime keeps its rows at home: they are
    marked withdrawn, and only their hash goes along where a seal needs it.
    """
    rows = _oldest(db, limit)
    if not rows:
        return None
    last_sealed = rows[-1]["sealed_id"]
    if last_sealed is not None:
        rows += db.execute(
            "SELECT * FROM outbox WHERE state = 'queued' AND sealed_id = ? AND id > ? ORDER BY id",
            (last_sealed, rows[-1]["id"]),
        ).fetchall()
    groups: dict[tuple[str, int, int | None], list[sqlite3.Row]] = {}
    for row in rows:
        groups.setdefault((row["collar_id"], row["boot"], row["sealed_id"]), []).append(row)
    return UplinkBatch(
        site=household.registry.site,
        first_id=rows[0]["id"],
        last_id=rows[-1]["id"],
        sent_at=now,
        groups=[
            group
            for key, members in groups.items()
            if (group := _group(db, household, *key, members, now)).rows
        ],
    )


def _oldest(db: sqlite3.Connection, limit: int) -> list[sqlite3.Row]:
    """The first queued rows, as many as an upload may hold, and one at least."""
    rows: list[sqlite3.Row] = []
    size = 0
    for row in db.execute(
        "SELECT * FROM outbox WHERE state = 'queued' ORDER BY id LIMIT ?", (limit,)
    ):
        size += len(row["row"])
        if rows and size > BATCH_BYTES:
            break
        rows.append(row)
    return rows


def _group(
    db: sqlite3.Connection,
    household: Household,
    collar_id: str,
    boot: int,
    sealed_id: int | None,
    members: list[sqlite3.Row],
    now: datetime,
) -> Group:
    seal, withheld = None, dict[int, bytes]()
    if sealed_id is not None:
        found = db.execute("SELECT * FROM sealed WHERE message_id = ?", (sealed_id,)).fetchone()
        seal = msgspec.msgpack.decode(found["seal"], type=Seal)
        withheld = _hashes_decoder.decode(found["withheld"])
    granted: list[Row] = []
    for member in members:
        row = _row_decoder.decode(member["row"])
        pet_id = _pet_of(db, member["message_id"])
        if household.grant(row.grant_id, pet_id, now) is not None:
            granted.append(row)
            continue
        withheld[row.seq] = sealing.disclosed_hash(row)
        _settle(db, "withdrawn", "the grant ended before it left", [member["id"]], now)
    if seal is not None:
        _hide_settled(db, sealed_id, members, withheld)
    return Group(collar_id=collar_id, boot=boot, rows=granted, seal=seal, withheld=withheld)


def _hide_settled(
    db: sqlite3.Connection,
    sealed_id: int | None,
    members: list[sqlite3.Row],
    withheld: dict[int, bytes],
) -> None:
    """Rows of a seal that left or were withdrawn earlier count as withheld in this upload."""
    for settled in db.execute(
        "SELECT row FROM outbox WHERE sealed_id = ? AND id < ?", (sealed_id, members[0]["id"])
    ):
        row = _row_decoder.decode(settled["row"])
        withheld[row.seq] = sealing.disclosed_hash(row)


def _pet_of(db: sqlite3.Connection, message_id: int) -> str:
    found = db.execute("SELECT pet_id FROM message WHERE id = ?", (message_id,)).fetchone()
    return found["pet_id"]


def settle_batch(
    db: sqlite3.Connection, batch: UplinkBatch, refused: list[RefusedRow], now: datetime
) -> int:
    """Take out of the queue what the cloud has answered for; returns how many it took."""
    for row in refused:
        db.execute(
            """UPDATE outbox SET state = 'refused', reason = ?, settled_us = ? WHERE id =
               (SELECT o.id FROM outbox o JOIN message m ON m.id = o.message_id
                WHERE m.collar_id = ? AND m.boot = ? AND m.seq = ? AND o.state = 'queued')""",
            (row.reason, to_us(now), row.collar_id, row.boot, row.seq),
        )
    synced = db.execute(
        """UPDATE outbox SET state = 'synced', settled_us = ?
           WHERE state = 'queued' AND id BETWEEN ? AND ?""",
        (to_us(now), batch.first_id, batch.last_id),
    ).rowcount
    count(db, "synced", synced)
    count(db, "cloud_refused", len(refused))
    return synced


def refuse_batch(db: sqlite3.Connection, batch: UplinkBatch, reason: str, now: datetime) -> None:
    """Set a batch aside that the cloud will never take, so that it does not hold up the others."""
    refused = db.execute(
        """UPDATE outbox SET state = 'refused', reason = ?, settled_us = ?
           WHERE state = 'queued' AND id BETWEEN ? AND ?""",
        (reason[:200], to_us(now), batch.first_id, batch.last_id),
    ).rowcount
    count(db, "cloud_refused", refused)


def prune(db: sqlite3.Connection, now: datetime) -> None:
    """Forget settled rows after some days; the messages themselves stay."""
    db.execute(
        "DELETE FROM outbox WHERE state != 'queued' AND settled_us < ?",
        (to_us(now - timedelta(days=KEPT_DAYS)),),
    )


def lag_by_stream(db: sqlite3.Connection) -> dict[str, tuple[int, datetime]]:
    """For each stream with something queued: how many, and since when the oldest waits."""
    rows = db.execute(
        """SELECT stream, count(*) AS queued, min(queued_us) AS oldest FROM outbox
           WHERE state = 'queued' GROUP BY stream"""
    )
    return {row["stream"]: (row["queued"], from_us(row["oldest"])) for row in rows}


def _settle(db: sqlite3.Connection, state: str, reason: str, ids: list[int], now: datetime) -> None:
    db.executemany(
        "UPDATE outbox SET state = ?, reason = ?, settled_us = ? WHERE id = ?",
        [(state, reason, to_us(now), each) for each in ids],
    )
    count(db, state, len(ids))
