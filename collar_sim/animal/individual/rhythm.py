"""Rhythms that are no gait: chewing, lapping, scratching, play, a shaken car, tremor, a fit.

One row per rhythm. Axes everywhere: x along the neck to the nose, y to the animal's left, z up;
rotations by the right hand about them (roll, pitch, yaw). Amplitudes are by eye, unless said.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HARMONICS = 4


@dataclass(frozen=True)
class Shape:
    """Amplitude of each harmonic of a rhythm, on each of the six axes."""

    acc_g: tuple[tuple[float, ...], ...]
    """x, y, z; per axis the first to at most fourth harmonic, in g."""
    gyr_dps: tuple[tuple[float, ...], ...]
    """roll, pitch, yaw, in deg/s."""

    def amplitudes(self) -> NDArray[np.float64]:
        """Shape (HARMONICS, 6): g, then deg/s."""
        rows = [*self.acc_g, *self.gyr_dps]
        return np.array([(*row, *[0.0] * (HARMONICS - len(row))) for row in rows]).T


SHAPES: dict[str, Shape] = {
    "scratch": Shape(  # a hind paw hammers at the collar itself
        acc_g=((0.25, 0.12), (0.60, 0.28), (0.45, 0.25)),
        gyr_dps=((120, 50), (70, 35), (90, 40)),
    ),
    "chew": Shape(  # jaws and neck; bites of dry food jerk the head
        acc_g=((0.05, 0.03, 0.02), (0.04, 0.02), (0.06, 0.04, 0.02)),
        gyr_dps=((9, 5, 2), (15, 8, 3), (8, 3)),
    ),
    "lap": Shape(  # the head dips a little with each stroke of the tongue
        acc_g=((0.05, 0.015), (0.015,), (0.07, 0.02)), gyr_dps=((4, 1), (20, 5), (3, 1))
    ),
    "play": Shape(  # pounce, brake, turn, wrestle, shake the toy
        acc_g=((0.24, 0.18, 0.10, 0.06), (0.21, 0.16, 0.10, 0.06), (0.27, 0.20, 0.11, 0.06)),
        gyr_dps=((60, 42, 22, 11), (52, 38, 21, 10), (50, 34, 20, 10)),
    ),
    # the body of a car bounces at 1 to 2 Hz on its springs and passes on what is faster
    "road": Shape(
        acc_g=(
            (0.010, 0.013, 0.010, 0.009),
            (0.013, 0.013, 0.010, 0.008),
            (0.03, 0.03, 0.02, 0.02),
        ),
        gyr_dps=((4, 3, 2, 1), (5, 4, 2, 1), (3, 3, 2, 1)),
    ),
    "tremor": Shape(acc_g=((0.05,), (0.07,), (0.07,)), gyr_dps=((16,), (12,), (12,))),
    # all muscles at once: a fine tremor on a stiff neck, then jerks of limbs and neck
    "tonic": Shape(acc_g=((0.04,), (0.05,), (0.05,)), gyr_dps=((10,), (12,), (10,))),
    "clonic": Shape(
        acc_g=((0.30, 0.20, 0.12, 0.06), (0.22, 0.15, 0.09, 0.05), (0.35, 0.22, 0.13, 0.07)),
        gyr_dps=((60, 42, 25, 12), (75, 50, 30, 15), (50, 32, 18, 9)),
    ),
}


def as_angles(
    waves: NDArray[np.complex64], rhythm_hz: float, rate_hz: float
) -> NDArray[np.complex64]:
    """The same harmonics with angles, in degrees, in place of the rates of columns 3 to 5.

    Args:
        waves: Complex amplitudes, shape (HARMONICS, 6): g, then deg/s.
        rhythm_hz: Of the first harmonic, below the sampling rate.
        rate_hz: Of the samples whose difference gives the rate back.
    """
    turn = np.exp(-2j * np.pi * rhythm_hz / rate_hz * np.arange(1, HARMONICS + 1))
    angles = waves.copy()
    gain = rate_hz * (1.0 - turn)
    angles[:, 3:] /= np.where(np.abs(gain) < 1.0, 1.0, gain)[:, None].astype(np.complex64)
    return angles
