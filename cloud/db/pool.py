"""The pool of connections, and the one place where an outage is noticed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from cloud.errors import DatabaseUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Connection = AsyncConnection[tuple[Any, ...]]

RECONNECT_S = 1.0  # a pool that gave up for longer would answer 503 after the server is back


class Database:
    """Hands out transactions, and tells an outage once when it begins and once when it ends."""

    def __init__(self, pool: AsyncConnectionPool[Connection]) -> None:
        self._pool = pool
        self._reachable = True

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on any exception.

        Raises:
            DatabaseUnavailable: No connection in time, or it was lost.
        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, OperationalError, InterfaceError) as error:
            self._note(reachable=False, error=str(error))
            raise DatabaseUnavailable(str(error)) from error
        self._note(reachable=True)

    def _note(self, *, reachable: bool, error: str = "") -> None:
        if reachable is not self._reachable:
            self._reachable = reachable
            if reachable:
                log.info("database.reachable")
            else:
                log.warning("database.unreachable", error=error)


@asynccontextmanager
async def open_database(
    url: str, size: int = 8, timeout_s: float = 3.0
) -> AsyncGenerator[Database]:
    """The database while the ``async with`` lasts.

    Args:
        url: A migrated PostgreSQL database.
        size: Connections at most.
        timeout_s: How long a transaction waits for a connection.
    """
    pool = AsyncConnectionPool[Connection](
        url,
        min_size=2,
        max_size=size,
        timeout=timeout_s,
        open=False,
        check=AsyncConnectionPool.check_connection,
        reconnect_timeout=RECONNECT_S,
        kwargs={"connect_timeout": max(2, round(timeout_s))},
        name="cloud",
    )
    async with pool:
        yield Database(pool)
