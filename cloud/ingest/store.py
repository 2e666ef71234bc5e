"""Stores a checked batch, each message once, in one transaction with all that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cloud.db import Connection, load_queries
from cloud.errors import Busy
from cloud.ingest.check import CheckedBatch, CheckedGroup, CheckedRow, RefusedRow
from cloud.ingest.columns import COLUMNS
from cloud.ingest.facts import Facts
from cloud.ingest.refusal import Refusal
from cloud.ingest.rollup import roll_up
from cloud.rewards.emission import Terms, open_period
from cloud.rewards.scoring import add_scores
from gateway.wire import uplink
from gateway.wire.topics import Kind

SQL = load_queries(__file__)

_COMMON = (*("text", "timestamptz", "timestamptz", "text", "int8", "int8", "text", "bool", "text"),)
_TYPES: dict[Kind, Sequence[str]] = {
    Kind.EPOCH: (
        *("float4", "text", "float4", "float4", "int4", "float4", "int4", "int4", "float4"),
    ),
    Kind.FIX: (
        *("text", "float8", "float8", "int4", "int4", "float4", "text", "float8", "float4"),
        "float4",
    ),
    Kind.EVENT: ("text", "float4", "float8", "text"),
    Kind.WINDOW: ("float8", "float8", "float8", "bytea", "text", "float4"),
}


class FactsChanged(Exception):
    """Grants, collars or assignments changed since the batch was checked. Check it again."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch."""

    cursor: int
    accepted: int
    duplicates: int
    refused: list[RefusedRow]

    def receipt(self) -> uplink.UplinkReceipt:
        """The answer to the gateway."""
        refused = [
            uplink.RefusedRow(
                collar_id=row.collar_id, boot=row.boot, seq=row.seq, reason=row.reason.value
            )
            for row in self.refused
        ]
        return uplink.UplinkReceipt(
            cursor=self.cursor,
            accepted=self.accepted,
            duplicates=self.duplicates,
            refused=refused,
        )


async def store(
    connection: Connection,
    batch: uplink.UplinkBatch,
    checked: CheckedBatch,
    facts: Facts,
    terms: Terms,
    now: datetime,
) -> Stored:
    """Store what is new of a batch, with rollups, scores, refusals and the site's cursor.

    The update of the site's row is the site's turn: its batches are stored one after the other,
    and no grant of its household can be withdrawn meanwhile.

    Raises:
        FactsChanged: The facts are those of another version of the registry.
        Busy: A message of the batch was stored by another site meanwhile.
    """
    turn = {"last_id": batch.last_id, "site_id": batch.site, "version": facts.version}
    row = await (await connection.execute(SQL["advance"], turn)).fetchone()
    if row is None:
        raise FactsChanged
    refused = list(checked.refused)
    duplicates = await _drop_held(connection, checked, refused)
    groups = [group for group in checked.groups if group.rows]
    rows = [row for group in groups for row in group.rows]
    for kind in COLUMNS:
        if any(row.kind is kind for row in rows):
            await _store_kind(connection, kind, groups, now)
    await _add_rollups(connection, rows)
    if groups:
        period_id = await open_period(connection, terms, now)
        await add_scores(connection, period_id, facts.account_id, groups, now)
    await _add_refused(connection, batch.site, refused, now)
    return Stored(row[0], len(rows), duplicates, refused)


async def _drop_held(
    connection: Connection, checked: CheckedBatch, refused: list[RefusedRow]
) -> int:
    """Leave only what is new in the groups; returns the number of duplicates."""
    groups = checked.groups
    spans = {
        "collar_ids": [group.collar_id for group in groups],
        "boots": [group.boot for group in groups],
        "firsts": [min(row.seq for row in group.rows) for group in groups],
        "lasts": [max(row.seq for row in group.rows) for group in groups],
    }
    found = await (await connection.execute(SQL["held"], spans)).fetchall()
    held: dict[tuple[str, int], dict[int, bytes]] = {}
    for collar_id, boot, seq, digest in found:
        held.setdefault((collar_id, boot), {})[seq] = digest
    duplicates = 0
    for group in groups:
        known = held.setdefault((group.collar_id, group.boot), {})
        new: list[CheckedRow] = []
        for row in group.rows:
            if row.seq not in known:
                known[row.seq] = row.digest  # of two in one batch, the first is the one
                new.append(row)
            elif known[row.seq] == row.digest:
                group.duplicates += 1
            else:
                detail = "the key is held with other content"
                refused.append(
                    RefusedRow(group.collar_id, group.boot, row.seq, Refusal.CONFLICT, detail)
                )
        group.rows = new
        duplicates += group.duplicates
    return duplicates


async def _store_kind(
    connection: Connection, kind: Kind, groups: Sequence[CheckedGroup], now: datetime
) -> None:
    staged = 0
    async with connection.cursor() as cursor:
        await cursor.execute(SQL[f"stage_{kind}"])
        async with cursor.copy(f"COPY staged_{kind} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types((*_COMMON, *_TYPES[kind], "bytea"))
            for group in groups:
                collar_id, boot, sealed = group.collar_id, group.boot, group.sealed
                for row in group.rows:
                    if row.kind is kind:
                        staged += 1
                        await copy.write_row(
                            (
                                row.pet_id,
                                row.observed_at,
                                row.received_at,
                                collar_id,
                                boot,
                                row.seq,
                                row.grant_id,
                                sealed,
                                row.clock,
                                *row.values,
                                row.digest,
                            )
                        )
        await cursor.execute(SQL[f"new_{kind}"])
        if cursor.rowcount != staged:
            raise Busy("a collar's messages came by two sites at once")
        await cursor.execute(SQL[f"store_{kind}"], {"now": now})


async def _add_rollups(connection: Connection, rows: Sequence[CheckedRow]) -> None:
    hours = sorted(roll_up(rows).items())  # one order for all, so that batches do not deadlock
    if not hours:
        return
    values = {
        "pet_ids": [pet_id for (pet_id, _), _ in hours],
        "hours": [at for (_, at), _ in hours],
        "epochs": [hour.epochs for _, hour in hours],
        "odba": [hour.odba_sum_g for _, hour in hours],
        "steps": [hour.steps for _, hour in hours],
        "windows": [hour.windows for _, hour in hours],
        "unsure": [hour.windows_unsure for _, hour in hours],
        "anomaly": [hour.anomaly_max for _, hour in hours],
    }
    await connection.execute(SQL["add_hours"], values)
    spent = [
        (pet_id, at, behaviour, seconds)
        for (pet_id, at), hour in hours
        for behaviour, seconds in sorted(hour.seconds.items())
    ]
    values = {
        "pet_ids": [pet_id for pet_id, _, _, _ in spent],
        "hours": [at for _, at, _, _ in spent],
        "behaviours": [behaviour for _, _, behaviour, _ in spent],
        "seconds": [seconds for _, _, _, seconds in spent],
    }
    await connection.execute(SQL["add_behaviours"], values)


async def _add_refused(
    connection: Connection, site_id: str, refused: Sequence[RefusedRow], now: datetime
) -> None:
    if not refused:
        return
    values = {
        "site_id": site_id,
        "now": now,
        "collar_ids": [row.collar_id for row in refused],
        "boots": [row.boot for row in refused],
        "seqs": [row.seq for row in refused],
        "reasons": [row.reason.value for row in refused],
        "details": [row.detail[:200].replace("\0", "") for row in refused],
    }
    await connection.execute(SQL["add_refused"], values)
