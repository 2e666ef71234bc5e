"""An animal with a collar: ask for its next minute, get what happened and what the sensors saw."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from collar_sim.animal.ethogram.anomaly import (
    HEALTHY,
    Anomaly,
    Episode,
    draw_episode,
    lasting_episode,
    next_episode,
)
from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.individual.profile import Profile, draw_profile
from collar_sim.animal.individual.wear import Wear
from collar_sim.animal.life.behaviour import Chain, Mood, Sudden
from collar_sim.animal.life.body import AT_REST, BodyMinute, Vitals, body_minute, draw_baseline
from collar_sim.animal.life.happening import Happening
from collar_sim.animal.life.scenario import COURSES, Incident, Scenario
from collar_sim.animal.life.temperament import draw_temperament
from collar_sim.animal.minute import AnimalMinute
from collar_sim.animal.place.ground import neighbourhood, to_degrees
from collar_sim.animal.place.lost import Lost, fall, left_behind
from collar_sim.animal.place.movement import Place, Track, Wandering, wander
from collar_sim.animal.signals.gnss import GnssMinute, Sky, first_sky, gnss_minute
from collar_sim.animal.signals.home_wifi import heard
from collar_sim.animal.signals.imu import imu_minute
from collar_sim.animal.signals.posture import Pose
from collar_sim.arrays import BoolArray, Samples

MINUTE = timedelta(minutes=1)
PROFILE, BEHAVIOUR, IMU, MOVEMENT, GNSS = range(5)
BODY, HEALTH, FALL, TEMPER = range(6, 10)
"""Random streams: one never shifts another. The one between is `radio.STREAM`."""


@dataclass(frozen=True)
class State:
    """All that an animal carries from minute to minute."""

    minute_index: int
    """Of the next minute, since 1970."""
    mood: Mood
    pose: Pose
    place: Place
    sky: Sky
    shadow: float = 0.0
    """Of the home's WiFi."""
    episode: Episode = HEALTHY
    vitals: Vitals = AT_REST
    lost: Lost | None = None
    """Where the collar lies, once it fell off."""


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
        scenario: Scenario = Scenario.CALM_DAY,
        incident_at: datetime | None = None,
    ) -> None:
        course = COURSES[scenario]
        if incident_at is not None and course.incident is None:
            raise ValueError(f"the scenario {scenario.value!r} has no incident")
        self.profile = profile
        self.home = home
        self.state: State | None = None
        """None before the first minute; may be kept and set again."""
        self._seed = seed
        self._here = neighbourhood(home)
        self._course = course
        self._temperament = draw_temperament(profile.species, self._rng(0, TEMPER))
        self._chain = Chain(profile, self._temperament, home[1], course.errands_per_day)
        incident_s = None if incident_at is None else int(incident_at.timestamp())
        self._happening = Happening(course.incident, incident_s)
        self._baseline = draw_baseline(profile, self._rng(0, BODY))
        self._lasting = lasting_episode(course.lasting, self._rng(0, HEALTH))

    @classmethod
    def draw(
        cls,
        seed: int,
        *,
        home: tuple[float, float],
        scenario: Scenario = Scenario.CALM_DAY,
        incident_at: datetime | None = None,
        wear: Wear = Wear.COLLAR,
    ) -> "Animal":
        """An animal of the population.

        Args:
            seed: Fixes the individual and everything it will do.
            home: Latitude and longitude in degrees; the longitude also sets its local time.
            scenario: Course of events.
            incident_at: When the scenario's incident happens, aware; without it, not yet.
            wear: Where the unit is; the same life either way.

        Raises:
            ValueError: An instant for a scenario without an incident.
        """
        profile = draw_profile(np.random.default_rng([seed, 0, PROFILE]), wear)
        return cls(profile, seed, home=home, scenario=scenario, incident_at=incident_at)

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
        place = self._about(minute_index).at_first(rng)
        return State(minute_index, mood, pose, place, first_sky(rng))

    def _advance(self, state: State, start_at: datetime) -> AnimalMinute:
        index = state.minute_index
        segments, body, track, state = self._live(state)
        worn, powered = self._happening.collar(index)
        imu, gnss, at_home_wifi, state = self._sense(state, segments, body, track, worn)
        self.state = replace(state, minute_index=index + 1)
        spans = [segment.end_s - segment.start_s for segment in segments]
        lat_deg, lon_deg = to_degrees(self.home, track.east_m, track.north_m)
        return AnimalMinute(
            start_at=start_at,
            imu=imu,
            gnss=gnss,
            behaviour=np.repeat([str(segment.bout.behaviour) for segment in segments], spans),
            anomaly=np.repeat([str(segment.episode.kind) for segment in segments], spans),
            speed_mps=track.speed_mps,
            gait_hz=np.repeat([segment.bout.gait_hz for segment in segments], spans),
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            body=body,
            worn=worn,
            powered=powered,
            at_home_wifi=at_home_wifi,
            ground=track.ground,
        )

    def _live(self, state: State) -> tuple[list[Segment], BodyMinute, Track, State]:
        """What the animal does in its next minute, whatever it wears."""
        index = state.minute_index
        episode, sudden = self._wrong(state)
        segments, mood = self._chain.minute(
            state.mood,
            index,
            self._rng(index, BEHAVIOUR),
            episode=episode,
            sudden=sudden,
            afield=state.place.is_out,
            kept_in=self._happening.is_near(index),
        )
        body, vitals = body_minute(
            self.profile.species,
            self._baseline,
            state.vitals,
            segments,
            self._chain.local_hour(index),
            self._rng(index, BODY),
            fever_c=self._course.fever_c,
        )
        about = self._about(index)
        track, place = wander(state.place, segments, about, self._rng(index, MOVEMENT))
        lived = replace(state, mood=mood, place=place, episode=episode, vitals=vitals)
        return segments, body, track, lived

    def _sense(
        self,
        state: State,
        segments: list[Segment],
        body: BodyMinute,
        track: Track,
        worn: BoolArray,
    ) -> tuple[Samples, GnssMinute, BoolArray, State]:
        """What of that reaches the collar: its motion, its position, whether it hears the home."""
        index, lost, borne = state.minute_index, state.lost, track
        if not worn.all():
            lost = lost or fall(track, int(worn.argmin()), self._rng(index, FALL))
            borne = left_behind(track, worn, lost)
        rng = self._rng(index, GNSS)
        gnss, sky = gnss_minute(state.sky, self._here, self.home, borne, rng)
        at_home_wifi, shadow = heard(self._here, borne, state.shadow, rng)
        imu, pose = imu_minute(
            self.profile,
            state.pose,
            segments,
            track,
            body,
            self._rng(index, IMU),
            worn=worn,
            lost=lost,
        )
        sensed = replace(state, pose=pose, sky=sky, shadow=shadow, lost=lost)
        return imu, gnss, at_home_wifi, sensed

    def _about(self, minute_index: int) -> Wandering:
        hour, boldness = self._chain.local_hour(minute_index), self._temperament.boldness
        return Wandering(self._here, self.profile.species, hour, boldness)

    def _wrong(self, state: State) -> tuple[Episode, Sudden | None]:
        """What is wrong in a minute, and what comes over the animal within it."""
        index, course = state.minute_index, self._course
        due = self._happening.due(index)
        if due is None and not course.episodes_per_day:
            return self._lasting, None
        rng = self._rng(index, HEALTH)
        episode = self._lasting
        if episode.kind is Anomaly.NONE:
            episode = next_episode(state.episode, course.episodes_per_day, rng)
        if due is not None:
            return episode, Sudden(*due, draw_episode(Anomaly.SEIZURE, rng))
        if episode.kind is Anomaly.SEIZURE and state.mood.bout.ride is None:
            return episode, Sudden(Incident.SEIZURE, int(rng.integers(60)), episode)
        return episode, None
