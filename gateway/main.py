"""The gateway's process: opens the store and the plugins, then ingests, judges, shares, answers."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import msgspec
import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.alerts import Alert
from gateway.api import make_app
from gateway.consent import ConsentFilter
from gateway.deliveries import Courier, Packages, Reports
from gateway.desired import DesiredTask
from gateway.host import PluginHost
from gateway.ingest import Heard, Ingest
from gateway.judge import Judge
from gateway.labels import Labels
from gateway.metrics import CONNECTED
from gateway.registry import Household
from gateway.secret_file import kept_secret
from gateway.store import Store
from gateway.sync import CloudClient, Errand, Sync, load_key
from gateway.wire.codec import JSON
from gateway.wire.errors import SessionLost
from gateway.wire.session import BrokerUrl, Session, connect

log: structlog.stdlib.BoundLogger = structlog.get_logger()

DECIDE_S = 0.25  # the consent filter looks at what is new at most this often


class Settings(BaseSettings):
    """What a gateway needs to know; environment variables begin with ``GATEWAY_``."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_",
        secrets_dir=os.environ.get("PAWMESH_SECRETS_DIR"),
        frozen=True,
        use_attribute_docstrings=True,
    )

    site: str = "home"
    """The group of collars this gateway owns."""
    broker_url: SecretStr = SecretStr("mqtt://127.0.0.1:1883")
    """``mqtt://user:password@host:port``, or ``mqtts``."""
    broker_ca_file: Path | None = None
    """Authority that the broker's certificate is checked against; the system's without it."""
    broker_session_s: int = 0
    """How long the broker keeps what it owes a gateway that is gone. 0: the collars send again,
    which is all that the embedded broker can do: sessions resumed after a kill stall in it."""
    data_dir: Path = Path("gateway-data")
    """Holds ``gateway.db``, ``gateway.key`` and ``gateway.token``."""
    cloud_url: str | None = None
    """Where granted data goes; without it nothing leaves."""
    plugins_dirs: list[Path] = [Path(__file__).parents[1] / "plugins"]
    """Folders whose sub-folders are plugins."""
    host: str = "127.0.0.1"
    """Address of the HTTP API."""
    port: int = 8601
    """Port of the HTTP API."""
    reconnect_s: float = 2.0
    """Longest pause before the broker is tried again."""
    seal_wait_s: float = 3_600.0
    """How long messages wait for a seal that was promised."""


async def run(settings: Settings) -> None:
    """Serve until cancelled."""
    household = Household(settings.site)
    token = load_token(settings.data_dir / "gateway.token")
    key = load_key(settings.data_dir / "gateway.key")
    async with (
        Store.open(settings.data_dir / "gateway.db") as store,
        PluginHost.open(settings.plugins_dirs) as host,
        open_cloud(settings) as http,
    ):
        await store.read(household.load)
        gateway = Gateway(settings, store, household, host)
        app = make_app(store, household, host, token)
        async with asyncio.TaskGroup() as tasks:
            if http is not None:
                sync = Sync(store, household, CloudClient(http, settings.site, key))
                gateway.connect_cloud(sync)
                tasks.create_task(sync.run(), name="sync")
            app.state.refresh, app.state.wake_sync = gateway.refresh, gateway.wake_sync
            for judge in gateway.judges:
                tasks.create_task(judge.run(), name="judge")
            tasks.create_task(gateway.decide(), name="consent")
            tasks.create_task(gateway.courier.run(), name="deliveries")
            tasks.create_task(gateway.desired.run(), name="desired")
            tasks.create_task(gateway.listen(), name="ingest")
            tasks.create_task(serve(app, settings), name="api")


class Gateway:
    """Ties the parts together: what is committed wakes who waits for it."""

    def __init__(
        self, settings: Settings, store: Store, household: Household, host: PluginHost
    ) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._store, self._household = store, household
        self._consent = ConsentFilter(store, household, settings.seal_wait_s)
        self._ingest = Ingest(store, household, self._committed, self._heard)
        self.courier = Courier(store, household, self._ingest.downlink)
        self.desired = DesiredTask(household, self._ingest.downlink)
        self._undecided = asyncio.Event()
        self._undecided.set()
        self.sync: Sync | None = None
        self.judges = [
            Judge(store, household, host, plugin_id, self._notify) for plugin_id in host.plugins
        ]
        for judge in self.judges:
            judge.wake.set()

    async def listen(self) -> None:
        """Ingest for ever: a lost broker is waited for."""
        broker = BrokerUrl.parse(
            self._settings.broker_url.get_secret_value(), self._settings.broker_ca_file
        )
        connected = True  # an outage is logged once when it begins and once when it ends
        while True:
            try:
                name = f"gateway-{self._settings.site}"
                expiry_s = self._settings.broker_session_s
                async with connect(broker, name, session_expiry_s=expiry_s) as session:
                    await self._ingest.open(session)
                    log.info("broker.connected", host=broker.host, port=broker.port)
                    connected, self._session = True, session
                    CONNECTED.set(1)
                    self.desired.replan()
                    self.courier.opened()
                    await self._ingest.run(session)
            except SessionLost as error:
                if connected:
                    log.warning("broker.lost", error=str(error))
                connected, self._session = False, None
                CONNECTED.set(0)
            await asyncio.sleep(random.uniform(0.1, self._settings.reconnect_s))

    async def decide(self) -> None:
        """Run the consent filter over what is new, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(30):  # promised seals run out of time unannounced
                    await self._undecided.wait()
            self._undecided.clear()
            if await self._ingest.refile():
                self._undecided.set()
            if await self._consent.decide() and self.sync is not None:
                self.sync.wake.set()
            await asyncio.sleep(DECIDE_S)

    async def refresh(self) -> None:
        """Ask the cloud for the registry now, if there is a cloud."""
        if self.sync is not None:
            await self.sync.refresh()

    def connect_cloud(self, sync: Sync) -> None:
        """From here on the cloud is kept in step too."""
        self.sync = sync
        packages, reports = Packages(self._store), Reports(self._store, self._household)

        async def fetch(cloud: CloudClient) -> bool:
            if fetched := await packages.fetch(cloud):
                self.courier.reload()
            return fetched

        sync.errands = [
            Errand("labels", Labels(self._store, self._household).sync),
            Errand("packages", fetch),
            Errand("reports", reports.send),
        ]
        sync.refreshed = self._refreshed
        self.courier.changed = sync.wake.set

    def wake_sync(self) -> None:
        """There is something for the cloud."""
        if self.sync is not None:
            self.sync.wake.set()

    def _refreshed(self) -> None:
        self.desired.replan()
        self.courier.replan()

    def _heard(self, heard: Heard) -> None:
        self.desired.hear(heard)
        self.courier.hear(heard)

    def _committed(self) -> None:
        self._undecided.set()
        for judge in self.judges:
            judge.wake.set()

    def _notify(self, alert: Alert) -> None:
        log.info("alert.raised", pet_id=alert.pet_id, title=alert.title, severity=alert.severity)
        if self._session is None or self._session.is_lost:
            return  # the alert stays in the list; there is no one listening to tell
        topic = f"pawmesh/v1/{self._settings.site}/alert"
        self._session.publish(
            topic, msgspec.json.encode(alert), content_type=JSON, sent_at=datetime.now(UTC)
        )


@asynccontextmanager
async def open_cloud(settings: Settings) -> AsyncGenerator[httpx2.AsyncClient | None]:
    """An HTTP client for the cloud, if the home has one."""
    if settings.cloud_url is None:
        yield None
        return
    async with httpx2.AsyncClient(base_url=settings.cloud_url, timeout=30) as http:
        yield http


async def serve(app: FastAPI, settings: Settings) -> None:
    """Answer HTTP until cancelled."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    with socket.create_server((settings.host, settings.port), backlog=128) as listener:
        await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us: the whole process ends in one order."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def load_token(path: Path) -> str:
    """The API's token, made at the first start with mode 0600."""
    return kept_secret(path, lambda: secrets.token_urlsafe(32))
