"""What was learned: the model on each collar, and what training made of the owners' words."""

from collections.abc import Iterable
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.answers import CollarModels, Delivery, ModelRow, TrainingRun
from dashboard.ledger import Ledger
from dashboard.markup import Html, chip, icon, joined, note, tag
from dashboard.views.frame import title
from dashboard.watch import Look
from dashboard.words import capital, clock_time, named, plain
from dashboard.words_sharing import (
    DELIVERY_STATES,
    MODEL_STATES,
    REFUSALS,
    RUN_STATES,
    SLOTS,
    verdict,
)

RUNS_SHOWN = 3
COLLARS_SHOWN = 20


def draw_learned(look: Look, ledger: Ledger, now: datetime, zone: tzinfo) -> None:
    """The collars' models, then the training."""
    with st.container(border=True, key="models"):
        st.html(title("The model on each collar"))
        if ledger.collars is None:
            told = (
                "This home's gateway is of an older version, which does not tell."
                if "collars" in ledger.older
                else "The gateway has not said yet what the collars run."
            )
            st.html(note("hourglass_empty", told))
        elif not ledger.collars:
            st.html(note("sensors_off", "No collar has told yet what it runs."))
        else:
            shown = ledger.collars[:COLLARS_SHOWN]
            st.html(joined(_collar(each, look, now, zone) for each in shown))
    with st.container(border=True, key="training"):
        st.html(title("What was learned from you"))
        st.html(joined(_training(ledger, now, zone)))


def _collar(collar: CollarModels, look: Look, now: datetime, zone: tzinfo) -> Html:
    pet = look.pet(collar.pet_id)
    lines = [
        tag(
            "div",
            "pm-faint",
            f"{SLOTS.get(slot.slot, plain(slot.slot)[:30])}: ",
            tag("span", "pm-model", f"{slot.package} {slot.version}", title=slot.sha256),
        )
        for slot in collar.slots
    ] or [tag("div", "pm-faint", "It has not told yet what it runs.")]
    if collar.delivery is not None:
        lines.append(_delivery(collar.delivery, now, zone))
    if collar.windows_per_hour > 0:
        told = f"Sends {collar.windows_per_hour} pieces of raw motion an hour, as you allowed"
        lines.append(tag("div", "pm-faint", told))
    name = named(pet.name) if pet else collar.pet_id
    return tag("div", "pm-left", tag("strong", "", name, dir="auto"), *lines)


def _delivery(delivery: Delivery, now: datetime, zone: tzinfo) -> Html:
    state = DELIVERY_STATES.get(delivery.state, plain(delivery.state)[:30])
    model = f"{delivery.package} {delivery.version}"
    if delivery.state == "receiving" and delivery.chunks > 0:
        share = min(100, 100 * delivery.next_chunk // delivery.chunks)
        return note("downloading", f"{model} is on its way to the collar: {share} %")
    if delivery.state == "refused":
        why = REFUSALS.get(delivery.reason or "", plain(delivery.reason or "no reason given")[:60])
        return note("block", f"{model} was refused. {capital(why)}", "low")
    if delivery.state == "installed":
        since = f" {clock_time(delivery.changed_at, zone, now)}" if delivery.changed_at else ""
        return note("check_circle", f"{model} {state}{since}", "good")
    return note("schedule", f"{model} {state}")


def _training(ledger: Ledger, now: datetime, zone: tzinfo) -> Iterable[Html]:
    if ledger.runs is None and ledger.models is None:
        if ledger.trouble is not None:
            yield note("cloud_off", "Learning happens in the cloud, which is away.")
        elif "runs" in ledger.older:
            yield note("update", "The cloud is of an older version, which does not learn yet.")
        else:
            yield note("hourglass_empty", "Not told yet.")
        return
    runs = ledger.runs or []
    if not runs:
        told = (
            "Nothing yet. Share raw movement, correct what the collar says, and the next training "
            "learns from it."
        )
        yield note("school", told)
    for run in runs[:RUNS_SHOWN]:
        yield _run(run, ledger.models or [], now, zone)
    champions = [model for model in ledger.models or [] if model.state == "champion"]
    for model in champions:
        yield tag(
            "div",
            "pm-left",
            tag("span", "pm-model", f"{model.package} {model.version}", title=model.sha256),
            " ",
            chip("star", MODEL_STATES["champion"], "good"),
        )


def _run(run: TrainingRun, models: list[ModelRow], now: datetime, zone: tzinfo) -> Html:
    icon_name, text = RUN_STATES.get(run.state, ("help", plain(run.state)[:40]))
    at = run.ended_at or run.started_at
    when = tag("span", "pm-faint", f" {clock_time(at, zone, now)}" if at else "")
    parts = [tag("div", "", icon(icon_name), " ", tag("strong", "", text), when)]
    if run.state in ("refused", "failed"):
        parts.append(tag("div", "", f"{capital(verdict(run.reason, run.detail))}."))
    judged = next((each for each in models if each.run_id == run.run_id), None)
    if judged and judged.macro_f1_before is not None and judged.macro_f1_after is not None:
        told = (
            f"On animals that neither had seen: {100 * judged.macro_f1_before:.0f} points before, "
            f"{100 * judged.macro_f1_after:.0f} after (of 100)."
        )
        parts.append(tag("div", "pm-faint", told))
    return tag("div", "pm-left", *parts)
