"""What went over the wire is kept, and given back: a fresh gateway ends up with the same."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.wire.codec import digest
from gateway.wire.messages import Key, Presence, Status
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind
from pawmesh.record.playback import play
from pawmesh.record.recorder import Recorder
from pawmesh.record.tape import Header, Tape, TapeError, TapeWriter, Wearer
from tests.patience import PATIENCE_S
from tests.system.home import SITE, Home, birth, enrolled, epoch, running_home, send
from tests.system.household import Simulator, write_fleet
from tests.system.test_platform import eventually, pawmesh, running

STORED = "SELECT collar_id, boot, seq, kind, digest FROM message ORDER BY 1, 2, 3"


def recorder(home: Home, path: Path) -> Recorder:
    writer = TapeWriter.create(path, Header(site=SITE, started_at=datetime.now(UTC)))
    ids = ("c0", "c1", "c2")
    return Recorder(
        BrokerUrl.parse(home.broker_url),
        writer,
        SITE,
        lambda: [Wearer(collar=enrolled(each)) for each in ids],
    )


async def stored(home: Home) -> list[Any]:
    return [tuple(row) for row in await home.execute(STORED)]


async def test_a_recorded_fleet_played_into_a_fresh_gateway_is_stored_alike(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    ids = write_fleet(first / "fleet.json", 3)
    path = tmp_path / "a.tape"
    async with running_home(first, [enrolled(each) for each in ids]) as home:
        recording = recorder(home, path)
        task = asyncio.create_task(recording.run())
        await recording.listening.wait()
        simulator = Simulator(first, home.broker_url, "--history", "20m", "--duration", "2s")
        await simulator.start()
        report = await simulator.finish()
        assert report["owed"] == 0
        was = await stored(home)
        await until_taped(recording, path, was)
        recording.stop()
        found = await task
    assert found.collars == 3
    assert len(was) == report["published"]
    tape = Tape(path)
    assert tape.end is not None
    assert tape.count == found.messages
    topics = {message.topic.rpartition("/")[2] for message in tape.messages()}
    assert {"birth", "status", "epoch", "fix", "seal", "ack"} <= topics
    async with running_home(second, [each.collar for each in tape.wearers.values()]) as home:
        done = await play(tape, BrokerUrl.parse(home.broker_url))
        assert done.unacknowledged == {}
        assert await stored(home) == was
        again = await play(tape, BrokerUrl.parse(home.broker_url))
        assert again.unacknowledged == {}
        assert await stored(home) == was


async def test_a_recording_that_begins_amid_a_life_is_acknowledged_too(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    path = tmp_path / "a.tape"
    async with running_home(first, [enrolled("c1")]) as home:
        async with connect(BrokerUrl.parse(home.broker_url), "c1") as session:
            send(session, Kind.BIRTH, birth("c1"))
            for seq in range(1, 5):
                send(session, Kind.EPOCH, epoch("c1", seq))
            await session.drained()
            recording = recorder(home, path)
            task = asyncio.create_task(recording.run())
            await recording.listening.wait()
            status = Status(collar_id="c1", state=Presence.ONLINE, boot=1, log_start=Key(1, 2))
            send_status(session, status)
            for seq in range(5, 9):
                send(session, Kind.EPOCH, epoch("c1", seq))
            await session.drained()
            await until_stored(home, 9)
            await until_taped(recording, path, (await stored(home))[5:])
        recording.stop()
        await task
    tape = Tape(path)
    async with running_home(second, [enrolled("c1")]) as home:
        done = await play(tape, BrokerUrl.parse(home.broker_url))
        assert done.unacknowledged == {}
        assert [row[2] for row in await stored(home)] == [5, 6, 7, 8]


async def test_what_was_malformed_on_the_wire_is_malformed_again(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    path = tmp_path / "a.tape"
    async with running_home(first, [enrolled("c1")]) as home:
        recording = recorder(home, path)
        task = asyncio.create_task(recording.run())
        await recording.listening.wait()
        async with connect(BrokerUrl.parse(home.broker_url), "c1") as session:
            send(session, Kind.BIRTH, birth("c1"))
            session.publish(f"pawmesh/v1/{SITE}/c1/epoch", b"\xff\x00", content_type="x/y")
            session.publish(f"pawmesh/v1/{SITE}/c1/nonsense", b"{}", content_type="")
            send(session, Kind.EPOCH, epoch("c1", 1))
            await session.drained()
            await until_stored(home, 2)
            await until_taped(recording, path, await stored(home))
        rejected = await rejections(home)
        recording.stop()
        await task
    async with running_home(second, [enrolled("c1")]) as home:
        done = await play(Tape(path), BrokerUrl.parse(home.broker_url))
        assert done.unacknowledged == {}
        assert await rejections(home) == rejected
        assert [reason for _, reason in rejected] == ["unparsable", "wrong_topic"]


async def test_a_limit_of_size_ends_a_recording(tmp_path: Path) -> None:
    home_dir = tmp_path / "home"
    home_dir.mkdir()
    async with running_home(home_dir, [enrolled("c1")]) as home:
        recording = recorder(home, tmp_path / "a.tape")
        async with connect(BrokerUrl.parse(home.broker_url), "c1") as session:
            task = asyncio.create_task(recording.run(max_bytes=2_000))
            await recording.listening.wait()
            send(session, Kind.BIRTH, birth("c1", previous=None))
            for seq in range(1, 200):
                send(session, Kind.EPOCH, epoch("c1", seq, odba_g=seq / 1000))
            await session.drained()
            found = await task
    assert found.ended_by == "size"
    assert found.size_bytes >= 2_000


class TestCommand:
    def test_a_killed_recording_is_played_into_another_house(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        one.mkdir()
        two.mkdir()
        path = tmp_path / "a.tape"
        with running(one, "--collars", 2, "--history", "5m", "--port-base", 0) as up:
            assert eventually(lambda: up.stored() > 10)
            command = [sys.executable, "-m", "pawmesh", "record", path, "--with-secrets"]
            process = subprocess.Popen(
                [*map(str, command), "--data-dir", str(up.data_dir)], stderr=subprocess.PIPE
            )
            assert eventually(lambda: taped(path) > 4)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert path.stat().st_mode & 0o777 == 0o600
        tape = Tape(path)
        assert tape.end is None
        assert all(each.salt_secret for each in tape.wearers.values())
        with running(two, "--collars", 0, "--port-base", 0) as up:
            done = pawmesh("record", "play", path, "--data-dir", up.data_dir, "--json")
            assert done.returncode == 0, done.stderr
            assert "cut off" in done.stderr
            played = json.loads(done.stdout)
            assert sorted(played["enrolled"]) == sorted(tape.wearers)
            assert up.stored() > 0
            assert pawmesh("record", "play", path, "--data-dir", up.data_dir).returncode == 0

    def test_without_a_platform_or_a_tape_it_says_so(self, tmp_path: Path) -> None:
        nothing = pawmesh("record", tmp_path / "a.tape", "--data-dir", tmp_path)
        assert nothing.returncode == 1
        assert "pawmesh up" in nothing.stderr
        assert not (tmp_path / "a.tape").exists()
        (tmp_path / "b.tape").write_text("hello")
        foreign = pawmesh("record", "play", tmp_path / "b.tape", "--data-dir", tmp_path)
        assert foreign.returncode == 1
        assert "no recording" in foreign.stderr
        zero = pawmesh("record", tmp_path / "c.tape", "--max-mb", 0, "--data-dir", tmp_path)
        assert zero.returncode == 2


def send_status(session: Any, status: Status) -> None:
    from gateway.wire.codec import MSGPACK, encode

    topic = f"pawmesh/v1/{SITE}/{status.collar_id}/status"
    session.publish(topic, encode(status), content_type=MSGPACK, retain=True)


def taped(path: Path) -> int:
    """How many messages are on a tape that may just be made."""
    with suppress(TapeError):
        return Tape(path).count
    return 0


async def rejections(home: Home) -> list[Any]:
    return [
        tuple(r) for r in await home.execute("SELECT topic, reason FROM rejected ORDER BY topic")
    ]


async def until_stored(home: Home, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(await stored(home)) < count:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def until_taped(recording: Recorder, path: Path, rows: list[Any]) -> None:
    """The broker may tell the recorder later than the gateway, which stored these."""
    said = {row[4] for row in rows}
    async with asyncio.timeout(PATIENCE_S):
        while not said <= {digest(each.payload) for each in Tape(path).messages()}:
            await asyncio.sleep(0.05)
            recording._writer.flush()
