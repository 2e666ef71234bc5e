"""Where the animal truly is: metres east and north of home, second by second.

A correlated random walk whose heading is drawn back home (Bovet & Benhamou 1988,
doi:10.1016/S0022-5193(88)80038-9, for the walk). The heading depends on the position it led to,
so the seconds of travel are a loop; an animal at rest costs nothing.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.behaviour import Segment

FloatArray = NDArray[np.float64]

METRES_PER_DEG = 111_195.08  # of a great circle, mean Earth radius 6,371,008.8 m
WANDER_RAD = 0.30  # heading change per second while travelling
HOMING = 0.6  # share of the error to the way home taken back each second at the yard's edge
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


@dataclass(frozen=True)
class Track:
    """One minute of true movement, one value per second."""

    east_m: FloatArray
    north_m: FloatArray
    turn_dps: FloatArray
    """Rate of change of the heading, left positive."""


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
    track = np.empty((3, 60))
    east, north, heading = place.east_m, place.north_m, place.heading_rad
    centre = (place.centre_east_m, place.centre_north_m)
    for segment in segments:
        bout = segment.bout
        if bout.speed_mps == 0:
            track[:, segment.start_s : segment.end_s] = [[east], [north], [0.0]]
            continue
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
            track[:, second] = east, north, math.degrees(turn)
    return Track(*track), Place(east, north, math.remainder(heading, math.tau), *centre)


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
