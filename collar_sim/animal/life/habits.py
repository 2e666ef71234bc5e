"""How often and how long an animal does something, and how active it is at which hour.

A dog or cat is active in the morning and in the evening: so are dogs that roam freely, and about
half of family dogs (Griss et al. 2021, "If they could choose: how would dogs spend their days?",
Applied Animal Behaviour Science); cats more so, nearer to dawn and dusk.

Sleep comes in many short pieces. Dogs at night sleep some 16 minutes and are awake for 5, about 23
times in eight hours (Adams & Johnson 1993, doi:10.1016/0168-1591(93)90095-4), and nap by day; cats
sleep longer at a time and more in all (Lucas & Sterman 1974, doi:10.1016/0014-4886(74)90031-4).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collar_sim.animal.ethogram.species import Species
from plugins.sdk.behaviours import Behaviour

PEAK_WIDTH_H = 2.2


@dataclass(frozen=True)
class Rhythm:
    """The day of a species."""

    peaks_h: tuple[float, float]
    """Local hours of most activity."""
    night_level: float
    """Of the peak."""
    day_level: float
    """Between the peaks."""
    doze: float
    """How long it sleeps at a time, beside a dog."""
    meal_hours: tuple[float, ...]
    """Local, of the average household."""
    shares: Mapping[Behaviour, float]
    """How often it does something, beside a dog (1)."""


RHYTHMS = {
    Species.DOG: Rhythm((8.0, 18.0), 0.06, 0.35, 1.0, (7.0, 17.5), {}),
    Species.CAT: Rhythm(
        (6.5, 20.0),
        0.12,
        0.20,
        1.3,
        (6.5, 17.5, 22.0),
        {
            Behaviour.SNIFF: 1.6,
            Behaviour.WALK: 1.8,
            Behaviour.RUN: 2.5,
            Behaviour.PLAY: 4.0,
            Behaviour.SCRATCH: 0.35,  # 1 minute a day: Eckstein & Hart 2000
        },
    ),
}


@dataclass(frozen=True)
class Habit:
    """How often and how long an animal does something."""

    share: float
    """Relative weight as the next behaviour at full activity; 0: only as part of an errand."""
    median_s: float
    spread: float
    """Of the logarithm of the length."""
    least_s: int
    calm: bool = False
    """Longer, not rarer, when the animal is less active."""
    resumed: bool = False
    """Taken up again after a scratch."""
    most_s: int = 24 * 3600


HABITS: dict[Behaviour, Habit] = {
    Behaviour.SLEEP: Habit(1.3, 840.0, 0.5, 120, resumed=True),
    Behaviour.REST: Habit(0.50, 70.0, 0.9, 5, calm=True, resumed=True),
    Behaviour.SNIFF: Habit(0.30, 18.0, 0.7, 4),
    Behaviour.WALK: Habit(0.42, 36.0, 0.7, 4),
    Behaviour.RUN: Habit(0.085, 12.0, 0.6, 4),
    Behaviour.PLAY: Habit(0.03, 35.0, 0.7, 6),
    Behaviour.DRINK: Habit(0.025, 18.0, 0.4, 6),
    Behaviour.SCRATCH: Habit(0.05, 8.0, 0.4, 4),
    Behaviour.EAT: Habit(0.0, 200.0, 0.35, 60),  # a bowl of dry food; 1 to 8 minutes
    Behaviour.VEHICLE: Habit(0.0, 1200.0, 0.4, 300, most_s=3600),
}


class Errand(StrEnum):
    """What interrupts an animal, most often its owner."""

    MEAL = "meal"
    RIDE = "ride"
    WALK_OUT = "walk_out"
    """A walk with its owner: it ends when they are home again (`streets`)."""
    WATER = "water"
    NAP = "nap"
    GAME = "game"
    ITCH = "itch"


ERRANDS: dict[Errand, tuple[Behaviour, ...]] = {
    Errand.MEAL: (Behaviour.WALK, Behaviour.EAT, Behaviour.DRINK),
    Errand.RIDE: (Behaviour.WALK, Behaviour.VEHICLE, Behaviour.SNIFF),
    Errand.WALK_OUT: (Behaviour.WALK, Behaviour.SNIFF, Behaviour.WALK),
    Errand.WATER: (Behaviour.WALK, Behaviour.DRINK),
    Errand.NAP: (Behaviour.REST, Behaviour.SLEEP),
    Errand.GAME: (Behaviour.RUN, Behaviour.PLAY, Behaviour.RUN),
    Errand.ITCH: (Behaviour.SCRATCH,),
}
RIDE_HOURS = (8.0, 20.0)  # local; nobody drives with the animal at night
WALK_HOURS = (6.5, 22.0)
AFIELD = {  # weights of what it does next while it is out with its owner, by eye
    Behaviour.WALK: 1.0,
    Behaviour.SNIFF: 0.6,
    Behaviour.REST: 0.08,  # the owner stands and talks
    Behaviour.RUN: 0.06,
}
MEAL_WITHIN_H = 0.75  # of the habitual hour
MEAL_CHANCE = 0.1  # per minute of that time: 99 of 100 meals begin within it
HUNGRY_AFTER_MIN = 180


def activity_level(local_hour: float, species: Species = Species.DOG) -> float:
    """How active the average animal is, 0 to 1, over the local day.

    >>> activity_level(8.0) > activity_level(13.0) > activity_level(2.0)
    True
    """
    rhythm = RHYTHMS[species]
    lift = 0.0
    for peak in rhythm.peaks_h:
        apart_h = abs(local_hour - peak)
        lift += math.exp(-0.5 * (min(apart_h, 24.0 - apart_h) / PEAK_WIDTH_H) ** 2)
    daylight = 1.0 / (1.0 + math.exp(2.0 * (abs(local_hour - 14.0) - 8.0)))
    base = rhythm.night_level + (rhythm.day_level - rhythm.night_level) * daylight
    return min(1.0, base + (1.0 - base) * lift)


def stretch(habit: Habit, level: float) -> float:
    """How much longer a bout is at this level of activity."""
    return 1.0 / math.sqrt(level) if habit.calm else 1.0
