"""An animal with a collar: ask for its next minute, get what happened and what the sensors saw."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.anomaly import HEALTHY, Episode, next_episode
from collar_sim.animal.behaviour import Chain, Mood, Segment
from collar_sim.animal.gnss import Errors, GnssMinute, Sky, errors, first_sky
from collar_sim.animal.habits import Errand
from collar_sim.animal.imu import Pose, Samples, imu_minute
from collar_sim.animal.movement import Place, Track, to_degrees, wander
from collar_sim.animal.profile import Profile, draw_profile
from collar_sim.animal.wear import Wear

FloatArray = NDArray[np.float64]

MINUTE = timedelta(minutes=1)
YARD_M = 25.0
PROFILE, BEHAVIOUR, IMU, MOVEMENT, GNSS = range(5)
"""Random streams: one never shifts another."""


class Scenario(StrEnum):
    """A named course of events."""

    HOME = "home"
    ESCAPE = "escape"
    """As home, until it leaves at a given instant."""
    ANOMALY = "anomaly"
    """As home, with frequent episodes of limping and trembling."""
    BUSY = "busy"
    """Healthy, and someone sees to it that all behaviours occur within hours: to learn from."""


@dataclass(frozen=True)
class Course:
    """How often something happens in a scenario."""

    episodes_per_day: float
    """Of limping or trembling."""
    errands_per_day: dict[Errand, float]
    """Beside the meals at their hours."""


RIDES_PER_DAY = 0.3  # asked around the clock, granted by day: about one a week
COURSES = {
    Scenario.HOME: Course(0.2, {Errand.RIDE: RIDES_PER_DAY}),
    Scenario.ESCAPE: Course(0.0, {}),
    Scenario.ANOMALY: Course(72.0, {Errand.RIDE: RIDES_PER_DAY}),
    Scenario.BUSY: Course(
        0.0,
        {
            Errand.RIDE: 36.0,
            Errand.MEAL: 24.0,
            Errand.WATER: 90.0,
            Errand.NAP: 20.0,
            Errand.GAME: 120.0,
            Errand.ITCH: 160.0,
        },
    ),
}


@dataclass(frozen=True)
class AnimalMinute:
    """One minute of one animal. Arrays of truth hold one value per second."""

    start_at: datetime
    imu: Samples
    """Shape (1500, 6) at 25 Hz: g, then deg/s, on the wire's int16 grid."""
    gnss: GnssMinute
    """What the receiver would report at each second."""
    behaviour: NDArray[np.str_]
    anomaly: NDArray[np.str_]
    """``limp``, ``tremor`` or empty."""
    speed_mps: FloatArray
    gait_hz: FloatArray
    """Strides per second; 0 when it does not travel."""
    lat_deg: FloatArray
    lon_deg: FloatArray


@dataclass(frozen=True)
class State:
    """All that an animal carries from minute to minute."""

    minute_index: int
    """Of the next minute, since 1970."""
    mood: Mood
    pose: Pose
    place: Place
    sky: Sky
    episode: Episode = HEALTHY


class Animal:
    """One individual and its life. Same seed and first minute, same bytes.

    >>> animal = Animal.draw(7, home=(48.14, 11.58))
    >>> animal.minute(datetime(2026, 5, 1, 8, 0, tzinfo=UTC)).imu.shape
    (1500, 6)
    """

    def __init__(
        self,
        profile: Profile,
        seed: int,
        *,
        home: tuple[float, float],
        scenario: Scenario = Scenario.HOME,
        escape_at: datetime | None = None,
        yard_m: float = YARD_M,
    ) -> None:
        if (escape_at is None) is (scenario is Scenario.ESCAPE):
            raise ValueError("escape_at goes with the scenario 'escape', and with no other")
        self.profile = profile
        self.home = home
        self.state: State | None = None
        """None before the first minute; may be kept and set again."""
        self._seed = seed
        self._yard_m = yard_m
        self._course = COURSES[scenario]
        self._chain = Chain(profile, home[1], self._course.errands_per_day)
        self._escape_s = None if escape_at is None else int(escape_at.timestamp())

    @classmethod
    def draw(
        cls,
        seed: int,
        *,
        home: tuple[float, float],
        scenario: Scenario = Scenario.HOME,
        escape_at: datetime | None = None,
        yard_m: float = YARD_M,
        wear: Wear = Wear.COLLAR,
    ) -> "Animal":
        """An animal of the population.

        Args:
            seed: Fixes the individual and everything it will do.
            home: Latitude and longitude in degrees; the longitude also sets its local time.
            scenario: Course of events.
            escape_at: When it leaves, aware; only and always with ``Scenario.ESCAPE``.
            yard_m: Radius about home that it keeps to.
            wear: Where the unit is; the same life either way.
        """
        profile = draw_profile(np.random.default_rng([seed, 0, PROFILE]), wear)
        return cls(profile, seed, home=home, scenario=scenario, escape_at=escape_at, yard_m=yard_m)

    def minute(self, start_at: datetime) -> AnimalMinute:
        """The minute that begins at an instant; after the first call, the next one only.

        Raises:
            ValueError: Not a whole minute, not aware, or not the next one.
        """
        index, rest = divmod(start_at.timestamp(), 60)
        if start_at.tzinfo is None or rest:
            raise ValueError(f"{start_at} is no whole minute of an aware clock")
        state = self._wake(int(index)) if self.state is None else self.state
        if state.minute_index != index:
            due_at = datetime.fromtimestamp(state.minute_index * 60, UTC)
            raise ValueError(f"the next minute of this animal is {due_at}, not {start_at}")
        return self._advance(state, start_at)

    def minutes(self, start_at: datetime, count: int) -> Iterator[AnimalMinute]:
        """So many minutes, one after the other."""
        for step in range(count):
            yield self.minute(start_at + step * MINUTE)

    def _rng(self, minute_index: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, minute_index, stream])

    def _wake(self, minute_index: int) -> State:
        rng = self._rng(minute_index - 1, PROFILE)
        mood = self._chain.wake(minute_index, rng)
        pose = Pose(slide=float(rng.standard_normal()))
        heading = float(rng.uniform(-np.pi, np.pi))
        spot_m = rng.normal(0.0, self._yard_m / 4, 2)
        place = Place(float(spot_m[0]), float(spot_m[1]), heading)
        return State(minute_index, mood, pose, place, first_sky(rng))

    def _advance(self, state: State, start_at: datetime) -> AnimalMinute:
        index = state.minute_index
        rng = self._rng(index, BEHAVIOUR)
        episode = next_episode(state.episode, self._course.episodes_per_day, rng)
        segments, mood = self._chain.minute(
            state.mood, index, rng, escape_second=self._escape_second(index)
        )
        track, place = wander(state.place, segments, self._yard_m, self._rng(index, MOVEMENT))
        errs, sky = errors(state.sky, self._rng(index, GNSS))
        imu, pose = imu_minute(
            self.profile, state.pose, segments, track, episode, self._rng(index, IMU)
        )
        self.state = replace(
            state,
            minute_index=index + 1,
            mood=mood,
            pose=pose,
            place=place,
            sky=sky,
            episode=episode,
        )
        return self._minute(start_at, segments, episode, track, errs, imu)

    def _escape_second(self, minute_index: int) -> int | None:
        if self._escape_s is None or self._escape_s // 60 != minute_index:
            return None
        return self._escape_s % 60

    def _minute(
        self,
        start_at: datetime,
        segments: list[Segment],
        episode: Episode,
        track: Track,
        errs: Errors,
        imu: Samples,
    ) -> AnimalMinute:
        spans = [segment.end_s - segment.start_s for segment in segments]
        bouts = [segment.bout for segment in segments]
        lat_deg, lon_deg = to_degrees(self.home, track.east_m, track.north_m)
        seen_lat, seen_lon = to_degrees(
            self.home, track.east_m + errs.east_m, track.north_m + errs.north_m
        )
        return AnimalMinute(
            start_at=start_at,
            imu=imu,
            gnss=GnssMinute(
                seen_lat,
                seen_lon,
                errs.accuracy_m,
                errs.hdop,
                np.maximum(0.0, track.speed_mps + errs.speed_mps),
            ),
            behaviour=np.repeat([str(bout.behaviour) for bout in bouts], spans),
            anomaly=np.repeat([str(episode.shows_in(bout.behaviour)) for bout in bouts], spans),
            speed_mps=track.speed_mps,
            gait_hz=np.repeat([bout.gait_hz for bout in bouts], spans),
            lat_deg=lat_deg,
            lon_deg=lon_deg,
        )
