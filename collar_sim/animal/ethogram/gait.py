"""How each behaviour moves the neck: its speed or rhythm, its posture, how much it stirs.

One row per behaviour; the laws of gaits, which go with the Froude number v^2/(g h), stand below.
"""

import math
from dataclasses import dataclass

from plugins.sdk.behaviours import Behaviour

G_MPS2 = 9.80665
REFERENCE_KG = 16.0  # a dog of middle size
CADENCE_SPREAD = 0.03  # of a steady rhythm, from second to second
WALK_TO_TROT_FROUDE = 0.5  # Alexander & Jayes 1983: the gait changes at like Froude numbers
TROT_TO_GALLOP_FROUDE = 2.5  # ditto, 2-3 in dogs


@dataclass(frozen=True)
class Motion:
    """What the neck does during a behaviour."""

    shape: str | None
    """Row of `rhythm.SHAPES`; None when the gait, if it has one, follows from the speed."""
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
    """Share of the time in which the head also turns freely."""
    look_deg: float = 8.0
    """Size of those turns: deg of pitch and roll, and three times as many deg/s of yaw."""
    sway_deg: float = 0.0
    """Spread of quicker movements of the head, up to some 3 Hz, whenever it turns freely."""
    shove_g: float = 0.0
    """The same of acceleration, at all times."""
    buzz_g: float = 0.0
    """Spread of a shaking at all frequencies."""

    def scale(self, mass_kg: float) -> float:
        """What the mass does to the rhythm."""
        return (mass_kg / REFERENCE_KG) ** self.mass_power


MOTIONS: dict[Behaviour, Motion] = {
    Behaviour.SLEEP: Motion(  # head down, on the side or curled up; only breath, and a rare twitch
        None,
        pitch_deg=(6.0, 12.0),
        trunk_deg=(0.0, 8.0),
        lean_deg=40.0,
        look=0.01,
        look_deg=4.0,
        buzz_g=0.001,
    ),
    Behaviour.REST: Motion(  # lying, sitting or standing, awake: it looks about
        None,
        pitch_deg=(-12.0, 20.0),
        trunk_deg=(-12.0, 18.0),
        lean_deg=22.0,
        look=0.2,
        look_deg=6.0,
        sway_deg=1.5,
        shove_g=0.03,
        buzz_g=0.0013,
    ),
    # a slow walk with stops and the nose at the ground; the sniffs themselves, about five a second
    # (Craven et al. 2010, doi:10.1098/rsif.2009.0490), are too faint for a collar
    Behaviour.SNIFF: Motion(
        None,
        froude=(0.03, 0.20),
        steady=0.5,
        pitch_deg=(38.0, 10.0),
        trunk_deg=(6.0, 5.0),
        look=0.85,
        look_deg=9.0,
        sway_deg=5.0,
        shove_g=0.04,
    ),
    Behaviour.WALK: Motion(
        None,
        froude=(0.1, 0.5),
        jitter=0.09,
        steady=0.95,
        pitch_deg=(-18.0, 10.0),
        look=0.4,
        look_deg=2.5,
        sway_deg=1.2,
        shove_g=0.02,
        buzz_g=0.005,
    ),
    Behaviour.RUN: Motion(
        None,
        froude=(0.5, 4.0),
        jitter=0.06,
        pitch_deg=(-12.0, 8.0),
        look=0.5,
        look_deg=4.0,
        sway_deg=1.2,
        shove_g=0.03,
        buzz_g=0.005,
    ),
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


def froude_of(speed_mps: float, hip_height_m: float) -> float:
    """The Froude number v^2/(g h) of a speed.

    >>> round(froude_of(1.2, 0.45), 2)
    0.33
    """
    return speed_mps**2 / (G_MPS2 * hip_height_m)


def stride_hz(froude: float, hip_height_m: float) -> float:
    """Strides per second at a Froude number.

    Source: relative stride length 2.4 Fr^0.34 of cursorial mammals, Alexander & Jayes 1983,
    doi:10.1111/j.1469-7998.1983.tb04266.x.

    >>> round(stride_hz(0.33, 0.45), 2)
    1.63
    """
    return speed_mps(froude, hip_height_m) / (2.4 * hip_height_m * froude**0.34)


def duty_factor(froude: float) -> float:
    """Share of a stride that a foot is on the ground, at most 0.8.

    Source: 0.52 u^-0.28 with u the square root of the Froude number, for forefeet, Alexander &
    Jayes 1983, doi:10.1111/j.1469-7998.1983.tb04266.x.

    >>> round(duty_factor(0.3), 2), round(duty_factor(4.0), 2)
    (0.62, 0.43)
    """
    return min(0.8, 0.52 * froude**-0.14)
