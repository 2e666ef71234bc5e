"""Places: everyone on one map that needs no internet, and the same in words."""

from collections.abc import Iterable
from datetime import datetime

import streamlit as st

from dashboard import reader
from dashboard.answers import Pet
from dashboard.markup import Html, icon, joined, note, tag
from dashboard.pictures import places_map
from dashboard.places import home_of, origin_of, whereabouts, zones_of
from dashboard.views.frame import draw_trouble, heading, title
from dashboard.watch import Look, every
from dashboard.words import accuracy, capital, doing, freshness, length, named

MAP_HEIGHT_PX = 560
LEAD = "Where everyone is, and was in the last hour. Drag, pinch or use + and − to look closer."


def draw() -> None:
    """Draw the page."""
    _live()


@st.fragment(run_every=reader.REFRESH_S)
def _live() -> None:
    reader.require()
    now, zone, watch = reader.now(), reader.zone(), reader.watch()
    look = watch.look(now, tracks=every)
    st.html(heading("Places", LEAD, look, now, zone))
    draw_trouble(look, now, zone)
    origin = home_of(look.pets, look.zones)
    if origin is None:
        if look.trouble is None:
            told = "No collar has told a position yet. The first one comes within minutes."
            st.html(note("location_off", told))
        return
    map_side, list_side = st.columns([2.6, 1], gap="medium")
    with map_side:
        places_map(
            look.pets,
            look.tracks,
            look.zones,
            origin,
            now,
            settings=reader.house().settings,
            height_px=MAP_HEIGHT_PX,
            key="map-places",
        )
    with list_side:
        with st.container(border=True, key="where"):
            st.html(title("In words"))
            st.html(tag("ul", "pm-list", joined(_pet(pet, look, now) for pet in look.pets)))
        with st.container(border=True, key="zones"):
            st.html(title("Zones"))
            st.html(_zones(look))


def _pet(pet: Pet, look: Look, now: datetime) -> Html:
    shown = doing(pet.does)
    style = f"background: {shown.colour}; color: {shown.ink}"
    dot = tag("span", "pm-dot", icon(shown.icon), style=style)
    name = tag("strong", "", named(pet.name), dir="auto")
    if pet.place is None:
        return tag("li", "", dot, tag("div", "", name, tag("div", "pm-faint", "No position yet")))
    zones = zones_of(pet.pet_id, look.zones)
    origin = origin_of(zones, [pet.place])
    where = capital(whereabouts(pet.place, zones, origin)) if origin else ""
    good = accuracy(pet.place.accuracy_m, pet.place.source)
    fresh = f"{good} · {freshness(pet.place.observed_at, now)}"
    trouble = look.trouble_of.get(pet.pet_id)
    parts = [name, tag("div", "", where), tag("div", "pm-faint", fresh)]
    if trouble is not None:
        parts.append(tag("div", "pm-faint", f"The track could not be read. {trouble}"))
    return tag("li", "pm-quiet" if pet.stale else "", dot, tag("div", "", *parts))


def _zones(look: Look) -> Html:
    if not look.zones:
        return note("fence", "No zone is drawn yet, so nobody can leave one.")
    return tag("ul", "pm-list", joined(_zone_lines(look)))


def _zone_lines(look: Look) -> Iterable[Html]:
    for zone in look.zones.values():
        pet = look.pet(zone.pet_id) if zone.pet_id else None
        whose = f" · only for {named(pet.name)}" if pet else ""
        name = tag("strong", "", named(zone.name), dir="auto")
        reach = tag("span", "pm-faint", f" {length(zone.radius_m)} around{whose}")
        yield tag("li", "", icon("fence"), tag("div", "", name, reach))
