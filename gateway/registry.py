"""Who lives in this home and what is allowed: the cloud's last word, kept to do without it."""

import sqlite3
from bisect import bisect_left
from datetime import datetime

import msgspec

from gateway.store import to_us
from gateway.wire.grants import Grant
from gateway.wire.uplink import EnrolledCollar, Registry


class Household:
    """The registry in memory: collars, the pets that wear them, grants."""

    def __init__(self, site: str) -> None:
        self.registry = Registry(site=site, version=0, collars=[], grants=[])
        self.collars: dict[str, EnrolledCollar] = {}
        self.secrets: dict[str, bytes] = {}
        self._grants: dict[str, list[Grant]] = {}
        self._assignments: dict[str, list[tuple[int, str]]] = {}

    def load(self, db: sqlite3.Connection) -> None:
        """Take up what the store remembers."""
        row = db.execute("SELECT body FROM registry").fetchone()
        if row is not None:
            self.registry = msgspec.msgpack.decode(row["body"], type=Registry)
        self.collars = {collar.collar_id: collar for collar in self.registry.collars}
        self._grants = {}
        for grant in self.registry.grants:
            self._grants.setdefault(grant.pet_id, []).append(grant)
        self._assignments = {}
        for each in db.execute("SELECT * FROM assignment ORDER BY from_us"):
            worn = self._assignments.setdefault(each["collar_id"], [])
            worn.append((each["from_us"], each["pet_id"]))
        self.secrets = dict(db.execute("SELECT collar_id, secret FROM collar_secret").fetchall())

    def pet_of(self, collar_id: str, observed_us: int) -> str | None:
        """The pet that wore the collar then."""
        worn = self._assignments.get(collar_id, [])
        index = bisect_left(worn, (observed_us + 1,))  # those that began by then
        return worn[index - 1][1] if index else None

    def grants_of(self, pet_id: str | None, now: datetime) -> list[Grant]:
        """What is allowed of this pet's data now."""
        return [grant for grant in self._grants.get(pet_id or "", []) if grant.active_at(now)]

    def grant(self, grant_id: str, pet_id: str, now: datetime) -> Grant | None:
        """The grant, if it is active now."""
        matching = (each for each in self.grants_of(pet_id, now) if each.grant_id == grant_id)
        return next(matching, None)


def save_registry(db: sqlite3.Connection, registry: Registry) -> None:
    """Remember the registry; assignments only ever grow."""
    db.execute(
        "INSERT INTO registry VALUES (1, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
        (msgspec.msgpack.encode(registry),),
    )
    db.executemany(
        "INSERT INTO assignment VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET pet_id = excluded.pet_id",
        [(each.collar_id, each.pet_id, to_us(each.assigned_at)) for each in registry.collars],
    )
