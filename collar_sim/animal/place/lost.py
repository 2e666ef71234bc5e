"""A collar that fell off: it lies where it fell, while the animal goes on without it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.place.movement import Track


@dataclass(frozen=True)
class Lost:
    """Where and how a collar lies on the ground."""

    east_m: float
    north_m: float
    along_m: float
    across_m: float
    ground: int
    down: tuple[float, float, float]
    """What its accelerometer feels: a unit vector in the unit's own axes."""


def fall(track: Track, second: int, rng: np.random.Generator) -> Lost:
    """It falls off at this second of the animal's minute, 0 to 59, and comes to lie anyhow."""
    x, y, z = rng.standard_normal(3)
    norm = float(np.sqrt(x * x + y * y + z * z))
    return Lost(
        east_m=float(track.east_m[second]),
        north_m=float(track.north_m[second]),
        along_m=float(track.along_m[second]),
        across_m=float(track.across_m[second]),
        ground=int(track.ground[second]),
        down=(float(x) / norm, float(y) / norm, float(z) / norm),
    )


def left_behind(track: Track, worn: NDArray[np.bool_], lost: Lost) -> Track:
    """The collar's own track: the animal's while it was worn, then one spot."""
    return replace(
        track,
        east_m=np.where(worn, track.east_m, lost.east_m),
        north_m=np.where(worn, track.north_m, lost.north_m),
        along_m=np.where(worn, track.along_m, lost.along_m),
        across_m=np.where(worn, track.across_m, lost.across_m),
        ground=np.where(worn, track.ground, np.int8(lost.ground)),
        turn_dps=np.where(worn, track.turn_dps, 0.0),
        speed_mps=np.where(worn, track.speed_mps, 0.0),
        felt_deg=None if track.felt_deg is None else track.felt_deg * worn,
    )
