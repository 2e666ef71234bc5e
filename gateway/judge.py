"""Plugins see what was committed: each follows the messages with a cursor of its own.

What a plugin concludes, what it remembers and how far it has seen are one transaction, so a
plugin or gateway killed at any point sees the rest once, and alerts once.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from gateway.alerts import Alert, apply_finding, is_live, note_notified
from gateway.host import FaultKind, PluginFault, PluginHost, PluginState
from gateway.ingest.dating import Basis
from gateway.metrics import PLUGIN_FAULTS
from gateway.registry import Household
from gateway.store import Store, from_us, to_us
from gateway.wire.codec import decode
from gateway.wire.messages import Message
from gateway.wire.topics import Kind, Topic
from plugins.sdk import Input, Inputs, Outputs, Record, Zone

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH_LIMIT = 500  # messages shown to a plugin at once
TRIES = 3  # before a batch on which a plugin is late is passed over
RETRY_S = 0.5
STREAMS = {Kind.EPOCH: Input.EPOCH, Kind.FIX: Input.FIX, Kind.EVENT: Input.EVENT}


@dataclass(slots=True)
class Seen:
    """What is new for a plugin about one pet."""

    records: dict[Input, list[Record]] = field(default_factory=dict[Input, list[Record]])
    received_us: dict[datetime, int] = field(default_factory=dict[datetime, int])
    """When the message observed at an instant was received."""
    undated: set[datetime] = field(default_factory=set[datetime])
    """Instants of which only so much is known that they are over; see `Basis.BACKLOG`."""

    def tells_of_now(self, observed_at: datetime, received_at: datetime) -> bool:
        """Whether an instant is fresh enough to disturb someone."""
        return observed_at not in self.undated and is_live(observed_at, received_at)


@dataclass(slots=True)
class News:
    """What is new for a plugin, and the message id it reaches to."""

    pets: dict[str, Seen]
    states: dict[str, Any]
    zones: list[tuple[str | None, Zone]]
    upto: int
    full: bool


class Judge:
    """Shows committed messages to one plugin and acts on what it finds."""

    def __init__(
        self,
        store: Store,
        household: Household,
        host: PluginHost,
        plugin_id: str,
        notify: Callable[[Alert], None],
    ) -> None:
        self._store = store
        self._household = household
        self._host = host
        self._id = plugin_id
        self._manifest = host.plugins[plugin_id].manifest
        self._notify = notify
        self._tries = 0
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            while await self.judge_some():
                pass

    async def judge_some(self) -> bool:
        """Judge one batch; returns whether there may be more."""
        news = await self._store.read(self._news)
        if not news.pets:
            if news.upto:
                await self._store.write(lambda db: _move_cursor(db, self._id, news.upto))
            return news.full
        pet_ids = list(news.pets)
        outcomes = await self._host.judge(self._id, [self._inputs(each, news) for each in pet_ids])
        if self._host.plugins[self._id].state is PluginState.DISABLED:
            return False  # the cursor stays: mended, it goes on from here
        if self._fails_in_passing(outcomes):
            await asyncio.sleep(RETRY_S)
            return True
        now = datetime.now(UTC)
        judged = dict(zip(pet_ids, outcomes, strict=True))
        raised = await self._store.write(lambda db: self._apply(db, news, judged, now))
        if raised:
            await self._tell(raised)
        return news.full

    def _fails_in_passing(self, outcomes: Sequence[Outputs | PluginFault]) -> bool:
        """Whether to show it again: a late plugin must not miss the one fix that counts."""
        late = any(
            isinstance(outcome, PluginFault)
            and outcome.kind in (FaultKind.DEADLINE, FaultKind.ENDED)
            for outcome in outcomes
        )
        self._tries = self._tries + 1 if late else 0
        return late and self._tries < TRIES

    def _news(self, db: sqlite3.Connection) -> News:
        kinds = [kind.value for kind, stream in STREAMS.items() if stream in self._manifest.inputs]
        row = db.execute(
            "SELECT message_id FROM plugin_cursor WHERE plugin_id = ?", (self._id,)
        ).fetchone()
        after = row["message_id"] if row else 0
        upto = db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0]
        rows = db.execute(
            f"""SELECT * FROM message WHERE id > ? AND id <= ? AND pet_id IS NOT NULL
                AND kind IN ({",".join("?" * len(kinds))}) ORDER BY id LIMIT ?""",
            (after, upto, *kinds, BATCH_LIMIT),
        ).fetchall()
        full = len(rows) == BATCH_LIMIT
        pets: dict[str, Seen] = {}
        for message in rows:
            self._show(pets.setdefault(message["pet_id"], Seen()), message)
        states = {
            each["pet_id"]: msgspec.msgpack.decode(each["state"])
            for each in db.execute("SELECT * FROM plugin_state WHERE plugin_id = ?", (self._id,))
        }
        last = rows[-1]["id"] if full else upto
        return News(pets, states, _zones(db), last if last > after else 0, full)

    def _show(self, seen: Seen, row: sqlite3.Row) -> None:
        kind = Kind(row["kind"])
        topic = Topic(self._household.registry.site, row["collar_id"], kind)
        message = decode(topic, row["payload"], row["content_type"]).message
        if not isinstance(message, Message):
            raise TypeError(f"message {row['id']} has no key")
        observed_at = from_us(row["observed_us"])  # its own clock may be wrong
        record = Record(observed_at, msgspec.structs.asdict(message))
        seen.records.setdefault(STREAMS[kind], []).append(record)
        seen.received_us[observed_at] = row["received_us"]
        if row["basis"] == Basis.BACKLOG:
            seen.undated.add(observed_at)

    def _inputs(self, pet_id: str, news: News) -> Inputs:
        return Inputs(
            pet_id=pet_id,
            species=self._species(pet_id),
            now=datetime.now(UTC),
            records=news.pets[pet_id].records,
            zones=[zone for owner, zone in news.zones if owner in (None, pet_id)],
            settings=dict(self._manifest.settings),
            state=news.states.get(pet_id, {}),
        )

    def _apply(
        self,
        db: sqlite3.Connection,
        news: News,
        judged: dict[str, Outputs | PluginFault],
        now: datetime,
    ) -> list[tuple[Alert, datetime]]:
        live: list[tuple[Alert, datetime]] = []
        for pet_id, outcome in judged.items():
            if isinstance(outcome, PluginFault):
                PLUGIN_FAULTS.labels(self._id).inc()
                log.warning("plugin.failed", plugin_id=self._id, pet_id=pet_id, why=str(outcome))
                continue
            seen = news.pets[pet_id]
            latest_us, name = max(seen.received_us.values()), self._pet_name(pet_id)
            for finding in outcome.findings:
                alert = apply_finding(db, self._id, pet_id, name, finding, now)
                received_at = from_us(seen.received_us.get(finding.observed_at, latest_us))
                if alert is not None and seen.tells_of_now(finding.observed_at, received_at):
                    live.append((alert, received_at))
            for each in outcome.observations:
                db.execute(
                    """INSERT INTO observation VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                       label = excluded.label, confidence = excluded.confidence,
                       observed_us = excluded.observed_us""",
                    (
                        *(self._id, pet_id, each.name, each.label, each.confidence),
                        to_us(each.observed_at),
                    ),
                )
            db.execute(
                """INSERT INTO plugin_state VALUES (?, ?, ?)
                   ON CONFLICT DO UPDATE SET state = excluded.state""",
                (self._id, pet_id, msgspec.msgpack.encode(outcome.state)),
            )
        _move_cursor(db, self._id, news.upto)
        return live

    async def _tell(self, raised: list[tuple[Alert, datetime]]) -> None:
        told: list[tuple[int, datetime, datetime]] = []
        for alert, received_at in raised:
            self._notify(alert)
            told.append((alert.alert_id, received_at, datetime.now(UTC)))

        def note(db: sqlite3.Connection) -> None:
            for each in told:
                note_notified(db, *each)

        await self._store.write(note)

    def _pet_name(self, pet_id: str) -> str:
        names = (
            each.pet_name for each in self._household.collars.values() if each.pet_id == pet_id
        )
        return next(names, pet_id)

    def _species(self, pet_id: str) -> str:
        kinds = (each.species for each in self._household.collars.values() if each.pet_id == pet_id)
        return next(kinds, "dog")


def _zones(db: sqlite3.Connection) -> list[tuple[str | None, Zone]]:
    return [
        (
            row["pet_id"],
            Zone(
                zone_id=row["zone_id"],
                name=row["name"],
                lat_deg=row["lat_deg"],
                lon_deg=row["lon_deg"],
                radius_m=row["radius_m"],
            ),
        )
        for row in db.execute("SELECT * FROM zone ORDER BY zone_id")
    ]


def _move_cursor(db: sqlite3.Connection, plugin_id: str, upto: int) -> None:
    db.execute(
        """INSERT INTO plugin_cursor VALUES (?, ?)
           ON CONFLICT DO UPDATE SET message_id = excluded.message_id""",
        (plugin_id, upto),
    )
