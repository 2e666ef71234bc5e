"""Listens to everything that a site's collars and gateway say, and keeps it on a tape."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from gateway.wire.errors import Rejected, SessionLost
from gateway.wire.session import BrokerUrl, Delivery, connect
from gateway.wire.topics import Topic, site_filter
from pawmesh.record.tape import Message, TapeWriter, Wearer

FLUSH_S = 1.0  # what a kill may lose
BATCH, LINGER_S = 1_000, 0.02
ASK_AGAIN_S = 5.0  # who a collar is, if nobody knew
RECONNECT_S = 1.0
GRACE_S = 0.25  # for what the broker has on its way to us when we are told to end
CLIENT = "pawmesh-recorder"


class Recorded(Struct, kw_only=True):
    """What came of recording."""

    messages: int
    collars: int
    size_bytes: int
    seconds: float
    interruptions: int
    """Times that the broker went away; what was said meanwhile is missing."""
    ended_by: str


class Recorder:
    """Records one site. `stop` it, or let a limit do so."""

    def __init__(
        self,
        broker: BrokerUrl,
        writer: TapeWriter,
        site: str,
        who: Callable[[], list[Wearer]] = list,
    ) -> None:
        """Of a site.

        Args:
            broker: Where it speaks.
            writer: What it is written to; ended when the recording ends.
            site: Its name.
            who: Asks for all collars that are enrolled; called in a thread.
        """
        self._broker = broker
        self._writer = writer
        self._site = site
        self._who = who
        self._known: set[str] = set()
        self._heard: set[str] = set()
        self._asked_s = float("-inf")
        self._stop = asyncio.Event()
        self._ended_by = "stopped"
        self._began_s = time.monotonic()
        self._interruptions = 0
        self.listening = asyncio.Event()
        """Set while the broker sends us everything."""

    def stop(self) -> None:
        """End in good order."""
        self._stop.set()

    async def run(self, duration_s: float | None = None, max_bytes: int | None = None) -> Recorded:
        """Record until stopped, for a time, or up to a size."""
        try:
            await self._ask()
            working: list[asyncio.Task[Any]] = [
                asyncio.create_task(self._listen(), name="record"),
                asyncio.create_task(self._keep_flushed(max_bytes), name="flush"),
                asyncio.create_task(self._stop.wait(), name="stop"),
            ]
            try:
                over, _ = await asyncio.wait(
                    working, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not over:
                    self._ended_by = "duration"
                for task in over:
                    task.result()
                await asyncio.sleep(GRACE_S)
            finally:
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
        finally:
            seconds = round(time.monotonic() - self._began_s, 3)
            self._writer.end(seconds)
        return Recorded(
            messages=self._writer.messages,
            collars=len(self._heard),
            size_bytes=self._writer.size_bytes,
            seconds=seconds,
            interruptions=self._interruptions,
            ended_by=self._ended_by,
        )

    async def _listen(self) -> None:
        was_connected = False
        while True:
            try:
                name = f"{CLIENT}-{random.getrandbits(32):08x}"  # several may record one site
                async with connect(self._broker, name) as session:
                    await session.subscribe(site_filter(self._site))
                    was_connected = True
                    self.listening.set()
                    async for batch in session.batches(BATCH, LINGER_S):
                        await self._take(batch)
            except SessionLost:
                if not was_connected:
                    raise
                self._interruptions += self.listening.is_set()
                self.listening.clear()
            await asyncio.sleep(RECONNECT_S)

    async def _take(self, batch: list[Delivery]) -> None:
        now_s = time.monotonic() - self._began_s
        for each in batch:
            with suppress(Rejected):
                self._heard.add(Topic.parse(each.topic).collar_id)
        if self._heard - self._known and time.monotonic() - self._asked_s > ASK_AGAIN_S:
            await self._ask()
        for each in batch:
            self._writer.add(
                Message(
                    round(now_s, 4),
                    each.topic,
                    each.payload,
                    each.content_type,
                    each.sent_at,
                    each.retained,
                )
            )
            each.settle()

    async def _ask(self) -> None:
        self._asked_s = time.monotonic()
        wearers = await asyncio.to_thread(self._who)
        fresh = [each for each in wearers if each.collar.collar_id not in self._known]
        if fresh:
            self._writer.introduce(fresh)
            self._known |= {each.collar.collar_id for each in fresh}

    async def _keep_flushed(self, max_bytes: int | None) -> None:
        while max_bytes is None or self._writer.size_bytes < max_bytes:
            await asyncio.sleep(FLUSH_S)
            self._writer.flush()
        self._ended_by = "size"
