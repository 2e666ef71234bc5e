"""How a simulated fleet stands, for whoever watches: a small table, or a line a minute."""

import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Self

import structlog
from rich.live import Live
from rich.table import Table
from rich.text import Text

from collar_sim.tally import Pulse
from pawmesh.console import console, say
from pawmesh.sim.workforce import Worker

SPAN_S = 30.0  # rates are means over the last of it
LINE_S = 60.0  # where there is no terminal


class Screen:
    """Shows the sum of all workers' pulses while its ``with`` lasts."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._past: deque[tuple[float, datetime, int]] = deque()
        self._said_s = time.monotonic()
        self._was_live = False
        self._render: Any = structlog.dev.ConsoleRenderer(0, colors=False, pad_level=False)

    def __enter__(self) -> Self:
        """Begin to show."""
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it; words stay, the table goes."""
        self._live.stop()

    def refresh(self) -> None:
        """A worker said how it stands.

        Of one that has ended, what its flash has still counts; how far it came does not.
        """
        pulses = [worker.pulse for worker in self._workers if worker.pulse]
        running = [worker for worker in self._workers if worker.returncode is None]
        going = [worker.pulse for worker in running if worker.pulse]
        if not going:
            return
        now_s = time.monotonic()
        reached = min(pulse.simulated_until for pulse in going)
        published = sum(pulse.published for pulse in pulses)
        self._past.append((now_s, reached, published))
        while self._past[0][0] < now_s - SPAN_S:
            self._past.popleft()
        standing = self._standing(pulses, going)
        if console.is_terminal:
            grid = Table.grid(padding=(0, 2))
            for what, how in standing:
                grid.add_row(Text(what, "dim"), how)  # no markup: logs are printed without
            self._live.update(grid, refresh=True)
        is_live = len(going) == len(running) and all(pulse.is_live for pulse in going)
        if not console.is_terminal and (now_s - self._said_s >= LINE_S or is_live > self._was_live):
            self._said_s = now_s
            say("; ".join(f"{what} {how}" for what, how in standing))
        self._was_live |= is_live

    def log_line(self, line: str) -> None:
        """Pass on what a worker logs: as it is, or readable where a person looks."""
        if not console.is_terminal:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
            return
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                line = str(self._render(None, "", event))
        console.print(line, markup=False)

    def died(self, worker: Worker) -> None:
        """A worker ended before its time."""
        others = sum(other.returncode is None for other in self._workers)
        ending = f"; {others} go on" if others else ""
        say(f"Process {worker.name} of the fleet ended ({worker.died}){ending}.")

    def _standing(self, pulses: Sequence[Pulse], going: Sequence[Pulse]) -> list[tuple[str, str]]:
        published = sum(pulse.published for pulse in pulses)
        acked = sum(pulse.acked for pulse in pulses)
        reached = min(pulse.simulated_until for pulse in going)
        rate, factor = self._rates()
        if all(pulse.is_live for pulse in going):
            where = f"{max(pulse.lag_s for pulse in going):.1f} s late"
        else:
            to_go = max(pulse.present for pulse in going) - reached
            where = f"catching up: {timedelta(seconds=round(to_go.total_seconds()))} to go"
        return [
            ("simulated", f"{reached:%Y-%m-%d %H:%M:%S} UTC, x {factor:.2f}, {where}"),
            (
                "connected",
                f"{sum(p.connected for p in going):,} of {sum(p.collars for p in pulses):,} "
                "collars",
            ),
            ("messages", f"{published:,} published, {rate:,.0f} a second"),
            ("acknowledged", f"{acked:,}; owed {sum(pulse.owed for pulse in pulses):,}"),
            ("radio lost", f"{sum(pulse.radio_lost for pulse in pulses):,}"),
        ]

    def _rates(self) -> tuple[float, float]:
        """Messages a second, and simulated seconds a second."""
        (then_s, then_at, before), (now_s, now_at, after) = self._past[0], self._past[-1]
        span_s = now_s - then_s
        if span_s <= 0:
            return 0.0, 0.0
        return (after - before) / span_s, (now_at - then_at).total_seconds() / span_s
