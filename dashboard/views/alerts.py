"""Alerts: what the owner must know, and the life of each: raised, seen, over."""

from datetime import datetime, tzinfo

import streamlit as st

from dashboard import reader
from dashboard.answers import Alert
from dashboard.errors import GatewayTrouble
from dashboard.markup import Html, chip, icon, joined, note, tag
from dashboard.views.frame import draw_trouble, heading, title
from dashboard.watch import Look
from dashboard.words import (
    NOT_A_DIAGNOSIS,
    SEVERITIES,
    clock_time,
    duration,
    fact,
    freshness,
    named,
    plain,
    sureness,
)

OVER_SHOWN, OPEN_SHOWN, FACTS_SHOWN = 30, 30, 4
TITLE_CHARS = 120
URGENCY = {severity: rank for rank, severity in enumerate(SEVERITIES)}
LEAD = "What you must know, and what became of it."


def draw() -> None:
    """Draw the page."""
    _live()


@st.fragment(run_every=reader.REFRESH_S)
def _live() -> None:
    reader.require()
    now, zone = reader.now(), reader.zone()
    look = reader.watch().look(now)
    st.html(heading("Alerts", LEAD, look, now, zone))
    draw_trouble(look, now, zone)
    wrong = st.session_state.get("alert-wrong")
    if wrong:
        st.html(note("error", wrong, "low", role="alert"))
    newest_first = sorted(look.alerts, key=lambda alert: alert.observed_at, reverse=True)
    ongoing = [alert for alert in newest_first if alert.cleared_at is None]
    ongoing.sort(key=lambda alert: URGENCY.get(alert.severity, len(URGENCY)))
    over = [alert for alert in newest_first if alert.cleared_at is not None]
    with st.container(key="alerts"):
        if not ongoing and look.seen_at is not None:
            st.html(note("check_circle", "All is well: no open alert.", "good"))
        for alert in ongoing[:OPEN_SHOWN]:
            _draw_open(alert, look, now, zone)
        if len(ongoing) > OPEN_SHOWN:
            st.html(tag("p", "pm-faint", f"and {len(ongoing) - OPEN_SHOWN} more that are open"))
    if over:
        with st.container(border=True, key="alerts-over"):
            st.html(title("Over", f"the last {min(len(over), OVER_SHOWN)}"))
            st.html(tag("div", "", joined(_alert(a, look, now, zone) for a in over[:OVER_SHOWN])))
    st.html(tag("p", "pm-faint pm-foot", NOT_A_DIAGNOSIS))


def _draw_open(alert: Alert, look: Look, now: datetime, zone: tzinfo) -> None:
    with st.container(
        border=True,
        key=f"alert-{alert.alert_id}",
        horizontal=True,
        vertical_alignment="center",
    ):
        st.html(_alert(alert, look, now, zone), width="stretch")
        if alert.acknowledged_at is None:
            st.button(
                "I have seen it",
                key=f"acknowledge-{alert.alert_id}",
                icon=":material/visibility:",
                on_click=_acknowledge,
                args=(alert.alert_id,),
            )


def _acknowledge(alert_id: int) -> None:
    if not reader.allowed():
        return
    try:
        reader.house().gateway.acknowledge(alert_id)
    except GatewayTrouble as error:
        st.session_state["alert-wrong"] = f"That was not noted. {error}"
    else:
        st.session_state.pop("alert-wrong", None)


def _alert(alert: Alert, look: Look, now: datetime, zone: tzinfo) -> Html:
    pet = look.pet(alert.pet_id)
    name = named(pet.name) if pet else alert.pet_id
    over = alert.cleared_at is not None
    tone = "over" if over else alert.severity if alert.severity in SEVERITIES else "info"
    source = [f"seen by {plain(alert.plugin_id)[:48]}", sureness(alert.confidence)]
    source += [fact(key[:40], value)[:80] for key, value in alert.detail.items()][:FACTS_SHOWN]
    severity = SEVERITIES.get(alert.severity, plain(alert.severity)[:24])
    return tag(
        "article",
        f"pm-alert pm-alert-{tone}",
        tag(
            "div",
            "pm-alert-title",
            f"{name}: {named(alert.title, TITLE_CHARS)} ",
            chip("flag", severity, {"critical": "alarm", "warning": "low"}.get(tone, "")),
        ),
        tag("ol", "pm-life", joined(_life(alert, zone, now))),
        tag("div", "pm-faint", " · ".join(source)),
    )


def _life(alert: Alert, zone: tzinfo, now: datetime) -> list[Html]:
    at = clock_time(alert.observed_at, zone, now)
    steps = [_step("warning", f"Happened {at}", freshness(alert.observed_at, now))]
    if alert.notified_at is None:
        steps.append(_step("history", "Found in history", "so nobody was woken"))
    else:
        took = (
            "" if alert.latency_ms is None else f"{alert.latency_ms:,.0f} ms after it was certain"
        )
        told = f"Told {clock_time(alert.notified_at, zone, now)}"
        steps.append(_step("notifications_active", told, took))
    if alert.acknowledged_at is not None:
        seen = clock_time(alert.acknowledged_at, zone, now)
        steps.append(_step("visibility", f"You saw it {seen}", ""))
    if alert.cleared_at is not None:
        lasted = duration((alert.cleared_at - alert.observed_at).total_seconds())
        over = clock_time(alert.cleared_at, zone, now)
        steps.append(_step("check", f"Over {over}", f"lasted {lasted}"))
    return steps


def _step(icon_name: str, text: str, faint: str) -> Html:
    words = tag("span", "", text, tag("span", "pm-faint", f" {faint}" if faint else ""))
    return tag("li", "", icon(icon_name), words)
