"""When it is night where the animals live, for the shade behind their day."""

import math
from datetime import UTC, datetime, timedelta

HORIZON_DEG = -0.833  # upper limb, refraction included
STEP = timedelta(minutes=10)
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def elevation_deg(at: datetime, lat_deg: float, lon_deg: float) -> float:
    """How high the sun stands, within about a quarter of a degree.

    Source: the Astronomical Almanac's low-precision formula.

    >>> round(elevation_deg(datetime(2026, 6, 21, 12, tzinfo=UTC), 51.48, 0.0))
    62
    """
    days = (at - J2000).total_seconds() / 86_400
    mean = math.radians((357.528 + 0.9856003 * days) % 360)
    lon = math.radians(
        (280.460 + 0.9856474 * days + 1.915 * math.sin(mean) + 0.020 * math.sin(2 * mean)) % 360
    )
    tilt = math.radians(23.439 - 0.0000004 * days)
    declination = math.asin(math.sin(tilt) * math.sin(lon))
    ascension = math.atan2(math.cos(tilt) * math.sin(lon), math.cos(lon))
    sidereal = math.radians((280.46062 + 360.98564737 * days + lon_deg) % 360)
    lat, turn = math.radians(lat_deg), sidereal - ascension
    height = math.sin(lat) * math.sin(declination) + math.cos(lat) * math.cos(
        declination
    ) * math.cos(turn)
    return math.degrees(math.asin(max(-1.0, min(1.0, height))))


def nights(
    since: datetime, until: datetime, lat_deg: float, lon_deg: float
) -> list[tuple[datetime, datetime]]:
    """The dark times between two instants, to ten minutes."""
    found: list[tuple[datetime, datetime]] = []
    at = since
    while at < until:
        then = min(at + STEP, until)
        if elevation_deg(at + (then - at) / 2, lat_deg, lon_deg) < HORIZON_DEG:
            if found and found[-1][1] == at:
                found[-1] = (found[-1][0], then)
            else:
                found.append((at, then))
        at = then
    return found
