"""A door between a client and its broker that counts what goes through, as a wire would carry it.

What is counted are the real bytes of the TLS connection, in both directions. What the loopback
cannot show is added by rule: an IPv4 and a TCP header without options (40 bytes) for each segment
of at most 1,360 bytes, and pure acknowledgements: one for every second segment that comes in
(RFC 5681), but none for the last of a run that is answered, since the answer carries it.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SEGMENT_BYTES = 1_360  # what LTE and VPNs leave of an Ethernet frame
HEADER_BYTES = 40
READ_BYTES = 65_536


@dataclass
class WireMeter:
    """Counts; ``take`` ends an exchange and gives what it cost."""

    _runs: list[tuple[bool, list[int]]] = field(default_factory=list[tuple[bool, list[int]]])

    def saw(self, size: int, *, is_up: bool) -> None:
        """So many bytes passed."""
        if self._runs and self._runs[-1][0] is is_up:
            self._runs[-1][1].append(size)
        else:
            self._runs.append((is_up, [size]))

    def take(self) -> int:
        """The bytes since the last time.

        >>> meter = WireMeter()
        >>> meter.saw(100, is_up=True)
        >>> meter.saw(30, is_up=False)
        >>> meter.take() - 100 - 30 == 2 * 40 + 40  # two segments, and one acknowledgement alone
        True
        """
        size = 0
        for at, (_, pieces) in enumerate(self._runs):
            segments = sum(math.ceil(piece / SEGMENT_BYTES) for piece in pieces)
            is_answered = at + 1 < len(self._runs)
            alone = math.ceil(segments / 2) - is_answered
            size += sum(pieces) + HEADER_BYTES * (segments + alone)
        self._runs = []
        return size


@asynccontextmanager
async def metered(port: int, broker_port: int, meter: WireMeter) -> AsyncGenerator[None]:
    """Let clients of a loopback port through to the broker's, and count."""
    pumps: set[asyncio.Task[None]] = set()

    async def pump(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        try:
            while data := await source.read(READ_BYTES):
                meter.saw(len(data), is_up=is_up)
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # one end left; the other is told below
        finally:
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_broker, from_client = await asyncio.open_connection("127.0.0.1", broker_port)
        for task in (pump(reader, from_client, is_up=True), pump(to_broker, writer, is_up=False)):
            running = asyncio.create_task(task)
            pumps.add(running)
            running.add_done_callback(pumps.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in list(pumps):
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
