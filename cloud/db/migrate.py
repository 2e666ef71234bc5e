"""Bring a database to this version: numbered files, each in one transaction, each once."""

import hashlib
from pathlib import Path

import psycopg
import structlog
from psycopg import OperationalError

from cloud.db.timescale import use_timescale
from cloud.errors import DatabaseNewer, DatabaseUnavailable, MigrationChanged

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x7061776D657368  # "pawmesh": one migration at a time, whoever starts it


def migrate(url: str, retention_days: int = 400, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return the names of the files applied.

    Raises:
        DatabaseNewer: The database knows migrations that this code does not.
        MigrationChanged: An applied file was edited since.
        DatabaseUnavailable: There is no connection.
    """
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as db:
            db.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            applied = _apply(db, folder)
            use_timescale(db, retention_days)
            return applied
    except OperationalError as error:
        raise DatabaseUnavailable(str(error)) from error


def _apply(db: psycopg.Connection, folder: Path) -> list[str]:
    db.execute(
        """CREATE TABLE IF NOT EXISTS schema_migration (
               name text PRIMARY KEY, checksum text NOT NULL,
               applied_at timestamptz NOT NULL DEFAULT now())"""
    )
    done = dict(db.execute("SELECT name, checksum FROM schema_migration").fetchall())
    files = {file.name: file.read_bytes() for file in sorted(folder.glob("[0-9]*.sql"))}
    if unknown := sorted(done.keys() - files.keys()):
        raise DatabaseNewer(
            f"the database has {unknown[-1]}, which this version does not know: a newer Pawmesh "
            "wrote it. Update Pawmesh, restore a backup from before, or use another database"
        )
    for name, statements in files.items():
        checksum = hashlib.sha256(statements).hexdigest()
        if name not in done:
            with db.transaction():
                db.execute(statements)
                db.execute(
                    "INSERT INTO schema_migration (name, checksum) VALUES (%s, %s)",
                    (name, checksum),
                )
            log.info("migration.applied", name=name)
        elif done[name] != checksum:
            raise MigrationChanged(f"{name} is not the file that was applied")
    return [name for name in files if name not in done]
