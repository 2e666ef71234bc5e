"""One simulated day of one collar, sent in several ways through a real broker, every byte counted.

For ``bench.edge_savings``. The collar is the product's, from its firmware to its TLS connection,
and so is the gateway that commits and acknowledges what it says. Exchanges follow each other as
fast as they are acknowledged; at which second of the day each would have been is kept beside.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import plugins
from bench.edge_home import Home
from collar_sim.assembly import Assembly, EngineChoice, FleetOptions, assemble
from collar_sim.duty import PowerChange
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.minute import MINUTE, Draft, look
from collar_sim.firmware.power.gauge import macs_of_minute
from collar_sim.firmware.sensing.epochs import RATE_HZ
from collar_sim.fleet_file import FleetFile, Member
from gateway.wire.codec import MSGPACK, encode
from gateway.wire.messages import Window
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import Kind, Topic, site_filter
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack
from pawmesh.provision import CollarKeys
from tests.system.fleet_kit import SITE

COLLAR_ID = "collar-1"
BEGIN_AT = datetime(2024, 5, 6, tzinfo=UTC)
SEED = 11
PATIENCE_S = 30.0
POLL_S = 0.001
KEYS = CollarKeys(COLLAR_ID, bytes(range(32)).hex(), bytes(range(32)).hex())
MEMBER = Member(**asdict(KEYS), animal_seed=SEED, lat_deg=48.1, lon_deg=11.5)


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
    async with home.gateway([KEYS]):
        with Flash.open(home.folder / "collar") as flash:
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
