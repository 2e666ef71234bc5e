"""How each behaviour moves the neck: speed, rhythm, and the harmonics of that rhythm.

One row per behaviour and per gait: what a behaviour feels like is said here and nowhere else.

Axes everywhere: x along the neck to the nose, y to the animal's left, z up; rotations by the right
hand about them (roll, pitch, yaw).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plugins.sdk.behaviours import Behaviour

G_MPS2 = 9.80665
REFERENCE_KG = 16.0  # a dog of middle size
CADENCE_SPREAD = 0.03  # of a steady rhythm, from second to second
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
CHEW = Shape(  # jaws and neck; bites of dry food jerk the head
    acc_g=((0.05, 0.03, 0.02), (0.04, 0.02), (0.06, 0.04, 0.02)),
    gyr_dps=((9, 5, 2), (15, 8, 3), (8, 3)),
)
LAP = Shape(  # the head dips a little with each stroke of the tongue
    acc_g=((0.05, 0.015), (0.015,), (0.07, 0.02)), gyr_dps=((4, 1), (20, 5), (3, 1))
)
# recorded at play (1 public collar set): 0.20-0.50-1.08 g and 38-102-188 deg/s, 10-50-90 %
# recorded in a car (ditto): 0.04-0.11-0.30 g and 3-13-54 deg/s
PLAY = Shape(  # pounce, brake, turn, wrestle, shake the toy
    acc_g=((0.24, 0.18, 0.10, 0.06), (0.21, 0.16, 0.10, 0.06), (0.27, 0.20, 0.11, 0.06)),
    gyr_dps=((60, 42, 22, 11), (52, 38, 21, 10), (50, 34, 20, 10)),
)
ROAD = Shape(  # the body of a car bounces at 1 to 2 Hz on its springs and passes on what is faster
    acc_g=((0.020, 0.025, 0.020, 0.018), (0.025, 0.025, 0.020, 0.015), (0.05, 0.055, 0.04, 0.03)),
    gyr_dps=((6, 5, 3, 2), (7, 6, 3, 2), (3, 3, 2, 1)),
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
    "chew": CHEW,
    "lap": LAP,
    "play": PLAY,
    "road": ROAD,
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
    """Range of the rhythm for those that do not, in an animal of `REFERENCE_KG`."""
    mass_power: float = 0.0
    """The rhythm goes with this power of the mass."""
    roam_mps: tuple[float, float] = (0.0, 0.0)
    """Range of the speed of those that move about without a gait."""
    jitter: float = CADENCE_SPREAD
    """Spread of the rhythm from second to second, as a share of it."""
    surge: float = 0.0
    """Spread of the vigour from second to second, of its logarithm."""
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

    def scale(self, mass_kg: float) -> float:
        """What the mass does to the rhythm."""
        return (mass_kg / REFERENCE_KG) ** self.mass_power


MOTIONS: dict[Behaviour, Motion] = {
    Behaviour.SLEEP: Motion(  # head down, on the side or curled up; only breath, and a rare twitch
        "breath",
        rhythm_hz=(0.2, 0.4),
        pitch_deg=(6.0, 12.0),
        trunk_deg=(0.0, 8.0),
        lean_deg=40.0,
        look=0.01,
        look_deg=5.0,
    ),
    Behaviour.REST: Motion(  # lying, sitting or standing, awake: it looks about
        "breath",
        rhythm_hz=(0.3, 0.7),
        pitch_deg=(-12.0, 20.0),
        trunk_deg=(-12.0, 18.0),
        lean_deg=22.0,
        look=0.2,
        look_deg=5.0,
    ),
    # a slow walk with stops and the nose at the ground; the sniffs themselves, about five a second
    # (Craven et al. 2010, doi:10.1098/rsif.2009.0490), are too faint for a collar
    Behaviour.SNIFF: Motion(
        None,
        froude=(0.01, 0.10),
        steady=0.6,
        pitch_deg=(38.0, 10.0),
        trunk_deg=(6.0, 5.0),
        look=0.85,
        look_deg=9.0,
    ),
    Behaviour.WALK: Motion(None, froude=(0.1, 0.5), steady=0.97, pitch_deg=(-18.0, 10.0)),
    Behaviour.RUN: Motion(None, froude=(0.7, 5.0), pitch_deg=(-12.0, 8.0), look=0.3),
    Behaviour.PLAY: Motion(
        "play",
        rhythm_hz=(1.5, 2.8),
        roam_mps=(0.4, 2.0),
        jitter=0.30,
        surge=0.6,
        steady=0.85,
        pitch_deg=(5.0, 18.0),
        trunk_deg=(5.0, 12.0),
        lean_deg=12.0,
        look=0.8,
        look_deg=12.0,
    ),
    # chewing: Gerstner & Gerstein 2008, doi:10.1644/07-MAMM-A-310.1, near 2 Hz at a dog's mass
    Behaviour.EAT: Motion(
        "chew",
        rhythm_hz=(1.5, 2.5),
        mass_power=-1 / 8,
        jitter=0.08,
        surge=0.3,
        steady=0.88,
        pitch_deg=(45.0, 10.0),
        trunk_deg=(8.0, 5.0),
        look=0.3,
        look_deg=6.0,
    ),
    # lapping: 3.5 a second in cats (Reis et al. 2010, doi:10.1126/science.1195421), 3 in dogs (Gart
    # et al. 2015, doi:10.1073/pnas.1514842112); the power joins 4.5 kg to 16 kg
    Behaviour.DRINK: Motion(
        "lap",
        rhythm_hz=(2.8, 3.2),
        mass_power=-1 / 8,
        steady=0.97,
        pitch_deg=(50.0, 8.0),
        trunk_deg=(9.0, 5.0),
        look=0.05,
        look_deg=4.0,
    ),
    Behaviour.SCRATCH: Motion(
        "scratch",
        rhythm_hz=(4.0, 6.0),
        steady=0.85,
        pitch_deg=(-35.0, 12.0),
        trunk_deg=(-30.0, 10.0),
        lean_deg=18.0,
    ),
    Behaviour.VEHICLE: Motion(  # a resting animal on a shaken seat: noise about the car's resonance
        "road",
        rhythm_hz=(1.3, 2.0),
        jitter=0.35,
        surge=0.45,
        pitch_deg=(-8.0, 18.0),
        trunk_deg=(-10.0, 16.0),
        lean_deg=18.0,
        look=0.15,
        look_deg=5.0,
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
