"""A gateway's door for tests: an ingest over a store of its own, and what a session would hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec

from gateway.ingest import Ingest
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.wire.codec import JSON, decode
from gateway.wire.grants import Grant
from gateway.wire.messages import Ack
from gateway.wire.session import Delivery, Session
from gateway.wire.topics import Kind, Topic
from gateway.wire.uplink import EnrolledCollar, Registry

AT = "2026-01-01T00:00:00Z"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Heard:
    """A session's sending end."""

    payloads: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """The last word to each collar."""

    def publish(self, topic: str, payload: bytes, **_: Any) -> None:
        self.payloads[Topic.parse(topic).collar_id] = payload

    def ack(self, collar_id: str) -> Ack:
        topic = Topic("home", collar_id, Kind.ACK)
        message = decode(topic, self.payloads[collar_id]).message
        assert isinstance(message, Ack)
        return message


class Door:
    """An ingest over a store of its own."""

    def __init__(self, store: Store, household: Household) -> None:
        self.store, self.household = store, household
        self.heard = Heard()
        self.ingest = Ingest(store, household, lambda: None)

    async def take(self, *messages: tuple[str, dict[str, Any]]) -> Ack:
        """Deliver messages of collar ``c1``, as JSON; returns the last acknowledgement."""
        await self.deliver(
            *[packet(f"pawmesh/v1/home/c1/{kind}", msgspec.json.encode(m)) for kind, m in messages]
        )
        return self.heard.ack("c1")

    async def deliver(self, *packets: Delivery) -> None:
        await self.ingest.take(cast(Session, self.heard), list(packets))

    async def restart(self) -> None:
        self.ingest = Ingest(self.store, self.household, lambda: None)
        await self.store.read(self.ingest._archive.load)

    async def ask(self, sql: str, *values: object) -> list[Any]:
        return await self.store.write(lambda db: db.execute(sql, values).fetchall())


def packet(
    topic: str, payload: bytes, retained: bool = False, sent_at: datetime | None = None
) -> Delivery:
    done = asyncio.get_running_loop().create_future()
    return Delivery(topic, payload, JSON, sent_at, retained, done)


@asynccontextmanager
async def open_door(folder: Path, *grants: Grant) -> AsyncIterator[Door]:
    """Of a home with two collars, ``c1`` of ``p1`` and ``c2`` of ``p2``."""
    collars = [
        EnrolledCollar(collar_id=f"c{n}", pet_id=f"p{n}", pet_name="Rex", assigned_at=LONG_AGO)
        for n in (1, 2)
    ]
    async with Store.open(folder / "gateway.db") as store:
        registry = Registry(site="home", version=1, collars=collars, grants=list(grants))
        await store.write(lambda db: save_registry(db, registry))
        household = Household("home")
        await store.read(household.load)
        yield Door(store, household)


def header(boot: int, seq: int, **fields: Any) -> dict[str, Any]:
    return {"collar_id": "c1", "boot": boot, "seq": seq, "observed_at": AT} | fields


def birth(boot: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "birth", header(boot, 0, hardware="h", firmware="f", **fields)


def event(boot: int, seq: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "event", header(boot, seq, name="scratch", confidence=0.5) | fields
