"""Where things are made that must be whole before they get their name."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "lock"  # the name that a data folder's own lock has, so that one in the making is locked


@contextmanager
def workshop(parent: Path, name: str, purpose: str) -> Generator[Path]:
    """A folder beside what is to be made, on the same disk, for its owner only; gone in the end.

    What a killed process left is cleared away; one that lives holds its folder's lock.
    """
    for old in parent.glob(f".{glob.escape(name)}.*.{purpose}"):
        with suppress(OSError), (old / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=f".{purpose}", dir=parent))
    try:
        with open(folder / LOCK, "wb", opener=_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fsync_folder(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
