"""Make a backup, while the platform runs or when it is stopped.

The parts are copied at different instants, downstream last: **collars' flash, gateway, cloud**.
Then nothing that was acknowledged when the backup began is missing after a restore:

- A collar forgets only what the gateway has committed. What its flash lacks at its instant, the
  gateway, copied after it, holds.
- The gateway settles an outbox row only by the cloud's receipt. What it holds as synced at its
  instant, the cloud, copied after it, has stored. What is still queued goes up again, and the
  cloud knows it by ``(collar_id, boot, seq)``.
- The cloud's registry is at least as new as the gateway's copy of it, which is fetched again.

The other way round, each would have forgotten what the next never got. In this order each part
may instead know *more* than the one before it, which does no harm: the gateway acknowledges it to
the collar again; outbox ids that the cloud's cursor has passed already are used again, as nothing
is decided by that cursor, only by the messages' keys. One thing would: a boot counter that the
collar had raised between the copies, used twice for different messages. `restore` therefore
raises the restored counters above every boot that the gateway or the cloud knows.

Keys, tokens and fleet files change only when someone enrols. They are copied first and compared
last; when they differ, all is copied again, so that every collar in the stores has its keys.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from collar_sim.firmware.log.flash_file import FLASH_FILE
from pawmesh.backup import database, files
from pawmesh.backup.archive import (
    DUMP,
    FILES,
    FORMAT,
    MAGIC,
    Manifest,
    Member,
    Schemas,
    is_safe,
    write,
)
from pawmesh.backup.errors import KeepsChanging
from pawmesh.backup.snapshot import is_sqlite, pin
from pawmesh.backup.workshop import fsync_folder, workshop
from pawmesh.errors import NoAccess, UsageError
from pawmesh.house import SITE, House

ATTEMPTS = 3
GATEWAY_DB = "gateway/gateway.db"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A backup that was made."""

    file: Path
    size: int
    """Bytes of the file."""
    members: int
    content: int
    """Bytes of what is in it."""
    created_at: datetime


def back_up(
    house: House, file: Path, say: Say, *, with_truth: bool = False, database_url: str | None = None
) -> Made:
    """Write everything that the home holds to one file, readable only by its owner.

    Args:
        house: The data folder; its platform may run.
        file: Appears when the backup is whole, in place of an older backup of that name.
        say: Told what is being done.
        with_truth: Take the record of what the simulated animals really did, too.
        database_url: Of the user's own database, where the platform does not run.

    Raises:
        UsageError: The file or the data folder is none that can be used.
        NoAccess: Something cannot be read or written.
        PawmeshError: Of the kind that names the remedy.
    """
    file = file.absolute()
    _require_usable(house, file)
    try:
        with (
            workshop(file.parent, file.name, "part") as staging,
            database.database_of(house, database_url) as url,
        ):
            database.migrations_of(url)  # before the work, is it one of ours?
            manifest = _gather(house, url, staging, say, with_truth)
            say("  writing the file ...")
            sources = {each.name: staging / each.name for each in manifest.members}
            whole = staging / "whole"
            with open(whole, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                write(out, manifest, sources)
                out.flush()
                os.fsync(out.fileno())
            whole.replace(file)
            fsync_folder(file.parent)
    except OSError as error:
        raise NoAccess(
            f"{error.filename or file}: {error.strerror}. Make room, or choose another place"
        ) from error
    members = manifest.members
    content = sum(each.size for each in members)
    return Made(file, file.stat().st_size, len(members), content, manifest.created_at)


def _gather(house: House, url: str, staging: Path, say: Say, with_truth: bool) -> Manifest:
    """Copy everything into the staging folder; returns what is there."""
    changed: list[str] = []
    for _ in range(ATTEMPTS):
        created_at = datetime.now(UTC)
        names = sorted(files.walk(house.data_dir, with_truth=with_truth))
        stores = sorted((n for n in names if is_sqlite(house.data_dir / n)), key=files.order)
        plain = [name for name in names if name not in stores]
        try:
            say(f"  {len(plain)} files ...")
            digests = {n: files.copy(house.data_dir / n, staging / FILES / n) for n in plain}
            _copy_stores(house, url, staging, stores, say)
            changed = _changed(house.data_dir, digests, with_truth)
        except FileNotFoundError as gone:
            changed = [str(gone.filename)]
        if not changed:
            members = [_member(staging, FILES + name, house.data_dir / name) for name in names]
            return Manifest(
                format=FORMAT,
                pawmesh=version("pawmesh"),
                created_at=created_at,
                site=SITE,
                schemas=_schemas(staging, stores, url),
                members=[*members, _member(staging, DUMP, staging / DUMP)],
            )
        say(f"  {changed[0]} has changed meanwhile; once more ...")
    raise KeepsChanging(
        f"{', '.join(changed[:3])} in {house.data_dir} changed during each of {ATTEMPTS} tries. "
        "Stop Pawmesh, then back up"
    )


def _copy_stores(house: House, url: str, staging: Path, stores: list[str], say: Say) -> None:
    """Pin collars, gateway and cloud, in this order and moments apart; then copy."""
    paths = [house.data_dir / name for name in stores]
    (staging / DUMP).unlink(missing_ok=True)
    with pin(paths) as pinned:
        say("  the cloud's database ...")
        dumping = database.dump(url, staging / DUMP)
        try:
            for name, path in zip(stores, paths, strict=True):
                say(f"  {name} ...")
                target = staging / FILES / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                pinned.copy(path, target)
        except BaseException:
            dumping.kill()
            dumping.communicate()
            raise
        database.finish(dumping)


def _changed(data_dir: Path, digests: dict[str, str], with_truth: bool) -> list[str]:
    """Which files are no longer what was copied, came or went; the truth may grow meanwhile."""
    changed: list[str] = []
    for name in files.walk(data_dir, with_truth=with_truth):
        if files.TRUTH in Path(name).parts or is_sqlite(data_dir / name):
            continue
        if digests.get(name) != files.sha256(data_dir / name):
            changed.append(name)
    return changed + [name for name in digests if not (data_dir / name).exists()]


def _member(staging: Path, name: str, original: Path) -> Member:
    path = staging / name
    if not is_safe(name):
        raise NoAccess(f"A backup cannot keep {original} under its name. Rename or remove it")
    mode = original.stat().st_mode & 0o777
    return Member(name=name, size=path.stat().st_size, sha256=files.sha256(path), mode=mode)


def _schemas(staging: Path, stores: Iterable[str], url: str) -> Schemas:
    flashes = [name for name in stores if Path(name).name == FLASH_FILE]
    return Schemas(
        cloud=database.migrations_of(url),
        gateway=max((_version(staging / FILES / n) for n in stores if n == GATEWAY_DB), default=0),
        flash=max((_version(staging / FILES / name) for name in flashes), default=0),
    )


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def _require_usable(house: House, file: Path) -> None:
    if not house.data_dir.is_dir() or not any(house.data_dir.iterdir()):
        raise UsageError(f"{house.data_dir} holds nothing to back up. Name it: --data-dir DIR")
    if not file.parent.is_dir():
        raise UsageError(f"{file.parent} is no folder. Make it, or name another file")
    if file.parent.resolve().is_relative_to(house.data_dir.resolve()):
        raise UsageError(f"{file} lies in the data folder that it is to save. Choose another place")
    if file.is_dir():
        raise UsageError(f"{file} is a folder. Name a file")
    try:
        if file.exists() and file.stat().st_size:
            with file.open("rb") as old:
                if old.read(len(MAGIC)) != MAGIC:
                    raise UsageError(f"{file} is there, and is no backup. Choose another name")
    except OSError as error:
        raise NoAccess(f"{file}: {error.strerror}") from error
