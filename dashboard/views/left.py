"""What really left the house: the gateway's own record, not what was promised."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import streamlit as st

from dashboard.answers import Leaving
from dashboard.markup import Html, joined, note, tag
from dashboard.views.frame import title
from dashboard.watch import Look
from dashboard.words import freshness, plain
from dashboard.words_sharing import LEAVES, OFFERS, OUTBOX_STATES


def draw_left(look: Look, now: datetime) -> None:
    """By stream: how many messages, which parts of them, and when the last."""
    with st.container(border=True, key="left"):
        st.html(title("What actually left"))
        if look.home is None:
            st.html(note("hourglass_empty", "The gateway has not said yet what left."))
            return
        if not look.home.leaving:
            st.html(note("lock", "Nothing has left this home.", "good"))
            return
        st.html(joined(_streams(look.home.leaving, now)))
        waiting = "It is sent when a collar has sealed a batch: within a quarter of an hour."
        st.html(tag("p", "pm-faint pm-foot", waiting))


def _streams(leaving: list[Leaving], now: datetime) -> Iterable[Html]:
    for stream in sorted({each.stream for each in leaving}):
        mine = [each for each in leaving if each.stream == stream]
        states = Counter(each.state for each in mine)
        offer = OFFERS.get(stream)
        told = " · ".join(
            f"{count:,} {OUTBOX_STATES.get(state, plain(state)[:30])}"
            for state, count in states.most_common()
        )
        newest = mine[0]
        leaves = ", ".join(LEAVES.get(leaf, plain(leaf)[:30]) for leaf in newest.leaves[:20])
        yield tag(
            "div",
            "pm-left",
            tag("strong", "", offer.title if offer else plain(stream)[:30]),
            tag("div", "", f"{told} · the last {freshness(newest.queued_at, now)}"),
            tag("div", "pm-faint", f"Of it: {leaves or 'nothing'}"),
        )
