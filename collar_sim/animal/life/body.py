"""Heart, breath and temperature, second by second.

Over all mammals resting rates go with a quarter power of the mass (heart 241 M^-0.25, breath
53.5 M^-0.26: Stahl 1967, doi:10.1152/jappl.1967.22.3.453), but not within dogs or within cats, so
each species has its own level:

- a dog of 55 kg has 10.5 beats a minute less than one of 5 kg, a power of -0.04 (Hezzell et al.
  2013, doi:10.1111/jsap.12079); cats at home have 132 +- 19 (Abbott 2005, J. Feline Med. Surg. 7)
- dogs breathe 13 times a minute asleep, and 19 awake where asleep it is 15 (Rishniw et al. 2012,
  doi:10.1016/j.rvsc.2011.12.014); cats 21 asleep (Ljungvall et al. 2014, J. Feline Med. Surg. 16);
  it does not go with the mass in either

Rates follow what the animal does with a lag of first order, quicker up than down; temperature also
follows the hour.
"""

import math
from dataclasses import dataclass

import numpy as np

from collar_sim.animal.drift import Drift
from collar_sim.animal.ethogram.anomaly import Phase
from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.individual.profile import Profile
from collar_sim.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour

HEART_POWER = -0.04
REFERENCE_KG = 16.0
HEART_SPREAD = 0.14  # log, of resting rates from animal to animal: Abbott's 19 of 132
BREATH_SPREAD = 0.17  # ditto, by eye
FLUTTER_TAU_S = 20.0
FLUTTER = np.array([0.04, 0.06])  # of heart and breath, as a share: by eye
LAGS_S = (  # up, down; by eye
    (15.0, 60.0),  # heart
    (40.0, 150.0),  # breath: panting outlasts the run
    (900.0, 1500.0),  # temperature
    (90.0, 10.0),  # sleep
)
PANTING = 1.5  # power of the exertion that the breath follows: nobody pants at a walk; by eye
EXERTION_C = 1.6  # what the hardest run would come to add, by eye
HEART_PER_C, BREATH_PER_C = 0.10, 0.15  # share a kelvin of fever adds, by eye
SLEEP_HEART, SLEEP_BREATH = 0.18, 0.25  # share of the waking rates that sleep takes, by eye
WARMEST_H = 18.0  # local

_flutter = Drift(FLUTTER_TAU_S)


@dataclass(frozen=True)
class Physiology:
    """Of a species; an animal's own values are drawn about them."""

    heart_bpm: float
    """Awake and at rest, of an animal of `REFERENCE_KG`."""
    heart_most_bpm: float
    breath_rpm: float
    breath_most_rpm: float
    """Panting."""
    temperature_c: float
    temperature_spread_c: float
    daily_c: float
    """Half of the difference between the warmest and the coldest hour."""


PHYSIOLOGY = {
    Species.DOG: Physiology(80.0, 240.0, 18.0, 180.0, 38.75, 0.12, 0.15),
    Species.CAT: Physiology(122.0, 250.0, 26.0, 100.0, 38.65, 0.15, 0.2),
}
EXERTION: dict[Behaviour, float] = {  # share of the heart's reserve that it would come to take
    Behaviour.SLEEP: 0.0,
    Behaviour.REST: 0.0,
    Behaviour.SNIFF: 0.08,
    Behaviour.WALK: 0.18,
    Behaviour.RUN: 0.35,  # and more the faster
    Behaviour.PLAY: 0.45,
    Behaviour.EAT: 0.12,
    Behaviour.DRINK: 0.05,
    Behaviour.SCRATCH: 0.12,
    Behaviour.VEHICLE: 0.06,
}
RUN_PER_FROUDE = 0.1
FIT = 0.8


@dataclass(frozen=True)
class Baseline:
    """What is normal for one animal, awake and at rest."""

    heart_bpm: float
    breath_rpm: float
    temperature_c: float
    """Mean of the day."""


@dataclass(frozen=True)
class BodyMinute:
    """One minute of the body, one value per second."""

    heart_bpm: FloatArray
    breath_rpm: FloatArray
    temperature_c: FloatArray
    """Of the core."""
    baseline: Baseline
    """What is normal for it: how far each rate is from that is its deviation."""


@dataclass(frozen=True)
class Vitals:
    """What the body carries from minute to minute."""

    heart: float = 0.0
    """Share of the heart's reserve in use."""
    breath: float = 0.0
    warmth_c: float = 0.0
    """By exertion."""
    sleep: float = 0.0
    """How deep, 0 to 1."""
    flutter: tuple[float, ...] = (0.0, 0.0)
    """Of heart and breath, of unit variance."""


AT_REST = Vitals()


def draw_baseline(profile: Profile, rng: np.random.Generator) -> Baseline:
    """What is normal for this animal."""
    norm = PHYSIOLOGY[profile.species]
    heart, breath, warm = np.clip(rng.standard_normal(3), -2.0, 2.0).tolist()
    return Baseline(
        heart_bpm=norm.heart_bpm
        * (profile.mass_kg / REFERENCE_KG) ** HEART_POWER
        * math.exp(HEART_SPREAD * heart),
        breath_rpm=norm.breath_rpm * math.exp(BREATH_SPREAD * breath),
        temperature_c=norm.temperature_c + norm.temperature_spread_c * warm,
    )


def exertion(bout: Bout) -> float:
    """Share of the heart's reserve that a bout would come to take, 0 to 1."""
    if bout.fit.phase is not Phase.NONE:
        return FIT
    faster = RUN_PER_FROUDE * bout.froude if bout.behaviour is Behaviour.RUN else 0.0
    return min(1.0, EXERTION[bout.behaviour] + faster)


def body_minute(
    species: Species,
    baseline: Baseline,
    vitals: Vitals,
    segments: list[Segment],
    local_hour: float,
    rng: np.random.Generator,
    *,
    fever_c: float = 0.0,
) -> tuple[BodyMinute, Vitals]:
    """The body's minute, and what to carry on.

    Args:
        species: Whose limits hold.
        baseline: Of the animal.
        vitals: From the minute before.
        segments: The minute's behaviour.
        local_hour: Of the day, 0 to 24.
        rng: Of this minute and stream.
        fever_c: Above its own temperature, in kelvin.
    """
    norm = PHYSIOLOGY[species]
    used = np.empty((4, 60))
    last = [vitals.heart, vitals.breath, vitals.warmth_c, vitals.sleep]
    for segment in segments:
        since_s = np.arange(1, segment.end_s - segment.start_s + 1)
        effort, asleep = exertion(segment.bout), segment.bout.behaviour is Behaviour.SLEEP
        targets = (effort, effort**PANTING, EXERTION_C * effort, float(asleep))
        for row, (start, target, tau_s) in enumerate(zip(last, targets, LAGS_S, strict=True)):
            decay = np.exp(-since_s / tau_s[target < start])
            used[row, segment.start_s : segment.end_s] = target + (start - target) * decay
        last = used[:, segment.end_s - 1].tolist()
    heart, breath, warmth_c, sleep = used
    flutter = _flutter.minute(np.array(vitals.flutter), rng.standard_normal((60, 2)))
    wobble = np.exp(FLUTTER * flutter)
    rest_bpm = baseline.heart_bpm * (1.0 + HEART_PER_C * fever_c) * (1.0 - SLEEP_HEART * sleep)
    rest_rpm = baseline.breath_rpm * (1.0 + BREATH_PER_C * fever_c) * (1.0 - SLEEP_BREATH * sleep)
    hour = norm.daily_c * math.cos((local_hour - WARMEST_H) * math.tau / 24.0)
    minute = BodyMinute(
        heart_bpm=wobble[:, 0] * (rest_bpm + (norm.heart_most_bpm - rest_bpm) * heart),
        breath_rpm=wobble[:, 1] * (rest_rpm + (norm.breath_most_rpm - rest_rpm) * breath),
        temperature_c=baseline.temperature_c + fever_c + hour + warmth_c,
        baseline=baseline,
    )
    return minute, Vitals(last[0], last[1], last[2], last[3], tuple(flutter[-1].tolist()))
