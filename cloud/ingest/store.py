"""Stores a checked batch, each message once, in one transaction with all that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from psycopg import Connection

from cloud.db import load_queries
from cloud.errors import Busy
from cloud.ingest.check import CheckedBatch, CheckedGroup, RefusedRow, StoredRow
from cloud.ingest.columns import DIGEST, SEQ
from cloud.ingest.facts import Facts
from cloud.ingest.refusal import Refusal
from cloud.ingest.rollup import roll_up
from cloud.rewards.scoring import Terms, add_scores
from gateway.wire.topics import Kind
from gateway.wire.uplink import UplinkBatch

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
    Kind.WINDOW: ("float8", "float8", "float8", "bytea", "text", "float4", "text"),
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


def store(
    connection: Connection[Any],
    batch: UplinkBatch,
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
    row = connection.execute(SQL["advance"], turn).fetchone()
    if row is None:
        raise FactsChanged
    refused = list(checked.refused)
    _drop_held(connection, checked.groups, refused)
    groups = [group for group in checked.groups if any(group.rows.values())]
    accepted = 0
    for kind in _TYPES:
        rows = list(chain.from_iterable(group.rows.get(kind, ()) for group in groups))
        if rows:
            accepted += len(rows)
            _store_kind(connection, kind, rows, now)
        if rows and kind is Kind.EPOCH:
            _add_rollups(connection, rows)
    if groups:
        add_scores(connection, facts.account_id, groups, terms, now)
    if refused:
        _add_refused(connection, batch.site, refused, now)
    duplicates = sum(group.duplicates for group in checked.groups)
    return Stored(row[0], accepted, duplicates, refused)


def _drop_held(
    connection: Connection[Any], groups: Sequence[CheckedGroup], refused: list[RefusedRow]
) -> None:
    """Leave only what is new in the groups."""
    seqs = [[row[SEQ] for rows in group.rows.values() for row in rows] for group in groups]
    spans = {
        "collar_ids": [group.collar_id for group in groups],
        "boots": [group.boot for group in groups],
        "firsts": [min(each) for each in seqs],
        "lasts": [max(each) for each in seqs],
    }
    held: dict[tuple[str, int], dict[int, bytes]] = {}
    for collar_id, boot, seq, digest in connection.execute(SQL["held"], spans):
        held.setdefault((collar_id, boot), {})[seq] = digest
    for group in groups:
        known = held.setdefault((group.collar_id, group.boot), {})
        for kind, rows in group.rows.items():
            group.rows[kind] = [row for row in rows if _is_new(row, group, known, refused)]


def _is_new(
    row: StoredRow, group: CheckedGroup, known: dict[int, bytes], refused: list[RefusedRow]
) -> bool:
    seq, digest = row[SEQ], row[DIGEST]
    if seq not in known:
        known[seq] = digest  # of two in one batch, the first is the one
        return True
    if known[seq] == digest:
        group.duplicates += 1
    else:
        detail = "the key is held with other content"
        refused.append(RefusedRow(group.collar_id, group.boot, seq, Refusal.CONFLICT, detail))
    return False


def _store_kind(
    connection: Connection[Any], kind: Kind, rows: Sequence[StoredRow], now: datetime
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL[f"stage_{kind}"])
        with cursor.copy(f"COPY staged_{kind} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types((*_COMMON, *_TYPES[kind], "bytea"))
            for row in rows:
                copy.write_row(row)
        cursor.execute(SQL[f"new_{kind}"])
        if cursor.rowcount != len(rows):
            raise Busy("a collar's messages came by two sites at once")
        cursor.execute(SQL[f"store_{kind}"], {"now": now})


def _add_rollups(connection: Connection[Any], epochs: Sequence[StoredRow]) -> None:
    hours = sorted(roll_up(epochs).items())  # in one order for all, so that none deadlock
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
    connection.execute(SQL["add_hours"], values)
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
    connection.execute(SQL["add_behaviours"], values)


def _add_refused(
    connection: Connection[Any], site_id: str, refused: Sequence[RefusedRow], now: datetime
) -> None:
    values = {
        "site_id": site_id,
        "now": now,
        "collar_ids": [row.collar_id for row in refused],
        "boots": [row.boot for row in refused],
        "seqs": [row.seq for row in refused],
        "reasons": [row.reason.value for row in refused],
        "details": [row.detail[:200].replace("\0", "") for row in refused],
    }
    connection.execute(SQL["add_refused"], values)
