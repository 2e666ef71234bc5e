"""Today: each animal, what it does, how sure that is, and its last day."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard import reader
from dashboard.answers import Alert, Pet
from dashboard.markup import Html, icon, note, tag
from dashboard.pictures import places_map
from dashboard.places import home_of
from dashboard.views.card import draw_card, unfolded_key
from dashboard.views.frame import draw_trouble, heading, title
from dashboard.views.house import draw_house
from dashboard.watch import Look, every
from dashboard.words import NOT_A_DIAGNOSIS, SEVERITIES, freshness, greeting, named, people

OPEN_CARDS = 6  # with more pets, days are shown for those the reader asks for
ALERTS_SHOWN = 3
ADD_COLLAR = "pawmesh collar add --pet NAME"
MAP_HEIGHT_PX = 340


def draw() -> None:
    """Draw the page."""
    _live()


@st.fragment(run_every=reader.REFRESH_S)
def _live() -> None:
    reader.require()
    now, zone, watch = reader.now(), reader.zone(), reader.watch()
    if watch.seen_at is None:
        with st.spinner("Asking the gateway …"):
            look = watch.look(now, days=_unfolded, tracks=_few)
    else:
        look = watch.look(now, days=_unfolded, tracks=_few)
    st.html(heading(greeting(now, zone), _summary(look), look, now, zone))
    draw_trouble(look, now, zone)
    if look.pets:
        _draw_home(look, now, zone)
    elif look.trouble is None:
        with st.container(border=True, key="no-pets"):
            lead = "Enrol the first collar, and its animal appears here:"
            st.html(
                tag(
                    "div",
                    "pm-empty",
                    icon("pets"),
                    tag("h2", "", "No collars yet"),
                    tag("p", "", lead),
                )
            )
            st.code(ADD_COLLAR, language=None)


def _few(pets: Sequence[Pet]) -> set[str]:
    return every(pets) if len(pets) <= OPEN_CARDS else set()


def _unfolded(pets: Sequence[Pet]) -> set[str]:
    return {
        pet.pet_id
        for pet in pets
        if len(pets) <= OPEN_CARDS or st.session_state.get(unfolded_key(pet.pet_id))
    }


def _draw_home(look: Look, now: datetime, zone: tzinfo) -> None:
    pets_side, side = st.columns([1.75, 1], gap="medium")
    with pets_side:
        for pet in look.pets:
            draw_card(pet, look, now, zone, foldable=len(look.pets) > OPEN_CARDS)
        if any(pet.observations for pet in look.pets):
            st.html(tag("p", "pm-faint pm-foot", NOT_A_DIAGNOSIS))
    with side:
        _draw_alerts(look, now)
        _draw_map(look, now)
        draw_house(look, now)


def _draw_alerts(look: Look, now: datetime) -> None:
    ongoing = [alert for alert in look.alerts if alert.cleared_at is None]
    ongoing.sort(
        key=lambda alert: (
            list(SEVERITIES).index(alert.severity) if alert.severity in SEVERITIES else 9,
            -alert.alert_id,
        )
    )
    with st.container(key="open-alerts"):
        if not ongoing:
            if look.trouble is None:
                st.html(note("check_circle", "All is well: no open alert.", "good"))
            return
        shown = [_alert(alert, look, now) for alert in ongoing[:ALERTS_SHOWN]]
        more = len(ongoing) - ALERTS_SHOWN
        if more > 0:
            shown.append(tag("div", "pm-faint", f"and {more} more under Alerts"))
        st.html(tag("div", "pm-stack", *shown, role="status"))


def _alert(alert: Alert, look: Look, now: datetime) -> Html:
    pet = look.pet(alert.pet_id)
    name = named(pet.name) if pet else alert.pet_id
    tone = "alarm" if alert.severity == "critical" else "low"
    told = f"{name}: {named(alert.title, 80)} · {freshness(alert.observed_at, now)}"
    return note("notifications_active", told, tone)


def _draw_map(look: Look, now: datetime) -> None:
    origin = home_of(look.pets, look.zones)
    with st.container(border=True, key="map-card"):
        st.html(title("Where they are", "the last hour"))
        if origin is None:
            st.html(note("location_off", "The map comes with the first position, within minutes."))
            return
        places_map(
            look.pets,
            look.tracks,
            look.zones,
            origin,
            now,
            settings=reader.house().settings,
            height_px=MAP_HEIGHT_PX,
            key="map-today",
        )


def _summary(look: Look) -> str:
    if not look.pets:
        return "Your animals, as their collars tell it."
    if calling := [pet.name for pet in look.pets if pet.open_alerts]:
        return f"{people(calling)} {'needs' if len(calling) == 1 else 'need'} your eye."
    awake = [pet for pet in look.pets if not pet.stale]
    if not awake:
        return "Nothing new from the collars for a while."
    calm = [pet for pet in awake if pet.does in ("sleep", "rest")]
    if len(calm) == len(look.pets):
        return f"{people([p.name for p in calm])} {'is' if len(calm) == 1 else 'are'} at rest."
    busy = [pet for pet in awake if pet not in calm and pet.does not in (None, "unsure")]
    if not busy:
        return f"{people([pet.name for pet in look.pets])}, as their collars tell it."
    return f"{people([p.name for p in busy])} {'is' if len(busy) == 1 else 'are'} up and about."


def draw_root() -> None:
    """Draw the page where no name is given: the server sends browsers on to ``/today``."""
    _live()
