"""A home whose broker has a metered door: who comes in by it is heard over TLS, byte by byte."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.crew import tell
from bench.wire_meter import WireMeter, metered
from gateway.secret_file import write_private
from gateway.wire.session import BrokerUrl
from pawmesh.deployment.certificates import certify_broker, make_authority
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Supervisor
from pawmesh.provision import CollarKeys
from tests.system.fleet_kit import gateway_part, register
from tests.system.mosquitto import Mosquitto


class TlsMosquitto(Mosquitto):
    """A mosquitto that also speaks TLS on a second port."""

    def __init__(self, folder: Path, port: int, tls_port: int) -> None:
        super().__init__(folder, port)
        self._tls_port = tls_port
        self.ca_file = self.folder / "ca.pem"

    def prepare(self) -> None:
        """Write the settings, the password, a key and its certificate."""
        super().prepare()
        authority = make_authority()
        own = certify_broker(authority, ["127.0.0.1"])
        write_private(self.ca_file, authority.certificate)
        write_private(self.folder / "cert.pem", own.certificate)
        write_private(self.folder / "key.pem", own.key)
        settings = self.folder / "mosquitto.conf"
        listener = (
            f"listener {self._tls_port} 127.0.0.1\ncertfile {self.folder}/cert.pem\n"
            f"keyfile {self.folder}/key.pem\nset_tcp_nodelay true\n"
        )
        write_private(settings, settings.read_text() + listener)


@dataclass(frozen=True)
class Home:
    """A broker and a metered door to it."""

    folder: Path
    url: str
    """Of the broker, for whoever is not counted."""
    door: BrokerUrl
    meter: WireMeter

    @asynccontextmanager
    async def gateway(self, keys: Sequence[CollarKeys]) -> AsyncGenerator[None]:
        """The product's gateway, which knows these collars and comes in by another door."""
        folder = self.folder / "gateway"
        folder.mkdir()
        await register(folder, keys)
        async with Supervisor(folder, tell) as supervisor:
            await supervisor.start(gateway_part(folder, self.url))
            yield


@asynccontextmanager
async def home_at(folder: Path) -> AsyncGenerator[Home]:
    """Broker and door, until the block ends."""
    port, tls_port, door_port = free_ports(3)
    broker, meter = TlsMosquitto(folder / "broker", port, tls_port), WireMeter()
    with broker.running() as url:
        login = BrokerUrl.parse(url)
        door = BrokerUrl(
            "127.0.0.1", door_port, login.username, login.password, tls=True, ca_file=broker.ca_file
        )
        async with metered(door_port, tls_port, meter):
            yield Home(folder, url, door, meter)
