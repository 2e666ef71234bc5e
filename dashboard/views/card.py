"""The card of one animal: what it does, how fresh and how sure that is, and its last day."""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.answers import Epoch, Pet
from dashboard.day import DAY, Stretch, blocks_of, stretches_of, totals
from dashboard.happenings import happenings
from dashboard.markup import Html, chip, icon, joined, note, tag
from dashboard.pictures import day_ribbon, own_colour
from dashboard.places import origin_of, whereabouts, zones_of
from dashboard.views.correct import choose, chosen_span, draw_correction
from dashboard.views.energy import energy_strip
from dashboard.watch import Look
from dashboard.words import (
    NOT_A_DIAGNOSIS,
    UNSURE,
    UNUSUAL_FROM,
    accuracy,
    battery,
    bouts,
    capital,
    clock,
    clock_time,
    doing,
    duration,
    freshness,
    named,
    observed,
)

LEGEND_FROM_S = 60.0  # a behaviour of less than a minute a day explains nothing


def unfolded_key(pet_id: str) -> str:
    """Key of the switch that shows a pet's day."""
    return f"show-{pet_id}"


def draw_card(pet: Pet, look: Look, now: datetime, zone: tzinfo, *, foldable: bool) -> None:
    """Draw a pet's card; a foldable one shows its words only, until its switch is on."""
    quiet = pet.stale or look.trouble is not None
    epochs = look.days.get(pet.pet_id)
    corrections = look.corrections.get(pet.pet_id)
    stretches = stretches_of(epochs or [], corrections or [], now - DAY, now)
    with st.container(border=True, key=f"pet-{pet.pet_id}"):
        st.html(
            tag(
                "div",
                "pm-quiet" if quiet else "",
                _head(pet, look, stretches, now, zone),
                tag("div", "pm-facts", joined(_facts(pet, look, now, zone))),
            )
        )
        if quiet and pet.known_at is not None and look.trouble is None:
            since = f"Nothing new since {clock_time(pet.known_at, zone, now)}. This is how it was."
            st.html(note("schedule", since))
        if foldable and not st.toggle("The last day", key=unfolded_key(pet.pet_id)):
            return
        if pet.pet_id in look.trouble_of:
            told = f"The last day could not be read. {look.trouble_of[pet.pet_id]}"
            st.html(note("error", told, "low"))
        if epochs is None:
            if pet.pet_id not in look.trouble_of and look.trouble is None:
                st.html(tag("div", "pm-skeleton", aria_label="The last day is being read"))
        elif not stretches:
            st.html(note("timeline", "No minute of the last day has arrived yet."))
        else:
            _draw_day(pet, stretches, now, zone)
            _draw_bouts(epochs or [])
        if pet.power is not None:
            st.html(energy_strip(pet.power))
        draw_correction(pet, look, now, zone)


def _head(pet: Pet, look: Look, stretches: Sequence[Stretch], now: datetime, zone: tzinfo) -> Html:
    shown = doing(pet.does)
    text, battery_icon, tone = battery(pet.battery_pct)
    chips = [
        chip("sensors", "online", "good") if pet.online else chip("sensors_off", "offline", "low"),
        chip(battery_icon, text, "" if tone in ("good", "unknown") else tone, "Collar's battery"),
    ]
    if pet.open_alerts:
        chips.append(chip("notifications", f"{pet.open_alerts}", "alarm", "Open alerts"))
    since = ""
    if stretches and stretches[-1].behaviour == pet.does and not pet.stale:
        since = f" since {clock(stretches[-1].begins_at, zone)}"
    fresh = f" · {freshness(pet.behaviour_until, now)}" if pet.behaviour_until else ""
    said = " · you said so" if pet.corrected else ""
    ring = own_colour(look.pets, pet)
    colours = f"background: {shown.colour}; color: {shown.ink}; box-shadow: 0 0 0 3px {ring}"
    return tag(
        "div",
        "pm-head",
        tag("div", "pm-avatar", icon(shown.icon), style=colours),
        tag(
            "div",
            "pm-who",
            tag("h2", "pm-name", named(pet.name), title=named(pet.name, 200), dir="auto"),
            tag(
                "div",
                "pm-doing",
                capital(shown.text),
                tag("span", "pm-faint", f"{since}{fresh}{said}"),
            ),
        ),
        tag("div", "pm-chips", *chips),
    )


def _facts(pet: Pet, look: Look, now: datetime, zone: tzinfo) -> Iterable[Html]:
    if pet.place is None:
        yield _fact("location_off", "No position yet", "")
    else:
        zones = zones_of(pet.pet_id, look.zones)
        origin = origin_of(zones, [pet.place])
        if origin is not None:
            where = capital(whereabouts(pet.place, zones, origin))
            fresh = freshness(pet.place.observed_at, now)
            good = accuracy(pet.place.accuracy_m, pet.place.source)
            yield _fact("location_on", where, f"{good} · {fresh}")
    for each in pet.observations:
        text = observed(each.name, each.label, each.confidence)
        yield _fact("mood", text, freshness(each.observed_at, now), NOT_A_DIAGNOSIS)
    if pet.anomaly is not None and pet.anomaly >= UNUSUAL_FROM:
        yield _fact("ecg_heart", "Moved differently than usual", "", NOT_A_DIAGNOSIS)
    for each in happenings(look.events.get(pet.pet_id, []), zone, now):
        yield _fact(each.icon, each.text, each.faint, each.tip)


def _fact(icon_name: str, text: str, faint: str, tip: str = "") -> Html:
    words = tag("span", "", text, tag("span", "pm-faint", f"  {faint}"))
    return tag("div", "pm-fact", icon(icon_name), words, title=tip)


def _draw_day(pet: Pet, stretches: Sequence[Stretch], now: datetime, zone: tzinfo) -> None:
    chosen = day_ribbon(pet, blocks_of(stretches), chosen_span(pet.pet_id), now, zone)
    if chosen is not None:
        choose(pet.pet_id, *chosen)
        st.rerun(scope="fragment")
    st.html(tag("div", "pm-legend", joined(_legend(stretches))))


def _draw_bouts(epochs: Sequence[Epoch]) -> None:
    scratched = sum(epoch.scratch_bouts for epoch in epochs)
    told = bouts(scratched, sum(epoch.drink_bouts for epoch in epochs))
    if told:
        st.html(tag("div", "pm-legend", tag("span", "pm-key", told)))


def _legend(stretches: Sequence[Stretch]) -> Iterable[Html]:
    for behaviour, seconds in totals(stretches).items():
        if seconds < LEGEND_FROM_S:
            continue
        shown = doing(behaviour)
        style = f"background: {shown.colour}; color: {shown.ink}"
        unsure = " pm-dot-unsure" if behaviour == UNSURE else ""
        yield tag(
            "span",
            "pm-key",
            tag("span", f"pm-dot{unsure}", icon(shown.icon), style="" if unsure else style),
            capital(shown.text),
            tag("span", "pm-faint", duration(seconds)),
        )
