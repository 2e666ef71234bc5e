"""The simulated fleet as a process, against a real broker and an acknowledging consumer."""

import asyncio
import math
import signal
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import plugins
from gateway.wire.codec import decode
from gateway.wire.messages import ActivityEpoch, Fix, Key, Presence
from gateway.wire.topics import Kind, Topic
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.system.household import SITE, START_AT, Acknowledger, Simulator, write_fleet

QUIET = ("--start-at", START_AT, "--radio-loss", "0")


@pytest.fixture
def broker(tmp_path: Path):
    server = Broker(tmp_path / "broker", free_ports(1)[0])
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def acknowledging(url: str, **changes: bool) -> AsyncGenerator[Acknowledger]:
    gateway = Acknowledger(url)
    gateway.mute = changes.get("mute", False)
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def published(folder: Path) -> dict[tuple[str, int, int], bytes]:
    with closing(sqlite3.connect(folder / "sim" / "published.sqlite")) as db:
        rows = db.execute("SELECT collar_id, boot, seq, digest FROM published").fetchall()
    return {(c, boot, seq): digest for c, boot, seq, digest in rows}


def is_without_gap(keys: list[Key]) -> bool:
    return all(b == Key(a.boot, a.seq + 1) or b == Key(a.boot + 1, 0) for a, b in pairwise(keys))


async def test_flash_is_pruned_by_the_acknowledgement_alone_and_sigint_says_offline(
    broker: Broker, tmp_path: Path
):
    collars = write_fleet(tmp_path / "fleet.json", 3)
    async with acknowledging(broker.url, mute=True) as gateway:
        sim = Simulator(tmp_path, broker.url, *QUIET, "--history", "10m")
        await sim.start()
        await gateway.until(lambda: len(gateway.held) >= 60)
        assert await sim.end(signal.SIGINT) == 0
        report = await sim.finish()
        assert report["acked"] == 0, "the broker's own acknowledgement prunes nothing"
        assert report["owed"] == report["published"] == len(published(tmp_path))
        await gateway.until(
            lambda: all(gateway.statuses[c][-1].state is Presence.OFFLINE for c in collars)
        )

        gateway.mute = False
        sim = Simulator(tmp_path, broker.url, *QUIET, "--history", "10m", "--duration", "0")
        await sim.start()
        report = await sim.finish()
    assert report["owed"] == report["overwritten"] == 0
    assert report["acked"] == report["published"]
    assert report["boots"] == 2
    assert gateway.digests() == published(tmp_path)


async def test_a_late_subscriber_finds_the_collar_offline_and_its_birth(
    broker: Broker, tmp_path: Path
):
    write_fleet(tmp_path / "fleet.json", 1)
    async with acknowledging(broker.url):
        sim = Simulator(tmp_path, broker.url, *QUIET, "--history", "2m", "--duration", "0")
        await sim.start()
        await sim.finish()
    late = Acknowledger(broker.url, name="late")
    task = asyncio.create_task(late.run())
    await late.until(lambda: bool(late.statuses) and bool(late.held))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert late.statuses["c0"][-1].state is Presence.OFFLINE
    assert late.keys("c0") == [Key(1, 0)]


async def test_nothing_is_lost_or_said_twice_when_the_simulator_is_killed(
    broker: Broker, tmp_path: Path
):
    collars = write_fleet(tmp_path / "fleet.json", 4)
    flags = ("--start-at", START_AT, "--history", "2h", "--radio-loss", "0.005", "--log-bytes")
    async with acknowledging(broker.url) as gateway:
        for goal in (150, 600):
            sim = Simulator(tmp_path, broker.url, *flags, "40000")
            await sim.start()
            await gateway.until(lambda goal=goal: len(gateway.held) >= goal)
            await sim.kill()
            await gateway.until(
                lambda: all(gateway.statuses[c][-1].state is Presence.OFFLINE for c in collars)
            )
        sim = Simulator(tmp_path, broker.url, *flags, "40000", "--duration", "0")
        await sim.start()
        report = await sim.finish()
    assert report["boots"] == 3
    assert report["owed"] == report["overwritten"] == 0
    assert report["radio_lost"] > 0
    assert gateway.conflicts == []
    assert gateway.digests() == published(tmp_path)
    assert all(is_without_gap(gateway.keys(collar)) for collar in collars)
    for collar in collars:
        epochs = [
            decode(Topic(SITE, collar, Kind.EPOCH), payload).message.observed_at
            for (owner, _), (kind, payload) in gateway.held.items()
            if owner == collar and kind is Kind.EPOCH
        ]
        first_at = datetime.fromisoformat(START_AT)
        assert len(epochs) == len(set(epochs)), "each minute is told once, in one boot"
        assert sorted(epochs)[:120] == [first_at + timedelta(minutes=n) for n in range(120)]


async def test_nothing_is_lost_when_the_broker_is_killed(broker: Broker, tmp_path: Path):
    collars = write_fleet(tmp_path / "fleet.json", 4)
    async with acknowledging(broker.url) as gateway:
        sim = Simulator(
            tmp_path, broker.url, *QUIET, "--history", "2h", "--duration", "0",
            "--log-bytes", "40000",
        )  # fmt: skip
        await sim.start()
        for goal in (150, 600):
            await gateway.until(lambda goal=goal: len(gateway.held) >= goal)
            await asyncio.to_thread(broker.stop)  # SIGKILL: it keeps nothing
            await asyncio.to_thread(broker.start)
        report = await sim.finish()
    assert report["owed"] == report["overwritten"] == 0
    assert gateway.conflicts == []
    assert gateway.digests() == published(tmp_path)
    assert all(is_without_gap(gateway.keys(collar)) for collar in collars)


async def test_the_same_seed_gives_the_same_bytes(broker: Broker, tmp_path: Path):
    runs: list[dict[tuple[str, int, int], bytes]] = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        folder = tmp_path / name
        folder.mkdir()
        write_fleet(folder / "fleet.json", 3)
        async with acknowledging(broker.url):
            sim = Simulator(
                folder, broker.url, *QUIET, "--history", "17m", "--duration", "0", "--seed", seed
            )
            await sim.start()
            await sim.finish()
        with closing(sqlite3.connect(folder / "sim" / "published.sqlite")) as db:
            rows = db.execute(
                "SELECT collar_id, boot, seq, digest FROM published WHERE observed_at < ?",
                ("2026-05-01T08:16",),
            ).fetchall()
        runs.append({(c, boot, seq): digest for c, boot, seq, digest in rows})
    assert len(runs[0]) > 100
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_a_broken_collar_and_a_broken_model_hide_no_other(broker: Broker, tmp_path: Path):
    broken = tmp_path / "models" / "activity"
    broken.mkdir(parents=True)
    for name in ("plugin.toml", "model.tflite"):
        content = (Path(plugins.__path__[0]) / "activity" / name).read_bytes()
        (broken / name).write_bytes(content[: len(content) // 2])
    collars = write_fleet(tmp_path / "fleet.json", 3, models=str(tmp_path / "models"))
    text = (tmp_path / "fleet.json").read_text()
    (tmp_path / "fleet.json").write_text(text.replace(f"{2:064x}", "no key"))
    async with acknowledging(broker.url) as gateway:
        sim = Simulator(tmp_path, broker.url, *QUIET, "--history", "8m", "--duration", "0")
        await sim.start()
        report = await sim.finish()
    assert set(report["refused"]) == {collars[1]}
    assert "signing_key" in report["refused"][collars[1]]
    assert report["refused_models"].keys() == {"activity", "anomaly"}
    assert report["owed"] == 0
    seconds = {
        collar: [
            message.seconds
            for (owner, _), (kind, payload) in gateway.held.items()
            if owner == collar
            and isinstance(
                message := decode(Topic(SITE, collar, kind), payload).message, ActivityEpoch
            )
        ]
        for collar in (collars[0], collars[2])
    }
    assert all(each == {"unsure": 60.0} for each in seconds[collars[0]])
    assert any(each != {"unsure": 60.0} for each in seconds[collars[2]])


async def test_a_live_escape_is_followed_every_five_seconds(broker: Broker, tmp_path: Path):
    write_fleet(tmp_path / "fleet.json", 2, escape_after_s=30)
    async with acknowledging(broker.url) as gateway:
        sim = Simulator(
            tmp_path, broker.url, *QUIET, "--history", "0", "--speed", "50", "--duration", "4s",
            "--truth", str(tmp_path / "truth"),
        )  # fmt: skip
        await sim.start()
        report = await sim.finish()
    assert report["is_live"]
    assert report["owed"] == 0
    fixes = [
        message
        for (owner, key), (kind, payload) in sorted(gateway.held.items(), key=lambda i: i[0])
        if owner == "c0"
        and isinstance(message := decode(Topic(SITE, owner, kind), payload).message, Fix)
    ]
    away_m = [
        math.hypot((f.lat_deg - 48.1) * 111_195, (f.lon_deg - 11.5) * 111_195 * 0.668)
        for f in fixes
    ]
    assert max(away_m) > 100.0
    first = next(n for n, distance in enumerate(away_m) if distance > 80.0)
    gaps_s = [
        (b.observed_at - a.observed_at).total_seconds()
        for a, b in zip(fixes[first:], fixes[first + 1 :], strict=False)
    ]
    assert min(gaps_s) == 5.0
    # its way depends on the time of day; where there is little sky, its receiver has none a while
    assert gaps_s.count(5.0) >= 0.75 * len(gaps_s)
    assert list((tmp_path / "truth").glob("*.parquet"))


async def test_two_simulators_cannot_share_one_flash(broker: Broker, tmp_path: Path):
    write_fleet(tmp_path / "fleet.json", 1)
    sim = Simulator(tmp_path, broker.url, *QUIET, "--history", "0")
    async with acknowledging(broker.url) as gateway:
        await sim.start()
        await gateway.until(lambda: bool(gateway.held))
        second = Simulator(tmp_path, broker.url, *QUIET, "--history", "0")
        await second.start()
        assert await second.process.wait() == 6
        await sim.end()
