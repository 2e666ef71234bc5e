"""Whether a fleet keeps step with its clock, and by how much it is late."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from collar_sim.clock import SimClock
from collar_sim.firmware.minute import MINUTE

LEAST_S = 1.0  # the pace of less is that of one look at the clock
IN_STEP_S = 3.0  # a tick is one second, a commit and a full minute's epochs take another


@dataclass
class _Span:
    """From a moment on."""

    at: datetime
    """Simulated."""
    s: float
    """By the steady clock."""
    max_lag_s: float = 0.0


class Pace:
    """Watches the live phase: simulated time beside the clock's, and beside the wall's.

    A fleet begins late: the minute in which it starts must be made first. It is judged from where
    it fell in step, for a whole simulated minute: minutes are made in one go, so one that is still
    catching up is in step for a moment whenever it has made one. A run that ends in the first
    minute in step is judged from there, and one that never was in step as a whole.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._all: _Span | None = None
        self._in_step: _Span | None = None
        self._is_sure = False
        """It was in step for a whole minute."""
        self._fell_behind = False
        """It was in step, and not for a whole minute."""
        self._until: datetime | None = None
        self._ended_s = 0.0
        self.lag_s = 0.0
        """Wall seconds behind the clock, when `reached` was called last."""

    @property
    def max_lag_s(self) -> float:
        """The most, since the fleet fell in step; of all the time when it never did."""
        return span.max_lag_s if (span := self._judged) else 0.0

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second, since the fleet fell in step; of all when it never did."""
        span = self._judged
        if span is None or self._until is None:
            return 0.0
        wall_s = self._ended_s - span.s
        return (self._until - span.at) / timedelta(seconds=wall_s) if wall_s > 0 else 0.0

    @property
    def _judged(self) -> _Span | None:
        span = self._in_step
        if span is None or self._ended_s < span.s + LEAST_S:
            return self._all
        return self._all if self._fell_behind and not self._is_sure else span

    def reached(self, until: datetime) -> None:
        """All that was due up to ``until`` is written."""
        now_s = time.monotonic()
        self._until, self._ended_s = until, now_s
        behind_s = (self._clock.now() - until).total_seconds() / self._clock.speed
        self.lag_s = max(0.0, behind_s)
        self._all = self._all or _Span(until, now_s)
        if not self._is_sure:
            self._look(self._all.at, until, now_s)
        for span in (self._all, self._in_step):
            if span is not None:
                span.max_lag_s = max(span.max_lag_s, self.lag_s)

    def _look(self, began_at: datetime, until: datetime, now_s: float) -> None:
        """See whether it is in step, and for how long."""
        if self.lag_s >= IN_STEP_S:
            self._fell_behind = self._fell_behind or self._in_step is not None
            self._in_step = None
        elif self._in_step is not None:
            self._is_sure = until - self._in_step.at >= MINUTE
        elif until > began_at:
            self._in_step = _Span(until, now_s)
