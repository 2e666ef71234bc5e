"""What an animal decides to do: a semi-Markov chain that follows the sun, and errands.

A bout lasts whole seconds. Which behaviour follows, and how long it lasts, depends on how active
the animal is at that local hour (`habits`). Its owner interrupts: with meals at habitual hours, and
now and then with a ride. An errand is a short list of behaviours done one after the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from collar_sim.animal.gait import MOTIONS, speed_mps, stride_hz
from collar_sim.animal.habits import (
    ERRANDS,
    HABITS,
    HUNGRY_AFTER_MIN,
    MEAL_CHANCE,
    MEAL_WITHIN_H,
    RHYTHMS,
    RIDE_HOURS,
    Errand,
    activity_level,
    stretch,
)
from collar_sim.animal.profile import Profile
from collar_sim.animal.ride import Ride, draw_ride
from plugins.sdk.behaviours import Behaviour

ESCAPE_FROUDE = 1.6  # a brisk trot, about 2.7 m/s at 20 kg
ESCAPE_M = 800.0  # how far it goes: beyond any yard, within reach of a walk


@dataclass(frozen=True)
class Bout:
    """One stretch of one behaviour, as the animal does it this time."""

    behaviour: Behaviour
    rhythm_hz: float
    froude: float = 0.0
    """0 when it does not go at a gait."""
    speed_mps: float = 0.0
    pitch_deg: float = 0.0
    """Of what the unit sits on: neck or trunk."""
    lean_deg: float = 0.0
    away: bool = False
    """Straight away from home: an escape."""
    ride: Ride | None = None

    @property
    def gait_hz(self) -> float:
        """Strides per second; 0 when it does not go at a gait."""
        return self.rhythm_hz if self.froude > 0 else 0.0


@dataclass(frozen=True)
class Segment:
    """The part of a bout that lies in one minute."""

    start_s: int
    end_s: int
    bout: Bout
    gone_s: int = 0
    """How long the bout had lasted at the segment's start; counted in rides only."""


@dataclass(frozen=True)
class Mood:
    """What the chain carries from minute to minute."""

    bout: Bout
    left_s: int
    plan: tuple[Behaviour, ...] = ()
    """What an errand still asks for."""
    fed_min: int = 0
    """Minute of the last meal, since 1970."""
    at_large: bool = False
    """It ran away: nobody feeds it or drives it."""


class Chain:
    """The chain of one animal."""

    def __init__(
        self, profile: Profile, longitude_deg: float, errands_per_day: Mapping[Errand, float]
    ) -> None:
        self._profile = profile
        self._species = RHYTHMS[profile.species]
        self._solar_h = longitude_deg / 15.0 - profile.chronotype_h
        self._chances = {errand: rate / 1440.0 for errand, rate in errands_per_day.items()}

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
        mood = self._asked(mood, minute_index, rng)
        segments: list[Segment] = []
        now_s = 0
        while now_s < 60:
            if now_s == escape_second:
                mood = self._escape(mood, rng)
            elif mood.left_s == 0:
                mood = self._onward(mood, minute_index, rng)
            limit_s = 60 if escape_second is None or now_s >= escape_second else escape_second
            end_s = min(limit_s, now_s + mood.left_s)
            ride = mood.bout.ride
            gone_s = 0 if ride is None else ride.length_s - mood.left_s
            segments.append(Segment(now_s, end_s, mood.bout, gone_s))
            mood = replace(mood, left_s=mood.left_s - (end_s - now_s))
            now_s = end_s
        return segments, mood

    def _local_hour(self, minute_index: int) -> float:
        return (minute_index / 60.0 + self._solar_h) % 24.0

    def _level(self, minute_index: int) -> float:
        level = activity_level(self._local_hour(minute_index), self._profile.species)
        return min(1.0, level * self._profile.energy)

    def _asked(self, mood: Mood, minute_index: int, rng: np.random.Generator) -> Mood:
        """The mood, interrupted if an errand begins in this minute."""
        points = rng.random(1 + len(Errand))  # always as many: what is asked shifts nothing else
        if mood.plan or mood.at_large or mood.bout.ride is not None:
            return mood
        hour = self._local_hour(minute_index)
        hungry = minute_index - mood.fed_min > HUNGRY_AFTER_MIN and any(
            (hour - meal_h) % 24.0 < MEAL_WITHIN_H for meal_h in self._profile.meal_hours
        )
        errand = Errand.MEAL if hungry and points[0] < MEAL_CHANCE else None
        for asked, point in zip(Errand, points[1:].tolist(), strict=True):
            if point < self._chances.get(asked, 0.0) and errand is None:
                errand = asked
        by_day = RIDE_HOURS[0] <= hour < RIDE_HOURS[1]
        if errand is None or (errand is Errand.RIDE and not by_day):
            return mood
        fed_min = minute_index if errand is Errand.MEAL else mood.fed_min
        return replace(mood, left_s=0, plan=ERRANDS[errand], fed_min=fed_min)

    def _onward(self, mood: Mood, minute_index: int, rng: np.random.Generator) -> Mood:
        """What follows a bout that is over."""
        if mood.plan:
            behaviour, plan = mood.plan[0], mood.plan[1:]
        else:
            behaviour, plan = self._next(mood.bout.behaviour, minute_index, rng), ()
        bout = self._bout(behaviour, rng)
        length_s = self._length_s(bout, minute_index, rng)
        if behaviour is Behaviour.VEHICLE:
            bout = replace(bout, ride=draw_ride(length_s, rng))
        return replace(mood, bout=bout, left_s=length_s, plan=plan)

    def _next(self, last: Behaviour, minute_index: int, rng: np.random.Generator) -> Behaviour:
        level = self._level(minute_index)
        weights = {
            behaviour: habit.share * (1.0 if habit.calm else level)
            for behaviour, habit in HABITS.items()
            if behaviour is not last and behaviour is not Behaviour.SLEEP
        }
        if last is Behaviour.REST:  # it lies down first
            drowsiness = HABITS[Behaviour.SLEEP].share * self._species.drowsiness
            weights[Behaviour.SLEEP] = drowsiness * (1.0 - level) ** 2
        point = rng.random() * sum(weights.values())
        for choice, weight in weights.items():
            point -= weight
            if point < 0:
                return choice
        return Behaviour.REST if last is not Behaviour.REST else Behaviour.WALK

    def _length_s(self, bout: Bout, minute_index: int, rng: np.random.Generator) -> int:
        habit = HABITS[bout.behaviour]
        longer = stretch(habit, self._level(minute_index))
        if bout.behaviour is Behaviour.SLEEP:
            longer *= self._species.doze
        length_s = round(habit.median_s * longer * rng.lognormal(0, habit.spread))
        return min(habit.most_s, max(habit.least_s, length_s))

    def _bout(self, behaviour: Behaviour, rng: np.random.Generator) -> Bout:
        motion = MOTIONS[behaviour]
        on_trunk = self._profile.seat.on_trunk
        mean, spread = motion.trunk_deg if on_trunk else motion.pitch_deg
        carriage_deg = 0.0 if on_trunk else self._profile.neck_pitch_deg
        pitch_deg = float(rng.normal(mean, spread)) + carriage_deg
        lean_deg = float(rng.normal(0.0, motion.lean_deg))
        if motion.froude is None:
            rhythm_hz = float(rng.uniform(*motion.rhythm_hz)) * motion.scale(self._profile.mass_kg)
            roam_mps = float(rng.uniform(*motion.roam_mps))
            return Bout(behaviour, rhythm_hz, 0.0, roam_mps, pitch_deg, lean_deg)
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

    def _escape(self, mood: Mood, rng: np.random.Generator) -> Mood:
        bout = self._travel(Behaviour.RUN, ESCAPE_FROUDE * rng.lognormal(0.0, 0.1), -10.0, 0.0)
        left_s = math.ceil(ESCAPE_M / bout.speed_mps)
        return replace(mood, bout=replace(bout, away=True), left_s=left_s, plan=(), at_large=True)
