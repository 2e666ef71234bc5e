"""The two drawings of ours that run in the browser: a day as a ribbon, and the places.

Their scripts are files of this package. What they are given is data, put in as text only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from streamlit.components import v2

from dashboard.answers import Fix, Pet, Zone
from dashboard.day import DAY, HOUR, Stretch
from dashboard.places import Origin
from dashboard.settings import Settings
from dashboard.sun import nights
from dashboard.words import (
    PET_COLOURS,
    UNSURE,
    accuracy,
    capital,
    clock,
    doing,
    duration,
    freshness,
    named,
)

ASSETS = Path(__file__).with_name("assets")
TRACK_POINTS = 150  # drawn of a track; more would only be drawn over one another
FAR_M = 5e6  # beyond, a flat picture is none

_day = v2.component(
    "pawmesh.day",
    css=(ASSETS / "timeline.css").read_text("utf-8"),
    js=(ASSETS / "timeline.js").read_text("utf-8"),
)
_map = v2.component(
    "pawmesh.map",
    css=(ASSETS / "map.css").read_text("utf-8"),
    js=(ASSETS / "map.js").read_text("utf-8"),
)


def day_ribbon(
    pet: Pet,
    stretches: Sequence[Stretch],
    chosen: tuple[datetime, datetime] | None,
    now: datetime,
    zone: tzinfo,
) -> tuple[Stretch, datetime] | None:
    """Draw the last day; returns the stretch that was just chosen, and the instant within it."""
    since, until = now - DAY, now
    kinds = {stretch.behaviour: _kind(stretch.behaviour) for stretch in stretches}

    def share(at: datetime) -> float:
        return round(min(1.0, max(0.0, (at - since) / DAY)), 5)

    data = {
        "label": f"{named(pet.name)}: the last day. Arrow keys read it, Enter chooses.",
        "ticks": _ticks(since, until, zone),
        "nights": [
            [share(dusk), share(dawn)]
            for dusk, dawn in (
                nights(since, until, pet.place.lat_deg, pet.place.lon_deg) if pet.place else []
            )
        ],
        "kinds": kinds,
        "stretches": [
            {
                "begin": int(each.begins_at.timestamp()),
                "end": int(each.ends_at.timestamp()),
                "from": share(each.begins_at),
                "to": share(each.ends_at),
                "kind": each.behaviour,
                "said": each.corrected,
                "text": _told(each, zone),
            }
            for each in stretches
        ],
        "chosen": None if chosen is None else [share(chosen[0]), share(chosen[1])],
    }
    result: Any = _day(key=f"day-{pet.pet_id}", data=data, on_chosen_change=_nothing)
    return _chosen(result.chosen, stretches)


def places_map(
    pets: Sequence[Pet],
    tracks: Mapping[str, Sequence[Fix]],
    zones: Mapping[str, Zone],
    origin: Origin,
    now: datetime,
    *,
    settings: Settings,
    height_px: int,
    key: str,
) -> None:
    """Draw where everyone is, and was in the last hour."""
    shown: list[dict[str, Any]] = []
    for pet in pets:
        if pet.place is None:
            continue
        x, y = _near(origin.metres(pet.place.lat_deg, pet.place.lon_deg))
        kind = doing(pet.does)
        fixes = tracks.get(pet.pet_id, ())
        every = max(1, len(fixes) // TRACK_POINTS)
        shown.append(
            {
                "id": pet.pet_id,
                "name": named(pet.name, 24),
                "icon": kind.icon,
                "colour": kind.colour,
                "ink": kind.ink,
                "own": own_colour(pets, pet),
                "x": x,
                "y": y,
                "accuracy": min(pet.place.accuracy_m, FAR_M),
                "stale": pet.stale,
                "text": f"{named(pet.name)}: {kind.text}, "
                f"{accuracy(pet.place.accuracy_m, pet.place.source)}, "
                f"{freshness(pet.place.observed_at, now)}",
                "track": [_near(origin.metres(f.lat_deg, f.lon_deg)) for f in fixes[::every]],
            }
        )
    data = {
        "label": "Map of the places. " + "; ".join(each["text"] for each in shown),
        "height": height_px,
        "origin": {"lat": origin.lat_deg, "lon": origin.lon_deg},
        "zones": [_circle(each, origin) for each in zones.values()],
        "pets": shown,
        "tiles": None
        if settings.tile_url is None
        else {"url": settings.tile_url, "credit": settings.tile_credit},
    }
    _map(key=key, data=data)


def own_colour(pets: Sequence[Pet], pet: Pet) -> str:
    """The colour of an animal's ring and track, by its place among the others."""
    order = [each.pet_id for each in pets]
    return PET_COLOURS[order.index(pet.pet_id) % len(PET_COLOURS)]


def _kind(behaviour: str) -> dict[str, Any]:
    shown = doing(behaviour)
    return {
        "icon": shown.icon,
        "colour": shown.colour,
        "ink": shown.ink,
        "unsure": behaviour == UNSURE,
    }


def _told(stretch: Stretch, zone: tzinfo) -> str:
    span = f"{clock(stretch.begins_at, zone)}–{clock(stretch.ends_at, zone)}"
    shown = doing(stretch.behaviour).text
    told = f"{capital(shown)}, as you said" if stretch.corrected else f"Mostly {shown}"
    return f"{span} · {told} · {duration(stretch.seconds)}"


def _ticks(since: datetime, until: datetime, zone: tzinfo) -> list[dict[str, Any]]:
    """A mark for every third hour on the wall."""
    found: list[dict[str, Any]] = []
    local = since.astimezone(zone)
    at = since - timedelta(minutes=local.minute, seconds=local.second) + HOUR
    while at <= until:
        hour = at.astimezone(zone).hour
        if hour % 3 == 0:
            share = round((at - since) / DAY, 5)
            found.append({"at": share, "text": clock(at, zone), "minor": hour % 6 != 0})
        at += HOUR
    return found


def _chosen(value: object, stretches: Sequence[Stretch]) -> tuple[Stretch, datetime] | None:
    """What the browser says was chosen; what it cannot have chosen is nothing."""
    if not isinstance(value, dict):
        return None
    begin, at = value.get("begin"), value.get("at")  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    for stretch in stretches:
        if int(stretch.begins_at.timestamp()) == begin and isinstance(at, int):
            seconds = min(max(0.0, at - stretch.begins_at.timestamp()), stretch.seconds)
            return stretch, stretch.begins_at + timedelta(seconds=seconds)
    return None


def _circle(zone: Zone, origin: Origin) -> dict[str, Any]:
    x, y = _near(origin.metres(zone.lat_deg, zone.lon_deg))
    return {"name": named(zone.name, 24), "x": x, "y": y, "r": zone.radius_m}


def _near(metres: tuple[float, float]) -> tuple[float, float]:
    east_m, north_m = metres
    return round(max(-FAR_M, min(FAR_M, east_m)), 2), round(max(-FAR_M, min(FAR_M, north_m)), 2)


def _nothing() -> None:
    """A choice is read from the result; being told of it as well is not needed."""
