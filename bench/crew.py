"""The processes of a fleet at work: how they stand is told as they go, and why one ended."""

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from pawmesh.sim.workforce import Worker, Workforce

TOLD_EVERY_S = 10.0
LATE_S = 5.0  # a message is written at most so late: epochs are spread over ten seconds anyway
LAST_LINES = 20
HARMLESS = ("debug", "info")


class Crew:
    """Workers from their start to their end; made by `at_work`."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers
        self._workforce = Workforce(
            workers, on_pulse=lambda: None, on_line=self._heard, on_death=self._died
        )
        self._running = asyncio.create_task(self._workforce.run(), name="fleet")
        self._telling = asyncio.create_task(self._tell(), name="telling")
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._is_ending = False

    @property
    def is_connected(self) -> bool:
        """All collars have a session with the broker."""
        return all(w.pulse and w.pulse.connected == w.pulse.collars for w in self.workers)

    @property
    def is_in_step(self) -> bool:
        """All are connected, and nothing is late."""
        live = all(w.pulse and w.pulse.is_live for w in self.workers)
        return live and self.is_connected and self.late_s < LATE_S

    @property
    def late_s(self) -> float:
        """How far what is written lies behind the clock, at most; a second of it is the tick's."""
        pulses = [w.pulse for w in self.workers if w.pulse]
        return max((p.present - p.simulated_until).total_seconds() for p in pulses)

    @property
    def reached(self) -> datetime:
        """Up to when all have lived."""
        return min(w.pulse.simulated_until for w in self.workers if w.pulse)

    def require_running(self) -> None:
        """Nothing, as long as all parts live.

        Raises:
            RuntimeError: One ended; says how, and what was said last.
        """
        ended = {
            w.name: w.died or "ended by itself" for w in self.workers if w.returncode is not None
        }
        if ended or self._running.done():
            raise RuntimeError("\n".join([f"parts of the fleet ended: {ended}", *self._last]))

    async def end(self, *, in_order: bool) -> None:
        """Let them seal and say goodbye, or not; returns when they are gone."""
        self._is_ending = True
        self._workforce.stop()
        if not in_order:
            self._workforce.stop()
        await self._running

    async def dismiss(self) -> None:
        """End what is left."""
        for task in (self._telling, self._running):
            task.cancel()
        await asyncio.gather(self._telling, self._running, return_exceptions=True)

    def standing(self) -> str:
        """How they stand, on a line."""
        pulses = [w.pulse for w in self.workers if w.pulse]
        if len(pulses) < len(self.workers):
            return f"{len(pulses)} of {len(self.workers)} parts have begun"
        collars, connected = (sum(getattr(p, n) for p in pulses) for n in ("collars", "connected"))
        published, acked = (sum(getattr(p, n) for p in pulses) for n in ("published", "acked"))
        return (
            f"{connected:,} of {collars:,} connected, {published:,} published, {acked:,} "
            f"acknowledged, until {self.reached:%H:%M:%S}, {self.late_s:.1f} s late"
        )

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            tell(self.standing())

    def _heard(self, line: str) -> None:
        if is_grave(line):
            self._last.append(line)
            tell(line)

    def _died(self, worker: Worker) -> None:
        if not self._is_ending:
            tell(f"part {worker.name} ended: {worker.died}")


@asynccontextmanager
async def at_work(workers: Sequence[Worker]) -> AsyncGenerator[Crew]:
    """Workers at work, until the block ends."""
    crew = Crew(workers)
    try:
        yield crew
    finally:
        await crew.dismiss()


def is_grave(line: str) -> bool:
    """Whether a line of a worker's log, or of a library in it, is worth a look.

    >>> is_grave('{"event": "fleet.live", "level": "info"}')
    False
    >>> is_grave("MemoryError")
    True
    """
    try:
        return json.loads(line).get("level") not in HARMLESS
    except (ValueError, AttributeError):
        return bool(line.strip())


def tell(line: str) -> None:
    """On stderr, for whoever waits: a fleet takes minutes."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
