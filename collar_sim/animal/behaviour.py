"""What an animal decides to do: a semi-Markov chain that follows the sun.

A bout lasts whole seconds. Which behaviour follows, and how long it lasts, depends on how active
the animal is at that local hour, with a peak in the morning and one in the evening: so do dogs that
roam freely, and about half of family dogs (Griss et al. 2021, "If they could choose: how would dogs
spend their days?", Applied Animal Behaviour Science).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from collar_sim.animal.gait import MOTIONS, speed_mps, stride_hz
from collar_sim.animal.profile import Profile
from plugins.sdk.behaviours import Behaviour

ESCAPE_FROUDE = 1.6  # a brisk trot, about 2.7 m/s at 20 kg
ESCAPE_M = 800.0  # how far it goes: beyond any yard, within reach of a walk
PEAKS_H = (8.0, 18.0)  # local hours of most activity
PEAK_WIDTH_H = 2.2
NIGHT_LEVEL = 0.06  # of the peak
DAY_LEVEL = 0.35  # between the peaks


@dataclass(frozen=True)
class Habit:
    """How often and how long an animal does something."""

    share: float
    """Relative weight as the next behaviour at full activity."""
    median_s: float
    spread: float
    """Of the logarithm of the length."""
    least_s: int
    calm: bool = False
    """Longer, not rarer, when the animal is less active."""


HABITS: dict[Behaviour, Habit] = {
    Behaviour.REST: Habit(0.50, 90.0, 0.9, 5, calm=True),
    Behaviour.WALK: Habit(0.80, 40.0, 0.7, 4),
    Behaviour.RUN: Habit(0.25, 14.0, 0.6, 4),
    Behaviour.SCRATCH: Habit(0.10, 8.0, 0.4, 4),
}


@dataclass(frozen=True)
class Bout:
    """One stretch of one behaviour, as the animal does it this time."""

    behaviour: Behaviour
    rhythm_hz: float
    froude: float = 0.0
    """0 when it stays where it is."""
    speed_mps: float = 0.0
    pitch_deg: float = 0.0
    lean_deg: float = 0.0
    away: bool = False
    """Straight away from home: an escape."""

    @property
    def gait_hz(self) -> float:
        """Strides per second; 0 when it stays where it is."""
        return self.rhythm_hz if self.speed_mps > 0 else 0.0


@dataclass(frozen=True)
class Segment:
    """The part of a bout that lies in one minute."""

    start_s: int
    end_s: int
    bout: Bout


@dataclass(frozen=True)
class Mood:
    """What the chain carries from minute to minute."""

    bout: Bout
    left_s: int


def activity_level(local_hour: float) -> float:
    """How active the average animal is, 0 to 1, over the local day.

    >>> activity_level(8.0) > activity_level(13.0) > activity_level(2.0)
    True
    """
    lift = sum(math.exp(-0.5 * ((local_hour - peak) / PEAK_WIDTH_H) ** 2) for peak in PEAKS_H)
    daylight = 1.0 / (1.0 + math.exp(2.0 * (abs(local_hour - 14.0) - 8.0)))
    base = NIGHT_LEVEL + (DAY_LEVEL - NIGHT_LEVEL) * daylight
    return min(1.0, base + (1.0 - base) * lift)


class Chain:
    """The chain of one animal."""

    def __init__(self, profile: Profile, longitude_deg: float) -> None:
        self._profile = profile
        self._solar_h = longitude_deg / 15.0 - profile.chronotype_h

    def wake(self, minute_index: int, rng: np.random.Generator) -> Mood:
        """A first bout, as if the animal had been observed at a random moment of resting."""
        bout = self._bout(Behaviour.REST, rng)
        return Mood(bout, 1 + int(rng.random() * self._length_s(bout, minute_index, rng)))

    def minute(
        self,
        mood: Mood,
        minute_index: int,
        rng: np.random.Generator,
        *,
        escape_second: int | None = None,
    ) -> tuple[list[Segment], Mood]:
        """The segments of a minute, together exactly 60 s, and what to carry on.

        Args:
            mood: From the minute before.
            minute_index: Whole minutes since 1970, UTC.
            rng: Of this minute and stream.
            escape_second: Where in the minute an escape begins, if it does.
        """
        segments: list[Segment] = []
        now_s = 0
        while now_s < 60:
            if now_s == escape_second:
                mood = self._escape(rng)
            elif mood.left_s == 0:
                bout = self._bout(self._next(mood.bout.behaviour, minute_index, rng), rng)
                mood = Mood(bout, self._length_s(bout, minute_index, rng))
            limit_s = 60 if escape_second is None or now_s >= escape_second else escape_second
            end_s = min(limit_s, now_s + mood.left_s)
            segments.append(Segment(now_s, end_s, mood.bout))
            mood = replace(mood, left_s=mood.left_s - (end_s - now_s))
            now_s = end_s
        return segments, mood

    def _level(self, minute_index: int) -> float:
        local_hour = (minute_index / 60.0 + self._solar_h) % 24.0
        return min(1.0, activity_level(local_hour) * self._profile.energy)

    def _next(self, last: Behaviour, minute_index: int, rng: np.random.Generator) -> Behaviour:
        level = self._level(minute_index)
        choices = [b for b in HABITS if b is not last]
        weights = [HABITS[b].share * (1.0 if HABITS[b].calm else level) for b in choices]
        point = rng.random() * sum(weights)
        for choice, weight in zip(choices, weights, strict=True):
            point -= weight
            if point < 0:
                return choice
        return choices[-1]

    def _length_s(self, bout: Bout, minute_index: int, rng: np.random.Generator) -> int:
        habit = HABITS[bout.behaviour]
        stretch = 1.0 / self._level(minute_index) if habit.calm else 1.0
        return max(habit.least_s, round(habit.median_s * stretch * rng.lognormal(0, habit.spread)))

    def _bout(self, behaviour: Behaviour, rng: np.random.Generator) -> Bout:
        motion = MOTIONS[behaviour]
        on_trunk = self._profile.seat.on_trunk
        mean, spread = motion.trunk_deg if on_trunk else motion.pitch_deg
        carriage_deg = 0.0 if on_trunk else self._profile.neck_pitch_deg
        pitch_deg = float(rng.normal(mean, spread)) + carriage_deg
        lean_deg = float(rng.normal(0.0, motion.lean_deg))
        if motion.froude is None:
            rhythm_hz = float(rng.uniform(*motion.rhythm_hz))
            return Bout(behaviour, rhythm_hz, pitch_deg=pitch_deg, lean_deg=lean_deg)
        low, high = motion.froude
        return self._travel(behaviour, float(rng.uniform(low, high)), pitch_deg, lean_deg)

    def _travel(
        self, behaviour: Behaviour, froude: float, pitch_deg: float, lean_deg: float
    ) -> Bout:
        hip_m = self._profile.hip_height_m
        return Bout(
            behaviour,
            stride_hz(froude, hip_m),
            froude=froude,
            speed_mps=speed_mps(froude, hip_m),
            pitch_deg=pitch_deg,
            lean_deg=lean_deg,
        )

    def _escape(self, rng: np.random.Generator) -> Mood:
        bout = self._travel(Behaviour.RUN, ESCAPE_FROUDE * rng.lognormal(0.0, 0.1), -10.0, 0.0)
        return Mood(replace(bout, away=True), math.ceil(ESCAPE_M / bout.speed_mps))
