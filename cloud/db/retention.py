"""Retention on a server without TimescaleDB, whose policies drop whole chunks instead."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from psycopg import sql

from cloud.db.pool import Database
from cloud.db.timescale import TIME_TABLES
from cloud.errors import DatabaseUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVERY_S = 6 * 3600.0


async def drop_old(database: Database, before: datetime) -> int:
    """Drop detailed data received before that instant, whenever it was observed; how many rows."""
    dropped = 0
    for table in TIME_TABLES:
        statement = sql.SQL("DELETE FROM {} WHERE stored_at < %s").format(sql.Identifier(table))
        async with database.transaction() as connection:
            dropped += (await connection.execute(statement, (before,))).rowcount
    return dropped


async def keep_dropping_old(database: Database, retention_days: int) -> None:
    """Drop what is older than ``retention_days``, for ever."""
    while True:
        try:
            dropped = await drop_old(database, datetime.now(UTC) - timedelta(days=retention_days))
            if dropped:
                log.info("history.dropped", rows=dropped, retention_days=retention_days)
        except DatabaseUnavailable:
            pass  # the database itself has said so; there is time
        await asyncio.sleep(EVERY_S)
