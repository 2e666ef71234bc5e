"""The gateway as a process: what it takes, refuses, keeps through any death, and shares."""

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from gateway.wire import seal as sealing
from gateway.wire.codec import JSON, MSGPACK, decode_raw, encode
from gateway.wire.grants import Grant, Precision, Stream
from gateway.wire.messages import (
    MAX_PAYLOAD_BYTES,
    ClockQuality,
    Fix,
    Key,
    Message,
    Presence,
    Seal,
    Status,
)
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import Kind, Topic, ack_filter
from tests.patience import PATIENCE_S
from tests.system.home import (
    LONG_AGO,
    SITE,
    Collar,
    Home,
    acks,
    birth,
    empty_home,
    enrolled,
    epoch,
    running_home,
    send,
)

DEATHS = int(os.environ.get("SOAK", "5"))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with running_home(tmp_path, [enrolled(each) for each in ("luna", "rex", "momo")]) as home:
        yield home


@pytest.fixture
async def session(home: Home) -> AsyncIterator[Session]:
    async with connect(BrokerUrl.parse(home.broker_url), "test-collar") as session:
        for collar_id in ("luna", "rex"):  # before anything is sent: nothing is said twice
            await session.subscribe(ack_filter(SITE, collar_id))
        yield session


async def acked_upto(session: Session, collar_id: str, key: Key) -> list[str]:
    """Wait for an acknowledgement; returns the refusals told on the way."""
    refused: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        async for ack in acks(session, collar_id):
            refused += ack.refused
            if ack.key is not None and ack.key >= key:
                break
    return refused


def fix(collar_id: str, seq: int, north_m: float, observed_at: datetime) -> Fix:
    return Fix(
        collar_id=collar_id,
        boot=1,
        seq=seq,
        observed_at=observed_at,
        lat_deg=51.5 + north_m / 111_195,
        lon_deg=-0.1,
        accuracy_m=4.0,
    )


UNSET_AT = datetime(1970, 1, 1, tzinfo=UTC)
BAD = {
    "unparsable": (b"\xc1 not a message", f"pawmesh/v1/{SITE}/luna/epoch"),
    "invalid": (
        msgspec.msgpack.encode({"collar_id": "luna", "boot": 1}),
        f"pawmesh/v1/{SITE}/luna/epoch",
    ),
    "oversized": (b"\x00" * (MAX_PAYLOAD_BYTES + 1), f"pawmesh/v1/{SITE}/luna/epoch"),
    "unsupported_version": (b"{}", f"pawmesh/v2/{SITE}/luna/epoch"),
    "wrong_topic": (encode(birth("rex")), f"pawmesh/v1/{SITE}/luna/birth"),
    "unknown_collar": (encode(birth("stranger")), f"pawmesh/v1/{SITE}/stranger/birth"),
    "future_dated": (
        encode(epoch("luna", 9, observed_at=datetime.now(UTC) + timedelta(days=1))),
        f"pawmesh/v1/{SITE}/luna/epoch",
    ),
}


async def test_what_is_bad_is_refused_with_its_reason_and_hides_nothing(
    home: Home, session: Session
) -> None:
    for payload, topic in BAD.values():
        session.publish(topic, payload, content_type="application/octet-stream")
    send(session, Kind.BIRTH, birth("rex"))
    send(session, Kind.EPOCH, epoch("rex", 1))
    await acked_upto(session, "rex", Key(1, 1))
    with home.api as api:
        rejected = api.get("/v1/rejected").json()
        assert {each["reason"] for each in rejected} == set(BAD)
        assert all(each["detail"] for each in rejected)
        assert [
            len(api.get(f"/v1/pets/pet-{each}/history").json()) for each in ("rex", "luna")
        ] == [
            1,
            0,
        ]


async def test_a_collar_is_told_what_was_refused_and_need_not_send_it_again(
    home: Home, session: Session
) -> None:
    send(session, Kind.BIRTH, birth("luna"), JSON)
    broken = decode_raw(encode(epoch("luna", 1))) | {"seconds": {"rest": -1.0}}
    topic = f"pawmesh/v1/{SITE}/luna/epoch"
    session.publish(topic, msgspec.msgpack.encode(broken), content_type=MSGPACK)
    send(session, Kind.EPOCH, epoch("luna", 2), JSON)
    refused = await acked_upto(session, "luna", Key(1, 2))
    assert any("seconds" in each for each in refused)


async def test_only_what_is_held_without_a_gap_is_acknowledged(
    home: Home, session: Session
) -> None:
    for seq in (4, 2, 1):
        send(session, Kind.EPOCH, epoch("luna", seq))
    send(session, Kind.BIRTH, birth("luna"))
    seen: list[Key | None] = []
    async with asyncio.timeout(PATIENCE_S):
        async for ack in acks(session, "luna"):
            seen.append(ack.key)
            if ack.key == Key(1, 2):
                send(session, Kind.EPOCH, epoch("luna", 3))
            if ack.key == Key(1, 4):
                break
    assert Key(1, 3) not in seen


async def test_the_same_again_is_a_duplicate_and_other_content_a_conflict(
    home: Home, session: Session
) -> None:
    send(session, Kind.BIRTH, birth("luna", observed_at=LONG_AGO))
    one = epoch("luna", 1)
    for message in (one, one, epoch("luna", 1, seconds={"run": 60.0}), epoch("luna", 2)):
        send(session, Kind.EPOCH, message)
    refused = await acked_upto(session, "luna", Key(1, 2))
    with home.api as api:
        history = api.get("/v1/pets/pet-luna/history", params={"kind": "epoch"}).json()
        assert [each["seq"] for each in history] == [1, 2]
        assert history[0]["fields"]["seconds"] == {"rest": 60.0}
        assert api.get("/v1/status").json()["counters"]["duplicates"] == 1
        assert [each["reason"] for each in api.get("/v1/rejected").json()] == ["conflict"]
    assert any("conflict" in each for each in refused)


async def test_a_newer_sender_is_understood_and_its_news_kept_aside(
    home: Home, session: Session
) -> None:
    newer = decode_raw(encode(birth("luna"))) | {"aura": "violet"}
    session.publish(
        str(Topic(SITE, "luna", Kind.BIRTH)), msgspec.msgpack.encode(newer), content_type=MSGPACK
    )
    await acked_upto(session, "luna", Key(1, 0))
    home.stop()
    (row,) = await home.execute("SELECT extra FROM message")
    assert msgspec.msgpack.decode(row["extra"]) == {"aura": "violet"}


async def test_what_the_flash_had_no_room_for_is_not_waited_for_and_is_counted(
    home: Home, session: Session
) -> None:
    send(session, Kind.BIRTH, birth("luna"))
    await acked_upto(session, "luna", Key(1, 0))
    send(session, Kind.EPOCH, epoch("luna", 11))
    status = Status(collar_id="luna", state=Presence.ONLINE, boot=1, log_start=Key(boot=1, seq=11))
    session.publish(str(Topic(SITE, "luna", Kind.STATUS)), encode(status), content_type=MSGPACK)
    await acked_upto(session, "luna", Key(1, 11))
    with home.api as api:
        assert api.get("/v1/status").json()["lost"] == 10


async def test_a_new_boot_follows_only_when_the_one_before_is_complete(
    home: Home, session: Session
) -> None:
    send(session, Kind.BIRTH, birth("luna", 1))
    send(session, Kind.BIRTH, birth("luna", 2, previous=Key(1, 2)))
    send(session, Kind.EPOCH, epoch("luna", 1))
    await acked_upto(session, "luna", Key(1, 1))
    send(session, Kind.EPOCH, epoch("luna", 2))
    await acked_upto(session, "luna", Key(2, 0))


async def test_a_collar_that_vanishes_is_offline(home: Home, session: Session) -> None:
    topic = str(Topic(SITE, "luna", Kind.STATUS))
    gone = Status(collar_id="luna", state=Presence.OFFLINE, boot=1)
    here = Status(collar_id="luna", state=Presence.ONLINE, boot=1)
    script = (
        "import asyncio, sys\n"
        "from gateway.wire.session import *\n"
        "async def main():\n"
        "    will = Will(sys.argv[2], bytes.fromhex(sys.argv[3]), 'application/msgpack')\n"
        "    async with connect(BrokerUrl.parse(sys.argv[1]), 'vanishing', will=will):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", script, home.broker_url, topic, encode(gone).hex()],
        stdout=subprocess.PIPE,
    ) as collar:
        assert collar.stdout is not None
        collar.stdout.readline()
        session.publish(topic, encode(here), content_type=MSGPACK, retain=True)
        await until(home, lambda pet: pet["online"])
        collar.kill()
        await until(home, lambda pet: not pet["online"])


async def until(home: Home, condition: object, pet_id: str = "pet-luna") -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with home.api as api:
                pets = {each["pet_id"]: each for each in api.get("/v1/pets").json()}
            if condition(pets[pet_id]):  # type: ignore[operator]
                return
            await asyncio.sleep(0.05)


async def test_leaving_home_alerts_within_the_flow_and_history_disturbs_nobody(
    home: Home, session: Session
) -> None:
    with home.api as api:
        zone = {"name": "Home", "lat_deg": 51.5, "lon_deg": -0.1, "radius_m": 40}
        assert api.put("/v1/zones/home", json=zone).status_code == 204
    await session.subscribe(f"pawmesh/v1/{SITE}/alert")
    now = datetime.now(UTC)
    path = [0, 0, 0, 0, 120, 150, 180, 5, 2, 1]  # metres north of home
    unset = {"clock": ClockQuality.UNSET, "uptime_s": 1.0}  # momo's, after a power cut hours ago
    send(session, Kind.BIRTH, birth("momo", observed_at=UNSET_AT, **unset))
    for seq, north_m in enumerate(path, start=1):
        at = UNSET_AT + timedelta(seconds=seq)
        unset["uptime_s"] = float(seq)
        send(session, Kind.FIX, structs.replace(fix("momo", seq, north_m, at), **unset))
    for collar_id, ago in (("luna", timedelta(hours=2)), ("rex", timedelta(seconds=20))):
        send(session, Kind.BIRTH, birth(collar_id))
        for seq, north_m in enumerate(path, start=1):
            at = now - ago + timedelta(seconds=seq)
            send(session, Kind.FIX, fix(collar_id, seq, north_m, at))
    async with asyncio.timeout(PATIENCE_S):
        async for batch in session.batches(1, 0):
            batch[0].settle()
            if batch[0].topic.endswith("/alert"):
                break
    told = msgspec.json.decode(batch[0].payload)
    assert (told["pet_id"], told["plugin_id"], told["severity"]) == (
        "pet-rex",
        "geofence",
        "critical",
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with home.api as api:
                alerts = {each["pet_id"]: each for each in api.get("/v1/alerts").json()}
            cleared = len(alerts) == 3 and all(each["cleared_at"] for each in alerts.values())
            if cleared and alerts["pet-rex"]["notified_at"]:  # noted once it has left
                break
            await asyncio.sleep(0.05)
    assert alerts["pet-luna"]["notified_at"] is None
    assert alerts["pet-momo"]["notified_at"] is None
    assert alerts["pet-rex"]["latency_ms"] > 0
    with home.api as api:
        count = "pawmesh_alert_latency_seconds_count 1.0"
        assert count in api.get("/metrics").text
        alert_id = alerts["pet-rex"]["alert_id"]
        assert api.post(f"/v1/alerts/{alert_id}/acknowledge").status_code == 204
        assert api.post("/v1/alerts/999/acknowledge").status_code == 404


@pytest.mark.parametrize("victim", ["gateway", "broker"])
async def test_no_death_loses_or_doubles_what_was_acknowledged(tmp_path: Path, victim: str) -> None:
    ids = [f"c{index}" for index in range(4)]
    collars: list[Collar] = []
    for each in ids:
        messages: list[tuple[Kind, Message]] = [(Kind.BIRTH, birth(each, observed_at=LONG_AGO))]
        messages += [(Kind.EPOCH, epoch(each, seq, observed_at=LONG_AGO)) for seq in range(1, 1500)]
        collars.append(Collar(each, messages))
    async with running_home(tmp_path, [enrolled(each) for each in ids]) as home:
        async with asyncio.TaskGroup() as tasks:
            for collar in collars:
                tasks.create_task(collar.deliver(home.broker_url))
            for _ in range(DEATHS):
                await asyncio.sleep(random.uniform(0.05, 0.4))
                if victim == "gateway":
                    home.kill()
                    await _all_acknowledged_is_held(home, collars)
                    home.start()
                else:
                    os.kill(home.broker.pid, 9)
                    home.broker.stop()
                    home.broker.start()
                await home.ready()
        home.stop()
        rows = await home.execute("SELECT collar_id, count(*) AS held FROM message GROUP BY 1")
        assert {row["collar_id"]: row["held"] for row in rows} == dict.fromkeys(ids, 1500)


async def _all_acknowledged_is_held(home: Home, collars: list[Collar]) -> None:
    for collar in collars:
        acked = collar.acked  # more may arrive from the broker while we look
        if acked is None:
            continue
        rows = await home.execute(
            "SELECT count(*) AS held FROM message WHERE collar_id = ? AND (boot, seq) <= (?, ?)",
            *(collar.collar_id, acked.boot, acked.seq),
        )
        assert rows[0]["held"] == acked.seq + 1


class Sealed:
    """A collar's messages, and the seal over them."""

    def __init__(self, collar_id: str) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.secret = random.randbytes(32)
        now = datetime.now(UTC) - timedelta(minutes=5)
        self.messages: list[tuple[Kind, Message]] = [
            (Kind.BIRTH, birth(collar_id, seals=True)),
            (Kind.EPOCH, epoch(collar_id, 1)),
            (Kind.FIX, fix(collar_id, 2, 12.0, now)),
        ]
        secret = sealing.batch_secret(self.secret, 1, 0)
        hashes = [
            sealing.message_hash(
                sealing.leaves_of(kind, decode_raw(encode(message))),
                sealing.message_seed(secret, message.seq),
            )
            for kind, message in self.messages
        ]
        root = sealing.root_of(hashes)
        self.seal = Seal(
            collar_id=collar_id,
            boot=1,
            seq=3,
            observed_at=now,
            first_seq=0,
            last_seq=2,
            root=root,
            signature=sealing.sign_root(self.key, collar_id, 1, 0, 2, root),
        )


def grant(collar_id: str, stream: Stream, precision: Precision = Precision.EXACT) -> Grant:
    return Grant(
        grant_id=f"{stream.value}-{collar_id}",
        pet_id=f"pet-{collar_id}",
        stream=stream,
        purpose="research",
        recipient="pawmesh",
        precision=precision,
        valid_from=LONG_AGO,
    )


@pytest.mark.parametrize("honest", [True, False])
async def test_only_granted_leaves_leave_and_a_wrong_seal_proves_nothing(
    tmp_path: Path, honest: bool
) -> None:
    luna = Sealed("luna")
    public_key = luna.key.public_key() if honest else Ed25519PrivateKey.generate().public_key()
    collars = [
        enrolled("luna", public_key=public_key.public_bytes_raw()),
        enrolled("rex"),
    ]
    grants = [grant("luna", Stream.POSITION, Precision.KM1)]
    async with running_home(tmp_path, collars, grants) as home:
        with home.api as api:
            assert api.put("/v1/secrets", json={"luna": luna.secret.hex()}).status_code == 204
        async with connect(BrokerUrl.parse(home.broker_url), "collars") as session:
            for kind, message in [*luna.messages, (Kind.SEAL, luna.seal)]:
                send(session, kind, message)
            send(session, Kind.BIRTH, birth("rex"))
            send(session, Kind.EPOCH, epoch("rex", 1))
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with home.api as api:
                        outbox = api.get("/v1/outbox").json()
                        status = api.get("/v1/status").json()
                    if outbox and status["counters"].get("withheld") == 2:
                        break
                    await asyncio.sleep(0.05)
    (row,) = outbox
    assert row["sealed"] is honest
    assert row["leaves"] == ["_header", "accuracy_m", "position_1km"]
    assert status["counters"].get("rejected", 0) == (0 if honest else 1)


async def test_no_route_answers_a_stranger(home: Home) -> None:
    with home.api as api:
        paths = api.get("/openapi.json").json()["paths"]
    with httpx2.Client(base_url=f"http://127.0.0.1:{home.port}", timeout=PATIENCE_S) as stranger:
        for path, methods in paths.items():
            if not path.startswith("/v1/"):
                continue
            for method in methods:
                url = path.replace("{pet_id}", "p").replace("{alert_id}", "1")
                url = url.replace("{zone_id}", "z").replace("{correction_id}", "c")
                for headers in (
                    {"authorization": "Bearer guess"},
                    {"host": "pawmesh.example"},
                    {"origin": "https://pawmesh.example"},
                ):
                    answer = stranger.request(method, url, headers=headers, json={})
                    assert answer.status_code == 401, (method, url, headers)
                    assert answer.headers["content-type"] == "application/problem+json"


async def test_hostile_queries_are_answered_with_a_problem(home: Home) -> None:
    with home.api as api:
        for path in (
            "/v1/pets/..%2f..%2fetc/history",
            "/v1/pets/pet-luna/history?since=yesterday",
            "/v1/pets/pet-luna/history?limit=99999999999999999999",
            "/v1/pets/pet-luna/history?kind=secret",
            "/v1/alerts?pet_id=' OR 1=1 --",
            "/v1/nothing",
        ):
            answer = api.get(path)
            assert answer.status_code in (404, 422), path
            assert answer.headers["content-type"] == "application/problem+json"
        assert api.get("/v1/pets/pet-luna/history?until=0001-01-01T00:00:00Z").json() == []
        for body in ({"name": "x"}, {"name": "x", "lat_deg": 91, "lon_deg": 0, "radius_m": 1}):
            assert api.put("/v1/zones/home", json=body).status_code == 422
        assert api.put("/v1/secrets", content=b" " * (3 * 2**20)).status_code == 413


def start_alone(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway"],
        env=os.environ | {"GATEWAY_DATA_DIR": str(folder)} | env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = start_alone(tmp_path, GATEWAY_PORT=str(taken.getsockname()[1]))
    assert ended.returncode == 4
    assert "in use" in ended.stderr


def test_a_folder_that_cannot_be_written_is_said() -> None:
    ended = start_alone(Path("/proc/nowhere"))
    assert ended.returncode == 6
    assert "/proc/nowhere" in ended.stderr


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with empty_home(tmp_path) as home:
        await home.execute("PRAGMA user_version = 99")
        ended = start_alone(home.data_dir)
    assert ended.returncode == 5
    assert "99" in ended.stderr
