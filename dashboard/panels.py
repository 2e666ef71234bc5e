"""Beside the cards: what the owner must know, and how the house is."""

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.answers import Alert
from dashboard.markup import Html, chip, icon, joined, tag
from dashboard.watch import House, Look
from dashboard.words import (
    SEVERITIES,
    clock_time,
    duration,
    fact,
    freshness,
    plain,
    sureness,
)

CLEARED_SHOWN = 8
OPEN_SHOWN = 20
FACTS_SHOWN = 3
PLUGIN_TONES = {"running": "good"}
URGENCY = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def draw_alerts(look: Look, now: datetime, zone: tzinfo) -> None:
    """The alerts: those that go on first, then the last ones that are over."""
    names = {pet.pet_id: pet.name for pet in look.pets}
    newest_first = sorted(look.alerts, key=lambda alert: alert.observed_at, reverse=True)
    ongoing = [alert for alert in newest_first if alert.cleared_at is None]
    ongoing.sort(key=lambda alert: URGENCY.get(alert.severity, len(URGENCY)))
    over = [alert for alert in newest_first if alert.cleared_at is not None]
    with st.container(border=True, key="alerts"):
        st.html(tag("div", "pm-panel", "Alerts"))
        if not ongoing:
            calm = (icon("check_circle"), "All is well: no open alert.")
            st.html(tag("div", "pm-note pm-good", *calm))
        shown = [*ongoing[:OPEN_SHOWN], *over[:CLEARED_SHOWN]]
        if shown:
            st.html(joined(_alert(alert, names, now, zone) for alert in shown))
        hidden = len(ongoing) + len(over) - len(shown)
        if hidden:
            st.html(tag("div", "pm-faint", f"and {hidden} more"))


def draw_house(look: Look, now: datetime) -> None:
    """How the gateway is, and what leaves the home."""
    with st.container(border=True, key="house"):
        st.html(tag("div", "pm-panel", "This home"))
        if look.house is None:
            st.html(tag("div", "pm-note", "The gateway has not said yet how it is."))
            return
        st.html(joined(_house(look.house, now)))


def _alert(alert: Alert, names: Mapping[str, str], now: datetime, zone: tzinfo) -> Html:
    over = alert.cleared_at is not None
    meta = [SEVERITIES.get(alert.severity, plain(alert.severity))]
    meta.append(clock_time(alert.observed_at, zone, now))
    meta.append(freshness(alert.observed_at, now))
    source = [f"seen by {plain(alert.plugin_id)}", sureness(alert.confidence)]
    source += [fact(name, value) for name, value in alert.detail.items()][:FACTS_SHOWN]
    if alert.notified_at is None:
        source.append("found in history")
    if alert.acknowledged_at is not None:
        source.append("you have seen it")
    tone = "over" if over else alert.severity
    return tag(
        "div",
        f"pm-alert pm-alert-{tone if tone in (*SEVERITIES, 'over') else 'info'}",
        tag("div", "pm-alert-title", f"{names.get(alert.pet_id, alert.pet_id)}: {alert.title}"),
        tag("div", "", " · ".join(meta)),
        tag("div", "pm-faint", " · ".join(source)),
        *([] if alert.cleared_at is None else [_over(alert, alert.cleared_at, zone, now)]),
    )


def _over(alert: Alert, cleared_at: datetime, zone: tzinfo, now: datetime) -> Html:
    lasted = duration((cleared_at - alert.observed_at).total_seconds())
    text = f"Over since {clock_time(cleared_at, zone, now)}, lasted {lasted}"
    return tag("div", "pm-faint", icon("check"), text)


def _house(house: House, now: datetime) -> Iterable[Html]:
    status = house.status
    yield _line("inventory_2", f"{status.stored:,} messages kept in this home")
    refused = status.counters.get("rejected", 0)
    if refused:
        yield _line("block", f"{refused:,} refused at the door")
    if status.lost:
        yield _line("heart_broken", f"{status.lost:,} lost: a collar's memory was full")
    waiting = sum(status.queued.values())
    if house.leaving is None:
        yield _line("lock", "Nothing has left this home")
    elif waiting:
        yield _line("cloud_upload", f"{waiting:,} shared messages wait for the cloud")
    elif house.leaving.state == "synced":
        last = f"Last shared: {plain(house.leaving.stream)}, "
        yield _line("cloud_done", f"{last}{freshness(house.leaving.queued_at, now)}")
    else:  # withdrawn by the owner, or refused by the cloud
        yield _line("cloud_off", f"The last message to share was {plain(house.leaving.state)}")
    plugins = [
        chip("extension", plain(plugin_id), PLUGIN_TONES.get(state, "low"), state)
        for plugin_id, state in sorted(status.plugins.items())
    ]
    if plugins:
        yield tag("div", "pm-chips", *plugins)


def _line(icon_name: str, text: str) -> Html:
    return tag("div", "pm-fact", icon(icon_name), text)
