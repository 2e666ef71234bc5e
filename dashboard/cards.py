"""The card of one pet: who, what, how fresh, where, how it seems, and its last day."""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.answers import Pet
from dashboard.charts import CHART_CONFIG, day_chart, place_chart
from dashboard.day import Hour, behaviours_in, hours_of
from dashboard.markup import Html, chip, icon, joined, tag
from dashboard.places import origin_of, whereabouts, zones_of
from dashboard.watch import Look
from dashboard.words import (
    NOT_A_DIAGNOSIS,
    UNUSUAL_FROM,
    accuracy,
    battery,
    capital,
    clock_time,
    doing,
    duration,
    freshness,
    observed,
)


def unfolded_key(pet_id: str) -> str:
    """Key of the switch that shows a pet's track and day."""
    return f"show-{pet_id}"


def draw_card(pet: Pet, look: Look, now: datetime, zone: tzinfo, *, foldable: bool) -> None:
    """Draw a pet's card; a foldable one shows its words only, until its switch is on."""
    quiet = pet.stale or look.trouble is not None
    with st.container(border=True, key=f"pet-{pet.pet_id}"):
        st.html(tag("div", "pm-quiet" if quiet else "", _head(pet, now), _facts(pet, look, now)))
        if quiet and pet.known_at is not None and look.trouble is None:
            since = f"Nothing new since {clock_time(pet.known_at, zone, now)}. This is how it was."
            st.html(tag("div", "pm-note", icon("schedule"), since))
        if foldable and not st.toggle("Track and day", key=unfolded_key(pet.pet_id)):
            return
        if pet.pet_id in look.trouble_of:
            sentence = f"The track and the day could not be read. {look.trouble_of[pet.pet_id]}"
            st.html(tag("div", "pm-note pm-low", icon("error"), sentence))
        _draw_place(pet, look, now)
        _draw_day(pet, look, now, zone)


def _head(pet: Pet, now: datetime) -> Html:
    shown = doing(pet.behaviour)
    text, battery_icon, tone = battery(pet.battery_pct)
    chips = [
        chip("sensors", "online", "good") if pet.online else chip("sensors_off", "offline", "low"),
        chip(battery_icon, text, "" if tone in ("good", "unknown") else tone, "Collar's battery"),
    ]
    if pet.open_alerts:
        chips.append(chip("notifications", f"{pet.open_alerts}", "alarm", "Open alerts"))
    fresh = f" · {freshness(pet.behaviour_until, now)}" if pet.behaviour_until else ""
    return tag(
        "div",
        "pm-head",
        tag("div", "pm-avatar", icon(shown.icon), style=f"background: {shown.colour}"),
        tag(
            "div",
            "pm-who",
            tag("div", "pm-name", pet.name, title=pet.name),
            tag("div", "pm-doing", capital(shown.text), tag("span", "pm-faint", fresh)),
        ),
        tag("div", "pm-chips", *chips),
    )


def _facts(pet: Pet, look: Look, now: datetime) -> Html:
    return tag("div", "pm-facts", joined(_place_facts(pet, look, now)), joined(_moods(pet, now)))


def _place_facts(pet: Pet, look: Look, now: datetime) -> Iterable[Html]:
    if pet.place is None:
        yield _fact("location_off", "No position yet", "")
        return
    zones = zones_of(pet.pet_id, look.zones)
    origin = origin_of(zones, [pet.place])
    if origin is not None:
        yield _fact(
            "location_on",
            capital(whereabouts(pet.place, zones, origin)),
            f"{accuracy(pet.place.accuracy_m)} · {freshness(pet.place.observed_at, now)}",
        )


def _moods(pet: Pet, now: datetime) -> Iterable[Html]:
    for each in pet.observations:
        text = observed(each.name, each.label, each.confidence)
        yield _fact("mood", text, freshness(each.observed_at, now), NOT_A_DIAGNOSIS)
    if pet.anomaly is not None and pet.anomaly >= UNUSUAL_FROM:
        yield _fact("ecg_heart", "Moved differently than usual", "", NOT_A_DIAGNOSIS)


def _fact(icon_name: str, text: str, faint: str, title: str = "") -> Html:
    return tag(
        "div", "pm-fact", icon(icon_name), text, tag("span", "pm-faint", f" {faint}"), title=title
    )


def _draw_place(pet: Pet, look: Look, now: datetime) -> None:
    track = look.tracks.get(pet.pet_id, [])
    zones = zones_of(pet.pet_id, look.zones)
    if pet.place is None:
        return
    origin = origin_of(zones, [*track, pet.place])
    if origin is not None:
        home = f"around {origin.name}" if origin.name else "around where it was an hour ago"
        st.html(tag("div", "pm-title", f"The last hour, {home}"))
        figure = place_chart(pet.place, track, zones, origin, now)
        st.plotly_chart(figure, key=f"place-{pet.pet_id}", theme=None, config=CHART_CONFIG)


def _draw_day(pet: Pet, look: Look, now: datetime, zone: tzinfo) -> None:
    epochs = look.days.get(pet.pet_id)
    st.html(tag("div", "pm-title", "The last day, minutes of each hour"))
    if not epochs:
        missing = "Nothing recorded yet." if epochs is not None else "Not read yet."
        st.html(tag("div", "pm-note", missing))
        return
    hours = hours_of(epochs, now, zone)
    figure = day_chart(hours, zone)
    st.plotly_chart(figure, key=f"day-{pet.pet_id}", theme=None, config=CHART_CONFIG)
    st.html(tag("div", "pm-legend", *(_legend(name, hours) for name in behaviours_in(hours))))


def _legend(behaviour: str, hours: Sequence[Hour]) -> Html:
    shown = doing(behaviour)
    total_s = 60 * sum(hour.minutes.get(behaviour, 0.0) for hour in hours)
    dot = tag("span", "pm-dot", style=f"background: {shown.colour}")
    total = tag("span", "pm-faint", duration(total_s))
    return tag("span", "pm-key", dot, capital(shown.text), total)
