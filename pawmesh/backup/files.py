"""What of a data folder goes into a backup as it is, and what is taken apart or left out.

Everything is taken but what is named here: what a later part keeps in the folder must not be
forgotten because nobody told this list.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

MADE_ANEW = frozenset({"database", "logs", "lock", "running.json", "broker/broker.toml"})
"""Dumped, of no use elsewhere, or written at each start."""
TRUTH = "truth"
"""Name of the folders that hold what really happened to the simulated animals; large."""
PASSING = ("-wal", "-shm", "-journal", ".lock", ".new", ".part")
"""Endings of files that belong to a running process."""
CHUNK_BYTES = 2**20


def walk(data_dir: Path, *, with_truth: bool) -> Iterator[str]:
    """Names, relative to the data folder, of the files to keep; links are followed."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(data_dir, followlinks=True):
        here = Path(folder).relative_to(data_dir)
        folders[:] = sorted(
            each
            for each in folders
            if (here / each).as_posix() not in MADE_ANEW
            and each != "__pycache__"
            and (with_truth or each != TRUTH)
            and _is_first(Path(folder) / each, seen)
        )
        for each in sorted(files):
            name = (here / each).as_posix()
            if name in MADE_ANEW or each.endswith(PASSING):
                continue
            if (data_dir / name).is_file():  # no socket, no pipe, no dangling link
                yield name


def order(name: str) -> tuple[int, str]:
    """Where a SQLite file stands in the order of copying: collars, then the gateway, then others.

    >>> sorted(["gateway/gateway.db", "z/other.db", "fleet/fleet/flash.sqlite"], key=order)
    ['fleet/fleet/flash.sqlite', 'gateway/gateway.db', 'z/other.db']
    """
    return {"fleet": 0, "gateway": 1}.get(name.split("/")[0], 2), name


def copy(source: Path, target: Path) -> str:
    """Copy a file's content; returns its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_first(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not met before, as it is where links go round in circles."""
    at = folder.stat()
    if (at.st_dev, at.st_ino) in seen:
        return False
    seen.add((at.st_dev, at.st_ino))
    return True
