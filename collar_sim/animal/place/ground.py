"""The neighbourhood of a home: house, garden, streets, a park. Made from its coordinates, no map.

Its frame has its origin in the middle of the house: *along* the street that the house stands on,
and *across* it, away from that street. Streets are a grid of blocks of unequal size, with the home
in a row of houses; some are lined by tall buildings, as canyons to a satellite receiver. One block
near by is a park. Beyond some kilometres lies open country.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from collar_sim.arrays import FloatArray

GroundArray = NDArray[np.int8]

METRES_PER_DEG = 111_195.08  # of a great circle, mean Earth radius 6,371,008.8 m
SAME_HOME_DEG = 1e-3  # homes within some 100 m of each other share streets: pets of one household
EXTENT_M = 2_500.0  # of the streets, each way

# plots and blocks of a suburb of detached houses, by eye
HOUSE_M = ((10.0, 15.0), (8.0, 11.0))  # along, across
GARDEN_M = ((16.0, 26.0), (14.0, 24.0))
FRONT_M = (4.0, 8.0)  # from the house to the street
BLOCK_M = ((90.0, 180.0), (60.0, 110.0))
SIDEWALK_M = 5.0  # from a street's middle to the middle of the sidewalk
STREET_M = 7.0  # from a street's middle to the plots
CANYON_SHARE = 0.2  # of the streets
PARK_BLOCKS = 3  # no further from home than so many blocks, each way
DOOR_M = 0.8  # half a patio door
CORNER_M = 2.0  # no door nearer to the end of a wall


class Ground(IntEnum):
    """What is under the animal, and over it."""

    HOUSE = 0
    """Its home, indoors."""
    GARDEN = 1
    """Its own: open to one side, a wall to the other."""
    PLOTS = 2
    """Other people's gardens and houses."""
    STREET = 3
    CANYON = 4
    """A street between tall buildings."""
    PARK = 5
    """Free ground, and the open country."""
    ROAD = 6
    """In a vehicle."""


@dataclass(frozen=True)
class Rect:
    """A rectangle of the neighbourhood's frame, metres."""

    left: float
    right: float
    near: float
    """Towards the street."""
    far: float

    def holds(self, along_m: FloatArray, across_m: FloatArray) -> NDArray[np.bool_]:
        """Which of the points lie in it."""
        beside = (along_m > self.left) & (along_m < self.right)
        return beside & (across_m > self.near) & (across_m < self.far)

    def has(self, along_m: float, across_m: float) -> bool:
        """Whether a point lies in it."""
        return self.left < along_m < self.right and self.near < across_m < self.far

    def surrounds(self, left: float, right: float, near: float, far: float) -> bool:
        """Whether all of another rectangle lies in it."""
        beside = self.left < left and right < self.right
        return beside and self.near < near and far < self.far

    def spot(self, rng: np.random.Generator, margin_m: float = 0.0) -> tuple[float, float]:
        """A point in it, anywhere."""
        along, across = rng.random(2)
        return (
            self.left + margin_m + float(along) * (self.right - self.left - 2 * margin_m),
            self.near + margin_m + float(across) * (self.far - self.near - 2 * margin_m),
        )


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Everything about a place that an animal may get to. Streets are given by their middle."""

    bearing_rad: float
    """Of the front street, from east, anticlockwise."""
    house: Rect
    garden: Rect
    """Behind the house, fenced."""
    door_m: float
    """Where along the wall between the two one can pass."""
    access_point: tuple[float, float]
    """Of the home's WiFi."""
    front: int
    """Index of the home's street in ``streets_m``."""
    streets_m: FloatArray
    """Positions across, rising, of the streets that run along."""
    crossings_m: FloatArray
    """Positions along, rising, of the streets that run across."""
    street_is_canyon: NDArray[np.bool_]
    crossing_is_canyon: NDArray[np.bool_]
    street_echo: FloatArray
    """Shape (n, 2): phases of what reflections add along each street, in radians."""
    crossing_echo: FloatArray
    park: Rect

    def to_east_north(
        self, along_m: FloatArray, across_m: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Metres east and north of home."""
        cos, sin = math.cos(self.bearing_rad), math.sin(self.bearing_rad)
        return cos * along_m - sin * across_m, sin * along_m + cos * across_m

    def nearest(self, lines_m: FloatArray, at_m: FloatArray) -> NDArray[np.intp]:
        """Index of the nearest of the rising positions to each point."""
        right = np.clip(np.searchsorted(lines_m, at_m), 1, len(lines_m) - 1)
        return right - (at_m - lines_m[right - 1] < lines_m[right] - at_m)

    def ground(self, along_m: FloatArray, across_m: FloatArray) -> GroundArray:
        """What lies at each point."""
        ends_m = along_m.min(), along_m.max(), across_m.min(), across_m.max()
        for rect, ground in ((self.house, Ground.HOUSE), (self.garden, Ground.GARDEN)):
            if rect.surrounds(*ends_m):  # most minutes of a life are spent in one of the two
                return np.full(along_m.shape, ground, np.int8)
        found = np.full(along_m.shape, Ground.PLOTS, np.int8)
        street = self.nearest(self.streets_m, across_m)
        crossing = self.nearest(self.crossings_m, along_m)
        on_street = np.abs(across_m - self.streets_m[street]) < STREET_M
        on_crossing = np.abs(along_m - self.crossings_m[crossing]) < STREET_M
        canyon = on_street & self.street_is_canyon[street]
        canyon |= on_crossing & self.crossing_is_canyon[crossing]
        found[on_street | on_crossing] = Ground.STREET
        found[canyon] = Ground.CANYON
        found[self.garden.holds(along_m, across_m)] = Ground.GARDEN
        found[self.house.holds(along_m, across_m)] = Ground.HOUSE
        found[self.park.holds(along_m, across_m)] = Ground.PARK
        found[np.maximum(np.abs(along_m), np.abs(across_m)) > EXTENT_M] = Ground.PARK
        return found


@lru_cache(maxsize=4096)
def neighbourhood(home: tuple[float, float]) -> Neighbourhood:
    """The one about a home, given by latitude and longitude in degrees; always the same.

    >>> here = neighbourhood((48.14, 11.58))
    >>> Ground(here.ground(np.zeros(1), np.zeros(1))[0])
    <Ground.HOUSE: 0>
    """
    rng = np.random.default_rng([round((part + 360.0) / SAME_HOME_DEG) for part in home])
    (half_m, deep_m), (wide_m, long_m) = (_drawn(HOUSE_M, rng), _drawn(GARDEN_M, rng))
    half_m, deep_m, wide_m = half_m / 2, deep_m / 2, max(wide_m, half_m + 2.0) / 2
    house = Rect(-half_m, half_m, -deep_m, deep_m)
    shift_m = float(rng.uniform(-1.0, 1.0)) * max(0.0, wide_m - half_m)
    garden = Rect(shift_m - wide_m, shift_m + wide_m, deep_m, deep_m + long_m)
    wall = max(house.left, garden.left) + CORNER_M, min(house.right, garden.right) - CORNER_M
    front_m = -deep_m - float(rng.uniform(*FRONT_M)) - STREET_M
    streets_m = _grid(front_m, BLOCK_M[1], rng)
    corner_m = garden.right + STREET_M + float(rng.uniform(2.0, 50.0))
    crossings_m = _grid(corner_m, BLOCK_M[0], rng)
    front = int(np.searchsorted(streets_m, front_m))
    street_is_canyon = rng.random(len(streets_m)) < CANYON_SHARE
    street_is_canyon[front] = False
    return Neighbourhood(
        bearing_rad=float(rng.uniform(-math.pi, math.pi)),
        house=house,
        garden=garden,
        door_m=float(rng.uniform(*wall)),
        access_point=house.spot(rng, 1.0),
        front=front,
        streets_m=streets_m,
        crossings_m=crossings_m,
        street_is_canyon=street_is_canyon,
        crossing_is_canyon=rng.random(len(crossings_m)) < CANYON_SHARE,
        street_echo=rng.uniform(0.0, math.tau, (len(streets_m), 2)),
        crossing_echo=rng.uniform(0.0, math.tau, (len(crossings_m), 2)),
        park=_park(streets_m, crossings_m, front, rng),
    )


def to_degrees(
    home_deg: tuple[float, float], east_m: FloatArray, north_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Latitude and longitude of points about home, on the local tangent plane."""
    lat, lon = home_deg
    scale = METRES_PER_DEG * math.cos(math.radians(lat))
    return lat + north_m / METRES_PER_DEG, lon + east_m / scale


def _drawn(
    ranges: tuple[tuple[float, float], tuple[float, float]], rng: np.random.Generator
) -> tuple[float, float]:
    return float(rng.uniform(*ranges[0])), float(rng.uniform(*ranges[1]))


def _grid(first_m: float, block_m: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Rising positions of streets both ways from a first one, as far as the neighbourhood goes."""
    count = math.ceil(2 * EXTENT_M / block_m[0])
    up = first_m + np.cumsum(rng.uniform(*block_m, count))
    down = first_m - np.cumsum(rng.uniform(*block_m, count))
    lines = np.concatenate([down[::-1], [first_m], up])
    return lines[np.abs(lines) < EXTENT_M]


def _park(
    streets_m: FloatArray, crossings_m: FloatArray, front: int, rng: np.random.Generator
) -> Rect:
    """Two blocks by two, near by, and not the home's."""
    home = int(np.searchsorted(crossings_m, 0.0)) - 1
    while True:
        along, across = (int(step) for step in rng.integers(-PARK_BLOCKS, PARK_BLOCKS, 2))
        left, near = home + along, front + across
        if not (left <= home <= left + 1 and near <= front <= near + 1):
            break
    return Rect(
        float(crossings_m[left]) + STREET_M,
        float(crossings_m[left + 2]) - STREET_M,
        float(streets_m[near]) + STREET_M,
        float(streets_m[near + 2]) - STREET_M,
    )
