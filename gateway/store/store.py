"""One SQLite file: every write is a transaction in one thread, every read a snapshot in another."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

from gateway.errors import StoreNewer, StoreUnavailable

MIGRATIONS = Path(__file__).with_name("migrations")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

T = TypeVar("T")


def to_us(instant: datetime) -> int:
    """Microseconds since 1970 UTC.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (instant - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The instant ``us`` microseconds after 1970 UTC."""
    return _EPOCH + us * _MICROSECOND


def _forget_nothing() -> None:
    """Of work that remembers nothing beside the store."""


class Store:
    """The home's memory. ``write`` and ``read`` take a function of a connection."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self._writer, self._reader = writer, reader
        self._write_thread = ThreadPoolExecutor(1, "store-writer")
        self._read_thread = ThreadPoolExecutor(1, "store-reader")

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncGenerator[Self]:
        """The store at ``path``, made or migrated as needed.

        Raises:
            StoreNewer: It is from a newer version.
            StoreUnavailable: It cannot be opened or written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            writer, reader = _connect(path), _connect(path)
            _migrate(writer)
            reader.execute("PRAGMA query_only = ON")
        except (OSError, sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        store = cls(writer, reader)
        try:
            yield store
        finally:
            for thread in (store._write_thread, store._read_thread):
                thread.shutdown(wait=True)
            writer.close()
            reader.close()

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        undone: Callable[[], None] = _forget_nothing,
    ) -> T:
        """Run ``work`` in one transaction; when this returns, its effect survives a power cut.

        Where it fails, at the latest in the commit, ``undone`` is called before any other work.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_thread, self._transaction, work, undone)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on what is committed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_thread, work, self._reader)

    def _transaction(
        self, work: Callable[[sqlite3.Connection], T], undone: Callable[[], None]
    ) -> T:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            undone()
            if self._writer.in_transaction:  # a full disk has rolled it back already
                self._writer.execute("ROLLBACK")
            raise
        return result


def count(db: sqlite3.Connection, name: str, by: int) -> None:
    """Raise a lasting counter."""
    if by:
        db.execute(
            "INSERT INTO counter VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + ?",
            (name, by, by),
        )


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    db.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


def _migrate(db: sqlite3.Connection) -> None:
    files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    held = db.execute("PRAGMA user_version").fetchone()[0]
    if held > len(files):
        raise StoreNewer(
            f"the store has version {held}, this Pawmesh knows up to {len(files)}. Update Pawmesh, "
            "restore a backup from before, or use another data folder"
        )
    for version, file in enumerate(files, start=1):
        if version > held:
            statements = file.read_text("utf-8")
            db.executescript(f"BEGIN; {statements}; PRAGMA user_version = {version}; COMMIT;")
