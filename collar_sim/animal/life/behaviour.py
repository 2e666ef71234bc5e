"""What an animal decides to do: a semi-Markov chain that follows the sun, and errands.

A bout (`bouts`) lasts whole seconds. Which behaviour follows, and how long it lasts, depends on how
active the animal is at that local hour (`habits`). Its owner interrupts (`errands`): an errand is a
short list of behaviours done one after the other. What is wrong with the animal (`anomaly`) changes
its choices; a fit is bouts of its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from collar_sim.animal.ethogram.anomaly import HEALTHY, Episode, Phase
from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.ethogram.ride import draw_ride
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.life.bouts import at_a_gait, draw_bout, length_s
from collar_sim.animal.life.errands import Household, Now
from collar_sim.animal.life.fit import cramp, dazed_s, jerks
from collar_sim.animal.life.habits import (
    AFIELD,
    ERRANDS,
    HABITS,
    RHYTHMS,
    Errand,
    activity_level,
)
from collar_sim.animal.life.scenario import Incident
from collar_sim.animal.life.temperament import Temperament
from plugins.sdk.behaviours import Behaviour

ESCAPE_FROUDE = 1.6  # a brisk trot, about 2.7 m/s at 20 kg
ESCAPE_M = 800.0  # how far it goes: beyond any yard, within reach of a walk
LAME_SHUNS = {Behaviour.RUN, Behaviour.PLAY, Behaviour.WALK}
LAME_SHUNS_BY = 0.35  # share fewer of them at severity 1, by eye


@dataclass(frozen=True)
class Mood:
    """What the chain carries from minute to minute."""

    bout: Bout
    left_s: int
    plan: tuple[Behaviour, ...] = ()
    """What an errand still asks for."""
    resumed_s: int = 0
    """How much is left of what a scratch interrupted."""
    fed_min: int = 0
    """Minute of the last meal, since 1970."""
    leaving: bool = False
    """The next bout is the first of a walk."""
    at_large: bool = False
    """It ran away: nobody feeds it or drives it."""


@dataclass(frozen=True)
class Sudden:
    """What comes over an animal within a minute."""

    incident: Incident
    second: int
    fit: Episode = HEALTHY
    """How a seizure is, if it is one."""


class Chain:
    """The chain of one animal."""

    def __init__(
        self,
        profile: Profile,
        temperament: Temperament,
        longitude_deg: float,
        errands_per_day: Mapping[Errand, float],
    ) -> None:
        self._profile = profile
        self._temperament = temperament
        self._species = RHYTHMS[profile.species]
        self._shares = {each: self._share(each) for each in HABITS}
        self._solar_h = longitude_deg / 15.0 - temperament.chronotype_h
        self._household = Household(profile.species, temperament.meal_hours, errands_per_day)

    def wake(self, minute_index: int, rng: np.random.Generator) -> Mood:
        """A first bout, as if the animal had been observed at a random moment of resting."""
        now = self._now(minute_index, HEALTHY)
        bout = draw_bout(self._profile, Behaviour.REST, now, rng)
        to_come = rng.random()  # share of the bout
        return Mood(bout, 1 + int(to_come * length_s(self._profile, bout.behaviour, now, rng)))

    def minute(
        self,
        mood: Mood,
        minute_index: int,
        rng: np.random.Generator,
        *,
        episode: Episode = HEALTHY,
        sudden: Sudden | None = None,
        afield: bool = False,
        kept_in: bool = False,
    ) -> tuple[list[Segment], Mood]:
        """The segments of a minute, together exactly 60 s, and what to carry on.

        Args:
            mood: From the minute before.
            minute_index: Whole minutes since 1970, UTC.
            rng: Of this minute and stream.
            episode: What is wrong with the animal.
            sudden: What comes over it, and where in the minute.
            afield: Whether it is out on a walk when the minute begins.
            kept_in: Whether nobody takes it for a walk or a ride in this minute.
        """
        now = replace(self._now(minute_index, episode), afield=afield, kept_in=kept_in)
        mood = self._asked(mood, now, rng)
        at_s = -1 if sudden is None else sudden.second
        segments: list[Segment] = []
        now_s = 0
        while now_s < 60:
            if sudden is not None and now_s == at_s:
                mood = self._struck(mood, sudden, rng)
            elif mood.left_s == 0:
                mood = self._onward(mood, now, rng)
            end_s = min(60 if now_s >= at_s else at_s, now_s + mood.left_s)
            bout = mood.bout
            gone_s = 0 if bout.ride is None else bout.ride.length_s - mood.left_s
            shown = bout.fit if bout.in_fit else episode.shown_in(bout.behaviour)
            segments.append(Segment(now_s, end_s, bout, gone_s, shown))
            mood = replace(mood, left_s=mood.left_s - (end_s - now_s))
            now_s = end_s
        return segments, mood

    def _share(self, behaviour: Behaviour) -> float:
        """Relative weight as the next behaviour, of this animal."""
        traits = self._temperament
        liking = {
            Behaviour.SLEEP: traits.drowsiness,
            Behaviour.SNIFF: traits.boldness,
            Behaviour.RUN: math.sqrt(traits.playfulness * traits.boldness),
            Behaviour.PLAY: traits.playfulness,
            Behaviour.SCRATCH: traits.itchiness,
        }
        species = self._species.shares.get(behaviour, 1.0)
        return HABITS[behaviour].share * species * liking.get(behaviour, 1.0)

    def local_hour(self, minute_index: int) -> float:
        """Of this animal's day, 0 to 24."""
        return (minute_index / 60.0 + self._solar_h) % 24.0

    def _now(self, minute_index: int, episode: Episode) -> Now:
        hour = self.local_hour(minute_index)
        level = min(1.0, activity_level(hour, self._profile.species) * self._temperament.energy)
        return Now(minute_index, hour, level, episode)

    def _asked(self, mood: Mood, now: Now, rng: np.random.Generator) -> Mood:
        """The mood, interrupted if an errand begins in this minute."""
        points = rng.random(1 + len(Errand))  # always as many: what is asked shifts nothing else
        if mood.plan or mood.at_large or mood.bout.ride is not None or mood.bout.in_fit:
            return mood
        errand = self._household.asks(now, mood.fed_min, points)
        if errand is None:
            return mood
        was, left_s = mood.bout, mood.left_s
        fed_min = now.minute_index if errand is Errand.MEAL else mood.fed_min
        leaving = errand is Errand.WALK_OUT
        mood = replace(mood, left_s=0, plan=ERRANDS[errand], fed_min=fed_min, leaving=leaving)
        if errand is Errand.ITCH and HABITS[was.behaviour].resumed:
            return replace(mood, plan=(*mood.plan, was.behaviour), resumed_s=left_s)
        return mood

    def _onward(self, mood: Mood, now: Now, rng: np.random.Generator) -> Mood:
        """What follows a bout that is over."""
        if mood.bout.in_fit:
            return self._after_phase(mood, now, rng)
        if mood.plan:
            behaviour, plan = mood.plan[0], mood.plan[1:]
        else:
            behaviour, plan = self._next(mood.bout.behaviour, now, rng), ()
        bout = draw_bout(self._profile, behaviour, now, rng)
        left_s = length_s(self._profile, behaviour, now, rng)
        if mood.resumed_s and not plan and HABITS[behaviour].resumed:
            left_s, mood = mood.resumed_s, replace(mood, resumed_s=0)
        if behaviour is Behaviour.VEHICLE:
            bout = replace(bout, ride=draw_ride(left_s, rng))
        bout = replace(bout, leaving=mood.leaving)
        return replace(mood, bout=bout, left_s=left_s, plan=plan, leaving=False)

    def _next(self, last: Behaviour, now: Now, rng: np.random.Generator) -> Behaviour:
        weights = {each: weight for each, weight in AFIELD.items() if each is not last}
        if not now.afield:
            weights = self._wishes(last, now)
        for behaviour in LAME_SHUNS & weights.keys():
            weights[behaviour] *= max(0.0, 1.0 - LAME_SHUNS_BY * now.lameness)
        point = rng.random() * sum(weights.values())
        for choice, weight in weights.items():
            point -= weight
            if point < 0:
                return choice
        return Behaviour.REST if last is not Behaviour.REST else Behaviour.WALK

    def _wishes(self, last: Behaviour, now: Now) -> dict[Behaviour, float]:
        """How likely is what, when nobody asks."""
        weights = {
            behaviour: self._shares[behaviour] * (1.0 if habit.calm else now.level)
            for behaviour, habit in HABITS.items()
            if behaviour is not last and behaviour is not Behaviour.SLEEP
        }
        if last is Behaviour.REST:  # it lies down first
            weights[Behaviour.SLEEP] = self._shares[Behaviour.SLEEP] * (1.0 - now.level) ** 2
        return weights

    def _struck(self, mood: Mood, sudden: Sudden, rng: np.random.Generator) -> Mood:
        """It runs away, or a fit begins: whatever it was doing is over."""
        mood = replace(mood, plan=(), leaving=False, resumed_s=0)
        if sudden.incident is Incident.ESCAPE:
            froude = ESCAPE_FROUDE * rng.lognormal(0.0, 0.1)
            bout = at_a_gait(self._profile, Behaviour.RUN, froude, -10.0, 0.0)
            left_s = math.ceil(ESCAPE_M / bout.speed_mps)
            away = replace(bout, away=True)
            return replace(mood, bout=away, left_s=left_s, at_large=True)
        bout, left_s = cramp(sudden.fit, rng)
        return replace(mood, bout=bout, left_s=left_s)

    def _after_phase(self, mood: Mood, now: Now, rng: np.random.Generator) -> Mood:
        """A fit's jerks follow its cramp, and long rest follows the jerks."""
        if mood.bout.fit.phase is Phase.TONIC:
            bout, left_s = jerks(mood.bout, rng)
            return replace(mood, bout=bout, left_s=left_s)
        rest = draw_bout(self._profile, Behaviour.REST, now, rng)
        dazed = replace(rest, lean_deg=mood.bout.lean_deg)
        return replace(mood, bout=dazed, left_s=dazed_s(rng), plan=(Behaviour.SLEEP,))
