"""The programs of docs/how-to/bring-your-own-collar.md, as a stranger runs them."""

import asyncio
import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.registry import save_registry
from gateway.store import Store
from gateway.wire.grants import Grant, Precision, Stream
from gateway.wire.messages import Seal
from gateway.wire.seal import disclosed_hash, verify_root, verify_signature
from gateway.wire.uplink import Deployment, EnrolledCollar, ModelPackage, Registry, Row
from pawmesh.embedded.broker import Broker, accepts_login
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.releases import OTHER_KEY, PUBLIC, raw_of, release_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "bring-your-own-collar.md"
PROGRAMS = ("collar.py", "sealed_collar.py", "learning_collar.py")
BROKERS = ("iotcore", "mosquitto")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
COLLAR, PET, HOUSE = "c7", "rex", "pawmesh"
RELEASE = release_of()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes true; no judgement on how fast."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(10)


@contextmanager
def broker(name: str, folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A broker of that make; its port and its users' passwords."""
    port = free_ports(1)[0]
    if name == "iotcore":
        embedded = Broker(folder / "broker", port, users=(HOUSE, COLLAR))
        with embedded.running():
            yield port, {user: embedded.password(user) for user in (HOUSE, COLLAR)}
        return
    passwords = {user: secrets.token_urlsafe(12) for user in (HOUSE, COLLAR)}
    file, config = folder / "passwords", folder / "mosquitto.conf"
    file.touch(mode=0o600)
    for user, password in passwords.items():
        subprocess.run(["mosquitto_passwd", "-b", file, user, password], check=True)
    settings = [f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {file}"]
    if os.geteuid() == 0:
        settings.append("user root")  # or it could not read what is ours
    config.write_text("\n".join(settings) + "\n")
    process = subprocess.Popen(["mosquitto", "-c", config], stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: accepts_login("127.0.0.1", port, HOUSE, passwords[HOUSE]))
        yield port, passwords
    finally:
        end(process)


@dataclass
class Stranger:
    """A home, and a stranger's folder with the page's programs and what `collar add` printed."""

    folder: Path
    database: Path
    processes: list[subprocess.Popen[Any]] = field(default_factory=list)

    def run(self, program: str, period_s: float = 0.2) -> subprocess.Popen[Any]:
        with (self.folder / "said").open("a") as said:
            process = subprocess.Popen(
                [sys.executable, program, "collar.json", str(period_s)],
                cwd=self.folder,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def said(self) -> list[str]:
        return (self.folder / "said").read_text().splitlines()

    def acknowledged(self) -> list[tuple[int, int]]:
        lines = (line.split()[1:3] for line in self.said() if line.startswith("acknowledged: "))
        return [(int(boot), int(seq)) for boot, seq in lines if boot != "None"]

    def ask(self, sql: str, *values: object) -> list[sqlite3.Row]:
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        db.row_factory = sqlite3.Row
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def delivery(self) -> tuple[str, str | None] | None:
        """How the rollout stands, and the reason of a refusal; None before the gateway began."""
        rows = self.ask("SELECT state, reason FROM delivery")
        return (rows[0]["state"], rows[0]["reason"]) if rows else None

    def held(self) -> list[int]:
        """What the gateway holds of one boot."""
        return [row["seq"] for row in self.ask("SELECT seq FROM message ORDER BY seq")]

    def presence(self) -> str | None:
        rows = self.ask("SELECT state FROM presence WHERE collar_id = ?", COLLAR)
        return rows[0]["state"] if rows else None


def programs() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


async def enrol(database: Path, key: Ed25519PrivateKey, salt_secret: bytes) -> None:
    """What `pawmesh collar add`, an owner's grant and a rollout leave at the gateway."""
    collar = EnrolledCollar(
        collar_id=COLLAR,
        pet_id=PET,
        pet_name="Rex",
        public_key=key.public_key().public_bytes_raw(),
        assigned_at=LONG_AGO,
    )
    about = {"pet_id": PET, "purpose": "study", "recipient": "lab", "valid_from": LONG_AGO}
    grants = [
        Grant(grant_id="g1", stream=Stream.ACTIVITY, **about),
        Grant(grant_id="g2", stream=Stream.POSITION, precision=Precision.KM1, **about),
    ]
    sent = {name: getattr(RELEASE, name) for name in ("slot", "package", "version", "sha256")}
    deployment = Deployment(rollout="r1", collars=[COLLAR], **sent)
    registry = Registry(
        site="home", version=1, collars=[collar], grants=grants, deployments=[deployment]
    )
    package = msgspec.msgpack.encode(ModelPackage(release=RELEASE, model=raw_of()))
    fetched = (RELEASE.sha256, package, RELEASE.size)
    async with Store.open(database) as store:
        await store.write(lambda db: save_registry(db, registry))
        keep = "INSERT INTO package (sha256, body, size) VALUES (?, ?, ?)"
        await store.write(lambda db: db.execute(keep, fetched))
        row = (COLLAR, salt_secret)
        await store.write(lambda db: db.execute("INSERT INTO collar_secret VALUES (?, ?)", row))


def is_connected(port: str) -> bool:
    """Whether the gateway on this port hears what its broker is told."""
    with suppress(httpx2.HTTPError):
        return "pawmesh_broker_connected 1.0" in httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    return False


@pytest.fixture(params=BROKERS)
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stranger]:
    folder, data = tmp_path / "stranger", tmp_path / "gateway"
    folder.mkdir()
    for name, program in zip(PROGRAMS, programs(), strict=True):
        (folder / name).write_text(program)
    key, salt_secret = Ed25519PrivateKey.generate(), secrets.token_bytes(32)
    with broker(request.param, tmp_path) as (port, passwords):
        (folder / "password").write_text(passwords[COLLAR] + "\n")
        hexes = {"signing_key": key.private_bytes_raw().hex(), "salt_secret": salt_secret.hex()}
        hexes["release_key"] = PUBLIC.hex()
        (folder / "key.json").write_text(json.dumps({"collar_id": COLLAR, **hexes}))
        mqtt = {"host": "127.0.0.1", "port": port, "username": COLLAR}
        printed = {
            "collar_id": COLLAR,
            "site": "home",
            "topic_prefix": f"pawmesh/v1/home/{COLLAR}",
            "key_file": str(folder / "key.json"),
            "mqtt": mqtt | {"password_file": str(folder / "password")},
        }
        (folder / "collar.json").write_text(json.dumps(printed))
        asyncio.run(enrol(data / "gateway.db", key, salt_secret))
        env = {
            "GATEWAY_SITE": "home",
            "GATEWAY_BROKER_URL": f"mqtt://{HOUSE}:{passwords[HOUSE]}@127.0.0.1:{port}",
            "GATEWAY_DATA_DIR": str(data),
            "GATEWAY_PORT": str(free_ports(1)[0]),
            "GATEWAY_PLUGINS_DIRS": "[]",
        }
        with (tmp_path / "gateway.log").open("w") as log:
            gateway = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                cwd=ROOT,
                env=os.environ | env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        home = Stranger(folder, data / "gateway.db", [gateway])
        try:
            assert eventually(lambda: is_connected(env["GATEWAY_PORT"]))
            yield home
        finally:
            for process in reversed(home.processes):
                end(process)


def test_the_page_has_the_programs_it_speaks_of() -> None:
    found = programs()
    assert len(found) == len(PROGRAMS)
    for name, program in zip(PROGRAMS, found, strict=True):
        compile(program, name, "exec")
        assert f"python {name} collar.json" in program


def test_the_gateway_logs_for_machines_where_nobody_looks(
    stranger: Stranger, tmp_path: Path
) -> None:
    lines = (tmp_path / "gateway.log").read_text().splitlines()
    assert "broker.connected" in [json.loads(line)["event"] for line in lines], stranger.said()


def test_the_page_is_a_full_collar(stranger: Stranger) -> None:
    collar = stranger.run("collar.py")
    assert eventually(lambda: len(stranger.acknowledged()) > 5), stranger.said()
    assert stranger.presence() == "online"
    collar.kill()  # the will speaks for it
    assert eventually(lambda: stranger.presence() == "offline")

    held = stranger.ask("SELECT * FROM message ORDER BY boot, seq")
    boot, last = stranger.acknowledged()[-1]
    assert [row["seq"] for row in held] == list(range(len(held)))
    assert {(row["boot"], row["pet_id"]) for row in held} == {(boot, PET)}
    assert len(held) > last
    assert [row["kind"] for row in held[:5]] == ["birth", "epoch", "fix", "epoch", "fix"]
    assert all(row["sent_us"] is not None for row in held)
    assert stranger.ask("SELECT * FROM rejected") == []

    time.sleep(max(0.0, boot + 1 - time.time()))  # a boot is a second of the clock
    again = stranger.run("collar.py")
    assert eventually(lambda: stranger.acknowledged()[-1] > (boot + 1, 0)), stranger.said()
    assert stranger.presence() == "online"
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE_S) == 0
    assert eventually(lambda: stranger.presence() == "offline")
    assert stranger.ask("SELECT * FROM rejected") == []


def test_it_forgets_nothing_while_the_gateway_is_away(stranger: Stranger) -> None:
    gateway = stranger.processes[0]
    gateway.send_signal(signal.SIGSTOP)
    stranger.run("collar.py")
    try:
        time.sleep(2.0)
        assert stranger.acknowledged() == []
    finally:
        gateway.send_signal(signal.SIGCONT)
    assert eventually(lambda: bool(stranger.acknowledged()) and stranger.acknowledged()[-1][1] > 8)
    told = stranger.acknowledged()[-1][1]
    assert stranger.held()[: told + 1] == list(range(told + 1))
    # behind that it may just be repeating, from the oldest, what got no answer for so long
    assert eventually(lambda: (held := stranger.held()) == list(range(len(held))))


def test_it_reads_what_was_refused(stranger: Stranger) -> None:
    program = stranger.folder / "collar.py"
    program.write_text(program.read_text().replace("lat_deg=51.4779", "lat_deg=151.4779"))
    stranger.run("collar.py")
    assert eventually(lambda: any("$.lat_deg" in line for line in stranger.said()))
    assert any("invalid" in line for line in stranger.said())
    assert eventually(lambda: len(stranger.acknowledged()) > 3)  # and it goes on
    reasons = {row["reason"] for row in stranger.ask("SELECT reason FROM rejected")}
    assert reasons == {"invalid"}


def test_what_it_seals_is_proven_and_shared_as_granted(stranger: Stranger) -> None:
    stranger.run("sealed_collar.py")
    outbox = "SELECT * FROM outbox ORDER BY id"
    assert eventually(lambda: len(stranger.ask(outbox)) > 18), stranger.said()  # two seals
    assert stranger.ask("SELECT * FROM rejected") == []

    rows = stranger.ask(outbox)
    proven = {row["sealed_id"] for row in rows}  # it goes on meanwhile: there may be one more
    assert None not in proven
    assert {row["stream"] for row in rows} == {"activity", "position"}
    key = json.loads((stranger.folder / "key.json").read_text())["signing_key"]
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)).public_key()
    for sealed in stranger.ask("SELECT * FROM sealed"):  # as the cloud does it
        if sealed["message_id"] not in proven:
            continue
        seal = msgspec.msgpack.decode(sealed["seal"], type=Seal)
        hashes = msgspec.msgpack.decode(sealed["withheld"], type=dict[int, bytes])
        for row in rows:
            if row["sealed_id"] == sealed["message_id"]:
                shown = msgspec.msgpack.decode(row["row"], type=Row)
                assert not shown.leaves.keys() & {"lat_deg", "lon_deg", "position_100m"}
                hashes[shown.seq] = disclosed_hash(shown)
        verify_signature(public.public_bytes_raw(), seal)
        verify_root(seal, [hashes[seq] for seq in sorted(hashes)])


def test_it_takes_a_model_over_the_air_and_keeps_it(stranger: Stranger) -> None:
    collar = stranger.run("learning_collar.py")
    assert eventually(lambda: stranger.delivery() == ("installed", None)), stranger.said()
    assert (stranger.folder / f"model-{RELEASE.sha256}").read_bytes() == raw_of()
    assert eventually(lambda: bool(stranger.ask("SELECT 1 FROM message WHERE kind = 'slots'")))
    boot = stranger.ask("SELECT max(boot) AS boot FROM message")[0]["boot"]
    collar.kill()
    collar.wait(PATIENCE_S)

    time.sleep(max(0.0, boot + 1 - time.time()))  # a boot is a second of the clock
    stranger.run("learning_collar.py")
    births = "SELECT payload FROM message WHERE kind = 'birth' ORDER BY boot"
    assert eventually(lambda: len(stranger.ask(births)) == 2), stranger.said()
    told = json.loads(stranger.ask(births)[1]["payload"])
    assert [slot["sha256"] for slot in told["slots"]] == [RELEASE.sha256]
    assert stranger.delivery() == ("installed", None)
    assert stranger.ask("SELECT * FROM rejected") == []


def test_it_takes_no_model_that_a_stranger_signed(stranger: Stranger) -> None:
    key_file = stranger.folder / "key.json"
    keys = json.loads(key_file.read_text())
    other = OTHER_KEY.public_key().public_bytes_raw().hex()
    key_file.write_text(json.dumps(keys | {"release_key": other}))
    stranger.run("learning_collar.py")
    refused = ("refused", "unknown_key")
    assert eventually(lambda: stranger.delivery() == refused), stranger.said()
    assert list(stranger.folder.glob("model-*")) == []
    assert eventually(lambda: len(stranger.acknowledged()) > 3)  # and it goes on
