"""What sharing earned, period by period, and why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.answers import Entry, Wallet
from dashboard.ledger import Ledger
from dashboard.markup import Html, icon, joined, note, tag
from dashboard.views.frame import title
from dashboard.words import clock_time, plain
from dashboard.words_sharing import REASONS, tokens

BARS = 24


def draw_earned(ledger: Ledger, now: datetime, zone: tzinfo) -> None:
    """The balance, a bar per period, and the reasons of the last payment."""
    with st.container(border=True, key="earned"):
        st.html(title("Earned"))
        wallet = ledger.wallet
        if wallet is None:
            told = "The cloud keeps the tokens; it is away. They are not lost."
            st.html(note("cloud_off", told) if ledger.trouble else tag("div", "pm-skeleton"))
            return
        st.html(joined(_wallet(wallet, now, zone)))


def _wallet(wallet: Wallet, now: datetime, zone: tzinfo) -> Iterable[Html]:
    amount = tag("span", "pm-amount", tokens(wallet.balance))
    yield tag("div", "pm-balance", amount, tag("span", "pm-faint", " tokens"))
    if wallet.pending_units:
        told = f"{wallet.pending_units:,} points are counted, and paid when the hour ends."
        yield note("hourglass_top", told)
    paid = [entry for entry in wallet.entries if entry.amount > 0][:BARS]
    if not paid:
        if not wallet.pending_units:
            told = "Nothing earned yet. What you share is counted at once and paid every hour."
            yield note("savings", told)
        return
    yield _bars(paid, now, zone)
    yield tag("h3", "pm-sub", "Why")
    reasons: Counter[str] = Counter()
    for entry in paid:
        reasons.update({reason: count for reason, count in entry.reasons.items() if count > 0})
    lines = [
        tag(
            "li",
            "",
            icon("verified" if reason in ("sealed", "fresh", "complete") else "info"),
            tag("span", "", REASONS.get(reason, plain(reason)[:40])),
            tag("span", "pm-faint", f" {count:,} ×"),
        )
        for reason, count in reasons.most_common(9)
    ]
    yield tag("ul", "pm-list pm-tight", *lines)


def _bars(paid: Sequence[Entry], now: datetime, zone: tzinfo) -> Html:
    most = max(entry.amount for entry in paid)
    oldest_first = list(reversed(paid))
    bars = [
        tag(
            "div",
            "pm-bar",
            title=_told(entry, now, zone),
            aria_hidden="true",
            style=f"height: {max(3.0, 100.0 * entry.amount / most):.1f}%",
        )
        for entry in oldest_first
    ]
    first, last = (_at(entry) for entry in (oldest_first[0], oldest_first[-1]))
    axis = tag(
        "div",
        "pm-bars-axis pm-faint",
        tag("span", "", clock_time(first, zone, now)),
        tag("span", "", clock_time(last, zone, now)),
    )
    label = "Tokens by period: " + "; ".join(_told(entry, now, zone) for entry in oldest_first)
    return tag("div", "", tag("div", "pm-bars", *bars, role="img", aria_label=label), axis)


def _told(entry: Entry, now: datetime, zone: tzinfo) -> str:
    return f"{clock_time(_at(entry), zone, now)}: {tokens(entry.amount)} tokens"


def _at(entry: Entry) -> datetime:
    return entry.starts_at or entry.made_at
