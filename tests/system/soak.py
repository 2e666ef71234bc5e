"""Kills every process of a platform under load, again and again, then counts what is where.

The collars first send a backlog, then live so fast that traffic never ceases. Each round kills
each victim once, in a random order and after a random pause, mostly before the one before is back.
In the last life of the collars time passes as for us; when they owe nothing and the gateway has
nothing left to send, both stores are compared with the collars' own record.
"""

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import httpx2

from pawmesh.demo import prepare, wait_until_settled
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Part
from pawmesh.house import House
from pawmesh.platform import Plan, Platform, running_platform
from pawmesh.reckoning import Reckoning, reckon
from tests.system.mosquitto import Mosquitto

COLLARS = 10
BEGAN_AGO = timedelta(days=20)  # room for a long soak at SPEED before the simulated present
BACKLOG = timedelta(hours=1)
SPEED = 120  # two minutes a second: some 60 messages a second of ten collars
PAUSE_S = (0.1, 1.0)
BACK_WITHIN_S = 90.0
LAST_LIFE_WITHIN_S = 900.0
SETTLED_WITHIN_S = 600.0  # the sync of a long soak has hardly ever met a cloud
ENDLESS = 10**9
ROUND_TRIP_S = 0.05


class Make(StrEnum):
    """Which broker."""

    IOTCORE = "iotcore"
    MOSQUITTO = "mosquitto"


@dataclass
class Soaked:
    """What a soak did and what was found after it."""

    found: Reckoning
    kills: Counter[str]
    flowed: int
    """Messages published between the first kill and the last."""
    seconds: float
    said: list[str]
    """Of the supervisor."""


@dataclass
class Fleet:
    """The simulated collars of a platform, started and killed by hand."""

    platform: Platform
    seed: int
    _part: Part = field(init=False)

    def __post_init__(self) -> None:
        self._part = self._at_speed(SPEED)

    async def start(self) -> None:
        """A life that goes on until it is killed."""
        await self.platform.supervisor.start(self._part)

    async def kill(self) -> None:
        """End it by SIGKILL."""
        await kill(self.platform, "collars")
        await self.platform.supervisor.ended("collars")

    async def live_out(self) -> None:
        """A last life: what is left of the past, a second of the present, and all delivered.

        Raises:
            TimeoutError: It does not come to its end.
        """
        async with asyncio.timeout(LAST_LIFE_WITHIN_S):
            await self.platform.supervisor.start(self._at_speed(1, duration="1s"))
            await self.platform.supervisor.ended("collars")

    def published(self) -> int:
        """How many messages the collars ever wrote."""
        path = self.platform.house.fleet / "fleet" / "published.sqlite"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
                return int(db.execute("SELECT count(*) FROM published").fetchone()[0])
        except sqlite3.OperationalError:  # before their first life has begun
            return 0

    def _at_speed(self, speed: int, **flags: object) -> Part:
        part = self.platform.fleet_part(
            self.platform.house.fleet / "fleet.json",
            start_at=(datetime.now(UTC) - BEGAN_AGO).isoformat(),
            history=f"{BACKLOG.total_seconds():.0f}s",
            speed=speed,
            seed=self.seed,
            radio_loss=0,
            **flags,
        )
        return replace(part, restart=False)


@asynccontextmanager
async def sharing_home(
    folder: Path, make: Make, seed: int, say: Callable[[str], None]
) -> AsyncGenerator[tuple[Platform, Mosquitto | None, set[tuple[str, str]]]]:
    """A platform with enrolled collars that do not run yet, its broker, and what is granted."""
    house = House(folder / "data")
    plan = Plan(house=house, port_base=0, dashboard=False, deaths=ENDLESS)
    mosquitto = None
    try:
        if make is Make.MOSQUITTO:
            mosquitto = Mosquitto(folder / "mosquitto", free_ports(1)[0])
            plan = replace(plan, broker_url=mosquitto.start())
        async with running_platform(plan, lambda _: None, say) as platform:
            cast = await asyncio.to_thread(prepare, platform, COLLARS, seed, BEGAN_AGO)
            yield platform, mosquitto, cast.granted
    finally:
        if mosquitto is not None:
            mosquitto.stop()


async def soak(folder: Path, make: Make, rounds: int, seed: int) -> Soaked:
    """Kill each victim so many times, the database once, and count.

    Raises:
        TimeoutError: Something does not come back.
        PawmeshError: What is granted does not all reach the cloud.
    """
    began = time.monotonic()
    chance = random.Random(seed)
    said: list[str] = []
    async with sharing_home(folder, make, seed, said.append) as (platform, mosquitto, granted):
        fleet = Fleet(platform, seed)
        await fleet.start()
        await _grows(fleet)
        at_first = fleet.published()
        kills = Counter[str]()
        for round_ in range(rounds):
            victims = ["broker", "gateway", "cloud", "collars"]
            if round_ == rounds // 2:
                victims.append("database")
            for victim in chance.sample(victims, len(victims)):
                await asyncio.sleep(chance.uniform(*PAUSE_S))
                await _strike(platform, fleet, mosquitto, victim)
                kills[victim] += 1
        flowed = fleet.published() - at_first
        await fleet.kill()
        await _all_back(platform)
        await fleet.live_out()
        await asyncio.to_thread(wait_until_settled, platform, SETTLED_WITHIN_S)
        found = await count(platform, granted)
    return Soaked(found, kills, flowed, time.monotonic() - began, said)


async def count(platform: Platform, granted: set[tuple[str, str]]) -> Reckoning:
    """Compare the collars' record with both stores."""
    house = platform.house
    return await asyncio.to_thread(
        reckon, house.fleet / "fleet", house.gateway / "gateway.db", platform.database_url, granted
    )


async def kill(platform: Platform, name: str) -> int:
    """SIGKILL a part that runs; returns its process id.

    Raises:
        TimeoutError: It does not run.
    """
    await eventually(lambda: _sync(name in platform.supervisor.pids))
    pid = platform.supervisor.pids[name]
    os.kill(pid, signal.SIGKILL)
    return pid


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = BACK_WITHIN_S) -> None:
    """Return when it is true.

    Raises:
        TimeoutError: It does not come true.
    """
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - of other processes there are no events
            await asyncio.sleep(ROUND_TRIP_S)


async def answers(url: str, text: str = "") -> bool:
    """Whether a service is there and says so."""
    try:
        async with httpx2.AsyncClient(timeout=2) as client:
            answer = await client.get(url)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and text in answer.text


async def _strike(
    platform: Platform, fleet: Fleet, mosquitto: Mosquitto | None, victim: str
) -> None:
    """Kill it while it works, and see to it that it gets another life."""
    match victim:
        case "collars":
            await _grows(fleet)
            await fleet.kill()
            await fleet.start()
        case "broker" if mosquitto is not None:
            os.kill(mosquitto.pid, signal.SIGKILL)
            mosquitto.start()
        case "gateway":
            await _connected(platform)
            await kill(platform, victim)
        case "cloud":
            await eventually(lambda: answers(f"{platform.cloud_url}/healthz"))
            await kill(platform, victim)
        case _:
            await kill(platform, victim)


async def _grows(fleet: Fleet) -> None:
    """Return when the collars have written more than they had."""
    before = fleet.published()

    async def more() -> bool:
        return await asyncio.to_thread(fleet.published) > before

    await eventually(more)


async def _connected(platform: Platform) -> None:
    url = f"{platform.gateway_url}/metrics"
    await eventually(lambda: answers(url, "pawmesh_broker_connected 1.0"))


async def _all_back(platform: Platform) -> None:
    await eventually(lambda: answers(f"{platform.cloud_url}/healthz"))
    await _connected(platform)


async def _sync(value: bool) -> bool:
    return value
