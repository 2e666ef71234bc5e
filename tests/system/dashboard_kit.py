"""A home with its cloud for tests of the dashboard: real processes, and collars that seal."""

import asyncio
import math
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.log.sealer import Sealer, SealingKey
from gateway.sync import load_key
from gateway.wire.codec import encode
from gateway.wire.messages import ActivityEpoch, Fix, Message, Presence, Seal, Status
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.home import SITE, Collar, Home, birth, empty_home, send

EMAIL, PASSWORD = "owner@example.org", "a password of some length"
ELSEWHERE = "neighbour@example.org"
HOME = (60.1920, 24.9458)
M_PER_DEG = 111_195.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ROUTINE = [  # by hour: what a dog mostly does
    *["sleep"] * 6, "walk", "eat", "rest", "sleep", "sleep", "rest",
    "walk", "sniff", "rest", "sleep", "play", "walk", "eat", "rest", "play", "rest", "sleep",
    "sleep",
]  # fmt: skip
ODBA_G = {"sleep": 0.02, "rest": 0.05, "sniff": 0.3, "walk": 0.6, "play": 1.4, "eat": 0.2}


class CloudProcess:
    """``python -m cloud`` as a child process, with the owners of two homes."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._token_file = folder / "operator.token"
        self._environment = {
            **os.environ,
            "CLOUD_DATABASE_URL": database,
            "CLOUD_PORT": str(self.port),
            "CLOUD_OPERATOR_TOKEN_FILE": str(self._token_file),
            "CLOUD_INGEST_WORKERS": "1",
            "CLOUD_EMISSION_PERIOD_S": "2",
            "CLOUD_SETTLE_EVERY_S": "0.5",
        }
        self._log = folder / "cloud.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloud"], env=self._environment, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        await eventually(self._answers)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def operator(self, method: str, path: str, body: Any) -> Any:
        token = self._token_file.read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        answer = httpx2.request(
            method, f"{self.url}{path}", json=body, headers=headers, timeout=PATIENCE_S
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()[-2000:]
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/healthz").status_code == 200
        return False


@dataclass
class Sealing:
    """A collar's keys."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    secret: bytes = field(default_factory=lambda: os.urandom(32))


@dataclass
class Household:
    """A home, its cloud and its collars' keys."""

    home: Home
    cloud: CloudProcess
    keys: dict[str, Sealing]
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """What its dashboard is started with."""
        return {
            "DASHBOARD_GATEWAY_URL": f"http://127.0.0.1:{self.home.port}",
            "DASHBOARD_GATEWAY_TOKEN_FILE": str(self.home.data_dir / "gateway.token"),
            "DASHBOARD_CLOUD_URL": self.cloud.url,
            "DASHBOARD_STATE_DIR": str(self.folder / "dashboard"),
        }

    def owner(self) -> httpx2.Client:
        """The cloud's API, signed in."""
        who = {"email": EMAIL, "password": PASSWORD}
        session = httpx2.post(f"{self.cloud.url}/v1/session", json=who, timeout=PATIENCE_S).json()
        headers = {"authorization": f"Bearer {session['token']}"}
        return httpx2.Client(base_url=self.cloud.url, headers=headers, timeout=PATIENCE_S)


async def eventually(holds: Any) -> None:
    """Wait until something comes true; no judgement on how fast."""
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running_household(
    folder: Path, database: str, pets: dict[str, str]
) -> AsyncIterator[Household]:
    """A household whose collars are called c1, c2 ...; ``pets`` are names by id."""
    cloud = CloudProcess(database, folder)
    try:
        cloud.start()
        await cloud.ready()
        with empty_home(folder) as home:
            home.data_dir.mkdir(parents=True, exist_ok=True)
            keys = await asyncio.to_thread(_enrol, cloud, home, pets)
            home.env = {"GATEWAY_CLOUD_URL": cloud.url}
            home.start()
            await home.ready()
            with home.api as api:
                api.post("/v1/registry/refresh").raise_for_status()
                secrets = {collar_id: each.secret.hex() for collar_id, each in keys.items()}
                api.put("/v1/secrets", json=secrets).raise_for_status()
            yield Household(home, cloud, keys, folder)
    finally:
        cloud.kill()


def _enrol(cloud: CloudProcess, home: Home, pets: dict[str, str]) -> dict[str, Sealing]:
    made: dict[str, Sealing] = {}
    for email, site in ((EMAIL, SITE), (ELSEWHERE, "elsewhere")):
        who = {"email": email, "password": PASSWORD}
        owner = cloud.operator("POST", "/v1/owners", who)
        house = {"name": "Home", "owner_id": owner["owner_id"]}
        household = cloud.operator("POST", "/v1/households", house)
        key = load_key(home.data_dir / "gateway.key") if site == SITE else Sealing().key
        body = {
            "site_id": site,
            "gateway_public_key": key.public_key().public_bytes_raw().hex(),
            "household_id": household["household_id"],
        }
        cloud.operator("POST", "/v1/sites", body)
        if site != SITE:
            continue
        wearers: list[dict[str, str]] = []
        for number, (pet_id, name) in enumerate(pets.items(), 1):
            keys = made[f"c{number}"] = Sealing()
            wearers.append(
                {
                    "name": name,
                    "pet_id": pet_id,
                    "collar_id": f"c{number}",
                    "public_key": keys.key.public_key().public_bytes_raw().hex(),
                    "assigned_at": LONG_AGO.isoformat(),
                }
            )
        enrol = {"household_id": household["household_id"], "site_id": site, "pets": wearers}
        cloud.operator("POST", "/v1/enrol", enrol)
    return made


def fix(collar_id: str, seq: int, at: datetime, east_m: float, north_m: float) -> Fix:
    return Fix(
        collar_id=collar_id,
        boot=1,
        seq=seq,
        observed_at=at,
        lat_deg=HOME[0] + north_m / M_PER_DEG,
        lon_deg=HOME[1] + east_m / M_PER_DEG / math.cos(math.radians(HOME[0])),
        accuracy_m=6.0,
    )


def minute(collar_id: str, seq: int, at: datetime, behaviour: str, rng: random.Random) -> Message:
    second = rng.choice(["walk", "sniff", "rest", "unsure", "scratch", behaviour])
    share = rng.uniform(35, 60)
    seconds = {second: 60 - share, behaviour: share} if second != behaviour else {behaviour: 60.0}
    return ActivityEpoch(
        collar_id=collar_id,
        boot=1,
        seq=seq,
        observed_at=at,
        seconds=seconds,
        odba_g=ODBA_G.get(behaviour, 1.2) * rng.uniform(0.7, 1.3),
        windows=30,
        battery_pct=81.0,
    )


def a_day(
    collar_id: str, now: datetime, away: bool, hours: int = 24, *, seals: bool = False
) -> Collar:
    """What a collar has to tell of its last day; ``away``: the pet leaves its home at the end."""
    rng = random.Random(collar_id)
    messages: list[tuple[Kind, Message]] = [(Kind.BIRTH, birth(collar_id, seals=seals))]
    for back in range(hours * 60, 0, -1):
        at = now - timedelta(minutes=back)
        behaviour = ROUTINE[at.hour] if back > 5 else "walk"
        messages.append((Kind.EPOCH, minute(collar_id, len(messages), at, behaviour, rng)))
    for back in range(100, -1, -1):
        angle, radius = back / 9, 14 + 10 * math.sin(back / 7)
        walk = max(0, 12 - back) * 6.0 if away else 0.0
        east_m, north_m = radius * math.cos(angle) + walk, radius * math.sin(angle) + walk / 2
        at = now - timedelta(seconds=30 * back)
        messages.append((Kind.FIX, fix(collar_id, len(messages), at, east_m, north_m)))
    return Collar(collar_id, messages)


def seal_all(collar: Collar, keys: Sealing, first: int = 0) -> None:
    """Add the seal over all that the collar has to tell since a message."""
    sealer = Sealer(SealingKey(keys.key, keys.secret), collar.collar_id, 1)
    for kind, message in collar.messages[first:]:
        sealer.add(kind, message.seq, encode(message), message.observed_at)
    seal = Seal(
        collar_id=collar.collar_id,
        boot=1,
        seq=len(collar.messages),
        observed_at=datetime.now(UTC),
        **sealer.fields(),
    )
    collar.messages.append((Kind.SEAL, seal))


async def deliver(home: Home, *collars: Collar, online: bool = True) -> None:
    await asyncio.gather(*(each.deliver(home.broker_url) for each in collars))
    async with connect(BrokerUrl.parse(home.broker_url), "teller") as session:
        for each in collars:
            state = Presence.ONLINE if online else Presence.OFFLINE
            send(session, Kind.STATUS, Status(collar_id=each.collar_id, state=state, boot=1))
        await session.drained()


def draw_zone(home: Home) -> None:
    zone = {"name": "Home", "lat_deg": HOME[0], "lon_deg": HOME[1], "radius_m": 40.0}
    with home.api as api:
        api.put("/v1/zones/home", json=zone).raise_for_status()


@contextmanager
def running_dashboard(env: dict[str, str], folder: Path) -> Iterator[str]:
    """The dashboard's process, started in a folder of no meaning; yields its address."""
    port = free_ports(1)[0]
    with (folder / "dashboard.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"],
            env=os.environ | env | {"DASHBOARD_PORT": str(port)},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def dashboard_answers(url: str) -> None:
    def answers() -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{url}/_stcore/health").status_code == 200
        return False

    await eventually(answers)
