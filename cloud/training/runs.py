"""Training runs in the database: begun, ended, or found dead."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from time import monotonic, sleep
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.db import Connection, load_queries
from cloud.errors import Conflict, NotFound
from cloud.identity.ids import new_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)

BROKE = "it could not be carried out; the operator sees why"
LOCK_S = 5.0  # a killed trainer's connection is gone within a moment; another run takes minutes

Report = dict[str, Any]


class RunState(StrEnum):
    """How a run ended, if it did."""

    RUNNING = "running"
    PROMOTED = "promoted"
    """Its model is the champion and on its way to the collars."""
    REFUSED = "refused"
    """The gate let nothing through; the reason says why."""
    FAILED = "failed"
    """It could not be carried out."""
    DIED = "died"
    """The trainer ended without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training run."""

    run_id: str
    slot: str
    seed: int
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    reason: str | None
    detail: str
    report: Report | None


@contextmanager
def only_run(connection: psycopg.Connection[Any]) -> Generator[None]:
    """Be the only training while the block lasts; runs that were killed are marked.

    Raises:
        Conflict: Another one is under way.
    """
    deadline = monotonic() + LOCK_S
    while not _locked(connection):
        if monotonic() > deadline:
            raise Conflict("another training run is under way; see GET /v1/training/runs")
        sleep(0.1)
    for (run_id,) in connection.execute(SQL["mark_dead"], {"now": datetime.now(UTC)}).fetchall():
        log.warning("training.died", run_id=run_id)
    yield


def begin(connection: psycopg.Connection[Any], slot: str, seed: int) -> str:
    """Write down that a run begins, and return its id."""
    run_id = new_id("run")
    values = {"run_id": run_id, "slot": slot, "seed": seed, "now": datetime.now(UTC)}
    connection.execute(SQL["begin_run"], values)
    return run_id


def end(connection: psycopg.Connection[Any], state: RunState, report: Report) -> None:
    """Write down how the run of this report ended."""
    values = {
        "run_id": report["run_id"],
        "state": state,
        "now": datetime.now(UTC),
        "reason": report["reason"],
        "detail": report["detail"],
        "report": Jsonb(report),
    }
    connection.execute(SQL["end_run"], values)


async def list_runs(
    connection: Connection, owner_id: str | None, limit: int, run_id: str | None = None
) -> list[Run]:
    """Runs, the newest first; of their reports what the caller may see."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["list_runs"], {"limit": limit, "run_id": run_id})
        found = msgspec.convert(await cursor.fetchall(), list[Run])
    if owner_id is None:
        return found
    owned = await (await connection.execute(SQL["owned"], {"owner_id": owner_id})).fetchall()
    ours = {part for row in owned for part in row if part is not None}
    return [run_seen_by(run, ours) for run in found]


async def run_detail(connection: Connection, owner_id: str | None, run_id: str) -> Run:
    """One run.

    Raises:
        NotFound: There is none of this id.
    """
    found = await list_runs(connection, owner_id, 1, run_id)
    if not found:
        raise NotFound(f"no training run {run_id}")
    return found[0]


def run_seen_by(run: Run, ours: set[str]) -> Run:
    """A run as an owner sees it: what broke may name hosts and files, and is for the operator."""
    report = None if run.report is None else seen_by(run.report, ours)
    if run.state is not RunState.FAILED:
        return replace(run, report=report)
    return replace(
        run,
        detail=BROKE,
        report=None if report is None else {**report, "detail": BROKE},
    )


def seen_by(report: Mapping[str, Any], ours: set[str]) -> Report:
    """A report without the ids of other people's pets and grants; counts and scores stay.

    >>> seen_by({"per_pet": {"rex": 1, "luna": 2}, "dataset": {"grants": ["g1"]}}, {"rex"})
    {'per_pet': {'rex': 1}, 'dataset': {'grants': []}}
    """
    dataset: Report = report.get("dataset") or {}
    narrowed: Report = {
        name: {pet: count for pet, count in dataset[name].items() if pet in ours}
        for name in ("fit", "tune", "judge")
        if name in dataset
    }
    if "grants" in dataset:
        narrowed["grants"] = [grant for grant in dataset["grants"] if grant in ours]
    pets = {pet: scores for pet, scores in (report.get("per_pet") or {}).items() if pet in ours}
    return {**report, "per_pet": pets, "dataset": {**dataset, **narrowed}}


def _locked(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(SQL["lock_training"]).fetchone()
    return row is not None and row[0]
