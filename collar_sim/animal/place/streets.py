"""Ways through a neighbourhood: a walk with the owner, and the way of one that runs off.

A walk keeps to sidewalks and comes back to where it began; some lead to the park and round it on
free ground. Who runs off goes over the fence to the next street, and on along streets and now and
then straight across a block, always further away.

A way is a chain of straight legs and a formula of the metres gone, so that following it needs no
state but that number.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from collar_sim.animal.place.ground import SIDEWALK_M, Neighbourhood
from collar_sim.arrays import FloatArray

Point = tuple[float, float]

# the median owner of Westgarth et al. 2019, doi:10.1038/s41598-019-41254-6, walks the dog 7 times
# and 220 minutes a week: half an hour at a time, with stops some 1 km
WALK_M, WALK_SPREAD = 1000.0, 0.35
PARK_SHARE = 0.4  # of the walks; this and the next ones by eye
BLOCKS = 4  # that a walk goes round at most, each way
PARK_USED = (0.35, 0.8)  # share of the park's size that a round takes
ROUND_POINTS = 24
FLIGHT_M = 1_200.0  # more than one runs before it tires
TURNS, CUTS = 0.35, 0.2  # share of the corners at which a runaway turns; at which it cuts across


class Kind(StrEnum):
    """What one is on one's way for."""

    WALK = "walk"
    FLIGHT = "flight"


@dataclass(frozen=True)
class Trip:
    """One time out of home; with the neighbourhood it gives the way."""

    kind: Kind
    along_m: float
    """Where it began."""
    across_m: float
    draw: int
    """Seed of the choices on the way."""


@dataclass(frozen=True)
class Way:
    """Straight legs from point to point."""

    along_m: FloatArray
    across_m: FloatArray
    gone_m: FloatArray
    """Length of the way up to each point."""

    @classmethod
    def through(cls, points: list[Point]) -> "Way":
        """A way through these."""
        along, across = np.array(points).T
        steps = np.hypot(np.diff(along), np.diff(across))
        return cls(along, across, np.concatenate([[0.0], np.cumsum(steps)]))

    @property
    def length_m(self) -> float:
        """Of all of it."""
        return float(self.gone_m[-1])

    def at(self, gone_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Along and across after so many metres; the end beyond it."""
        return (
            np.interp(gone_m, self.gone_m, self.along_m),
            np.interp(gone_m, self.gone_m, self.across_m),
        )


@lru_cache(maxsize=2048)  # asked for once a minute while the trip lasts
def way_of(here: Neighbourhood, trip: Trip) -> Way:
    """The way of a trip."""
    rng = np.random.default_rng(trip.draw)
    start = (trip.along_m, trip.across_m)
    if trip.kind is Kind.FLIGHT:
        return Way.through(_flight(here, start, rng))
    out = _to_the_street(here, start)
    wanted_m = WALK_M * float(rng.lognormal(0.0, WALK_SPREAD))
    if rng.random() < PARK_SHARE:
        middle = _by_the_park(here, out[-1], wanted_m, rng)
    else:
        middle = _round_blocks(here, wanted_m, rng)
    return Way.through([*out, *middle, *reversed(out)])


def _to_the_street(here: Neighbourhood, start: Point) -> list[Point]:
    """From the house or garden through the front door to the sidewalk."""
    inside: list[Point] = []
    if start[1] > here.house.far:
        inside = [(here.door_m, here.house.far)]
    gate_m = float(here.streets_m[here.front]) + SIDEWALK_M
    return [start, *inside, (0.0, here.house.near), (0.0, gate_m)]


def _round_blocks(here: Neighbourhood, wanted_m: float, rng: np.random.Generator) -> list[Point]:
    """Once round some blocks, the home's among them, on the sidewalk that surrounds them."""
    home = int(np.searchsorted(here.crossings_m, 0.0))
    lefts = here.crossings_m[home - BLOCKS : home] + SIDEWALK_M
    rights = here.crossings_m[home : home + BLOCKS] - SIDEWALK_M
    near = float(here.streets_m[here.front]) + SIDEWALK_M
    fars = here.streets_m[here.front + 1 : here.front + 1 + BLOCKS] - SIDEWALK_M
    around_m = 2 * (rights[:, None] - lefts)[..., None] + 2 * (fars - near)
    best = np.unravel_index(np.argmin(np.abs(around_m - wanted_m)), around_m.shape)
    right, left, far = float(rights[best[0]]), float(lefts[best[1]]), float(fars[best[2]])
    corners = [(right, near), (right, far), (left, far), (left, near)]
    return corners if rng.random() < 0.5 else corners[::-1]


def _by_the_park(
    here: Neighbourhood, gate: Point, wanted_m: float, rng: np.random.Generator
) -> list[Point]:
    """Along two streets to the park, round it as often as the walk should be long, and back."""
    park = here.park
    on_left = abs(park.left - gate[0]) < abs(park.right - gate[0])
    side = -1.0 if on_left else 1.0
    curb = park.left - 2.0 if on_left else park.right + 2.0  # the sidewalk on the park's side
    centre = ((park.left + park.right) / 2, (park.near + park.far) / 2)
    corner, entrance = (curb, gate[1]), (curb, centre[1])
    turn = np.linspace(0.0, math.tau, ROUND_POINTS + 1)
    size = rng.uniform(*PARK_USED, 2) / 2
    wobble = 1.0 + 0.15 * np.sin(3 * turn + rng.uniform(0.0, math.tau))
    along = centre[0] + side * size[0] * wobble * np.cos(turn) * (park.right - park.left)
    across = centre[1] + size[1] * wobble * np.sin(turn) * (park.far - park.near)
    once = list(zip(along.tolist(), across.tolist(), strict=True))
    to_m = abs(corner[0] - gate[0]) + abs(entrance[1] - corner[1])
    once_m = float(np.hypot(np.diff(along), np.diff(across)).sum())
    rounds = max(1, round((wanted_m - 2 * to_m) / once_m))
    return [corner, entrance, *once * rounds, entrance, corner]


def _flight(here: Neighbourhood, start: Point, rng: np.random.Generator) -> list[Point]:
    """Ever further from home."""
    outward = 1 if start[0] > 0 else -1
    onward = 1 if start[1] > here.house.far else -1
    row = int(np.searchsorted(here.streets_m, start[1])) - (onward < 0)
    column = int(np.searchsorted(here.crossings_m, start[0])) - (outward < 0)
    points = [start, (start[0] + outward * 2.0, float(here.streets_m[row]))]
    length_m = 0.0
    while length_m < FLIGHT_M:
        points.append((float(here.crossings_m[column]), float(here.streets_m[row])))
        length_m += math.dist(points[-1], points[-2])
        choice = rng.random()
        if choice < TURNS:
            row += onward
        elif choice < TURNS + CUTS:
            row, column = row + onward, column + outward
        else:
            column += outward
    return points
