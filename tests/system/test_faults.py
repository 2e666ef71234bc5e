"""Fleets in which things break, against real brokers and a real gateway: what is lost is counted,
what is not arrives, and the others do not notice.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.wire.session import BrokerUrl
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.system.home import Home, enrolled, until
from tests.system.household import Acknowledger, Simulator, write_fleet
from tests.system.mosquitto import Mosquitto

Key = tuple[str, int, int]
BROKERS = {"iotcore": Broker, "mosquitto": Mosquitto}


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A broker that runs, and a gateway that does not yet."""
    broker_port, port = free_ports(2)
    broker = BROKERS[getattr(request, "param", "iotcore")](tmp_path / "broker", broker_port)
    with broker.running() as url:
        home = Home(tmp_path, broker, url, port)
        yield home
        if home.process is not None and home.process.poll() is None:
            home.kill()


def fleet(folder: Path, members: list[dict[str, Any]]) -> list[str]:
    path = folder / "fleet.json"
    names = write_fleet(path, len(members))
    content = json.loads(path.read_text())
    for entry, changes in zip(content["collars"], members, strict=True):
        entry |= changes
    path.write_text(json.dumps(content))
    return names


def published(folder: Path) -> dict[Key, tuple[str, bytes]]:
    with closing(sqlite3.connect(folder / "sim" / "published.sqlite")) as db:
        rows = db.execute("SELECT collar_id, boot, seq, kind, digest FROM published")
        return {(c, boot, seq): (kind, digest) for c, boot, seq, kind, digest in rows}


def ago(hours: float) -> datetime:
    return (datetime.now(UTC) - timedelta(hours=hours)).replace(second=0, microsecond=0)


def fault(kind: str, after_s: float, for_s: float = 1e9, **more: float) -> dict[str, Any]:
    return {"kind": kind, "after_s": after_s, "for_s": for_s, **more}


BREAKING = [
    {"faults": [fault("reboot", 100, 40), fault("reboot", 300, 2)]},
    {"faults": [fault("dead", 150)]},
    {"faults": [fault("clock_jump", 60, 99, size_s=9e3), fault("clock_jump", 300, 9, size_s=-9e8)]},
    {"scenario": "power_cut", "incident_after_s": 60},
    {"faults": [fault("imu_nan", 30, 60), fault("imu_stuck", 200, 30)]},
    {},
]  # fmt: skip


@pytest.mark.parametrize("home", ["mosquitto"], indirect=True)
async def test_what_breaks_loses_its_memory_and_nothing_else(home: Home) -> None:
    names = fleet(home.folder, BREAKING)
    await home.register([enrolled(name) for name in names])
    home.start()
    await home.ready()
    start_at = ago(1)
    sim = Simulator(
        home.folder, home.broker_url, "--start-at", start_at.isoformat(), "--history", "0",
        "--speed", "200", "--radio-loss", "0.05",
    )  # fmt: skip
    await sim.start()
    await until(lambda: has(home, "c3", 2, "epoch") and has(home, "c0", 3, "epoch"))
    await sim.end()
    report = await sim.finish()
    rows = await home.execute("SELECT * FROM message ORDER BY collar_id, boot, seq")
    stored = {(r["collar_id"], r["boot"], r["seq"]): (r["kind"], r["digest"]) for r in rows}
    said = {key: what for key, what in published(home.folder).items() if key[0] != "c1"}
    assert {key: what for key, what in stored.items() if key[0] != "c1"} == said
    assert (report["off"], report["dropped"], report["refused"]) == (1, {}, {})
    boots = {name: {key[1] for key in stored if key[0] == name} for name in names}
    assert [len(boots[name]) for name in names] == [3, 1, 1, 2, 1, 1]
    with home.api as api:
        status = api.get("/v1/status").json()
        assert (status["lost"], api.get("/v1/rejected").json()) == (0, [])
        pets = {pet["pet_id"]: pet for pet in api.get("/v1/pets").json()}
        assert not pets["pet-c1"]["online"]
        events = api.get("/v1/pets/pet-c4/history", params={"kind": "event"}).json()
    faults = [e["fields"] for e in events if e["fields"]["name"] == "sensor_fault"]
    assert [each.get("duration_s", 0.0) for each in faults] == [0.0, 60.0, 0.0, 30.0]

    clocks: dict[str, set[str]] = {name: set() for name in names}
    for row in rows:
        fields = msgspec.msgpack.decode(row["payload"])
        clocks[row["collar_id"]].add(fields.get("clock", "network"))
        filed_at = datetime.fromtimestamp(row["observed_us"] / 1e6, UTC)
        until_at = datetime.fromisoformat(report["simulated_until"])
        assert start_at - timedelta(minutes=1) < filed_at <= until_at
    assert clocks == {n: {"network"} for n in names} | {
        "c2": {"network", "rtc"},
        "c3": {"network", "unset"},
    }


def has(home: Home, collar_id: str, boot: int, kind: str) -> bool:
    with closing(sqlite3.connect(home.data_dir / "gateway.db", timeout=5)) as db:
        return (
            db.execute(
                "SELECT 1 FROM message WHERE (collar_id, boot, kind) = (?, ?, ?)",
                (collar_id, boot, kind),
            ).fetchone()
            is not None
        )


async def test_who_dies_is_missed_by_nobody_else(home: Home) -> None:
    names = fleet(home.folder, [{"faults": [fault("dead", s)]} for s in (10, 40)] + [{}] * 18)
    dead, survivors = names[:2], names[2:]
    await home.register([enrolled(name) for name in names])
    home.start()
    await home.ready()

    def outlived(epochs: Counter[str]) -> int:
        return min(epochs[name] for name in survivors) - max(epochs[name] for name in dead)

    start_at = ago(1)
    sim = Simulator(
        home.folder, home.broker_url, "--start-at", start_at.isoformat(), "--history", "0",
        "--speed", "50", "--radio-loss", "0",
    )  # fmt: skip
    await sim.start()
    await until(lambda: outlived(stored_epochs(home)) >= 2)
    await sim.end()
    report = await sim.finish()
    rows = await home.execute("SELECT collar_id, boot, seq, kind, digest FROM message")
    stored = {(c, boot, seq): (kind, digest) for c, boot, seq, kind, digest in map(tuple, rows)}
    said = {key: what for key, what in published(home.folder).items() if key[0] in survivors}
    assert {key: what for key, what in stored.items() if key[0] in survivors} == said
    minutes = (datetime.fromisoformat(report["simulated_until"]) - start_at) // timedelta(minutes=1)
    epochs = stored_epochs(home)
    assert {name: epochs[name] for name in survivors} == dict.fromkeys(survivors, minutes)
    assert report["off"] == len(dead)
    with home.api as api:
        pets = {pet["pet_id"]: pet["online"] for pet in api.get("/v1/pets").json()}
    assert not any(pets[f"pet-{name}"] for name in dead)
    events = Counter(logged(home.folder))
    assert (events["collar.off"], events["broker.lost"], events["broker.back"]) == (2, 0, 0)


def stored_epochs(home: Home) -> Counter[str]:
    with closing(sqlite3.connect(home.data_dir / "gateway.db", timeout=5)) as db:
        rows = db.execute("SELECT collar_id FROM message WHERE kind = 'epoch'")
        return Counter(name for (name,) in rows)


def logged(folder: Path) -> list[str]:
    lines = (folder / "sim.log").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]


async def test_a_full_flash_keeps_its_alerts_and_the_gateway_counts_what_went(home: Home) -> None:
    flickers = [fault("imu_nan", 20 + 120 * n, 10) for n in range(8)]
    names = fleet(home.folder, [{"faults": flickers}, {}])
    await home.register([enrolled(name) for name in names])
    sim = Simulator(
        home.folder, home.broker_url, "--start-at", ago(6).isoformat(), "--history", "0",
        "--speed", "600", "--radio-loss", "0", "--log-bytes", "16384",
    )  # fmt: skip
    await sim.start()
    await until(lambda: dropped(home.folder) > 100)
    home.start()
    await home.ready()
    await until(lambda: lost(home) > 100)
    await sim.end()
    report = await sim.finish()
    rows = await home.execute("SELECT collar_id, boot, seq, kind, digest FROM message")
    stored = {(c, boot, seq): (kind, digest) for c, boot, seq, kind, digest in map(tuple, rows)}
    said = published(home.folder)
    assert stored.items() <= said.items()
    missing = {key: kind for key, (kind, _) in said.items() if key not in stored}
    assert lost(home) == len(missing) <= report["overwritten"] == sum(report["dropped"].values())
    assert "event" not in report["dropped"]
    assert sum(kind == "event" for kind, _ in stored.values()) >= 16
    assert report["owed"] == 0


def dropped(folder: Path) -> int:
    url = f"file:{folder}/sim/flash.sqlite?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(url, uri=True)) as db:
        return db.execute("SELECT sum(overwritten) FROM collar").fetchone()[0] or 0
    return 0  # it is not there yet


def lost(home: Home) -> int:
    with home.api as api:
        return api.get("/v1/status").json()["lost"]


NOT_AUTHORISED, QUOTA_EXCEEDED = b"\x20\x03\x00\x87\x00", b"\x20\x03\x00\x97\x00"
ACCEPTED = b"\x20\x03\x00\x00\x00"


class Front:
    """A door before a broker: the first few are refused, each in its way, the others let in."""

    def __init__(self, broker: BrokerUrl, answers: list[bytes]) -> None:
        self._broker = broker
        self._answers = answers
        self.refused = 0

    @asynccontextmanager
    async def open(self, port: int):
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._meet, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connect = await reader.read(4096)
        if self.refused < len(self._answers):
            writer.write(self._answers[self.refused])
            self.refused += 1
            await writer.drain()
            writer.close()
            return
        inner_reader, inner = await asyncio.open_connection(self._broker.host, self._broker.port)
        inner.write(connect)
        await asyncio.gather(_pour(reader, inner), _pour(inner_reader, writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def test_a_broker_that_refuses_is_said_once_and_all_arrives_when_it_takes_them(
    home: Home,
) -> None:
    fleet(home.folder, [{}] * 4)
    front = Front(BrokerUrl.parse(home.broker_url), [NOT_AUTHORISED, QUOTA_EXCEEDED, ACCEPTED] * 2)
    (port,) = free_ports(1)
    url = home.broker_url.rpartition(":")[0] + f":{port}"
    gateway = Acknowledger(home.broker_url)
    listening = asyncio.create_task(gateway.run())
    async with front.open(port):
        sim = Simulator(
            home.folder, url, "--start-at", ago(1).isoformat(), "--history", "3m",
            "--duration", "0", "--radio-loss", "0",
        )  # fmt: skip
        await sim.start()
        report = await sim.finish()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert front.refused == 6
    assert (report["owed"], report["overwritten"]) == (0, 0)
    assert gateway.digests() == {key: what[1] for key, what in published(home.folder).items()}
    events = logged(home.folder)
    assert [events.count(name) for name in ("broker.lost", "broker.back")] == [1, 1]
