"""When the collar turns its receiver on: seldom while the pet is calm at home, often otherwise.

It decides by what a collar knows: its last fix and its own accelerometer.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from collar_sim.animal import AnimalMinute, Measurement
from collar_sim.firmware.epochs import WINDOW_S

CALM_S = 30
ALERT_S = 5  # an escape alert needs two fixes: ten seconds
WALK_MPS = 2.0  # a brisk walk of a large dog; beyond, it trots
RUN_VEDBA_G = 0.75  # mean of one window; the simulated population walks below, gallops above
NEAR_M = 60.0  # a garden; within, the owner knows where the pet is
METRES_PER_DEG = 111_195.0


@dataclass(frozen=True)
class TimedFix:
    """What one fix says, as the message's own fields."""

    observed_at: datetime
    fields: dict[str, Any]


class Positioning:
    """Plans and takes the fixes of one collar."""

    def __init__(self, home: tuple[float, float], phase_s: int) -> None:
        """Of a collar whose owner lives at ``home``; phases spread a fleet over `CALM_S`."""
        self._home = home
        self._phase_s = phase_s % CALM_S
        self._next_at: datetime | None = None
        self._last_at: datetime | None = None
        self._is_alert = False

    def minute(
        self, minute: AnimalMinute, window_vedba_g: list[float], after_s: int = -1
    ) -> list[TimedFix]:
        """The fixes of a minute.

        Args:
            minute: What the receiver would say at each second.
            window_vedba_g: Of each window of the minute; known at its end.
            after_s: Second of this minute at which the collar started, for the first minute.
        """
        fixes: list[TimedFix] = []
        for second in range(after_s + 1, 60):
            at = minute.start_at + timedelta(seconds=second)
            windows_done = int(second // WINDOW_S)
            runs = windows_done > 0 and window_vedba_g[windows_done - 1] > RUN_VEDBA_G
            if not self._is_due(at, runs):
                continue
            seen = minute.gnss.at(second)
            self._last_at = at
            self._is_alert = seen.speed_mps > WALK_MPS or self._from_home_m(seen) > NEAR_M
            fixes.append(TimedFix(at, _fields(seen)))
        return fixes

    def _is_due(self, at: datetime, runs: bool) -> bool:
        if self._last_at is None:
            if self._next_at is None:
                self._next_at = at + timedelta(seconds=self._phase_s)
            return at >= self._next_at
        wait_s = ALERT_S if self._is_alert or runs else CALM_S
        return at - self._last_at >= timedelta(seconds=wait_s)

    def _from_home_m(self, seen: Measurement) -> float:
        lat, lon = self._home
        east_m = (seen.lon_deg - lon) * METRES_PER_DEG * math.cos(math.radians(lat))
        return math.hypot(east_m, (seen.lat_deg - lat) * METRES_PER_DEG)


def _fields(seen: Measurement) -> dict[str, Any]:
    return {
        "lat_deg": round(seen.lat_deg, 6),  # 0.1 m
        "lon_deg": round(seen.lon_deg, 6),
        "accuracy_m": round(seen.accuracy_m, 1),
        "hdop": round(seen.hdop, 1),
        "speed_mps": round(seen.speed_mps, 2),
    }
