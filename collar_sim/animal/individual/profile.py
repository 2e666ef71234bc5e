"""One individual: its build, its gait, and how its collar sits.

What differs between animals here is what a model must bear: a model is judged on strangers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.individual.footfall import Footwork
from collar_sim.animal.individual.neck import draw_footwork
from collar_sim.animal.individual.rhythm import HARMONICS, SHAPES
from collar_sim.animal.individual.sensor import BMI270, Part, Sensor
from collar_sim.animal.individual.wear import SEATS, Seat, Wear
from collar_sim.arrays import FloatArray

DOG_SHARE = 0.8
HIP_HEIGHT_PER_KG = 0.165  # m kg^-1/3: geometric similarity, 0.45 m at 20 kg
AMPLITUDE_SPREAD = 0.22  # log, of all amplitudes together and again of each by itself
BREATH_G = 0.0005  # by eye: a lying neck tilts by some hundredths of a degree
BEAT_G = 0.005  # ballistic, as felt at the head of people: He et al. 2012
COLLAR_HZ = 4.3  # by eye, of a unit of some tens of grams
TONE_SPREAD = 0.4  # log, from animal to animal; this and the next by eye
RESTLESS_SPREAD = 0.6
RUB_SPREAD = 0.8  # coats are short or thick, collars tight or loose
PHASE_SPREAD_RAD = 0.7  # legs of all quadrupeds keep roughly the same order


MASS_KG = {  # median and log spread: toy breeds to mastiffs; house cats are alike
    Species.DOG: (16.0, 0.6),
    Species.CAT: (4.5, 0.15),
}


@dataclass(frozen=True)
class Profile:
    """Everything about an individual that does not change with time."""

    species: Species
    mass_kg: float
    hip_height_m: float
    rhythms: dict[str, NDArray[np.complex64]]
    """Per row of `rhythm.SHAPES`, complex amplitudes at the unit, shape (HARMONICS, 6)."""
    footwork: dict[str, Footwork]
    """Per gait: walk, trot, gallop."""
    neck_pitch_deg: float
    """Added to every posture: how high this animal carries its head."""
    collar_angle_deg: float
    """Where the unit hangs on the neck on average; 0 is under the throat."""
    looseness: float
    """0 (tight) to 1: how far the collar slides and how it slaps at each step."""
    collar_hz: float
    """At which the unit swings on its strap and the neck under it."""
    mount: FloatArray
    """Rotation of the unit in its holder, shape (3, 3); includes a collar put on back to front."""
    sensor: Part
    breath_g: float
    """Size of a breath at the unit, when it rests."""
    beat_g: float
    """Size of a heartbeat there."""
    tone: float
    """How much its muscles stir when it keeps still, beside the average animal."""
    restless: float = 1.0
    """How much it turns its head freely, beside the average animal."""
    rubs: float = 1.0
    """How much a turning collar rubs in its coat, beside the average animal's."""
    wear: Wear = Wear.COLLAR

    @property
    def seat(self) -> Seat:
        """What the place that the unit is worn at does to motion."""
        return SEATS[self.wear]


def draw_profile(
    rng: np.random.Generator, wear: Wear = Wear.COLLAR, sensor: Sensor = BMI270
) -> Profile:
    """An animal drawn from the population; the same one, however it wears its unit."""
    seat = SEATS[wear]
    species = Species.DOG if rng.random() < DOG_SHARE else Species.CAT
    median_kg, spread = MASS_KG[species]
    mass_kg = float(np.clip(median_kg * rng.lognormal(0.0, spread), 2.0, 80.0))
    legs = rng.lognormal(0.0, 0.12)  # dachshund to greyhound at like mass
    vigour = rng.lognormal(0.0, AMPLITUDE_SPREAD)
    looseness = float(rng.beta(2.0, 3.0))
    collar_hz = COLLAR_HZ * float(rng.lognormal(0.0, 0.12))
    return Profile(
        species=species,
        mass_kg=mass_kg,
        hip_height_m=HIP_HEIGHT_PER_KG * mass_kg ** (1 / 3) * legs,
        rhythms=_draw_rhythms(vigour, rng, seat),
        footwork=draw_footwork(vigour, looseness, collar_hz, rng, seat),
        neck_pitch_deg=float(rng.normal(0.0, 8.0)),
        collar_angle_deg=float(rng.normal(0.0, 25.0)) * seat.sliding,
        looseness=looseness * seat.sliding,
        collar_hz=collar_hz,
        mount=_draw_mount(rng) @ seat.mount(),
        sensor=sensor.draw(rng),
        breath_g=BREATH_G * float(rng.lognormal(0.0, 0.8)) * seat.reach.get("breath", 1.0),
        beat_g=BEAT_G * float(rng.lognormal(0.0, 0.5)),
        tone=float(rng.lognormal(0.0, TONE_SPREAD)),
        restless=float(rng.lognormal(0.0, RESTLESS_SPREAD)),
        rubs=float(rng.lognormal(0.0, RUB_SPREAD)),
        wear=wear,
    )


def _draw_rhythms(
    vigour: float, rng: np.random.Generator, seat: Seat
) -> dict[str, NDArray[np.complex64]]:
    shape = (HARMONICS, 6)
    rhythms: dict[str, NDArray[np.complex64]] = {}
    for name, table in SHAPES.items():
        size = table.amplitudes() * vigour * rng.lognormal(0.0, AMPLITUDE_SPREAD, shape)
        phase = rng.normal(0.0, PHASE_SPREAD_RAD, shape)
        phase[:, 0] += np.pi / 2  # fore-aft leads the vertical by a quarter: energy is exchanged
        waves = size * np.exp(1j * phase) * seat.gains(name, HARMONICS)
        rhythms[name] = waves.astype(np.complex64)
    return rhythms


def _draw_mount(rng: np.random.Generator) -> FloatArray:
    """A tilt of some degrees about a random axis, and for half the collars a half turn about z."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(rng.normal(0.0, 8.0))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    tilt = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    facing = 1.0 if rng.random() < 0.5 else -1.0
    return tilt @ np.diag([facing, facing, 1.0])
