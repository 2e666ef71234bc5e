"""House and garden from within: walls and a fence that hold, and a door between the two."""

import math

from collar_sim.animal.place.ground import DOOR_M, Neighbourhood
from collar_sim.animal.place.streets import Point

THRESHOLD_M = 0.5  # before and behind the door
WALL_M = 0.2  # no nearer to a wall or fence


def next_mark(here: Neighbourhood, along_m: float, across_m: float, goal: Point) -> Point:
    """What it makes for: its goal, or a side of the door on the way in or out."""
    indoors = here.house.has(along_m, across_m)
    if indoors == here.house.has(*goal):
        return goal
    inner, outer = (
        (here.door_m, here.house.far - THRESHOLD_M),
        (here.door_m, here.house.far + THRESHOLD_M),
    )
    near, beyond = (inner, outer) if indoors else (outer, inner)
    at_door = abs(along_m - here.door_m) < DOOR_M and abs(across_m - near[1]) <= THRESHOLD_M
    return beyond if at_door else near


def kept(here: Neighbourhood, along_m: float, across_m: float, to: Point, step_m: float) -> Point:
    """A step that ends within the room or garden where it began, unless it leads through the door.

    What would lead beyond a wall or fence is turned back by it, as a ball is.
    """
    to_along_m, to_across_m = to
    indoors, far = across_m < here.house.far, here.house.far
    if (to_across_m < far) != indoors and abs(along_m - here.door_m) < DOOR_M:
        to_along_m = min(here.door_m + DOOR_M, max(here.door_m - DOOR_M, to_along_m))
        indoors = not indoors
    room = here.house if indoors else here.garden
    to_along_m = folded(to_along_m, room.left + WALL_M, room.right - WALL_M)
    to_across_m = folded(to_across_m, room.near + WALL_M, room.far - WALL_M)
    moved_m = math.hypot(to_along_m - along_m, to_across_m - across_m)
    share = min(1.0, step_m / moved_m) if moved_m else 0.0
    return along_m + share * (to_along_m - along_m), across_m + share * (to_across_m - across_m)


def folded(value: float, low: float, high: float) -> float:
    """A value mirrored at the ends of a range until it lies within.

    >>> folded(11.0, 0.0, 10.0)
    9.0
    """
    beyond = (value - low) % (2 * (high - low))
    return low + min(beyond, 2 * (high - low) - beyond)
