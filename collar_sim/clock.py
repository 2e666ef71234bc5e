"""What time it is for a fleet, with its own start and speed."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

MAX_SLEEP_S = 60.0  # the wall may be set while we sleep; look again at least this often


@dataclass(frozen=True)
class SimClock:
    """A clock that showed ``sim_at`` at the wall's ``wall_at`` and runs ``speed`` times as fast.

    It follows the wall through restarts of the process: kept beside the flash, it goes on where
    it would be.
    """

    sim_at: datetime
    wall_at: datetime
    speed: float = 1.0

    @classmethod
    def starting(cls, sim_at: datetime, speed: float = 1.0) -> Self:
        """A clock that shows ``sim_at`` now."""
        return cls(sim_at, datetime.now(UTC), speed)

    def now(self) -> datetime:
        """The present, aware UTC."""
        return self.sim_at + (datetime.now(UTC) - self.wall_at) * self.speed

    async def until(self, at: datetime) -> None:
        """Sleep until ``at``; returns at once when it has passed."""
        while (rest := at - self.now()) > timedelta():  # noqa: ASYNC110 - a deadline
            await asyncio.sleep(min(rest.total_seconds() / self.speed, MAX_SLEEP_S))
