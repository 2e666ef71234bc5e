"""How the house is, beside the animals: what it keeps, what leaves it, what looks on."""

from collections.abc import Iterable
from datetime import datetime

import streamlit as st

from dashboard.markup import Html, chip, icon, joined, note, tag
from dashboard.views.frame import title
from dashboard.watch import Home, Look
from dashboard.words import freshness, plain

PLUGIN_TONES = {"running": "good"}


def draw_house(look: Look, now: datetime) -> None:
    """How the gateway is, and what leaves the home."""
    with st.container(border=True, key="house"):
        st.html(title("This home"))
        if look.home is None:
            st.html(note("hourglass_empty", "The gateway has not said yet how it is."))
            return
        st.html(joined(_house(look.home, now)))


def _house(home: Home, now: datetime) -> Iterable[Html]:
    status = home.status
    yield _line("inventory_2", f"{status.stored:,} messages kept in this home")
    refused = status.counters.get("rejected", 0)
    if refused:
        yield _line("block", f"{refused:,} refused at the door")
    if status.lost:
        yield _line("heart_broken", f"{status.lost:,} lost: a collar's memory was full")
    waiting = sum(status.queued.values())
    last = home.leaving[0] if home.leaving else None
    if last is None:
        yield _line("lock", "Nothing has left this home")
    elif waiting:
        yield _line("cloud_upload", f"{waiting:,} shared messages wait for the cloud")
    elif last.state == "synced":
        told = f"Last shared: {plain(last.stream)}, {freshness(last.queued_at, now)}"
        yield _line("cloud_done", told)
    else:  # withdrawn by the owner, or refused by the cloud
        yield _line("cloud_off", f"The last message to share was {plain(last.state)}")
    plugins = [
        chip("extension", plain(plugin_id), PLUGIN_TONES.get(state, "low"), state)
        for plugin_id, state in sorted(status.plugins.items())
    ]
    if plugins:
        yield tag("div", "pm-chips", *plugins)


def _line(icon_name: str, text: str) -> Html:
    return tag("div", "pm-fact", icon(icon_name), tag("span", "", text))
