"""The files of a fleet's flash: their names and layout, and what is left in them.

``published.sqlite`` is no part of the collar: it is the simulator's own record of every message
that was ever written, kept so that a demo can compare it with what arrived.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

FLASH_FILE = "flash.sqlite"
RECORD_FILE = "published.sqlite"
LOCK_FILE = "flash.lock"
FLASH_VERSION = 2  # kept as ``user_version``; the first release left it 0

SCHEMA = """
CREATE TABLE IF NOT EXISTS collar (
    number INTEGER PRIMARY KEY, collar_id TEXT NOT NULL UNIQUE, boot INTEGER NOT NULL,
    last_boot INTEGER, last_seq INTEGER, acked_boot INTEGER, acked_seq INTEGER,
    acked INTEGER NOT NULL DEFAULT 0, overwritten INTEGER NOT NULL DEFAULT 0,
    gaps BLOB, dropped BLOB);
CREATE TABLE IF NOT EXISTS log (
    number INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    payload BLOB NOT NULL, PRIMARY KEY (number, boot, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nvm (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record.published (
    collar_id TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    observed_at TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (collar_id, boot, seq)
    ) WITHOUT ROWID;
"""
ADDED_IN_2 = ("gaps", "dropped")
"""Columns of the collars, msgpack: what a full log let go of, and how many of each kind."""


@dataclass(frozen=True)
class Remains:
    """What the collars of a flash had come to, all together."""

    by_kind: dict[str, int] = field(default_factory=dict[str, int])
    """Distinct messages ever written."""
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    """Messages that a full log let go of, by kind."""
    acked: int = 0
    overwritten: int = 0
    boots: int = 0
    """Of the collar that booted most."""
    owed: int = 0


def remains(folder: Path) -> Remains:
    """What a flash holds whose fleet has ended, however it did; nothing where there is none.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    if not ((flash := folder / FLASH_FILE).exists() and (record := folder / RECORD_FILE).exists()):
        return Remains()
    with closing(sqlite3.connect(f"file:{flash}?mode=ro", uri=True)) as db:
        db.execute("ATTACH ? AS record", (f"file:{record}?mode=ro",))
        acked, overwritten, boots = db.execute(
            "SELECT coalesce(sum(acked), 0), coalesce(sum(overwritten), 0), "
            "coalesce(max(boot), 0) FROM collar"
        ).fetchone()
        dropped = Counter[str]()
        for (blob,) in db.execute("SELECT dropped FROM collar WHERE dropped NOTNULL"):
            dropped.update(msgspec.msgpack.decode(blob, type=dict[str, int]))
        owed = db.execute("SELECT count(*) FROM log").fetchone()[0]
        return Remains(published(db), dict(dropped), acked, overwritten, boots, owed)


def published(db: sqlite3.Connection) -> dict[str, int]:
    """Distinct messages ever written, by kind, by the record attached as ``record``."""
    rows = db.execute("SELECT kind, count(*) FROM record.published GROUP BY kind")
    return {str(kind): int(count) for kind, count in rows}


def flash_version(folder: Path) -> int:
    """The version of the flash in a folder; 0 for the first release's, and where there is none.

    Raises:
        sqlite3.Error: The file is no flash, or locked.
    """
    if not (folder / FLASH_FILE).exists():
        return 0
    with closing(sqlite3.connect(folder / FLASH_FILE, timeout=0.5)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def make_current(db: sqlite3.Connection) -> None:
    """Lay out new files, and bring those of an earlier version to this one.

    Args:
        db: The flash, with the record attached as ``record``.
    """
    db.executescript(SCHEMA)
    have = {row[1] for row in db.execute("PRAGMA main.table_info(collar)")}
    for column in ADDED_IN_2:
        if column not in have:
            db.execute(f"ALTER TABLE collar ADD COLUMN {column} BLOB")
    db.execute(f"PRAGMA main.user_version = {FLASH_VERSION}")
