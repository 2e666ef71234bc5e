"""A drive and back: where the vehicle is, and what of its turning and braking the animal feels.

The way is a closed loop of the drawn length, and the speed along it a sum of two cosines that rises
from a stop, falls almost to one at each junction, and ends in one. Both are formulas of the time
since the start, so a ride needs no state but that time, and always ends where it began.
"""

import math
from dataclasses import dataclass

import numpy as np

from collar_sim.arrays import FloatArray

G_MPS2 = 9.80665
MEAN_MPS = (5.0, 11.0)  # town to country road, stops included
JUNCTION_S = 55.0  # between slowings
STOPPING = 0.7  # share of the speed that a junction takes
NARROW = (0.35, 0.9)  # of the loop: width beside length
BENDS = 7  # smaller curves on the way round
BEND_SHARE = 0.05  # of the loop's length


@dataclass(frozen=True)
class Ride:
    """One drive."""

    length_s: int
    loop_m: float
    """Semi-axis of the loop: half of how far away it gets."""
    bearing_rad: float
    narrow: float

    def speeds(self) -> int:
        """How many times it slows down and speeds up again."""
        return max(1, round(self.length_s / JUNCTION_S))

    def offset_m(self, at_s: FloatArray) -> FloatArray:
        """East and north of the start, shape (2, n)."""
        share = np.clip(at_s / self.length_s, 0.0, 1.0)
        slows = self.speeds()
        way = (
            share
            - (
                STOPPING / slows * np.sin(math.tau * slows * share)
                + (1.0 - STOPPING) * np.sin(math.tau * share)
            )
            / math.tau
        )
        angle = math.tau * way
        bend = BEND_SHARE * np.sin(BENDS * angle)
        along = self.loop_m * ((1.0 - np.cos(angle)) + bend)
        across = self.loop_m * self.narrow * (np.sin(angle) + bend)
        cos, sin = math.cos(self.bearing_rad), math.sin(self.bearing_rad)
        return np.stack([cos * along - sin * across, sin * along + cos * across])


def draw_ride(length_s: int, rng: np.random.Generator) -> Ride:
    """A ride of this length."""
    narrow = float(rng.uniform(*NARROW))
    # perimeter of an ellipse after Ramanujan's first approximation, of semi-axes 1 and `narrow`
    around = math.pi * (3 * (1 + narrow) - math.sqrt((3 + narrow) * (1 + 3 * narrow)))
    loop_m = float(rng.uniform(*MEAN_MPS)) * length_s / around
    return Ride(length_s, loop_m, float(rng.uniform(-math.pi, math.pi)), narrow)


def felt_deg(ahead_mps2: FloatArray, speed_mps: FloatArray, turn_dps: FloatArray) -> FloatArray:
    """What braking and turning look like to an accelerometer: the angles by which "down" tips.

    Shape (2, n): in the direction of travel (as pitch), then across it (as roll). A body at rest in
    an accelerating car cannot tell it from standing on a slope (the equivalence principle).
    """
    across_mps2 = speed_mps * np.deg2rad(turn_dps)
    return np.rad2deg(np.arctan(np.stack([-ahead_mps2, across_mps2]) / G_MPS2))
