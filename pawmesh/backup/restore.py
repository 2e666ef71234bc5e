"""Make a home again from a backup: beside the place where it is to be, then renamed into it.

Whatever is wrong with the file shows before anything is in place; what was there is moved aside,
never deleted.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from collar_sim.firmware.log.flash_file import FLASH_FILE
from pawmesh.backup import database
from pawmesh.backup.archive import DUMP, FILES, Archive
from pawmesh.backup.errors import DamagedBackup
from pawmesh.backup.workshop import fsync_folder, workshop
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from pawmesh.errors import NoAccess, UsageError
from pawmesh.house import House
from pawmesh.versions import require_flash, require_gateway, require_known

Say = Callable[[str], None]

ROOM_FACTOR = 3  # a loaded table, its indexes and the log of loading it, in sizes of its dump
PARCEL = ".parcel"
CLUSTER_BYTES = 200 * 2**20  # of an empty database


@dataclass(frozen=True)
class Restored:
    """A home that was made again."""

    data_dir: Path
    created_at: datetime
    """When the backup was made."""
    pawmesh: str
    """The version that made it."""
    members: int
    moved_aside: Path | None
    """What was in the place before."""
    collars_ahead: int
    """How many collars' boot counters were behind what gateway or cloud had heard of them."""


def restore(
    file: Path, house: House, say: Say, *, replace: bool = False, database_url: str | None = None
) -> Restored:
    """Unpack a backup into a data folder that is empty, or not there.

    Args:
        file: As ``back_up`` wrote it.
        house: The data folder to make.
        say: Told what is being done.
        replace: Move a folder that is in the place aside.
        database_url: An empty database of the user's own, in place of the embedded one.

    Raises:
        UsageError: The place is taken.
        DamagedBackup: The file is none, or not whole.
        IncompatibleData: A newer version wrote it.
        NoAccess: Something cannot be read or written, or there is no room.
        PawmeshError: Of the kind that names the remedy.
    """
    target = house.data_dir.resolve()
    _require_place(target, replace)
    try:
        with Archive.open(file) as archive:
            manifest = archive.manifest
            database.require_known(manifest.schemas.cloud, f"{file}")
            require_gateway(manifest.schemas.gateway, f"{file}")
            require_flash(manifest.schemas.flash, f"{file}")
            target.parent.mkdir(parents=True, exist_ok=True)
            _require_room(archive, target.parent)
            with _beside(target) as fresh, _nobody_in(target):
                say(f"  {len(manifest.members)} files, of {manifest.created_at:%Y-%m-%d %H:%M} ...")
                _unpack(archive, fresh.data_dir)
                require_known(fresh)
                say("  the cloud's database ...")
                ahead = _fill(fresh, database_url)
                for folder, _, _ in os.walk(fresh.data_dir):
                    fsync_folder(Path(folder))
                moved = _put_in_place(fresh.data_dir, target)
    except FileNotFoundError as error:
        if str(error.filename) != str(file):
            raise
        raise UsageError(f"There is no {file}") from error
    except OSError as error:
        raise NoAccess(
            f"{error.filename or target}: {error.strerror}. Make room, or choose another --data-dir"
        ) from error
    members = len(manifest.members)
    return Restored(target, manifest.created_at, manifest.pawmesh, members, moved, ahead)


def _require_place(target: Path, replace: bool) -> None:
    try:
        if target.exists() and not target.is_dir():
            raise UsageError(f"{target} is no folder. Choose another --data-dir")
        if target.exists() and any(target.iterdir()) and not replace:
            raise UsageError(
                f"{target} is not empty. Choose another --data-dir, or have it moved aside: "
                "--replace"
            )
    except OSError as error:
        raise NoAccess(f"{target}: {error.strerror}. Choose another --data-dir") from error


def _require_room(archive: Archive, folder: Path) -> None:
    dump = next(each.size for each in archive.manifest.members if each.name == DUMP)
    needed = archive.size + ROOM_FACTOR * dump + CLUSTER_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoAccess(
            f"It needs about {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left. "
            "Make room, or choose another --data-dir"
        )


@contextmanager
def _beside(target: Path) -> Generator[House]:
    """A data folder in the making, locked as one that runs; gone in the end unless renamed."""
    with workshop(target.parent, target.name, "restoring") as folder:
        folder.chmod(0o755)  # as `up` makes it; what is secret lies in closed folders or files
        yield House(folder)


@contextmanager
def _nobody_in(target: Path) -> Generator[None]:
    """See that nothing runs on the folder that is to be replaced, and that nothing begins to."""
    if not target.exists() or not any(target.iterdir()):
        yield
        return
    with House(target).occupied():
        yield


def _unpack(archive: Archive, folder: Path) -> None:
    """Write the members; the data folder's own files go where they belong in it."""
    parcel = folder / PARCEL
    for member in archive.unpack(parcel):
        os.utime(parcel / member.name)  # as old as the place they are in, not as the backup
    for each in (parcel / FILES).iterdir():
        each.rename(folder / each.name)


def _fill(fresh: House, database_url: str | None) -> int:
    """Load the database, and see to it that no collar says twice who it is; how many would have."""
    dump = fresh.data_dir / PARCEL / DUMP
    with ExitStack() as stack:
        url = database_url
        if url is None:
            server = Postgres(fresh.data_dir / "database", free_ports(1)[0])
            url = stack.enter_context(server.running())
        database.load(url, dump)
        database.require_known(database.migrations_of(url), "The backup's database")
        ahead = _raise_boots(fresh, url)
    shutil.rmtree(fresh.data_dir / PARCEL)
    return ahead


def _raise_boots(fresh: House, url: str) -> int:
    """Raise boot counters above what gateway and cloud know; returns how many were behind.

    The collars' flash is the oldest copy in a backup: a collar that started again between the
    copies would otherwise use the same boot for other messages, which are refused as conflicts.
    """
    query = "SELECT collar_id, max(boot) FROM message GROUP BY collar_id"
    known: dict[str, int] = {}
    behind = 0
    try:
        with psycopg.connect(url) as cloud:
            known.update(cloud.execute(query).fetchall())
        store = fresh.gateway / "gateway.db"
        if store.exists():
            with closing(sqlite3.connect(store)) as gateway:
                for collar_id, boot in gateway.execute(query):
                    known[collar_id] = max(boot, known.get(collar_id, 0))
        for path in fresh.fleet.glob(f"**/{FLASH_FILE}"):
            with closing(sqlite3.connect(path)) as flash, flash:
                behind += flash.executemany(
                    "UPDATE collar SET boot = ? WHERE collar_id = ? AND boot < ?",
                    [(boot, collar_id, boot) for collar_id, boot in known.items()],
                ).rowcount
    except (sqlite3.Error, psycopg.Error) as error:
        raise DamagedBackup(f"A store in the backup is damaged: {error}") from error
    return behind


def _put_in_place(fresh: Path, target: Path) -> Path | None:
    """Rename the finished folder to its name; returns where what was there has gone."""
    moved = None
    if target.exists() and any(target.iterdir()):
        moved = target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        target.rename(moved)
    try:
        fresh.rename(target)
    except OSError:
        if moved is not None:
            moved.rename(target)
        raise
    fsync_folder(target.parent)
    return moved
