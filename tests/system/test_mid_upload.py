"""A collar whose power goes between a send and its acknowledgement: real broker, real gateway."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import plugins
from collar_sim.assembly import Assembly, EngineChoice, FleetOptions, assemble
from collar_sim.duty import PowerChange
from collar_sim.firmware.link import reconnect
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.minute import Draft
from collar_sim.fleet_file import read_fleet
from gateway.wire.session import BrokerUrl
from gateway.wire.topics import Kind
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.home import SITE, Home, enrolled, until
from tests.system.household import write_fleet
from tests.system.mosquitto import Mosquitto

FIX = {"lat_deg": 48.1, "lon_deg": 11.5, "accuracy_m": 3.0}
CONNACK, SUBACK = 2, 9


class Valve:
    """A way to a broker that, once shut, lets so many bytes pass, and no PUBACK comes back."""

    def __init__(self, broker: BrokerUrl) -> None:
        self._broker = broker
        self._passes: int | None = None
        self.is_stuck = asyncio.Event()
        """As many bytes passed, and there were more."""
        self._tasks: set[asyncio.Task[None]] = set()

    def shut_after(self, count: int) -> None:
        self._passes = count
        self.is_stuck.clear()

    def open(self) -> None:
        """For connections to come: those that are stuck stay so."""
        self._passes = None

    async def emptied(self) -> None:
        """Wait until the broker took all that passed, and has noticed that no more comes."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait(self._tasks)

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncGenerator[None]:

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            there, back = await asyncio.open_connection(self._broker.host, self._broker.port)
            try:
                await asyncio.gather(self._up(reader, back), self._down(there, writer))
            finally:
                back.close()
                writer.close()

        server = await asyncio.start_server(meet, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._passes
        async for data in _chunks(reader):
            writer.write(data if left is None else data[:left])
            await writer.drain()
            if left:
                left -= min(left, len(data))
                if not left:  # said once: what comes later on this connection is of no interest
                    self.is_stuck.set()
        with suppress(OSError):  # the power is off: the broker notices, and says the will
            writer.write_eof()  # not closed: that would take back what it has not read yet

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_shut = self._passes is not None
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                packet = await _packet(reader)
                if not is_shut or packet[0] >> 4 in (CONNACK, SUBACK):
                    writer.write(packet)
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            yield data


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """One MQTT packet: several may come in one chunk."""
    head = await reader.readexactly(2)
    while head[-1] & 0x80:
        head += await reader.readexactly(1)
    length = sum((byte & 0x7F) << 7 * n for n, byte in enumerate(head[1:]))
    return head + await reader.readexactly(length)


class Bench:
    """A collar in our hands: we write its messages, and turn it off and on."""

    def __init__(self, parts: Assembly, flash: Flash) -> None:
        self.uplink = parts.uplinks["c0"]
        self.collar = parts.wearers[0].collar
        self._parts = parts
        self._flash = flash
        self._at = parts.until

    def write(self, count: int) -> None:
        for _ in range(count):
            self._at += timedelta(seconds=1)
            self.collar.say(Draft(self._at, Kind.FIX, self._at, FIX))

    def save(self) -> None:
        self._flash.commit()
        self.uplink.wake()

    def turn(self, *, is_on: bool) -> None:
        self._at += timedelta(seconds=1)
        self._parts.switch.turn(self.collar, PowerChange(self._at, is_on=is_on))

    def written(self, folder: Path) -> set[tuple[int, int, bytes]]:
        with closing(sqlite3.connect(folder / "published.sqlite")) as db:
            return set(db.execute("SELECT boot, seq, digest FROM published"))


async def test_a_reboot_in_mid_upload_loses_nothing_and_says_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect, "RECONNECT_S", 0.1)
    broker_port, port, door = free_ports(3)
    with Mosquitto(tmp_path / "broker", broker_port).running() as url:
        home = Home(tmp_path, Mosquitto(tmp_path / "broker", broker_port), url, port)
        await home.register([enrolled(*write_fleet(tmp_path / "fleet.json", 1))])
        home.start()
        await home.ready()
        broker = BrokerUrl.parse(url)
        options = FleetOptions(
            broker=BrokerUrl("127.0.0.1", door, broker.username, broker.password),
            site=SITE,
            models=Path(plugins.__path__[0]),
            start_at=datetime.now(UTC) - timedelta(hours=1),
            engine=EngineChoice.LITERT,
            radio_loss=0.0,
        )
        valve = Valve(broker)
        with Flash.open(tmp_path / "sim") as flash:
            bench = Bench(assemble(options, read_fleet(tmp_path / "fleet.json"), flash), flash)
            async with valve.serving(door):
                running = asyncio.create_task(bench.uplink.run())
                # of 40 fixes: none, some and half of one more, and all but their acknowledgements
                for passes in (600, 2_500, 9_000):
                    valve.shut_after(passes)
                    bench.write(40)
                    bench.save()
                    async with asyncio.timeout(PATIENCE_S):
                        await valve.is_stuck.wait()
                    bench.save()
                    bench.write(3)  # in memory alone
                    bench.turn(is_on=False)
                    await valve.emptied()  # or the next session would take what is left from it
                    bench.turn(is_on=True)
                    bench.save()
                valve.open()
                await until(lambda: not len(bench.collar.flash))
                bench.uplink.leave()
                await running
            written = bench.written(tmp_path / "sim")
        rows = await home.execute("SELECT boot, seq, digest FROM message")
        with home.api as api:
            status, rejected = api.get("/v1/status").json(), api.get("/v1/rejected").json()
        home.kill()
    assert sorted(map(tuple, rows)) == sorted(written)
    assert len(written) == 3 * 40 + 4, "and the four births"
    assert (status["lost"], rejected) == (0, [])
    assert status["counters"]["duplicates"] > 40, "they were sent, and sent again"
