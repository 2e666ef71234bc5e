"""Emission periods: scores of a period are added up and paid when it has ended."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from cloud.db import Connection, Database, load_queries
from cloud.errors import DatabaseUnavailable
from cloud.metrics import PAID
from cloud.rewards.ledger import EMISSION, post
from cloud.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)


def payments(units: Mapping[str, int], budget: int, rate_per_unit: int) -> dict[str, int]:
    """What each account is paid: its units at the rate, or pro rata when that is over the budget.

    Rounded down, so the sum never exceeds the budget; accounts that get nothing are left out.

    >>> payments({"a": 30, "b": 10}, budget=100, rate_per_unit=1)
    {'a': 30, 'b': 10}
    >>> payments({"a": 30, "b": 10}, budget=20, rate_per_unit=1)
    {'a': 15, 'b': 5}
    """
    total = sum(units.values())
    if total * rate_per_unit <= budget:
        shares = {account: each * rate_per_unit for account, each in units.items()}
    else:
        shares = {account: budget * each // total for account, each in units.items()}
    return {account: amount for account, amount in shares.items() if amount > 0}


async def settle(database: Database, now: datetime, *, close_current: bool = False) -> list[int]:
    """Pay all periods that have ended and return their numbers.

    Args:
        database: One transaction for each period.
        now: What has ended by then is paid.
        close_current: End the running period now, however long it would have lasted.
    """
    if close_current:
        async with database.transaction() as connection:
            await connection.execute(SQL["close_current"], {"now": now})
    settled: list[int] = []
    while True:
        async with database.transaction() as connection:
            cursor = await connection.execute(SQL["period_to_settle"], {"now": now})
            period = await cursor.fetchone()
            if period is None:
                return settled
            period_id, budget, rate_per_unit = period
            await _settle_one(connection, period_id, budget, rate_per_unit, now)
            settled.append(period_id)


async def _settle_one(
    connection: Connection, period_id: int, budget: int, rate_per_unit: int, now: datetime
) -> None:
    paid = payments(await _units(connection, period_id), budget, rate_per_unit)
    reasons: dict[str, dict[str, int]] = {}
    cursor = await connection.execute(SQL["period_reasons"], {"period_id": period_id})
    async for account_id, reason, groups in cursor:
        reasons.setdefault(account_id, {})[reason] = groups
    for account_id, amount in paid.items():
        await post(
            connection,
            {EMISSION: -amount, account_id: amount},
            memo="reward for shared data",
            period_id=period_id,
            account_id=account_id,
            reasons=reasons.get(account_id),
        )
    await connection.execute(SQL["end_period"], {"period_id": period_id, "now": now})
    PAID.inc(sum(paid.values()))
    log.info("period.settled", period_id=period_id, paid=sum(paid.values()), accounts=len(paid))


async def verify(connection: Connection) -> list[str]:
    """Compute every payment again from the scores; returns what does not agree, in sentences."""
    wrong: list[str] = []
    periods = await (await connection.execute(SQL["settled_periods"])).fetchall()
    for period_id, budget, rate_per_unit in periods:
        due = payments(await _units(connection, period_id), budget, rate_per_unit)
        cursor = await connection.execute(SQL["period_payments"], {"period_id": period_id})
        paid: dict[str, int] = dict(await cursor.fetchall())
        for account in sorted(due.keys() | paid.keys()):
            got, owed = paid.get(account, 0), due.get(account, 0)
            if got != owed:
                wrong.append(f"period {period_id}: {account} was paid {got}, due {owed}")
    unbalanced = await (await connection.execute(SQL["unbalanced"])).fetchall()
    wrong += [f"transaction {number}: postings do not sum to zero" for (number,) in unbalanced]
    return wrong


async def keep_settling(database: Database, settings: Settings) -> None:
    """Settle what has ended, for ever."""
    while True:
        await asyncio.sleep(settings.settle_every_s)
        try:
            await settle(database, datetime.now(UTC))
        except DatabaseUnavailable:
            continue  # the database itself has said so


async def _units(connection: Connection, period_id: int) -> dict[str, int]:
    cursor = await connection.execute(SQL["period_scores"], {"period_id": period_id})
    return {account_id: units for account_id, units, _ in await cursor.fetchall()}
