"""A broker that opens no session, or ends each one: a fleet is no storm."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link import link as link_module
from collar_sim.firmware.link import reconnect as reconnect_module
from collar_sim.firmware.link import uplink as uplink_module
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from gateway.wire.session import BrokerUrl
from tests.patience import PATIENCE_S

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), bytes(32))
CONNECT, SUBSCRIBE = 1, 8
CONNACK = b"\x20\x03\x00\x00\x00"
TRIES = 8


class Rude:
    """Takes connections: hangs up without a word, or once it has agreed to a session; or holds."""

    def __init__(self, *, opens: bool, holds: bool = False) -> None:
        self.opens = opens
        self.holds = holds
        self.connections = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[BrokerUrl]:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        async with server:
            yield BrokerUrl("127.0.0.1", server.sockets[0].getsockname()[1])

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        kind, body = await _packet(reader)
        assert kind == CONNECT
        if self.opens:
            writer.write(CONNACK)
            while kind != SUBSCRIBE:
                kind, body = await _packet(reader)
            writer.write(b"\x90\x04" + body[:2] + b"\x00\x00")
            await writer.drain()
            if self.holds:
                await reader.read()  # until the collar has enough
        writer.close()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The kind and the rest of one MQTT packet."""
    kind = (await reader.readexactly(1))[0] >> 4
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)


@pytest.fixture
def longest_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each wait for a next try might have been; none takes any time."""
    asked: list[float] = []

    def uniform(_least_s: float, most_s: float) -> float:
        asked.append(most_s)
        return 0.01

    monkeypatch.setattr(reconnect_module.random, "uniform", uniform)
    return asked


@pytest.fixture
def flash(tmp_path: Path) -> Iterator[Flash]:
    with Flash.open(tmp_path) as opened:
        yield opened


async def _try(link: Link, flash: Flash, collars: int, asked: list[float]) -> None:
    """Run so many collars until they have waited `TRIES` times each."""
    flash.boot([f"c{n}" for n in range(collars)])
    uplinks = [Uplink(link, Collar(log, KEY, AT)) for log in flash.logs.values()]
    running = [asyncio.create_task(each.run()) for each in uplinks]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(asked) < TRIES * collars:  # noqa: ASYNC110 - of other tasks
                await asyncio.sleep(0.01)
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_waiting_in_vain_for_a_session_is_none_however_long_it_takes(
    flash: Flash, longest_s: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reconnect_module, "STABLE_S", 0.0)  # as a broker that lets us wait so long
    async with Rude(opens=False).serving() as url:
        await _try(Link(url, "home"), flash, 1, longest_s)
    assert longest_s[:TRIES] == [4.0, 8.0, 16.0] + [30.0] * (TRIES - 3)


async def test_after_a_session_that_lasted_the_next_try_is_soon(
    flash: Flash, longest_s: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reconnect_module, "STABLE_S", 0.0)
    async with Rude(opens=True).serving() as url:
        await _try(Link(url, "home"), flash, 1, longest_s)
    assert longest_s[:TRIES] == [2.0] * TRIES


async def test_sessions_that_break_off_as_they_begin_are_nothing_to_tell_the_others(
    flash: Flash, longest_s: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(link_module, "RECONNECT_S", 0.0)  # it may be told each time
    broker = Rude(opens=True)
    async with broker.serving() as url:
        link = Link(url, "home")
        waiting = asyncio.Event()
        link.resting.add(waiting)
        await _try(link, flash, 3, longest_s)
    assert broker.connections >= 3 * TRIES
    assert not waiting.is_set()
    assert max(longest_s) == 30.0


async def test_once_a_session_lasts_the_others_are_told(
    flash: Flash, longest_s: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reconnect_module, "STABLE_S", 0.1)
    monkeypatch.setattr(uplink_module, "FAREWELL_S", 0.1)  # it takes no last word
    async with Rude(opens=True, holds=True).serving() as url:
        link = Link(url, "home")
        link.lost("c0", "closed")
        link.broke_off()
        waiting = asyncio.Event()
        link.resting.add(waiting)
        trying = asyncio.create_task(_try(link, flash, 1, longest_s))
        async with asyncio.timeout(PATIENCE_S):
            await waiting.wait()
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
    assert longest_s == [], "it is the same session"
