"""What the receiver says of where the animal is.

The error of each axis is a first-order Gauss-Markov process (Brown & Hwang, Introduction to Random
Signals, ch. 5): it wanders over a minute or two, so averaging a few fixes does not remove it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.drift import Drift

FloatArray = NDArray[np.float64]

TAU_S = 90.0  # multipath and ionosphere as a small moving receiver sees them
OPEN_SIGMA_M = 2.1  # per axis under open sky
POOR_SIGMA_M = 8.0  # beside walls, under wet leaves, indoors near a window
INTO_POOR = 0.02  # per minute
OUT_OF_POOR = 0.2  # per minute: five minutes of poor sky at a time
UERE_M = 3.0  # horizontal error at hdop 1
RADIUS_68 = math.sqrt(-2.0 * math.log(1.0 - 0.68))  # of a round Gaussian, in sigmas: 1.51
ESTIMATE_SPREAD = 0.1  # log; how well a receiver knows its own error

_drift = Drift(TAU_S)


@dataclass(frozen=True)
class Sky:
    """What the receiver's error carries from minute to minute."""

    error: tuple[float, float] = (0.0, 0.0)
    """East and north, in sigmas."""
    sigma_m: float = OPEN_SIGMA_M
    poor: bool = False


@dataclass(frozen=True)
class Measurement:
    """One position as the receiver reports it."""

    lat_deg: float
    lon_deg: float
    accuracy_m: float
    """Holds the true position in 68 of 100 cases."""
    hdop: float
    speed_mps: float


@dataclass(frozen=True)
class GnssMinute:
    """What the receiver would report at each second of a minute, were it on."""

    lat_deg: FloatArray
    lon_deg: FloatArray
    accuracy_m: FloatArray
    hdop: FloatArray
    speed_mps: FloatArray

    def at(self, second: int) -> Measurement:
        """The report at one second, 0 to 59."""
        return Measurement(
            lat_deg=float(self.lat_deg[second]),
            lon_deg=float(self.lon_deg[second]),
            accuracy_m=float(self.accuracy_m[second]),
            hdop=float(self.hdop[second]),
            speed_mps=float(self.speed_mps[second]),
        )


@dataclass(frozen=True)
class Errors:
    """Errors of a minute, one value per second."""

    east_m: FloatArray
    north_m: FloatArray
    accuracy_m: FloatArray
    hdop: FloatArray
    speed_mps: FloatArray


def first_sky(rng: np.random.Generator) -> Sky:
    """A receiver that has been on for long."""
    east, north = rng.standard_normal(2)
    return Sky(error=(float(east), float(north)))


def errors(sky: Sky, rng: np.random.Generator) -> tuple[Errors, Sky]:
    """The errors of a minute, and what to carry on."""
    changes = rng.random() < (OUT_OF_POOR if sky.poor else INTO_POOR)
    poor = sky.poor != changes
    noise = rng.standard_normal((60, 4))
    unit = _drift.minute(np.array(sky.error), noise[:, :2])
    target_m = POOR_SIGMA_M if poor else OPEN_SIGMA_M
    sigma_m = np.linspace(sky.sigma_m, target_m, 61)[1:]  # the sky closes as the animal walks
    believed_m = sigma_m * np.exp(ESTIMATE_SPREAD * noise[:, 2])
    minute = Errors(
        east_m=sigma_m * unit[:, 0],
        north_m=sigma_m * unit[:, 1],
        accuracy_m=RADIUS_68 * believed_m,
        hdop=math.sqrt(2.0) * sigma_m / UERE_M,
        speed_mps=0.05 * sigma_m * noise[:, 3],  # Doppler: far better than the position
    )
    return minute, Sky((float(unit[-1, 0]), float(unit[-1, 1])), target_m, poor)
