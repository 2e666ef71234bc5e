"""The inertial sensor on the collar: what becomes of true motion on its way into a number.

`BMI270` is the part that the collar is built on; its figures are its data sheet's (Bosch Sensortec
BST-BMI270-DS000-07, rev. 1.5, 2023). Another device is another row.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from collar_sim.arrays import FloatArray, Samples


@dataclass(frozen=True)
class Sensor:
    """A part by its data sheet; spreads are one standard deviation of the parts made."""

    acc_range_g: float
    gyr_range_dps: float
    acc_lsb_g: float
    """One count."""
    gyr_lsb_dps: float
    acc_noise_g: float
    """Density, per square root of Hz."""
    gyr_noise_dps: float
    acc_offset_g: float
    gyr_offset_dps: float
    acc_gain: float
    """Spread of the sensitivity, as a share."""
    gyr_gain: float
    noise_spread: float = 0.1
    """Of the logarithm of the noise, from axis to axis."""

    @cached_property
    def lsb(self) -> FloatArray:
        """One count of each axis, shape (6,): g, then deg/s."""
        return np.repeat([self.acc_lsb_g, self.gyr_lsb_dps], 3)

    @cached_property
    def most(self) -> FloatArray:
        """Counts that the range has on either side of 0, shape (6,)."""
        return np.repeat([self.acc_range_g, self.gyr_range_dps], 3) / self.lsb

    def draw(self, rng: np.random.Generator) -> "Part":
        """One part of those made: its own offsets and sensitivities."""
        offset = np.repeat([self.acc_offset_g, self.gyr_offset_dps], 3)
        gain = np.repeat([self.acc_gain, self.gyr_gain], 3)
        density = np.repeat([self.acc_noise_g, self.gyr_noise_dps], 3)
        return Part(
            self,
            offset * rng.standard_normal(6),
            1.0 + gain * rng.standard_normal(6),
            density * rng.lognormal(0.0, self.noise_spread, 6),
        )


@dataclass(frozen=True)
class Part:
    """One sensor."""

    kind: Sensor
    offset: FloatArray
    """Shape (6,): g, then deg/s."""
    gain: FloatArray
    """Shape (6,), near 1."""
    noise: FloatArray
    """Density, shape (6,): g and deg/s per square root of Hz."""

    def read(self, motion: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """What it says of motion: scaled, offset, noisy, clipped and quantised.

        Args:
            motion: Shape (n, 6): specific force in g, then rotation in deg/s, in its own axes.
            rate_hz: At which it samples; its noise is that of half of it.
            rng: Of its noise.
        """
        lsb, most = self.kind.lsb, self.kind.most.astype(np.float32)
        noise = self.noise * math.sqrt(rate_hz / 2.0)
        # an axis lies together: what follows is done by axis
        reading = np.asfortranarray(rng.standard_normal(motion.shape, dtype=np.float32))
        reading *= noise.astype(np.float32)
        reading += motion * self.gain.astype(np.float32) + self.offset.astype(np.float32)
        reading *= (1.0 / lsb).astype(np.float32)
        np.rint(reading, out=reading)
        np.maximum(reading, -most, out=reading)
        np.minimum(reading, most - 1, out=reading)
        return np.ascontiguousarray((reading * lsb).astype(np.float32))


BMI270 = Sensor(
    acc_range_g=8.0,
    gyr_range_dps=2000.0,
    acc_lsb_g=1 / 4096,
    gyr_lsb_dps=1 / 16.4,
    acc_noise_g=160e-6,
    gyr_noise_dps=0.007,
    acc_offset_g=0.020,
    gyr_offset_dps=0.5,
    acc_gain=0.004,
    gyr_gain=0.004,
)
