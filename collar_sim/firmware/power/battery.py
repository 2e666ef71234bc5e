"""The battery: what it holds, how long that will last, and where its energy went.

The collar reckons by the same budget by which it consumes: a gauge that counts coulombs, without
an error of its own.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from collar_sim.firmware.power.energy import CAPACITY_J, DAY_S, added

CHARGE_AT_PCT = 15.0  # when the owner puts it on its charger, a clip-on: it is worn meanwhile
CHARGE_W = 0.5 * CAPACITY_J / 3_600  # half of its capacity an hour, as makers of cells advise
KNOWN_FROM_S = 3_500.0  # weight of an hour of minutes: before, it does not say how long it lasts
REPORT_MINUTES = 60


class Battery(Struct, frozen=True):
    """State of charge, and the load of late; carried from minute to minute."""

    pct: float = 100.0
    charging: bool = False
    load_j: float = 0.0
    """Exponentially weighted over a day; see `days_left`."""
    weight_s: float = 0.0
    """Of what is in ``load_j``: at most a day."""
    joules: dict[str, float] = {}
    """By part, since the last report."""
    since_s: float = 0.0
    """The last report, or the start."""

    @classmethod
    def drawn(cls, seed: int) -> Self:
        """Somewhere in its cycle, by the collar's seed.

        >>> Battery.drawn(3).pct
        91.0
        """
        return cls(pct=100.0 - seed * 3 % 40)

    @property
    def days_left(self) -> float | None:
        """How long the charge lasts at the mean load of the last day or so; None: not known yet.

        >>> Battery(50.0).days_left is None
        True
        >>> used = Battery(50.0).after({"imu": 7.4}, 7_200.0)
        >>> round(used.days_left, 2), round(used.pct / 100 * CAPACITY_J / (24 * 3.7), 2)
        (29.92, 29.92)
        """
        if self.weight_s < KNOWN_FROM_S or not self.load_j:
            return None
        return self.pct / 100 * CAPACITY_J / (self.load_j / self.weight_s) / DAY_S

    def after(self, spent: Mapping[str, float], span_s: float) -> Self:
        """So many seconds later, in which the parts took so many joules."""
        fade = math.exp(-span_s / DAY_S)
        total_j = sum(spent.values())
        gained_j = CHARGE_W * span_s if self.charging else 0.0
        pct = min(100.0, max(0.0, self.pct + 100 * (gained_j - total_j) / CAPACITY_J))
        return replace(
            self,
            pct=pct,
            charging=pct < 100.0 if self.charging else pct <= CHARGE_AT_PCT,
            load_j=fade * (self.load_j + total_j),
            weight_s=fade * (self.weight_s + span_s),
            joules=added(self.joules, spent),
            since_s=self.since_s + span_s,
        )

    def reported(self) -> tuple[dict[str, Any], Self]:
        """The fields of a ``Power`` message, and the battery whose next period begins."""
        days_left = self.days_left
        fields: dict[str, Any] = {
            "period_s": self.since_s,
            "battery_pct": round(self.pct, 2),
            "days_left": None if days_left is None else round(min(days_left, 3_650.0), 2),
            "charging": self.charging,
            "joules": {part: round(each, 3) for part, each in self.joules.items()},
        }
        return fields, replace(self, joules={}, since_s=0.0)
