"""What time a collar takes it for, and how sure it is of that.

It runs on a quartz and is set by the network, at each connection. After its battery was off it
knows only how long it has been up, and counts from 1970 until the network says more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.wire.codec import EARLIEST
from gateway.wire.messages import ClockQuality

LEAST_UPTIME_S = 0.001  # 0 on the wire says that nothing is known of it
CALENDAR = timedelta(seconds=2**32 - 1)  # seconds since 1970 in 32 bits: until 2106


@dataclass(frozen=True)
class ClockJump:
    """A fault of the quartz: until the network corrects it, the clock is ahead by ``size``."""

    from_at: datetime
    until_at: datetime
    size: timedelta
    """Below zero: it is behind."""


class CollarClock:
    """The clock of one boot."""

    def __init__(self, booted_at: datetime, *, is_set: bool) -> None:
        """Of a collar that booted at an instant; its clock still ran then, or did not."""
        self.is_set = is_set
        """Whether anyone has told it the time; set when the network does."""
        self.jumps: Sequence[ClockJump] = ()
        """What is wrong with it, and when."""
        self.booted_at = booted_at
        """When this boot began, as nobody but the simulator knows."""

    def uptime_s(self, at: datetime) -> float:
        """Seconds since the boot, which no jump changes; 0 for what was before it, and only then.

        >>> from datetime import UTC
        >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
        >>> clock = CollarClock(noon, is_set=False)
        >>> [clock.uptime_s(noon + timedelta(seconds=s)) for s in (-1, 0, 1)]
        [0.0, 0.001, 1.0]
        """
        since_s = (at - self.booted_at).total_seconds()
        return max(LEAST_UPTIME_S, since_s) if since_s >= 0 else 0.0

    def dated(self, at: datetime, written_at: datetime) -> datetime:
        """What is written for an instant, in a message that is written at another.

        However far it jumps, it stays on its calendar.

        >>> from datetime import UTC
        >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
        >>> CollarClock(noon, is_set=False).dated(noon + timedelta(seconds=9), noon).isoformat()
        '1970-01-01T00:00:09+00:00'
        """
        if not self.is_set:
            return EARLIEST + max(timedelta(), at - self.booted_at)
        ahead = sum((jump.size for jump in self._active(written_at)), timedelta())
        return EARLIEST + min(max(timedelta(), at - EARLIEST + ahead), CALENDAR)

    def quality(self, written_at: datetime) -> ClockQuality:
        """How far it can be trusted."""
        if not self.is_set:
            return ClockQuality.UNSET
        return ClockQuality.RTC if self._active(written_at) else ClockQuality.NETWORK

    def _active(self, at: datetime) -> list[ClockJump]:
        return [jump for jump in self.jumps if jump.from_at <= at < jump.until_at]
