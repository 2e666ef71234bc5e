"""The fleet's non-volatile memory: boot counters, and every message still owed to the gateway.

One SQLite file holds all collars, so that a tick of the fleet is one commit. WAL with
``synchronous=NORMAL`` keeps every commit through SIGKILL; a torn write is SQLite's to repair.
A message is committed here before it is sent, and leaves only by the gateway's acknowledgement or,
when the collar's budget is full, by its rank (see `flash_log`), which is counted and announced.

The files themselves are `flash_file`'s.
"""

import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec

from collar_sim.errors import FlashError, FlashNewer
from collar_sim.firmware.log.flash_file import (
    FLASH_FILE,
    FLASH_VERSION,
    LOCK_FILE,
    RECORD_FILE,
    flash_version,
    make_current,
    published,
)
from collar_sim.firmware.log.flash_log import Entry, FlashLog
from collar_sim.firmware.log.gaps import Gaps
from collar_sim.firmware.models.model_memory import ModelMemory
from collar_sim.firmware.models.standing import Write
from gateway.wire.codec import decode_raw, digest
from gateway.wire.messages import Gap, Key
from gateway.wire.topics import Kind

LOG_BYTES = 262_144  # payload a collar keeps: about a day, in a corner of an 8 MB NOR flash
MIN_LOG_BYTES = 16_384  # the largest message must fit

INSERT_LOG = "INSERT INTO log VALUES (?, ?, ?, ?, ?)"
INSERT_RECORD = "INSERT OR IGNORE INTO record.published VALUES (?, ?, ?, ?, ?, ?)"
DELETE_LOG = "DELETE FROM log WHERE number = ? AND (boot, seq) <= (?, ?)"
DELETE_ONE = "DELETE FROM log WHERE number = ? AND (boot, seq) = (?, ?)"
UPDATE_COLLAR = """
UPDATE collar SET last_boot = ?, last_seq = ?, acked_boot = ?, acked_seq = ?, acked = ?,
    overwritten = ?, gaps = ?, dropped = ? WHERE number = ?"""
SELECT_COLLAR = """
SELECT last_boot, last_seq, acked_boot, acked_seq, acked, overwritten, gaps, dropped
FROM collar WHERE number = ?"""
_encode = msgspec.msgpack.encode
SET_NVM = "INSERT INTO nvm VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"


class Flash:
    """The file. `open` it, `boot` the collars, then write to their logs and `commit`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.logs: dict[str, FlashLog] = {}
        self.models = ModelMemory(db)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Generator[Self]:
        """The flash in ``folder``, made if there is none; no other fleet can have it meanwhile.

        The lock is on a file of its own, so that a backup can read a running fleet's flash.

        Raises:
            FlashNewer: A newer version wrote it.
            FlashError: It cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = db = None
        try:
            lock = sqlite3.connect(folder / LOCK_FILE, isolation_level=None, timeout=0.5)
            lock.execute("BEGIN EXCLUSIVE")
            if (version := flash_version(folder)) > FLASH_VERSION:
                raise FlashNewer(
                    f"{folder / FLASH_FILE} has version {version}, this Pawmesh knows up to "
                    f"{FLASH_VERSION}. Update Pawmesh, or give another --data-dir"
                )
            db = sqlite3.connect(folder / FLASH_FILE, isolation_level=None, timeout=0.5)
            db.execute("PRAGMA main.journal_mode = WAL")
            db.execute("PRAGMA main.synchronous = NORMAL")
            db.execute("ATTACH ? AS record", (str(folder / RECORD_FILE),))
            db.execute("PRAGMA record.journal_mode = WAL")
            db.execute("PRAGMA record.synchronous = NORMAL")
            make_current(db)
            yield cls(db)
        except sqlite3.Error as error:
            raise FlashError(f"{folder / FLASH_FILE}: {error}") from error
        finally:
            for each in (db, lock):
                if each is not None:
                    each.close()

    def boot(self, collar_ids: list[str], budget_bytes: int = LOG_BYTES) -> None:
        """Raise the boot counter of these collars, durably, and read what they still owe.

        What was written since the last commit is forgotten, as by a power cut.
        """
        self._db.execute("BEGIN IMMEDIATE")
        for collar_id in collar_ids:
            before = self.logs.get(collar_id)
            number, boot = self._db.execute(
                """INSERT INTO collar (collar_id, boot) VALUES (?, 1)
                   ON CONFLICT (collar_id) DO UPDATE SET boot = boot + 1 RETURNING number, boot""",
                (collar_id,),
            ).fetchone()
            log = FlashLog(number, collar_id, boot, budget_bytes)
            if before is not None:  # a reboot of one collar: positions go on
                log.first = log.end = before.committed
            self.logs[collar_id] = self._load(log)
        self._db.execute("COMMIT")

    def commit(
        self,
        nvm: dict[str, bytes] | None = None,
        models: Iterable[tuple[int, list[Write]]] = (),
    ) -> list[FlashLog]:
        """Make everything written and pruned since the last commit durable, in one transaction.

        Args:
            nvm: Other things to remember, by name.
            models: What changes in slots, by the collars' numbers.

        Returns:
            The logs with new messages to send.
        """
        written: list[FlashLog] = []
        self._db.execute("BEGIN IMMEDIATE")
        for log in self.logs.values():
            if log.committed < log.end:
                written.append(log)
                fresh = [log[n] for n in range(log.committed, log.end)]
                log.trim()
                self._insert(log, fresh)
            if log.committed < log.end or log.gone is not None:
                self._update(log)
        self._db.executemany(SET_NVM, (nvm or {}).items())
        for number, writes in models:
            self.models.apply(number, writes)
        self._db.execute("COMMIT")
        for log in written:
            log.committed = log.end
        return written

    def nvm(self, name: str) -> bytes | None:
        """What was remembered under a name."""
        row = self._db.execute("SELECT value FROM nvm WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def published(self) -> dict[str, int]:
        """Distinct messages ever written, by kind."""
        return published(self._db)

    def _insert(self, log: FlashLog, entries: list[Entry]) -> None:
        self._db.executemany(
            INSERT_LOG,
            [(log.number, e.key.boot, e.key.seq, e.kind.value, e.payload) for e in entries],
        )
        self._db.executemany(INSERT_RECORD, [_record(log.collar_id, entry) for entry in entries])

    def _update(self, log: FlashLog) -> None:
        if log.gone is not None:
            self._db.execute(DELETE_LOG, (log.number, log.gone.boot, log.gone.seq))
            log.gone = None
        self._db.executemany(DELETE_ONE, [(log.number, k.boot, k.seq) for k in log.removed])
        log.removed.clear()
        last, acked = log.last, log.acked_key
        self._db.execute(
            UPDATE_COLLAR,
            (
                last.boot if last else None,
                last.seq if last else None,
                acked.boot if acked else None,
                acked.seq if acked else None,
                log.acked,
                log.overwritten,
                _encode(list(log.gaps)) if len(log.gaps) else None,
                _encode(log.dropped) if log.dropped else None,
                log.number,
            ),
        )

    def _load(self, log: FlashLog) -> FlashLog:
        row = self._db.execute(SELECT_COLLAR, (log.number,)).fetchone()
        last_boot, last_seq, acked_boot, acked_seq, acked, overwritten, gaps, dropped = row
        rows = self._db.execute(
            "SELECT boot, seq, kind, payload FROM log WHERE number = ? ORDER BY boot, seq",
            (log.number,),
        )
        entries = [Entry(Key(b, s), Kind(kind), payload) for b, s, kind, payload in rows]
        # the two files commit one after the other: a kill between them leaves the record behind
        self._db.executemany(INSERT_RECORD, [_record(log.collar_id, entry) for entry in entries])
        for entry in entries:
            log.put(entry)
        log.committed = log.end
        log.acked, log.overwritten = acked, overwritten
        log.last = None if last_boot is None else Key(last_boot, last_seq)
        log.acked_key = None if acked_boot is None else Key(acked_boot, acked_seq)
        log.gaps = Gaps(msgspec.msgpack.decode(gaps, type=list[Gap]) if gaps else ())
        log.dropped = Counter(
            msgspec.msgpack.decode(dropped, type=dict[str, int]) if dropped else ()
        )
        return log


def _record(collar_id: str, entry: Entry) -> tuple[str, int, int, str, str, bytes]:
    observed_at = msgspec.convert(decode_raw(entry.payload)["observed_at"], datetime).isoformat()
    return (
        collar_id,
        entry.key.boot,
        entry.key.seq,
        entry.kind.value,
        observed_at,
        digest(entry.payload),
    )
