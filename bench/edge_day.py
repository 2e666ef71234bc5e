"""One simulated day of one collar, sent in several ways through a real broker, every byte counted.

For ``bench.edge_savings``. The collar is the product's, from its firmware to its TLS connection,
and so is the gateway that commits and acknowledges what it says. Exchanges follow each other as
fast as they are acknowledged; at which second of the day each would have been is kept beside.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import plugins
from bench.wire_meter import WireMeter, metered
from collar_sim.assembly import Assembly, EngineChoice, FleetOptions, assemble
from collar_sim.duty import PowerChange
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.minute import MINUTE, Draft, look
from collar_sim.firmware.power.gauge import macs_of_minute
from collar_sim.firmware.sensing.epochs import RATE_HZ
from collar_sim.fleet_file import FleetFile, Member
from gateway.desired import DesiredTask
from gateway.ingest import Heard, Ingest
from gateway.registry import Household, save_registry
from gateway.secret_file import write_private
from gateway.store import Store
from gateway.wire.codec import MSGPACK, encode
from gateway.wire.messages import Window
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import Kind, Topic, site_filter
from gateway.wire.uplink import EnrolledCollar, Registry
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack
from pawmesh.deployment.certificates import certify_broker, make_authority
from pawmesh.embedded.ports import free_ports
from tests.system.mosquitto import Mosquitto

SITE, COLLAR_ID = "home", "collar-1"
BEGIN_AT = datetime(2024, 5, 6, tzinfo=UTC)
SEED = 11
PATIENCE_S = 30.0
POLL_S = 0.001
KEY = bytes(range(32))
MEMBER = Member(
    collar_id=COLLAR_ID,
    signing_key=KEY.hex(),
    salt_secret=KEY.hex(),
    animal_seed=SEED,
    lat_deg=48.1,
    lon_deg=11.5,
)


@dataclass
class Day:
    """What one animal's collar felt and said."""

    drafts: list[Draft] = field(default_factory=list[Draft])
    samples: list[bytes] = field(default_factory=list[bytes])
    """Of each minute, packed: 25 Hz, six axes of int16."""
    joules: Counter[str] = field(default_factory=Counter[str])
    """By part, as the collar reported them."""
    macs: int = 0
    windows: int = 0
    """That a model looked at."""

    @property
    def span_s(self) -> float:
        """Its length."""
        return len(self.samples) * MINUTE.total_seconds()


@dataclass
class Traffic:
    """What a day cost on the wire."""

    at_s: list[float] = field(default_factory=list[float])
    """Second of the day of each exchange."""
    wire_bytes: list[int] = field(default_factory=list[int])
    messages: int = 0
    keepalive_s: float = 30.0
    connecting: int = 0
    """Bytes until the session stood."""

    def note(self, at_s: float, wire_bytes: int) -> None:
        """An exchange took so many bytes."""
        self.at_s.append(at_s)
        self.wire_bytes.append(wire_bytes)


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


@dataclass
class Home:
    """A broker, a metered door to it, and room for files."""

    folder: Path
    url: str
    """Of the broker, for whoever is not counted."""
    door: BrokerUrl
    meter: WireMeter
    _rooms: int = 0

    def room(self) -> Path:
        """A new folder."""
        self._rooms += 1
        made = self.folder / f"room-{self._rooms}"
        made.mkdir()
        return made


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


def simulated_day(folder: Path, minutes: int) -> Day:
    """What the collar says and feels from midnight on."""
    day = Day()
    with Flash.open(folder) as flash:
        parts = _collar(BrokerUrl("127.0.0.1", 1), flash, None)
        (wearer,) = parts.wearers
        for minute in range(minutes):
            wearer.prepare()
            sensed = wearer.live(BEGIN_AT + minute * MINUTE)
            (seen,) = look(wearer.slots, [sensed], sensed.sound[None])
            said = [
                each
                for each in wearer.report(sensed, seen, -1).drafts
                if not isinstance(each, PowerChange)
            ]
            day.drafts += sorted(said, key=lambda draft: draft.release_at)
            day.samples.append(pack(sensed.imu))
            day.macs += macs_of_minute(wearer.slots, len(seen.said))
            day.windows += 3 * len(seen.said) - 1
            for draft in said:
                day.joules.update(draft.fields["joules"] if draft.kind is Kind.POWER else {})
    return day


async def recognised(
    home: Home,
    day: Day,
    upload_every: timedelta | None = None,
    wanted: Callable[[Draft], bool] = lambda _: True,
) -> Traffic:
    """Send what the collar says of the day, as far as it is ``wanted``, and as its setting says."""
    traffic = Traffic()
    folder = home.room()
    async with _gateway(home.url, folder):
        with Flash.open(folder) as flash:
            parts = _collar(home.door, flash, upload_every)
            collar, uplink = parts.wearers[0].collar, parts.uplinks[COLLAR_ID]
            traffic.keepalive_s = float(collar.uploads.keepalive_s)
            running = asyncio.create_task(uplink.run(), name="uplink")

            async def exchange(at: datetime, *, at_once: bool) -> None:
                flash.commit()
                if not collar.lets_go(at, at_once=at_once):
                    return
                collar.is_urgent = False
                uplink.wake()
                await _until(lambda: collar.flash.first >= collar.sendable)
                await asyncio.sleep(POLL_S)
                traffic.note((at - BEGIN_AT).total_seconds(), home.meter.take())

            try:
                await _until(lambda: collar.opens_batches is not None)
                await exchange(BEGIN_AT, at_once=True)
                traffic.connecting = sum(traffic.wire_bytes)
                spoken = [draft for draft in day.drafts if wanted(draft)]
                for at, together in groupby(spoken, key=lambda draft: draft.release_at):
                    for draft in together:
                        collar.say(draft)
                    await exchange(at, at_once=collar.is_urgent)
                end_at = BEGIN_AT + timedelta(seconds=day.span_s)
                collar.seal(end_at)
                await exchange(end_at, at_once=True)
                traffic.messages = flash.logs[COLLAR_ID].acked
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
    home.meter.take()
    return traffic


async def streamed(home: Home, day: Day, span_s: int) -> Traffic:
    """Send the day's samples, so many seconds of them in each message."""
    traffic = Traffic()
    raw, size = b"".join(day.samples), span_s * RATE_HZ * 12
    topic = str(Topic(SITE, COLLAR_ID, Kind.WINDOW))
    async with connect(BrokerUrl.parse(home.url), "reader") as reader:
        await reader.subscribe(site_filter(SITE))
        reading = asyncio.create_task(_read(reader), name="reader")
        async with connect(home.door, COLLAR_ID, keepalive_s=90) as session:
            traffic.connecting = home.meter.take()
            traffic.note(0.0, traffic.connecting)
            for seq in range(len(raw) // size):
                at_s = (seq + 1) * span_s
                at = BEGIN_AT + timedelta(seconds=at_s)
                window = Window(
                    collar_id=COLLAR_ID,
                    boot=1,
                    seq=seq,
                    observed_at=at - timedelta(seconds=span_s),
                    uptime_s=float(at_s),
                    rate_hz=float(RATE_HZ),
                    acc_g_per_lsb=ACC_G_PER_LSB,
                    gyr_dps_per_lsb=GYR_DPS_PER_LSB,
                    samples=raw[seq * size : (seq + 1) * size],
                )
                session.publish(topic, encode(window), content_type=MSGPACK, sent_at=at)
                await session.drained()
                traffic.note(at_s, home.meter.take())
            traffic.messages = len(raw) // size
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    home.meter.take()
    return traffic


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the collar tells nobody of an acknowledgement
            await asyncio.sleep(POLL_S)


async def _read(session: Session) -> None:
    async for batch in session.batches(100, 0.0):
        for delivery in batch:
            delivery.settle()


@asynccontextmanager
async def _gateway(url: str, folder: Path) -> AsyncGenerator[None]:
    """The product's gateway, as far as it hears and answers collars."""
    public = Ed25519PrivateKey.from_private_bytes(KEY).public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    enrolled = EnrolledCollar(
        collar_id=COLLAR_ID, pet_id="p", pet_name="P", public_key=raw, assigned_at=BEGIN_AT
    )
    async with Store.open(folder / "gateway.db") as store:
        registry = Registry(site=SITE, version=1, collars=[enrolled], grants=[])
        await store.write(lambda db: save_registry(db, registry))
        household = Household(SITE)
        await store.read(household.load)

        def heard(what: Heard) -> None:
            desired.hear(what)

        ingest = Ingest(store, household, lambda: None, heard)
        desired = DesiredTask(household, ingest.downlink)
        async with connect(BrokerUrl.parse(url), "gateway") as session:
            await ingest.open(session)
            tasks = [asyncio.create_task(each) for each in (ingest.run(session), desired.run())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def _collar(broker: BrokerUrl, flash: Flash, upload_every: timedelta | None) -> Assembly:
    options = FleetOptions(
        broker=broker,
        site=SITE,
        models=Path(plugins.__path__[0]),
        start_at=BEGIN_AT,
        history=timedelta(),
        engine=EngineChoice.LITERT,
        upload_every=upload_every,
        radio_loss=0.0,
    )
    return assemble(options, FleetFile([MEMBER], {}), flash)
