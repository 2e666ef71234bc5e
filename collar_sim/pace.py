"""Whether a fleet keeps step with its clock, and by how much it is late."""

import time
from datetime import datetime, timedelta

from collar_sim.clock import SimClock

IN_STEP_S = 3.0  # a tick is one second, a commit and a full minute's epochs take another


class Pace:
    """Watches the live phase: simulated time beside the clock's, and beside the wall's."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._began: tuple[datetime, float] | None = None
        self._until: datetime | None = None
        self._ended_s = 0.0
        self._is_in_step = False
        self.lag_s = 0.0
        """Wall seconds behind the clock, when `reached` was called last."""
        self._first_max_s = 0.0
        self._max_s = 0.0

    @property
    def max_lag_s(self) -> float:
        """The most, since the fleet fell in step; of all the time when it never did.

        A fleet begins late: the minute in which it starts must be made first.
        """
        return self._max_s if self._is_in_step else self._first_max_s

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second, since the fleet fell in step; of all when it never did."""
        if self._began is None or self._until is None:
            return 0.0
        since, began_s = self._began
        wall_s = self._ended_s - began_s
        return (self._until - since) / timedelta(seconds=wall_s) if wall_s > 0 else 0.0

    def reached(self, until: datetime) -> None:
        """All that was due up to ``until`` is written."""
        now_s = time.monotonic()
        since, _ = self._began = self._began or (until, now_s)
        self._until, self._ended_s = until, now_s
        behind_s = (self._clock.now() - until).total_seconds() / self._clock.speed
        self.lag_s = max(0.0, behind_s)
        self._first_max_s = max(self._first_max_s, self.lag_s)
        if self._is_in_step:
            self._max_s = max(self._max_s, self.lag_s)
        elif self.lag_s < IN_STEP_S and until > since:
            self._is_in_step, self._began = True, (until, now_s)
