"""Where the animal truly is: second by second, in the neighbourhood's frame and as east and north.

At home it goes from place to place, indoors and in the garden, by a correlated random walk that is
drawn to where it is going (Bovet & Benhamou 1988, doi:10.1016/S0022-5193(88)80038-9, for the walk).
A dog's garden has a fence; a cat's has none: it goes where it likes about home. On a trip it
follows its way (`streets`), and in a vehicle it is moved (`ride`). At rest it costs nothing.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.ethogram.ride import Ride, felt_deg
from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.place.ground import Ground, GroundArray, Neighbourhood
from collar_sim.animal.place.rooms import kept, next_mark
from collar_sim.animal.place.streets import Kind, Point, Trip, way_of
from collar_sim.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour

WANDER_RAD = 0.30  # heading change per second while travelling
HOMING = 0.6  # share of the error to the way to its goal taken back each second
PARKED_MPS = 0.5  # below it a car does not turn
MAX_TURN_RAD = 1.2  # per second; a dog turns faster only on the spot
SWAY_DPS = 25.0  # of one that is led along a sidewalk: it zigzags; by eye
MARGIN_M = 0.7  # no goal nearer to a wall or fence
NEAR_M = 1.0  # close enough to a goal
RUNS = {Behaviour.RUN, Behaviour.PLAY}  # not indoors
STAYS = 0.5  # share of the goals that lie where the last one lay, indoors or out, by eye
NIGHT_H = (20.5, 6.5)  # local: then it is called in
INDOORS = {  # share of the goals by night, and by day: by eye, but for cats, which spend some 5 h
    # away from home: Jensen et al. 2022, doi:10.3390/ani12141748
    Species.DOG: (0.97, 0.9),
    Species.CAT: (0.85, 0.85),
}
ROAM_M = 33.0  # sigma of a cat's goals: 95 % within 80 m, 2 ha; Jensen's median range is 5 ha
AT_LARGE_M = 12.0  # ditto of one that ran off, about where it came to rest


@dataclass(frozen=True)
class Place:
    """What movement carries from minute to minute; metres in the neighbourhood's frame."""

    along_m: float = 0.0
    across_m: float = 0.0
    heading_rad: float = 0.0
    """From along, anticlockwise."""
    goal: Point = (0.0, 0.0)
    """Where it is going when it goes."""
    base: Point | None = None
    """Where an escape ended; None while it lives at home."""
    trip: Trip | None = None
    gone_m: float = 0.0
    """On its trip."""
    start: Point = (0.0, 0.0)
    """Where the ride that goes on began."""

    @property
    def is_out(self) -> bool:
        """Whether it is on a walk with its owner."""
        return self.trip is not None and self.trip.kind is Kind.WALK


@dataclass(frozen=True)
class Track:
    """One minute of true movement, one value per second."""

    east_m: FloatArray
    north_m: FloatArray
    turn_dps: FloatArray
    """Rate of change of the heading, left positive."""
    speed_mps: FloatArray
    """Along its path; round a corner it gets less far than that."""
    along_m: FloatArray
    across_m: FloatArray
    ground: GroundArray
    felt_deg: FloatArray | None = None
    """Shape (2, 60): what a ride's braking and turning add to pitch and roll; None without one."""


@dataclass(frozen=True)
class Wandering:
    """The habits of one animal about its home."""

    here: Neighbourhood
    species: Species
    hour: float
    """Local."""
    boldness: float = 1.0
    """See `temperament`; how far a cat roams."""

    def at_first(self, rng: np.random.Generator) -> Place:
        """Somewhere at home."""
        spot = self.here.house.spot(rng, MARGIN_M)
        return Place(*spot, heading_rad=float(rng.uniform(-math.pi, math.pi)), goal=spot)

    def goal(
        self, base: Point | None, last: Point, behaviour: Behaviour, rng: np.random.Generator
    ) -> Point:
        """Where it goes next, about home or about its base.

        Args:
            base: Where an escape ended.
            last: Where it went before.
            behaviour: What it does.
            rng: Of this minute and stream.
        """
        if base is not None:
            along, across = rng.normal(base, AT_LARGE_M).tolist()
            return along, across
        indoors = self.here.house.has(*last)
        is_night = not NIGHT_H[1] <= self.hour < NIGHT_H[0]
        stays, enters = rng.random(2).tolist()
        if stays > STAYS or (is_night and not indoors):
            indoors = enters < INDOORS[self.species][0 if is_night else 1]
        if indoors and behaviour not in RUNS:
            return self.here.house.spot(rng, MARGIN_M)
        if self.species is Species.DOG:
            return self.here.garden.spot(rng, MARGIN_M)
        along, across = rng.normal((0.0, 0.0), ROAM_M * self.boldness).tolist()
        return along, across


def wander(
    place: Place, segments: list[Segment], home: Wandering, rng: np.random.Generator
) -> tuple[Track, Place]:
    """The track of a minute, and where it ended.

    Args:
        place: From the minute before.
        segments: The minute's behaviour.
        home: Where it lives, and how.
        rng: Of this minute and stream.
    """
    along, across, turn, speed = track = np.empty((4, 60))
    felt: FloatArray | None = None
    driven = np.zeros(60, np.bool_)
    for segment in segments:
        bout, span = segment.bout, slice(segment.start_s, segment.end_s)
        place = _set_out(place, bout, rng)
        if bout.ride is not None:
            felt = np.zeros((2, 60)) if felt is None else felt
            track[:, span], felt[:, span], place = _driven(place, segment, bout.ride)
            driven[span] = True
        elif bout.speed_mps == 0:
            track[:, span] = [[place.along_m], [place.across_m], [0.0], [0.0]]
        else:
            track[:, span], place = _gone(place, segment, home, rng)
    ground = home.here.ground(along, across)
    ground[driven] = Ground.ROAD
    east, north = home.here.to_east_north(along, across)
    return Track(east, north, turn, speed, along, across, ground, felt), place


def _set_out(place: Place, bout: Bout, rng: np.random.Generator) -> Place:
    """On a trip if the bout begins one; off it when an escape is over."""
    fleeing = place.trip is not None and place.trip.kind is Kind.FLIGHT
    if bout.away and not fleeing:
        kind = Kind.FLIGHT
    elif bout.leaving and place.trip is None and place.base is None:
        kind = Kind.WALK
    elif fleeing and not bout.away:
        base = (place.along_m, place.across_m)
        return replace(place, trip=None, base=base, goal=base)
    else:
        return place
    trip = Trip(kind, place.along_m, place.across_m, int(rng.integers(2**32)))
    return replace(place, trip=trip, gone_m=0.0)


def _gone(
    place: Place, segment: Segment, home: Wandering, rng: np.random.Generator
) -> tuple[FloatArray, Place]:
    """The columns of the track while it goes on its own feet: on its trip, then about home."""
    bout, seconds = segment.bout, segment.end_s - segment.start_s
    on_trip = 0
    part = np.empty((4, seconds))
    if place.trip is not None:
        way = way_of(home.here, place.trip)
        on_trip = min(seconds, math.ceil((way.length_m - place.gone_m) / bout.speed_mps))
        gone_m = place.gone_m + bout.speed_mps * np.arange(on_trip + 1.0)
        along, across = way.at(gone_m)
        steps = np.diff(along), np.diff(across)
        heading = np.unwrap(np.concatenate([[place.heading_rad], np.arctan2(steps[1], steps[0])]))
        part[0, :on_trip], part[1, :on_trip] = along[1:], across[1:]
        part[2, :on_trip] = np.rad2deg(np.diff(heading)) + SWAY_DPS * rng.standard_normal(on_trip)
        part[3] = bout.speed_mps
        place = replace(
            place,
            along_m=float(along[-1]),
            across_m=float(across[-1]),
            heading_rad=math.remainder(float(heading[-1]), math.tau),
            gone_m=float(gone_m[-1]),
            trip=None if gone_m[-1] >= way.length_m else place.trip,
        )
    if on_trip < seconds:
        part[:, on_trip:], place = _walked(place, bout, seconds - on_trip, home, rng)
    return part, place


def _walked(
    place: Place, bout: Bout, seconds: int, home: Wandering, rng: np.random.Generator
) -> tuple[FloatArray, Place]:
    """The columns of the track while it wanders from goal to goal."""
    steps: list[tuple[float, float, float, float]] = []
    along, across, heading, goal = place.along_m, place.across_m, place.heading_rad, place.goal
    house, step_m = home.here.house, bout.speed_mps
    fenced = home.species is Species.DOG and place.base is None
    if bout.behaviour in RUNS and place.base is None and house.has(*goal):
        goal = home.goal(None, goal, bout.behaviour, rng)
    for noise in rng.standard_normal(seconds).tolist():
        if math.hypot(goal[0] - along, goal[1] - across) < max(NEAR_M, 1.5 * step_m):
            goal = home.goal(place.base, goal, bout.behaviour, rng)
        mark = next_mark(home.here, along, across, goal)
        to_along, to_across = mark[0] - along, mark[1] - across
        if mark is not goal and math.hypot(to_along, to_across) <= step_m:
            turn = _between(math.atan2(to_across, to_along), heading)
            heading, (along, across) = heading + turn, mark
        else:
            pull = HOMING * _between(math.atan2(to_across, to_along), heading)
            turn = min(MAX_TURN_RAD, max(-MAX_TURN_RAD, WANDER_RAD * noise + pull))
            ahead = heading + turn
            to = along + step_m * math.cos(ahead), across + step_m * math.sin(ahead)
            if fenced or house.has(along, across):
                to = kept(home.here, along, across, to, step_m)
                ahead = math.atan2(to[1] - across, to[0] - along)
                turn = _between(ahead, heading)
            heading, (along, across) = ahead, to
        steps.append((along, across, math.degrees(turn), step_m))
    heading = math.remainder(heading, math.tau)
    last = replace(place, along_m=along, across_m=across, heading_rad=heading, goal=goal)
    return np.array(steps).T, last


def _driven(place: Place, segment: Segment, ride: Ride) -> tuple[FloatArray, FloatArray, Place]:
    """The columns of the track and of what is felt while it is driven."""
    start = (place.along_m, place.across_m) if segment.gone_s == 0 else place.start
    seconds = segment.end_s - segment.start_s
    # from one second before: a change of heading needs the step that came before
    along, across = ride.offset_m(segment.gone_s + np.arange(-1.0, seconds + 1.0))
    steps = np.diff(along), np.diff(across)
    speed_mps = np.hypot(steps[0], steps[1])
    heading = np.unwrap(np.arctan2(steps[1], steps[0]))
    turn_dps = np.rad2deg(np.diff(heading)) * (speed_mps[1:] > PARKED_MPS)
    felt = felt_deg(np.diff(speed_mps), speed_mps[1:], turn_dps)
    track = np.stack([start[0] + along[2:], start[1] + across[2:], turn_dps, speed_mps[1:]])
    last = replace(
        place,
        along_m=float(track[0, -1]),
        across_m=float(track[1, -1]),
        heading_rad=float(heading[-1]),
        start=start,
    )
    return track, felt, last


def _between(target_rad: float, heading_rad: float) -> float:
    """The shortest turn from a heading to a target, -pi to pi."""
    return math.remainder(target_rad - heading_rad, math.tau)
