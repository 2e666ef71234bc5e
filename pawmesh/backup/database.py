"""The cloud's database in and out of a file, with PostgreSQL's own programs."""

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.db.migrate import MIGRATIONS
from pawmesh.backup.errors import DatabaseFailed
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import MAJOR, Postgres, binary
from pawmesh.errors import MissingInstall, NoAccess, UsageError
from pawmesh.house import House, NotRunning
from pawmesh.versions import newer

CONNECT_S = 10
LOCK_WAIT = "60s"  # for a migration that holds a table


@contextmanager
def database_of(house: House, url: str | None) -> Generator[str]:
    """URL of the cloud's database; the embedded one is started where nothing runs.

    Args:
        house: While the block lasts, nobody else starts it, unless it runs already.
        url: Of the user's own database, where the platform that uses it does not run.

    Raises:
        UsageError: There is none to be found.
        PawmeshError: It cannot be started.
    """
    try:
        running: dict[str, Any] = house.running()
    except NotRunning:
        with house.occupied():
            folder = house.data_dir / "database"
            if url is not None:
                yield url
            elif (folder / "cluster").exists():
                with Postgres(folder, free_ports(1)[0]).running() as embedded:
                    yield embedded
            else:
                raise UsageError(
                    f"{house.data_dir} holds no database. If Pawmesh uses one of yours, name it: "
                    "--database postgresql://user@host/name"
                ) from None
    else:
        yield str(running["database_url"])


def migrations_of(url: str) -> list[str]:
    """Names of the migrations that a database has; those of TimescaleDB are refused.

    Raises:
        UsageError: There is no database of ours.
        DatabaseFailed: It does not answer.
    """
    with _connected(url) as db:
        timescale = db.execute("SELECT to_regnamespace('_timescaledb_catalog')").fetchone()
        if timescale is not None and timescale[0] is not None:
            raise UsageError(
                "This database uses TimescaleDB, which has its own way of backups: see pg_dump and "
                "timescaledb_pre_restore in its manual. Save the data folder beside it while "
                "Pawmesh is stopped"
            )
        try:
            rows = db.execute("SELECT name FROM schema_migration ORDER BY name").fetchall()
        except psycopg.errors.UndefinedTable:
            raise UsageError("The database is not one of Pawmesh's: it has no migrations") from None
    return [str(name) for (name,) in rows]


def require_known(migrations: list[str], what: str) -> None:
    """See that this version knows all of them.

    Raises:
        IncompatibleData: It does not.
    """
    known = {file.name for file in MIGRATIONS.glob("[0-9]*.sql")}
    if unknown := sorted(set(migrations) - known):
        raise newer(f"{what}, a database with {unknown[-1]},")


def dump(url: str, target: Path) -> subprocess.Popen[str]:
    """Begin to write a database to a file, as it is now; ``finish`` the process returned."""
    flags = ("--format=custom", "--compress=0", f"--lock-wait-timeout={LOCK_WAIT}")
    program = _program("pg_dump", _server_major(url))
    return _start(program, url, *flags, f"--file={target}")


def load(url: str, source: Path) -> None:
    """Fill an empty database from a file, wholly or not at all.

    Raises:
        UsageError: The database is not empty.
        DatabaseFailed: It did not take it.
    """
    with _connected(url) as db:
        held = db.execute(
            """SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname = 'public'"""
        ).fetchone()
    if held is None or held[0]:
        raise UsageError("The database to restore into is not empty. Make a new one and name that")
    program = _program("pg_restore", _server_major(url))
    finish(_start(program, url, "--exit-on-error", "--single-transaction", "--", str(source)))


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a program of PostgreSQL.

    Raises:
        DatabaseFailed, NoAccess: It failed.
    """
    try:
        _, said = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = "\n".join(said.strip().splitlines()[-5:])
        kind = NoAccess if "No space left" in said or "ermission denied" in said else DatabaseFailed
        raise kind(f"{process.args[0]} failed:\n{last}")  # pyright: ignore[reportIndexIssue, reportUnknownMemberType] - a list of ours


def _start(program: Path, url: str, *arguments: str) -> subprocess.Popen[str]:
    """Run one of PostgreSQL's clients; the password stays out of the list of processes."""
    parts = conninfo_to_dict(url)
    environment = {**os.environ, **Postgres.env}
    if (password := parts.pop("password", None)) is not None:
        environment["PGPASSWORD"] = str(password)
    where = make_conninfo("", **parts)
    common = ("--no-owner", "--no-privileges", "--no-password", f"--dbname={where}")
    return subprocess.Popen(
        [str(program), *common, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


@contextmanager
def _connected(url: str) -> Generator[psycopg.Connection]:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_S) as db:
            yield db
    except psycopg.OperationalError as error:
        raise DatabaseFailed(f"The database does not answer: {error}") from error


def _server_major(url: str) -> int:
    with _connected(url) as db:
        return db.info.server_version // 10_000


def _program(name: str, server: int) -> Path:
    """Ours, or the system's when the server is newer than ours.

    Raises:
        MissingInstall: Neither will do.
    """
    if server <= int(MAJOR):
        try:
            return binary(name)
        except MissingInstall:
            pass  # a lean installation on a server of the user's own
    found = shutil.which(name)
    if found is not None and _major_of(found) >= server:
        return Path(found)
    raise MissingInstall(
        f"The database is PostgreSQL {server}, and there is no {name} for it here. Install it: "
        f"apt-get install -y postgresql-client-{server}"
    )


def _major_of(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\) (\d+)", said.stdout)
    return int(found[1]) if found else 0
