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
WALK_MPS = 1.8  # a large dog trots beyond (Froude 0.5 at 0.65 m of hip height)
RUN_VEDBA_G = 0.6  # mean of one window; 97 of 100 simulated walking windows lie below
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
        self._first_s: int | None = None
        self._last_s: int | None = None  # since 1970, as the receiver counts
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
        start_s = int(minute.start_at.timestamp())
        if self._first_s is None:
            self._first_s = start_s + after_s + 1 + self._phase_s
        for second in range(after_s + 1, 60):
            windows_done = int(second // WINDOW_S)
            runs = windows_done > 0 and window_vedba_g[windows_done - 1] > RUN_VEDBA_G
            wait_s = ALERT_S if self._is_alert or runs else CALM_S
            due_s = self._first_s if self._last_s is None else self._last_s + wait_s
            if start_s + second < due_s:
                continue
            seen = minute.gnss.at(second)
            self._last_s = start_s + second
            self._is_alert = seen.speed_mps > WALK_MPS or self._from_home_m(seen) > NEAR_M
            fixes.append(TimedFix(minute.start_at + timedelta(seconds=second), _fields(seen)))
        return fixes

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
