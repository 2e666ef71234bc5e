"""How a collar finds its broker again: ever more rarely, at random, so that a fleet is no storm.

Once one collar of the process gets through, the others try soon; that is told by the `Link` that
they share.
"""

import asyncio
import random
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from collar_sim.firmware.link.link import RECONNECT_S, Link

MAX_RECONNECT_S = 30.0  # the longest wait, after many tries in vain
STABLE_S = 10.0  # a session that lasted so long was one: the next try is soon
MOST_DOUBLINGS = 8  # beyond the longest wait


class Reconnect:
    """One collar's tries: each leads to a session or not, is `judge`d, and followed by a `rest`."""

    def __init__(self, link: Link, collar_id: str) -> None:
        """Of a collar that never tried, and the link that it shares."""
        self._link = link
        self._collar_id = collar_id
        self._in_vain = 0
        """Tries since the last session that lasted."""
        self._found_s: float | None = None
        """When this try led to a session; None: it did not."""
        self._told = asyncio.Event()
        """Somebody found the broker, or it is over."""
        self._over = asyncio.Event()
        """There is no next try."""

    @contextmanager
    def in_session(self) -> Generator[None]:
        """A session begins, and lasts as long as this; the others hear of it."""
        self._found_s = time.monotonic()
        self._link.found(self._collar_id)
        lasting = asyncio.get_running_loop().call_later(STABLE_S, self._link.lasted)
        try:
            yield
        finally:
            lasting.cancel()

    def judge(self, *, is_ours: bool) -> None:
        """A try is over: whether it was a session; to wait in vain for a broker's word is none.

        Args:
            is_ours: We ended it, or made none.
        """
        found_s, self._found_s = self._found_s, None
        if found_s is not None and time.monotonic() - found_s >= STABLE_S:
            self._in_vain = 0
            return
        self._in_vain = min(self._in_vain + 1, MOST_DOUBLINGS)
        if found_s is not None and not is_ours:
            self._link.broke_off()

    def start_over(self) -> None:
        """Be as quick as at first."""
        self._in_vain = 0

    def give_up(self) -> None:
        """Look for no broker any more: no `rest` lasts."""
        self._over.set()
        self._told.set()

    async def rest(self) -> None:
        """Wait for the next try; not as long where another collar gets through meanwhile."""
        if self._over.is_set():
            return
        longest_s = min(RECONNECT_S * 2**self._in_vain, MAX_RECONNECT_S)
        self._told.clear()
        self._link.resting.add(self._told)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.2, longest_s)):
                    await self._told.wait()
                    if not self._over.is_set():
                        async with asyncio.timeout(random.uniform(0.0, RECONNECT_S)):
                            await self._over.wait()
        finally:
            self._link.resting.discard(self._told)
