"""How each behaviour moves the neck: speed, rhythm, and the harmonics of that rhythm.

One row per behaviour and per gait. A behaviour that joins later (sniff, drink, vehicle ...) is one
more row in `MOTIONS`; nothing else in the animal asks which behaviour it is.

Axes everywhere: x along the neck to the nose, y to the animal's left, z up; rotations by the right
hand about them (roll, pitch, yaw).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plugins.sdk.behaviours import Behaviour

G_MPS2 = 9.80665
HARMONICS = 4  # footfalls of four legs put power up to the fourth; 25 Hz shows no more at a gallop
WALK_TO_TROT_FROUDE = 0.5  # Alexander & Jayes 1983: the gait changes at like Froude numbers
TROT_TO_GALLOP_FROUDE = 2.5  # ditto, 2-3 in dogs


@dataclass(frozen=True)
class Shape:
    """Amplitude of each harmonic of a rhythm, on each of the six axes."""

    acc_g: tuple[tuple[float, ...], ...]
    """x, y, z; per axis the first to at most fourth harmonic, in g."""
    gyr_dps: tuple[tuple[float, ...], ...]
    """roll, pitch, yaw, in deg/s."""
    at_froude: float | None = None
    """Speed at which the amplitudes hold; they grow with its power `GROWTH`."""

    def amplitudes(self) -> NDArray[np.float64]:
        """Shape (HARMONICS, 6): g, then deg/s."""
        rows = [*self.acc_g, *self.gyr_dps]
        return np.array([(*row, *[0.0] * (HARMONICS - len(row))) for row in rows]).T


GROWTH = 0.4  # amplitude ~ Froude^0.4: peak force rises a little less than linearly with speed

# Amplitudes by eye, to land near the recorded dogs. Spread of |a|, and of each gyro axis:
# recorded (2 public collar sets)  walk 0.28-0.45 g, 43-63 deg/s   run 0.37-1.12 g, 44-115 deg/s
# ours (middle of 20 animals)      walk 0.26 g, 37-56 deg/s        run 0.60 g, 52-73 deg/s
WALK = Shape(
    acc_g=((0.05, 0.17, 0.04, 0.04), (0.17, 0.04, 0.05, 0.03), (0.08, 0.34, 0.06, 0.11)),
    gyr_dps=((45, 12, 7, 3), (15, 38, 7, 6), (38, 8, 5, 2)),
    at_froude=0.3,
)
TROT = (
    Shape(  # two beats a stride: the diagonal pairs land alike, so z is nearly all second harmonic
        acc_g=((0.08, 0.25, 0.06, 0.06), (0.20, 0.06, 0.08, 0.04), (0.10, 0.78, 0.08, 0.18)),
        gyr_dps=((60, 22, 12, 8), (25, 65, 14, 10), (50, 15, 8, 4)),
        at_froude=1.2,
    )
)
GALLOP = Shape(  # one flight a stride: everything is at the stride frequency
    acc_g=((0.40, 0.18, 0.10, 0.06), (0.22, 0.10, 0.08, 0.04), (0.85, 0.32, 0.18, 0.10)),
    gyr_dps=((55, 28, 14, 8), (105, 40, 18, 9), (45, 20, 9, 4)),
    at_froude=4.0,
)
BREATH = Shape(acc_g=((0.004,), (0.003,), (0.008,)), gyr_dps=((0.8,), (1.2,), (0.5,)))
SCRATCH = Shape(  # a hind paw hammers at the collar itself
    acc_g=((0.25, 0.12), (0.60, 0.28), (0.45, 0.25)),
    gyr_dps=((120, 50), (70, 35), (90, 40)),
)
TREMOR = Shape(acc_g=((0.05,), (0.07,), (0.07,)), gyr_dps=((16,), (12,), (12,)))
LIMP = Shape(  # the head nods once a stride, up as the sore leg lands (Keegan 2007, horses)
    acc_g=((0.10, 0.02), (0.06,), (0.34, 0.05, 0.08)), gyr_dps=((14,), (48, 8), (10,))
)

SHAPES: dict[str, Shape] = {
    "walk": WALK,
    "trot": TROT,
    "gallop": GALLOP,
    "breath": BREATH,
    "scratch": SCRATCH,
    "tremor": TREMOR,
    "limp": LIMP,
}


@dataclass(frozen=True)
class Motion:
    """What the neck does during a behaviour."""

    shape: str | None
    """Row of `SHAPES`; None when the gait follows from the speed."""
    froude: tuple[float, float] | None = None
    """Range of v^2/(g h) for behaviours that travel."""
    rhythm_hz: tuple[float, float] = (0.0, 0.0)
    """Range of the rhythm for those that do not."""
    steady: float = 1.0
    """Share of seconds in which the rhythm is kept; the rest are pauses in a bout."""
    pitch_deg: tuple[float, float] = (0.0, 10.0)
    """Mean and spread of the neck's elevation from bout to bout; negative is nose up."""
    trunk_deg: tuple[float, float] = (0.0, 5.0)
    """The same of the trunk, for a unit that sits there."""
    lean_deg: float = 4.0
    """Spread of the sideways lean from bout to bout."""
    look: float = 0.5
    """Share of seconds in which the head also turns freely."""
    look_deg: float = 8.0
    """Size of those turns: deg of pitch and roll, and ten times as many deg/s of yaw."""


MOTIONS: dict[Behaviour, Motion] = {
    Behaviour.REST: Motion(
        "breath",
        rhythm_hz=(0.25, 0.6),
        pitch_deg=(-10.0, 22.0),
        trunk_deg=(-12.0, 18.0),
        lean_deg=22.0,
        look=0.08,
    ),
    Behaviour.WALK: Motion(None, froude=(0.1, 0.5), steady=0.97, pitch_deg=(-18.0, 10.0)),
    Behaviour.RUN: Motion(None, froude=(0.7, 5.0), pitch_deg=(-12.0, 8.0), look=0.3),
    Behaviour.SCRATCH: Motion(
        "scratch",
        rhythm_hz=(4.0, 6.0),
        steady=0.85,
        pitch_deg=(-35.0, 12.0),
        trunk_deg=(-30.0, 10.0),
        lean_deg=18.0,
    ),
}


def gait_of(froude: float) -> str:
    """The gait an animal takes at a Froude number; a row of `SHAPES`.

    >>> gait_of(0.3), gait_of(1.2), gait_of(4.0)
    ('walk', 'trot', 'gallop')
    """
    if froude < WALK_TO_TROT_FROUDE:
        return "walk"
    return "trot" if froude < TROT_TO_GALLOP_FROUDE else "gallop"


def speed_mps(froude: float, hip_height_m: float) -> float:
    """Speed at a Froude number v^2/(g h), in m/s.

    >>> round(speed_mps(0.33, 0.45), 1)
    1.2
    """
    return math.sqrt(froude * G_MPS2 * hip_height_m)


def stride_hz(froude: float, hip_height_m: float) -> float:
    """Strides per second at a Froude number.

    Source: relative stride length 2.4 Fr^0.34 of cursorial mammals, Alexander & Jayes 1983,
    doi:10.1111/j.1469-7998.1983.tb04266.x.

    >>> round(stride_hz(0.33, 0.45), 2)
    1.63
    """
    return speed_mps(froude, hip_height_m) / (2.4 * hip_height_m * froude**0.34)
