"""Positions as metres around home, which is how an owner thinks of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.answers import Fix, Pet, Place, Zone
from dashboard.words import length

M_PER_DEG = 111_195.0  # of latitude, on a sphere of the Earth's mean radius (6,371 km)
COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


@dataclass(frozen=True, slots=True)
class Origin:
    """The point that metres are counted from."""

    lat_deg: float
    lon_deg: float
    name: str | None = None
    """What stands there; ``None`` when it is only where the track began."""

    def metres(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """East and north of here; flat-earth, good to 1 % within 100 km off the poles.

        >>> east_m, north_m = Origin(60.0, 24.0).metres(60.001, 24.001)
        >>> round(east_m, 1), round(north_m, 1)
        (55.6, 111.2)
        """
        turn_deg = (lon_deg - self.lon_deg + 180.0) % 360.0 - 180.0  # the shorter way round
        east_m = turn_deg * M_PER_DEG * math.cos(math.radians(self.lat_deg))
        return east_m, (lat_deg - self.lat_deg) * M_PER_DEG


def zones_of(pet_id: str, zones: Mapping[str, Zone]) -> dict[str, Zone]:
    """The zones that concern a pet."""
    return {key: zone for key, zone in zones.items() if zone.pet_id in (None, pet_id)}


def origin_of(zones: Mapping[str, Zone], points: Iterable[Fix | Place]) -> Origin | None:
    """Home: the zone called so, else the first zone, else where the track began."""
    named = [zone for key, zone in zones.items() if "home" in (key, zone.name.casefold())]
    for zone in (*named, *(zones[key] for key in sorted(zones))):
        return Origin(zone.lat_deg, zone.lon_deg, zone.name)
    for point in points:
        return Origin(point.lat_deg, point.lon_deg)
    return None


def home_of(pets: Sequence[Pet], zones: Mapping[str, Zone]) -> Origin | None:
    """The point that a map of everyone is drawn around; none as long as nothing is known."""
    places = [pet.place for pet in pets if pet.place is not None]
    return origin_of(zones, places)


def direction(east_m: float, north_m: float) -> str:
    """The compass point of a way.

    >>> direction(10.0, 11.0), direction(-1.0, 0.1)
    ('north-east', 'west')
    """
    turn = math.atan2(east_m, north_m) / math.tau * len(COMPASS)
    return COMPASS[round(turn) % len(COMPASS)]


def whereabouts(place: Place, zones: Mapping[str, Zone], origin: Origin) -> str:
    """Where that is, in words: inside the smallest zone that holds it, or how far from home."""
    inside: Sequence[Zone] = [
        zone
        for zone in zones.values()
        if math.hypot(*_from(zone).metres(place.lat_deg, place.lon_deg)) <= zone.radius_m
    ]
    if inside:
        return f"in {min(inside, key=lambda zone: zone.radius_m).name}"
    if origin.name is None:
        return f"{place.lat_deg:.5f}, {place.lon_deg:.5f}"
    east_m, north_m = origin.metres(place.lat_deg, place.lon_deg)
    away = length(math.hypot(east_m, north_m))
    return f"{away} {direction(east_m, north_m)} of {origin.name}"


def _from(zone: Zone) -> Origin:
    return Origin(zone.lat_deg, zone.lon_deg, zone.name)
