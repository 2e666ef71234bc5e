"""Models on their way through a real gateway, killed again and again, to collars."""

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.store import to_us
from gateway.store.store import MIGRATIONS
from gateway.wire.codec import JSON, MSGPACK, digest, encode
from gateway.wire.grants import Grant, Stream
from gateway.wire.messages import Desired, ModelAnswer, ModelState, Slots
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind, Topic, downlink_filters
from gateway.wire.uplink import ModelPackage, pack_body
from tests.patience import PATIENCE_S
from tests.releases import KEY, PUBLIC, deployment, package_of, raw_of, release_of
from tests.system.cloud_kit import Device as CloudDevice
from tests.system.cloud_kit import open_cloud, settings_for
from tests.system.device import SHIPPED, Device
from tests.system.home import (
    LONG_AGO,
    SITE,
    Home,
    birth,
    empty_home,
    enrolled,
    epoch,
    running_home,
    send,
    until,
)
from tests.system.household import Simulator, write_fleet
from tests.system.test_cloud_service import running

DEATHS = int(os.environ.get("SOAK", "5"))
CHUNKS = 30


async def keep(home: Home, package: ModelPackage) -> None:
    """The model is fetched already."""
    await home.execute(
        "INSERT INTO package (sha256, body, size) VALUES (?, ?, ?)",
        *(package.release.sha256, msgspec.msgpack.encode(package), package.release.size),
    )


def collars_of(home: Home) -> dict[str, Any]:
    with home.api as api:
        return {each["collar_id"]: each for each in api.get("/v1/collars").json()}


@asynccontextmanager
async def simulating(home: Home, *flags: str, site: str = SITE) -> AsyncIterator[None]:
    """Real collars of the fleet file; what both sides say is told when it takes too long."""
    live = ("--start-at", "2026-05-01T08:00:00Z", "--history", "0", "--radio-loss", "0")
    sim = Simulator(home.folder, home.broker_url, *live, *flags)
    sim.argv[sim.argv.index("--site") + 1] = site
    await sim.start()
    try:
        yield
    except TimeoutError as late:
        log = (home.folder / "sim.log").read_text()[-3000:]
        raise AssertionError(f"collars: {collars_of(home)}\n{log}") from late
    finally:
        await sim.end()


@asynccontextmanager
async def living(*devices: Device) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.live()) for each in devices]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def delivering(
    folder: Path, package: ModelPackage, collars: list[str]
) -> AsyncIterator[Home]:
    """A home whose registry asks for a model that is here."""
    with empty_home(folder) as home:
        home.env = {"GATEWAY_RECONNECT_S": "0.2"}
        await home.register(
            [enrolled(each) for each in collars], deployments=[deployment("r1", package, *collars)]
        )
        await keep(home, package)
        home.start()
        await home.ready()
        yield home


@pytest.mark.parametrize("form", [MSGPACK, JSON])
async def test_a_strangers_collar_is_brought_a_model(tmp_path: Path, form: str) -> None:
    package = package_of(chunks=CHUNKS)
    async with delivering(tmp_path, package, ["luna"]) as home:
        before = collars_of(home)["luna"]
        assert before["slots"] == []
        assert before["delivery"]["state"] == "pending"
        luna = Device("luna", home.broker_url, form=form)
        async with living(luna):
            await until(lambda: collars_of(home)["luna"]["slots"][0:1] != [])
            await until(lambda: collars_of(home)["luna"]["slots"][0]["version"] == "9.0.0")
            await until(lambda: collars_of(home)["luna"]["delivery"]["state"] == "installed")
            said = collars_of(home)["luna"]
            with home.api as api:
                status = api.get("/v1/status").json()
                await until(lambda: 'deliveries{state="installed"} 1.0' in api.get("/metrics").text)
    assert luna.installed == ["r1"]
    assert luna.chunks_taken == CHUNKS
    assert said["online"] is True
    assert said["delivery"] | {"changed_at": ""} == {
        "rollout": "r1",
        "slot": "activity",
        "package": "activity",
        "version": "9.0.0",
        "state": "installed",
        "reason": None,
        "detail": "",
        "next_chunk": CHUNKS,
        "chunks": CHUNKS,
        "changed_at": "",
    }
    assert status["deliveries_open"] == 0


async def test_no_death_of_the_gateway_stops_a_model_or_brings_it_twice(tmp_path: Path) -> None:
    package = package_of(chunks=CHUNKS)
    async with delivering(tmp_path, package, ["luna", "rex"]) as home:
        luna = Device("luna", home.broker_url, chunk_s=0.05)
        rex = Device("rex", home.broker_url, chunk_s=0.03)
        async with living(luna, rex):
            for death in range(1, DEATHS + 1):
                upto = death * CHUNKS // (DEATHS + 1)
                await until(lambda upto=upto: luna.chunks_taken >= upto)
                await asyncio.sleep(random.uniform(0, 0.05))
                home.kill()
                assert luna.installed == []
                home.start()
                await home.ready()
            await until(lambda: luna.installed and rex.installed)
            await until(
                lambda: (
                    {each["delivery"]["state"] for each in collars_of(home).values()}
                    == {"installed"}
                )
            )
    for each in (luna, rex):
        assert each.installed == ["r1"]
        assert each.runs.sha256 == sha256(package.model).hexdigest()
        assert each.chunks_taken == CHUNKS  # what was in its flash is not sent for again


async def test_a_collar_that_comes_back_goes_on_at_once(tmp_path: Path) -> None:
    async with delivering(tmp_path, package_of(chunks=CHUNKS), ["luna"]) as home:
        luna = Device("luna", home.broker_url, chunk_s=0.02)
        for part in (8, 16, 24):
            async with living(luna):
                await until(lambda part=part: luna.chunks_taken >= part)
        async with living(luna):
            await until(lambda: luna.installed)
    assert luna.chunks_taken == CHUNKS


async def test_a_collar_that_did_not_hear_is_told_again(tmp_path: Path) -> None:
    async with delivering(tmp_path, package_of(chunks=CHUNKS), ["luna"]) as home:
        luna = Device("luna", home.broker_url, deaf=True)
        async with living(luna):
            await until(lambda: luna.missed > 1)  # with the first of them it came online
            luna.deaf = False
            await until(lambda: luna.installed)


async def test_hostile_answers_speak_for_one_collar_alone(tmp_path: Path) -> None:
    async with delivering(tmp_path, package_of(chunks=CHUNKS), ["luna", "rex"]) as home:
        rex = Device("rex", home.broker_url, chunk_s=0.02)
        topic = str(Topic(SITE, "luna", Kind.MODEL))
        async with living(rex), connect(BrokerUrl.parse(home.broker_url), "mallory") as session:
            await session.subscribe(*downlink_filters(SITE, "luna"))

            def say(**fields: Any) -> None:
                answer = {"collar_id": "luna", "rollout": "r1", "state": "receiving"} | fields
                session.publish(topic, msgspec.msgpack.encode(answer), content_type=MSGPACK)

            say(collar_id="rex", state="installed")  # for another
            say(state="done")
            say(next_chunk=2**60)
            say(next_chunk=-1)
            say(state="refused", reason="because")
            say(state="refused", detail="x" * 301)
            for _ in range(3_000):
                say(next_chunk=4_000)
                say(rollout="other")
            session.publish(topic, b"\xc1", content_type=MSGPACK)
            await session.drained()
            await until(lambda: rex.installed)

            def counters() -> dict[str, int]:
                with home.api as api:
                    return api.get("/v1/status").json()["counters"]

            await until(lambda: counters().get("model_answers_unknown") == 3_000)
            await until(lambda: counters().get("model_answers_invalid") == 3_000)
            with home.api as api:
                rejected = api.get("/v1/rejected").json()
            assert sorted(each["reason"] for each in rejected) == sorted(
                ["wrong_topic", "unparsable", *["invalid"] * 5]
            )
            assert collars_of(home)["luna"]["delivery"]["state"] == "pending"
            say(state="refused")
            await until(lambda: collars_of(home)["luna"]["delivery"]["state"] == "refused")
            assert "no reason" in collars_of(home)["luna"]["delivery"]["detail"]


async def test_an_answer_of_another_day_is_no_answer(tmp_path: Path) -> None:
    package = package_of(chunks=CHUNKS)
    with empty_home(tmp_path) as home:
        await home.register([enrolled("luna")], deployments=[deployment("r1", package, "luna")])
        await keep(home, package)
        answer = ModelAnswer(collar_id="luna", rollout="r1", state=ModelState.INSTALLED)
        async with connect(BrokerUrl.parse(home.broker_url), "luna") as session:
            topic = str(Topic(SITE, "luna", Kind.MODEL))
            session.publish(topic, encode(answer), content_type=MSGPACK, retain=True)
            await session.drained()
        home.start()
        await home.ready()

        def rejected() -> list[dict[str, Any]]:
            with home.api as api:
                return api.get("/v1/rejected").json()

        await until(rejected)
        assert "do not retain" in rejected()[0]["detail"]
        assert collars_of(home)["luna"]["delivery"]["state"] == "pending"


async def test_collars_are_told_what_their_owners_allow_and_when_it_ends(tmp_path: Path) -> None:
    def grant(**fields: Any) -> Grant:
        return Grant(
            grant_id="g1",
            pet_id="pet-luna",
            stream=Stream.RAW,
            recipient="pawmesh",
            valid_from=LONG_AGO,
            **{"purpose": "training"} | fields,
        )

    collars = [enrolled("luna"), enrolled("rex")]
    async with running_home(tmp_path, collars, [grant()]) as home:
        luna, rex = Device("luna", home.broker_url), Device("rex", home.broker_url)
        async with living(luna, rex):
            await until(lambda: luna.desired and rex.desired)
            assert luna.desired[-1] == Desired(
                collar_id="luna", version=1, windows_per_hour=120, batches=True
            )
            assert rex.desired[-1].windows_per_hour == 0
            assert [each["windows_per_hour"] for each in collars_of(home).values()] == [120, 0]
            home.stop()
            ended = [grant(withdrawn_at=datetime.now(UTC)), grant(purpose="research")]
            await home.register(collars, ended, version=2)
            home.start()
            await until(lambda: luna.desired[-1].version == 2)
            assert luna.desired[-1].windows_per_hour == 0


async def test_a_home_of_the_version_before_knows_its_collars_models(tmp_path: Path) -> None:
    """Its store says so in births that it kept; the tables are derived, once."""
    with empty_home(tmp_path) as home:
        write_store_of_1_of_7(home.data_dir)
        await home.register([enrolled("luna")])
        for _ in range(2):
            home.start()
            await home.ready()
            (slot,) = collars_of(home)["luna"]["slots"]
            assert (slot["slot"], slot["version"]) == ("activity", SHIPPED.version)
            with home.api as api:
                assert api.get("/v1/status").json()["stored"] == 2
                assert len(api.get("/v1/pets/pet-luna/history").json()) == 1
                assert api.get("/v1/pets/pet-luna/corrections").json() == []
            home.kill()


def write_store_of_1_of_7(folder: Path) -> None:
    """As that version left it: two migrations, a birth, an epoch, and both acknowledged."""
    folder.mkdir()
    messages = [
        (Kind.BIRTH, birth("luna", observed_at=LONG_AGO, slots=[SHIPPED])),
        (Kind.EPOCH, epoch("luna", 1)),
    ]
    with closing(sqlite3.connect(folder / "gateway.db")) as db:
        for name in ("0001_create_store.sql", "0002_index_outbox.sql"):
            db.executescript((MIGRATIONS / name).read_text())
        for kind, message in messages:
            payload = encode(message)
            db.execute(
                """INSERT INTO message (collar_id, boot, seq, kind, pet_id, observed_us,
                                        received_us, content_type, digest, payload, decided)
                   VALUES (?, ?, ?, ?, 'pet-luna', ?, ?, ?, ?, ?, 1)""",
                (
                    *("luna", 1, message.seq, kind.value),
                    *(to_us(message.observed_at), to_us(datetime.now(UTC))),
                    *(MSGPACK, digest(payload), payload),
                ),
            )
        db.execute("INSERT INTO contiguity VALUES ('luna', 1, 2, 1, 1, 0)")
        db.execute("PRAGMA user_version = 2")
        db.commit()


async def test_slots_are_kept_and_acknowledged_and_never_leave(tmp_path: Path) -> None:
    every = [
        Grant(
            grant_id=stream.value,
            pet_id="pet-luna",
            stream=stream,
            purpose="training",
            recipient="pawmesh",
            valid_from=LONG_AGO,
        )
        for stream in Stream
    ]
    async with running_home(tmp_path, [enrolled("luna")], every) as home:
        async with connect(BrokerUrl.parse(home.broker_url), "luna") as session:
            send(session, Kind.BIRTH, birth("luna"))
            changed = Slots(collar_id="luna", boot=1, seq=1, observed_at=LONG_AGO, slots=[SHIPPED])
            send(session, Kind.SLOTS, changed)
            send(session, Kind.EPOCH, epoch("luna", 2))
            await session.drained()

        def settled() -> bool:
            with home.api as api:
                return api.get("/v1/status").json()["undecided"] == 0 and bool(
                    api.get("/v1/outbox").json()
                )

        await until(settled)
        with home.api as api:
            outbox = api.get("/v1/outbox").json()
            history = api.get("/v1/pets/pet-luna/history?kind=slots&kind=epoch").json()
        assert [each["stream"] for each in outbox] == ["activity"]
        assert [each["kind"] for each in history] == ["epoch"]
        assert collars_of(home)["luna"]["slots"][0]["since"].startswith("2020-01-01")


async def test_a_model_finds_its_way_from_the_cloud_to_a_collar_and_the_news_back(
    database: str, tmp_path: Path
) -> None:
    """The real cloud, the real gateway, and the real firmware."""
    settings = settings_for(database, tmp_path)
    (tmp_path / "release.key").write_text(KEY.private_bytes_raw().hex())
    (tmp_path / "release.key").chmod(0o600)
    async with open_cloud(settings) as cloud:
        owner = await cloud.home()
        devices = await owner.enrol(2)
    write_some(tmp_path, devices)
    raw = raw_of()
    package = ModelPackage(release=release_of(version="9.0.0"), model=raw)
    with running(database, tmp_path) as service, empty_home(tmp_path) as home:
        (home.data_dir).mkdir()
        (home.data_dir / "gateway.key").write_text(owner.key.private_bytes_raw().hex())
        home.env = {"GATEWAY_CLOUD_URL": service.url, "GATEWAY_SITE": owner.site}
        home.start()
        await home.ready()
        async with simulating(home, "--speed", "60", site=owner.site):
            await until(lambda: all(each["slots"] for each in collars_of(home).values()))
            token = settings.operator_token_file.read_text().strip()
            operator = {"authorization": f"Bearer {token}"}
            with httpx2.Client(base_url=service.url, headers=operator, timeout=PATIENCE_S) as api:
                taken = api.post("/v1/models", content=pack_body(package))
                assert taken.status_code == 201, taken.text
                new = {"package": "activity", "version": "9.0.0"}
                started = api.post("/v1/rollouts", json=new)
                rollout = f"/v1/rollouts/{started.json()['rollout_id']}"
                await until(lambda: api.get(rollout).json()["updated"] == 2)
                assert api.get(rollout).json()["state"] == "done"
            for each in collars_of(home).values():
                versions = {slot["slot"]: slot["version"] for slot in each["slots"]}
                assert versions["activity"] == "9.0.0"
                assert each["delivery"]["state"] == "installed"


def write_some(folder: Path, devices: list[CloudDevice]) -> None:
    """A fleet file of the enrolled, who believe the tests' release key."""
    path = folder / "fleet.json"
    write_fleet(path, len(devices))
    fleet = msgspec.json.decode(path.read_bytes())
    for member, device in zip(fleet["collars"], devices, strict=True):
        member |= {"collar_id": device.collar_id, "release_key": PUBLIC.hex()}
    path.write_bytes(msgspec.json.encode(fleet))


async def test_real_collars_take_one_model_after_another_whenever_the_gateway_dies(
    tmp_path: Path,
) -> None:
    ids = write_fleet(tmp_path / "fleet.json", 3)
    fleet = msgspec.json.decode((tmp_path / "fleet.json").read_bytes())
    for member in fleet["collars"]:
        member["release_key"] = PUBLIC.hex()
    (tmp_path / "fleet.json").write_bytes(msgspec.json.encode(fleet))
    collars = [enrolled(each) for each in ids]
    with empty_home(tmp_path) as home:
        await home.register(collars)
        home.start()
        await home.ready()
        async with simulating(home):
            await until(lambda: all(each["slots"] for each in collars_of(home).values()))
            for death in range(1, DEATHS + 1):
                package = ModelPackage(release=release_of(version=f"9.{death}.0"), model=raw_of())
                home.kill()
                wanted = [deployment(f"r{death}", package, *ids)]
                await home.register(collars, version=death + 1, deployments=wanted)
                await home.execute("DELETE FROM package")  # the bytes are those of before
                await keep(home, package)
                home.start()
                await home.ready()
                await asyncio.sleep(random.uniform(0, 0.2))
            home.kill()
            home.start()
            await until(lambda: said(home, f"9.{DEATHS}.0"))


def said(home: Home, version: str) -> bool:
    return all(
        each["delivery"]["state"] == "installed"
        and {slot["version"] for slot in each["slots"] if slot["slot"] == "activity"} == {version}
        for each in collars_of(home).values()
    )
