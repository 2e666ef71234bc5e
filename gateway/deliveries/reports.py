"""What the cloud is told of deliveries: each state once it is reached, until the cloud has it."""

import sqlite3
from typing import Protocol

import structlog

from gateway.errors import CloudRefused
from gateway.registry import Household
from gateway.store import Store, from_us
from gateway.wire.messages import ModelState
from gateway.wire.release import ModelRefusal
from gateway.wire.uplink import DeliveryReport, DeliveryReports

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH = 1_000  # reports in one request; about 200 kB unpacked
UNREPORTABLE = frozenset({400, 413, 422})  # the same again would be answered the same


class ReportTaker(Protocol):
    """Whom deliveries are reported to."""

    async def report(self, reports: DeliveryReports) -> None:
        """Take them over."""
        ...


class Reports:
    """Reports what changed."""

    def __init__(self, store: Store, household: Household) -> None:
        self._store = store
        self._household = household
        self._limit = BATCH

    async def send(self, cloud: ReportTaker) -> bool:
        """Report some; returns whether there may be more.

        Raises:
            CloudUnreachable, CloudRefused: They stay to be reported.
        """
        limit = self._limit
        rows = await self._store.read(lambda db: _unreported(db, limit))
        if not rows:
            return False
        reports = [_report(row) for row in rows]
        try:
            await cloud.report(DeliveryReports(site=self._household.registry.site, reports=reports))
        except CloudRefused as error:
            if error.status not in UNREPORTABLE:
                raise
            if len(rows) > 1:  # one of them is the reason: the others shall pass
                self._limit = max(1, len(rows) // 2)
                return True
            log.error("delivery.not_reported", rollout=reports[0].rollout, error=str(error))
        self._limit = BATCH
        await self._store.write(lambda db: _reported(db, rows))
        return len(rows) == limit


def count_unreported(db: sqlite3.Connection) -> int:
    """How many deliveries the cloud does not know the state of."""
    return db.execute("SELECT count(*) FROM delivery WHERE reported = 0").fetchone()[0]


def _unreported(db: sqlite3.Connection, limit: int) -> list[sqlite3.Row]:
    return db.execute(
        "SELECT * FROM delivery WHERE reported = 0 ORDER BY id LIMIT ?", (limit,)
    ).fetchall()


def _report(row: sqlite3.Row) -> DeliveryReport:
    return DeliveryReport(
        rollout=row["rollout"],
        collar_id=row["collar_id"],
        state=ModelState(row["state"]),
        reason=ModelRefusal(row["reason"]) if row["reason"] else None,
        detail=row["detail"],
        changed_at=from_us(row["changed_us"]),
    )


def _reported(db: sqlite3.Connection, rows: list[sqlite3.Row]) -> None:
    """Those that changed while the report was under way are reported again."""
    db.executemany(
        "UPDATE delivery SET reported = 1 WHERE id = ? AND changed_us = ?",
        [(row["id"], row["changed_us"]) for row in rows],
    )
