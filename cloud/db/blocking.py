"""A connection for work that is rare, long, or not of the service: no pool, no event loop."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from cloud.errors import DatabaseUnavailable


@contextmanager
def blocking(url: str, timeout_s: int = 10) -> Generator[psycopg.Connection[Any]]:
    """A connection in autocommit while the block lasts.

    Raises:
        DatabaseUnavailable: There is no connection, or it was lost.
    """
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=timeout_s) as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(str(error)) from error
