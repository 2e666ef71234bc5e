"""The GNSS receiver: how soon it has a fix after it was turned on, by what it still knew."""

from collections import Counter
from enum import StrEnum

import numpy as np

from collar_sim.animal.signals.gnss import RADIUS_68, GnssMinute, Measurement

# u-blox SAM-M10Q, data sheet UBX-22013293: cold 23 s, hot 1 s under open sky; aided 2 s as MAX-M8,
# data sheet UBX-15031506. Warm: the orbits must be heard anew, which each satellite tells in 18 s
# of every 30 (IS-GPS-200), by eye 20 s with four constellations.
FIRST_FIX_S = {"hot": 1.0, "aided": 2.0, "warm": 20.0, "cold": 23.0}
FIRST_FIX_SPREAD = 0.2  # log
ORBITS_LAST_S = 4 * 3600.0  # ephemeris; hot start until then
ALMANAC_LASTS_S = 30 * 86_400.0
HARD_SKY_M = 3.0  # above this sigma acquisition is slower in proportion, by eye


class Start(StrEnum):
    """What a receiver still knows when it is turned on."""

    HOT = "hot"
    """Orbits, time and place."""
    AIDED = "aided"
    """The same, told over the network a moment before."""
    WARM = "warm"
    """Rough orbits, time and place: it must hear the exact orbits anew."""
    COLD = "cold"
    """Nothing."""


def start_of(off_s: float | None, aided: bool) -> Start:
    """How a receiver starts.

    Args:
        off_s: For how long it has been off since its last fix; None when it never had one.
        aided: Whether it was told the orbits over the network.

    >>> start_of(3600.0, aided=False), start_of(6 * 3600.0, aided=False), start_of(None, aided=True)
    (<Start.HOT: 'hot'>, <Start.WARM: 'warm'>, <Start.AIDED: 'aided'>)
    """
    if off_s is not None and off_s < ORBITS_LAST_S:
        return Start.HOT
    if aided:
        return Start.AIDED
    return Start.WARM if off_s is not None and off_s < ALMANAC_LASTS_S else Start.COLD


def first_fix_s(start: Start, accuracy_m: float, rng: np.random.Generator) -> float:
    """Seconds of reception until the first fix.

    Args:
        start: What the receiver knows.
        accuracy_m: What it will claim: where the sky is hard it searches longer.
        rng: Of this start.
    """
    harder = max(1.0, accuracy_m / RADIUS_68 / HARD_SKY_M)
    return FIRST_FIX_S[start] * harder * float(rng.lognormal(0.0, FIRST_FIX_SPREAD))


class Receiver:
    """The part itself: whoever turns it on hears a position from it, once it has one.

    Instants are whole seconds since 1970.
    """

    def __init__(self, seed: int) -> None:
        """That knows nothing yet; the seed is of its luck."""
        self.starts = Counter[Start]()
        """How often it was turned on, by what it still knew."""
        self.is_on = False
        self._seed = seed
        self._needs_s = 0.0
        """Seconds of reception until the first fix."""
        self._tracked_s: int | None = None
        """When it last had a fix."""
        self._sky: GnssMinute | None = None
        self._sky_s = 0

    def under(self, sky: GnssMinute, from_s: int) -> None:
        """What there is to be received in the minute that begins."""
        self._sky, self._sky_s = sky, from_s

    def turn_on(self, now_s: int, *, aided: bool) -> None:
        """Start to search; ``aided`` where it was told the orbits over the network.

        Raises:
            RuntimeError: It is under no sky.
        """
        sky, second = self._at(now_s)
        off_s = None if self._tracked_s is None else float(now_s - self._tracked_s)
        start = start_of(off_s, aided)
        rng = np.random.default_rng([self._seed, now_s])
        self.is_on = True
        self._needs_s = first_fix_s(start, float(sky.accuracy_m[second]), rng)
        self.starts[start] += 1

    def turn_off(self) -> None:
        """Sleep; what it knows is kept, and ages."""
        self.is_on = False

    def listen(self, now_s: int) -> Measurement | None:
        """A second with the receiver on: where it is, if it has a fix.

        Raises:
            RuntimeError: It is under no sky.
        """
        sky, second = self._at(now_s)
        is_received = bool(sky.valid[second])
        self._needs_s -= is_received
        if not is_received or self._needs_s > 0:
            return None
        self._tracked_s = now_s
        return sky.at(second)

    def _at(self, now_s: int) -> tuple[GnssMinute, int]:
        second = now_s - self._sky_s
        if self._sky is None or not 0 <= second < len(self._sky.valid):
            raise RuntimeError("the receiver was not told its sky of this minute")
        return self._sky, second
