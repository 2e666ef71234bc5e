"""The whole platform on one machine: which parts there are, in which order they start."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from gateway.wire.session import BrokerUrl
from pawmesh.embedded import ports as ports_of
from pawmesh.embedded.broker import HOUSE, Broker
from pawmesh.embedded.ports import Ports
from pawmesh.embedded.postgres import Postgres
from pawmesh.embedded.process import DEATHS, POLL_S, Part, Supervisor, tail
from pawmesh.errors import PartFailed
from pawmesh.house import SITE, House
from pawmesh.provision import ensure_home_zone, ensure_owner
from pawmesh.versions import require_known

BROKER_S = 20.0  # for the gateway's first connection to a broker of the user's own
EXTERNAL_SESSION_S = 3_600  # what a real broker keeps for a gateway that is gone


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to run, and where."""

    house: House
    broker_url: str | None = None
    """A broker of the user's own; without it, ours."""
    database_url: str | None = None
    port_base: int | None = None
    dashboard: bool = True
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """For every part, such as another emission period for the demo."""
    deaths: int = DEATHS
    """How many of one part within a minute give it up; a crash test forgives more."""


class Platform:
    """A running platform; more parts can be started on its supervisor."""

    def __init__(self, plan: Plan, ports: Ports, supervisor: Supervisor) -> None:
        self.plan = plan
        self.house = plan.house
        self.supervisor = supervisor
        self.cloud_url = f"http://127.0.0.1:{ports.cloud}"
        self.gateway_url = f"http://127.0.0.1:{ports.gateway}"
        self.dashboard_url = f"http://127.0.0.1:{ports.dashboard}" if plan.dashboard else None
        self.broker_url = plan.broker_url or ""
        self.database_url = plan.database_url or ""
        self._ports = ports

    async def start(self, say: Callable[[str], None]) -> None:
        """Start all parts, each when the one before answers."""
        if not self.plan.broker_url:
            say("broker")
            broker = Broker(self.house.data_dir / "broker", self._ports.broker, (HOUSE, SITE))
            await self.supervisor.start(broker.part())
            self.broker_url = broker.url
        if not self.plan.database_url:
            say("database")
            database = Postgres(self.house.data_dir / "database", self._ports.database)
            await self.supervisor.start(await asyncio.to_thread(database.part))
            self.database_url = database.url
        say("cloud")
        await self.supervisor.start(self._cloud())
        with self.house.operator_api(self.cloud_url) as cloud:
            await asyncio.to_thread(ensure_owner, self.house, cloud)
        say("gateway")
        await self.supervisor.start(self._gateway())
        if self.plan.broker_url:
            await self._require_broker(self.plan.broker_url)
        with self.house.gateway_api(self.gateway_url) as gateway:
            await asyncio.to_thread(ensure_home_zone, gateway)
        if self.dashboard_url:
            say("dashboard")
            await self.supervisor.start(self._dashboard())

    async def _require_broker(self, url: str) -> None:
        """A broker of the user's own may be wrong in ways that only its answer shows."""
        connected = _answers(f"{self.gateway_url}/metrics", "pawmesh_broker_connected 1.0")
        try:
            async with asyncio.timeout(BROKER_S):
                while not await connected():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            broker, log = BrokerUrl.parse(url), self.house.logs / "gateway.log"
            raise PartFailed(
                f"The broker at {broker.host}:{broker.port} does not let the gateway in. See that "
                f"it runs, speaks MQTT 5, and knows the user name and password. The end of {log}:\n"
                f"{tail(log)}"
            ) from None

    def running(self) -> dict[str, object]:
        """What runs and where, as the ready file has it."""
        return {
            "dashboard_url": self.dashboard_url,
            "cloud_url": self.cloud_url,
            "gateway_url": self.gateway_url,
            "broker_url": self.broker_url,
            "database_url": self.database_url,
            "gateway_db": str((self.house.gateway / "gateway.db").absolute()),
            "site": SITE,
            "data_dir": str(self.house.data_dir.absolute()),
            "gateway_token_file": str((self.house.gateway / "gateway.token").absolute()),
            "operator_token_file": str(self.house.operator_token_file.absolute()),
            "owner_password_file": str(self.house.owner_password_file.absolute()),
            "supervisor_pid": os.getpid(),
            "pids": self.supervisor.pids,
            "written_at": datetime.now(UTC).isoformat(),
        }

    def fleet_part(self, fleet_file: Path, name: str = "collars", **flags: object) -> Part:
        """The simulator as a part; ``flags`` are those of ``python -m collar_sim``."""
        return Part(
            name=name,
            argv=fleet_command(fleet_file, self.house.fleet / fleet_file.stem, **flags),
            env={**self.plan.environment, "SIM_BROKER": self.broker_url},
            ready=_at_once,
        )

    def _cloud(self) -> Part:
        return Part(
            name="cloud",
            argv=[sys.executable, "-P", "-m", "cloud"],
            env={
                **self.plan.environment,
                "CLOUD_DATABASE_URL": self.database_url,
                "CLOUD_DATABASE_WAIT_S": "30",  # it may be recovering from the same death
                "CLOUD_PORT": str(self._ports.cloud),
                "CLOUD_OPERATOR_TOKEN_FILE": str(self.house.operator_token_file),
            },
            ready=_answers(f"{self.cloud_url}/healthz"),
        )

    def _gateway(self) -> Part:
        external = self.plan.broker_url is not None
        return Part(
            name="gateway",
            argv=[sys.executable, "-P", "-m", "gateway"],
            env={
                **self.plan.environment,
                "GATEWAY_SITE": SITE,
                "GATEWAY_BROKER_URL": self.broker_url,
                "GATEWAY_BROKER_SESSION_S": str(EXTERNAL_SESSION_S if external else 0),
                "GATEWAY_DATA_DIR": str(self.house.gateway),
                "GATEWAY_CLOUD_URL": self.cloud_url,
                "GATEWAY_PORT": str(self._ports.gateway),
            },
            ready=_answers(f"{self.gateway_url}/healthz"),
        )

    def _dashboard(self) -> Part:
        return Part(
            name="dashboard",
            argv=[sys.executable, "-P", "-m", "dashboard"],
            env={
                **self.plan.environment,
                "DASHBOARD_PORT": str(self._ports.dashboard),
                "DASHBOARD_GATEWAY_URL": self.gateway_url,
                "DASHBOARD_GATEWAY_TOKEN_FILE": str(self.house.gateway / "gateway.token"),
                "DASHBOARD_CLOUD_URL": self.cloud_url,
                "DASHBOARD_STATE_DIR": str(self.house.data_dir / "dashboard"),
            },
            ready=_answers(f"{self.dashboard_url}/_stcore/health"),
        )


@asynccontextmanager
async def running_platform(
    plan: Plan, starting: Callable[[str], None], say: Callable[[str], None]
) -> AsyncGenerator[Platform]:
    """The platform for as long as the block lasts; call from the main thread.

    Args:
        plan: What is to run.
        starting: Told the name of each part before it starts.
        say: Told when a part died, came back or was given up.

    Raises:
        PawmeshError: Of the kind that names the remedy.
    """
    task = asyncio.current_task()
    if task is not None:  # SIGTERM ends the house in the same good order as Ctrl-C
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan.house.prepare()
    with plan.house.occupied():
        require_known(plan.house)
        ports = ports_of.allocate(plan.house.data_dir, plan.port_base, needed=_needed(plan))
        async with Supervisor(plan.house.logs, say, deaths=plan.deaths) as supervisor:
            platform = Platform(plan, ports, supervisor)
            await platform.start(starting)
            yield platform


def fleet_command(fleet_file: Path, data_dir: Path, **flags: object) -> list[str]:
    """The simulator's command line; flags that are None are left out."""
    command = [sys.executable, "-P", "-m", "collar_sim", "--fleet-file", str(fleet_file)]
    command += ["--data-dir", str(data_dir), "--site", SITE]
    for name, value in flags.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command


def site_login(house: House, broker_url: str) -> tuple[BrokerUrl, str | None, str | None]:
    """Where a stranger's collar connects, and as whom: broker, user name, password."""
    broker = BrokerUrl.parse(broker_url)
    ours = Broker(house.data_dir / "broker", broker.port, (HOUSE, SITE))
    if ours.is_at(broker_url):
        return broker, SITE, ours.password(SITE)
    return broker, broker.username, broker.password


def _needed(plan: Plan) -> list[str]:
    given = {
        "broker": plan.broker_url is None,
        "database": plan.database_url is None,
        "dashboard": plan.dashboard,
    }
    return [part for part in ports_of.PARTS if given.get(part, True)]


def _answers(url: str, text: str = "") -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        try:
            async with httpx2.AsyncClient(timeout=2) as client:
                answer = await client.get(url)
        except httpx2.HTTPError:
            return False
        return answer.status_code == 200 and text in answer.text

    return ask


async def _at_once() -> bool:
    return True
