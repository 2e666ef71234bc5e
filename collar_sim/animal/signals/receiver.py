"""How soon the receiver has its first fix after it was turned on."""

from enum import StrEnum

import numpy as np

from collar_sim.animal.signals.gnss import RADIUS_68

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
