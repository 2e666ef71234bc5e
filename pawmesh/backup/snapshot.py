"""SQLite files as they are at one instant, while others write to them.

A read transaction pins what is committed; SQLite's own backup then copies that, however long it
takes. A fleet's two files are pinned together, between two of its commits.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from collar_sim.firmware.log.flash_file import FLASH_FILE, RECORD_FILE
from pawmesh.errors import NoAccess

HEADER = b"SQLite format 3\0"
PATIENCE_S = 10.0  # for whoever is writing


class Snapshot:
    """Pinned files; ``copy`` them within the block that pinned them."""

    def __init__(self, pinned: dict[Path, sqlite3.Connection]) -> None:
        self._pinned = pinned

    def copy(self, path: Path, target: Path) -> None:
        """Write a file as it was when it was pinned.

        Raises:
            NoAccess: It cannot be read, or the copy not be written.
        """
        try:
            with closing(sqlite3.connect(target)) as copy:
                self._pinned[path].backup(copy)
        except sqlite3.Error as error:
            raise NoAccess(f"{path} cannot be copied to {target}: {error}") from error


@contextmanager
def pin(paths: Sequence[Path]) -> Generator[Snapshot]:
    """The files as they are now: in this order, but a fleet's two files at the same instant.

    Raises:
        NoAccess: One cannot be read, or another process does not let go of it.
    """
    pinned: dict[Path, sqlite3.Connection] = {}
    with ExitStack() as stack:
        for path in paths:
            if path in pinned:
                continue
            pair = (path, path.with_name(RECORD_FILE)) if path.name == FLASH_FILE else (path,)
            try:
                with _no_commit(path) if len(pair) == 2 else closing(_connect(path)):
                    for each in (each for each in pair if each in paths):
                        pinned[each] = stack.enter_context(closing(_connect(each)))
                        pinned[each].execute("BEGIN")
                        pinned[each].execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.Error as error:
                raise NoAccess(
                    f"{path} cannot be read: {error}. If another program uses it, end that one"
                ) from error
        yield Snapshot(pinned)


def is_sqlite(path: Path) -> bool:
    """Whether a file is one of SQLite's.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


@contextmanager
def _no_commit(path: Path) -> Generator[None]:
    """Hold the place of the writer: nobody commits within the block, which must be short."""
    with closing(_connect(path)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_S)
