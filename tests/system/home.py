"""A home for tests: a real broker, a real gateway process, and a collar that never gives up."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from gateway.registry import save_registry
from gateway.store import Store
from gateway.wire.codec import MSGPACK, decode, encode
from gateway.wire.errors import SessionLost
from gateway.wire.grants import Grant
from gateway.wire.messages import Ack, ActivityEpoch, Birth, Key, Message
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import Kind, Topic, ack_filter
from gateway.wire.uplink import Deployment, EnrolledCollar, Registry
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S

SITE = "home"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def enrolled(collar_id: str, pet_id: str = "", **fields: Any) -> EnrolledCollar:
    pet_id = pet_id or f"pet-{collar_id}"
    return EnrolledCollar(
        collar_id=collar_id,
        pet_id=pet_id,
        pet_name=pet_id.title(),
        assigned_at=LONG_AGO,
        **fields,
    )


@dataclass
class Home:
    """Broker and gateway as child processes; ``gateway`` and ``broker`` can be killed."""

    folder: Path
    broker: Broker
    broker_url: str
    port: int
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data_dir(self) -> Path:
        return self.folder / "gateway"

    @property
    def api(self) -> httpx2.Client:
        token = (self.data_dir / "gateway.token").read_text()
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"authorization": f"Bearer {token}"},
            timeout=PATIENCE_S,
        )

    async def register(
        self,
        collars: list[EnrolledCollar],
        grants: list[Grant] | None = None,
        version: int = 1,
        deployments: list[Deployment] | None = None,
    ) -> None:
        registry = Registry(
            site=SITE,
            version=version,
            collars=collars,
            grants=grants or [],
            deployments=deployments or [],
        )
        async with Store.open(self.data_dir / "gateway.db") as store:
            await store.write(lambda db: save_registry(db, registry))

    async def execute(self, sql: str, *values: object) -> list[Any]:
        async with Store.open(self.data_dir / "gateway.db") as store:
            return await store.write(lambda db: db.execute(sql, values).fetchall())

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env=os.environ
            | {
                "GATEWAY_BROKER_URL": self.broker_url,
                "GATEWAY_DATA_DIR": str(self.data_dir),
                "GATEWAY_PORT": str(self.port),
                "GATEWAY_SITE": SITE,
                "GATEWAY_RECONNECT_S": "0.2",
            }
            | self.env,
        )

    async def ready(self) -> None:
        assert self.process is not None
        async with asyncio.timeout(PATIENCE_S):
            while self.process.poll() is None:
                try:
                    with self.api as api:
                        if "pawmesh_broker_connected 1.0" in api.get("/metrics").text:
                            return
                except (httpx2.HTTPError, FileNotFoundError):
                    pass
                await asyncio.sleep(0.05)
            raise AssertionError(f"the gateway ended with {self.process.returncode}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)


@contextmanager
def empty_home(folder: Path) -> Iterator[Home]:
    """A home whose broker runs; the gateway is started by the test."""
    broker_port, port = free_ports(2)
    broker = Broker(folder / "broker", broker_port)
    with broker.running() as url:
        home = Home(folder, broker, url, port)
        try:
            yield home
        finally:
            if home.process is not None and home.process.poll() is None:
                home.kill()


@asynccontextmanager
async def running_home(
    folder: Path, collars: list[EnrolledCollar], grants: list[Grant] | None = None, **env: str
) -> AsyncIterator[Home]:
    """A home whose gateway serves these collars."""
    with empty_home(folder) as home:
        home.env = env
        await home.register(collars, grants)
        home.start()
        await home.ready()
        yield home


def birth(collar_id: str, boot: int = 1, **fields: Any) -> Birth:
    at = fields.pop("observed_at", datetime.now(UTC) - timedelta(hours=1))
    return Birth(
        collar_id=collar_id, boot=boot, seq=0, observed_at=at, hardware="t", firmware="1", **fields
    )


def epoch(collar_id: str, seq: int, boot: int = 1, **fields: Any) -> ActivityEpoch:
    at = fields.pop("observed_at", datetime.now(UTC) - timedelta(hours=1))
    seconds = fields.pop("seconds", {"rest": 60.0})
    return ActivityEpoch(
        collar_id=collar_id, boot=boot, seq=seq, observed_at=at, seconds=seconds, **fields
    )


def send(session: Session, kind: Kind, message: Message, content_type: str = MSGPACK) -> None:
    topic = str(Topic(SITE, message.collar_id, kind))
    payload = encode(message, content_type)
    session.publish(topic, payload, content_type=content_type, sent_at=datetime.now(UTC))


async def acks(session: Session, collar_id: str) -> AsyncIterator[Ack]:
    """The gateway's word to a collar, as it comes."""
    await session.subscribe(ack_filter(SITE, collar_id))
    async for batch in session.batches(100, 0):
        for each in batch:
            each.settle()
            if each.topic != ack_filter(SITE, collar_id):
                continue
            ack = decode(Topic.parse(each.topic), each.payload, each.content_type).message
            assert isinstance(ack, Ack)
            yield ack


class Collar:
    """Sends its messages until the gateway acknowledged the last, through any number of deaths."""

    def __init__(self, collar_id: str, messages: list[tuple[Kind, Message]]) -> None:
        self.collar_id = collar_id
        self.messages = messages
        self.acked: Key | None = None

    @property
    def owed(self) -> list[tuple[Kind, Message]]:
        return [each for each in self.messages if self.acked is None or each[1].key > self.acked]

    async def deliver(self, broker_url: str) -> None:
        while self.owed:
            try:
                async with connect(
                    BrokerUrl.parse(broker_url), self.collar_id, timeout_s=5
                ) as session:
                    await self._converse(session)
            except SessionLost:
                await asyncio.sleep(0.1)

    async def _converse(self, session: Session) -> None:
        heard = asyncio.create_task(self._hear(session))
        try:
            while self.owed and not heard.done():
                window = self.owed[:100]
                for kind, message in window:
                    send(session, kind, message)
                for _ in range(100):
                    if heard.done() or (self.acked is not None and self.acked >= window[-1][1].key):
                        break
                    await asyncio.sleep(0.01)
        finally:
            heard.cancel()
            with suppress(asyncio.CancelledError, SessionLost):
                await heard

    async def _hear(self, session: Session) -> None:
        async for ack in acks(session, self.collar_id):
            if ack.key is not None and (self.acked is None or ack.key > self.acked):
                self.acked = ack.key


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; who is asked may be dead just now."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(httpx2.HTTPError):
                if condition():
                    return
            await asyncio.sleep(0.05)
