"""Where the animal truly is: metres east and north of home, second by second.

A correlated random walk whose heading is drawn back home (Bovet & Benhamou 1988,
doi:10.1016/S0022-5193(88)80038-9, for the walk). The heading depends on the position it led to,
so the seconds of travel are a loop; an animal at rest costs nothing. In a vehicle it is moved
(`ride`), out of the yard and back.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.behaviour import Segment
from collar_sim.animal.ride import Ride, felt_deg

FloatArray = NDArray[np.float64]

METRES_PER_DEG = 111_195.08  # of a great circle, mean Earth radius 6,371,008.8 m
WANDER_RAD = 0.30  # heading change per second while travelling
HOMING = 0.6  # share of the error to the way home taken back each second at the yard's edge
PARKED_MPS = 0.5  # below it a car does not turn
MAX_TURN_RAD = 1.2  # per second; a dog turns faster only on the spot


@dataclass(frozen=True)
class Place:
    """What movement carries from minute to minute; metres about home."""

    east_m: float = 0.0
    north_m: float = 0.0
    heading_rad: float = 0.0
    """From east, anticlockwise."""
    centre_east_m: float = 0.0
    """Where it is drawn to: home, or where an escape ended."""
    centre_north_m: float = 0.0
    start_east_m: float = 0.0
    """Where the ride that goes on began."""
    start_north_m: float = 0.0


@dataclass(frozen=True)
class Track:
    """One minute of true movement, one value per second."""

    east_m: FloatArray
    north_m: FloatArray
    turn_dps: FloatArray
    """Rate of change of the heading, left positive."""
    speed_mps: FloatArray
    felt_deg: FloatArray | None = None
    """Shape (2, 60): what a ride's braking and turning add to pitch and roll; None without one."""


def wander(
    place: Place, segments: list[Segment], yard_m: float, rng: np.random.Generator
) -> tuple[Track, Place]:
    """The track of a minute, and where it ended.

    Args:
        place: From the minute before.
        segments: The minute's behaviour.
        yard_m: Radius the animal keeps to.
        rng: Of this minute and stream.
    """
    noise = rng.standard_normal(60).tolist()
    east, north, turn, speed = track = np.empty((4, 60))
    felt: FloatArray | None = None
    for segment in segments:
        bout, span = segment.bout, slice(segment.start_s, segment.end_s)
        if bout.ride is not None:
            felt = np.zeros((2, 60)) if felt is None else felt
            track[:, span], felt[:, span], place = _driven(place, segment, bout.ride)
        elif bout.speed_mps == 0:
            track[:, span] = [[place.east_m], [place.north_m], [0.0], [0.0]]
        else:
            track[:, span], place = _walked(place, segment, yard_m, noise)
    return Track(east, north, turn, speed, felt), place


def _walked(
    place: Place, segment: Segment, yard_m: float, noise: list[float]
) -> tuple[FloatArray, Place]:
    """The columns of the track while it goes on its own feet."""
    bout = segment.bout
    part = np.empty((4, segment.end_s - segment.start_s))
    east, north, heading = place.east_m, place.north_m, place.heading_rad
    centre = (place.centre_east_m, place.centre_north_m)
    for second in range(segment.start_s, segment.end_s):
        if bout.away:
            turn = _between(math.atan2(north, east), heading) if north or east else 0.0
            centre = (east, north)
        else:
            to_east, to_north = centre[0] - east, centre[1] - north
            pull = HOMING * min(1.0, math.hypot(to_east, to_north) / yard_m) ** 2
            turn = WANDER_RAD * noise[second]
            turn += pull * _between(math.atan2(to_north, to_east), heading)
        turn = min(MAX_TURN_RAD, max(-MAX_TURN_RAD, turn))
        heading += turn
        east += bout.speed_mps * math.cos(heading)
        north += bout.speed_mps * math.sin(heading)
        part[:, second - segment.start_s] = east, north, math.degrees(turn), bout.speed_mps
    heading = math.remainder(heading, math.tau)
    return part, Place(east, north, heading, *centre, place.start_east_m, place.start_north_m)


def _driven(place: Place, segment: Segment, ride: Ride) -> tuple[FloatArray, FloatArray, Place]:
    """The columns of the track and of what is felt while it is driven."""
    start = (place.start_east_m, place.start_north_m)
    if segment.gone_s == 0:
        start = (place.east_m, place.north_m)
    seconds = segment.end_s - segment.start_s
    # from one second before: a change of heading needs the step that came before
    east, north = ride.offset_m(segment.gone_s + np.arange(-1.0, seconds + 1.0))
    steps = np.diff(east), np.diff(north)
    speed_mps = np.hypot(steps[0], steps[1])
    heading = np.unwrap(np.arctan2(steps[1], steps[0]))
    turn_dps = np.rad2deg(np.diff(heading)) * (speed_mps[1:] > PARKED_MPS)
    felt = felt_deg(np.diff(speed_mps), speed_mps[1:], turn_dps)
    track = np.stack([start[0] + east[2:], start[1] + north[2:], turn_dps, speed_mps[1:]])
    centre = (place.centre_east_m, place.centre_north_m)
    last = Place(float(track[0, -1]), float(track[1, -1]), float(heading[-1]), *centre, *start)
    return track, felt, last


def to_degrees(
    home_deg: tuple[float, float], east_m: FloatArray, north_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Latitude and longitude of points about home, on the local tangent plane."""
    lat, lon = home_deg
    scale = METRES_PER_DEG * math.cos(math.radians(lat))
    return lat + north_m / METRES_PER_DEG, lon + east_m / scale


def _between(target_rad: float, heading_rad: float) -> float:
    """The shortest turn from a heading to a target, -pi to pi."""
    return math.remainder(target_rad - heading_rad, math.tau)
