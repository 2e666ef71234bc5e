"""The part of the flash that holds models, and how the gateway wants the collar set.

Of each slot there is the model that runs, the one before, and the one that is coming. A switch is
three statements in one transaction, so that after a power cut at any point the old or the new
model is there, whole.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
import structlog

from collar_sim.firmware.models.standing import (
    REFUSALS_KEPT,
    EraseSpare,
    FallBack,
    PutSpare,
    Refusal,
    Remember,
    Spare,
    Switch,
    Write,
)
from gateway.wire.messages import Desired
from gateway.wire.release import ModelRefusal, Release

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SCHEMA = """
CREATE TABLE IF NOT EXISTS model_slot (
    number INTEGER NOT NULL, slot TEXT NOT NULL, state TEXT NOT NULL, rollout TEXT NOT NULL,
    release BLOB NOT NULL, chunk_bytes INTEGER NOT NULL, model BLOB NOT NULL,
    PRIMARY KEY (number, slot, state));
CREATE TABLE IF NOT EXISTS model_refusal (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, mark BLOB NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, UNIQUE (number, mark));
CREATE TABLE IF NOT EXISTS desired (
    number INTEGER PRIMARY KEY, site TEXT NOT NULL, version INTEGER NOT NULL,
    windows_per_hour INTEGER NOT NULL);
"""
PUT = "INSERT OR REPLACE INTO model_slot VALUES (?, ?, ?, ?, ?, ?, ?)"
ERASE = "DELETE FROM model_slot WHERE number = ? AND slot = ? AND state = ?"
MOVE = "UPDATE model_slot SET state = ? WHERE number = ? AND slot = ? AND state = ?"
REMEMBER = """
INSERT OR REPLACE INTO model_refusal (number, mark, reason, detail) VALUES (?, ?, ?, ?)"""
FORGET = """
DELETE FROM model_refusal WHERE number = ?1 AND id NOT IN (
    SELECT id FROM model_refusal WHERE number = ?1 ORDER BY id DESC LIMIT ?2)"""
SET_DESIRED = """
INSERT INTO desired VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET site = excluded.site,
    version = excluded.version, windows_per_hour = excluded.windows_per_hour"""

_encode = msgspec.msgpack.Encoder().encode
_release = msgspec.msgpack.Decoder(Release)


class SlotState(StrEnum):
    """What a stored model is to its slot."""

    ACTIVE = "active"
    PREVIOUS = "previous"
    RECEIVING = "receiving"


@dataclass(frozen=True)
class Remembered:
    """What one collar finds of its models when it boots."""

    active: dict[str, Spare] = field(default_factory=dict[str, Spare])
    """By slot: delivered, and switched to."""
    previous: dict[str, Spare] = field(default_factory=dict[str, Spare])
    receiving: dict[str, Spare] = field(default_factory=dict[str, Spare])
    refusals: dict[bytes, Refusal] = field(default_factory=dict[bytes, Refusal])


class ModelMemory:
    """These tables of the flash."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(SCHEMA)

    def load(self, number: int) -> Remembered:
        """All about one collar's models; what cannot be read is erased, and said."""
        remembered = Remembered()
        kept = {
            SlotState.ACTIVE: remembered.active,
            SlotState.PREVIOUS: remembered.previous,
            SlotState.RECEIVING: remembered.receiving,
        }
        rows = self._db.execute(
            """SELECT slot, state, rollout, release, chunk_bytes, model FROM model_slot
               WHERE number = ?""",
            (number,),
        )
        for slot, state, rollout, release, chunk_bytes, model in rows.fetchall():
            try:
                spare = Spare(rollout, _release.decode(release), chunk_bytes, model)
                kept[SlotState(state)][slot] = spare
            except (msgspec.DecodeError, ValueError) as error:
                log.warning("model.unreadable", number=number, slot=slot, detail=str(error))
                self._db.execute(ERASE, (number, slot, state))
        for slot in remembered.previous.keys() - remembered.active.keys():
            self.commit(number, [FallBack(slot)])
            remembered.active[slot] = remembered.previous.pop(slot)
        refusals = self._db.execute(
            "SELECT mark, reason, detail FROM model_refusal WHERE number = ? ORDER BY id",
            (number,),
        )
        for mark, reason, detail in refusals:
            remembered.refusals[mark] = Refusal(ModelRefusal(reason), detail)
        return remembered

    def commit(self, number: int, writes: Iterable[Write]) -> None:
        """Make what a step of one collar writes durable."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self.apply(number, writes)
            self._db.execute("COMMIT")
        except sqlite3.Error:  # one delivery's trouble; the log goes on
            self._db.execute("ROLLBACK")
            raise

    def apply(self, number: int, writes: Iterable[Write]) -> None:
        """The same within a transaction of the caller."""
        for write in writes:
            match write:
                case PutSpare(slot, spare):
                    row = (spare.rollout, _encode(spare.release), spare.chunk_bytes, spare.model)
                    self._db.execute(PUT, (number, slot, SlotState.RECEIVING, *row))
                case EraseSpare(slot):
                    self._db.execute(ERASE, (number, slot, SlotState.RECEIVING))
                case Switch(slot):
                    self._db.execute(ERASE, (number, slot, SlotState.PREVIOUS))
                    self._db.execute(MOVE, (SlotState.PREVIOUS, number, slot, SlotState.ACTIVE))
                    self._db.execute(MOVE, (SlotState.ACTIVE, number, slot, SlotState.RECEIVING))
                case FallBack(slot):
                    self._db.execute(ERASE, (number, slot, SlotState.ACTIVE))
                    self._db.execute(MOVE, (SlotState.ACTIVE, number, slot, SlotState.PREVIOUS))
                case Remember(mark, refusal):
                    row = (number, mark, refusal.reason, refusal.detail)
                    self._db.execute(REMEMBER, row)
                    self._db.execute(FORGET, (number, REFUSALS_KEPT))

    def desired(self, number: int, site: str) -> tuple[int, int]:
        """Version and windows an hour that a site's gateway asked of a collar last."""
        row = self._db.execute(
            "SELECT version, windows_per_hour FROM desired WHERE number = ? AND site = ?",
            (number, site),
        ).fetchone()
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def set_desired(self, number: int, site: str, desired: Desired) -> None:
        """Keep what a site's gateway asks of a collar."""
        row = (number, site, desired.version, desired.windows_per_hour)
        self._db.execute(SET_DESIRED, row)  # a transaction of its own
