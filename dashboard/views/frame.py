"""What stands around every page: the name, the ways to the others, and who reads."""

from collections.abc import Mapping
from datetime import datetime, tzinfo

import streamlit as st

from dashboard.access.gate import SIGN_IN, SIGN_OUT
from dashboard.access.sessions import Signed
from dashboard.markup import Html, chip, icon, note, tag
from dashboard.reader import REFRESH_S
from dashboard.watch import Look
from dashboard.words import clock_time

ICONS = {
    "today": "pets",
    "places": "map",
    "alerts": "notifications",
    "sharing": "volunteer_activism",
    "account": "person",
}


def draw_top(pages: Mapping[str, st.Page], signed: Signed) -> None:
    """The bar at the top; on a phone its links are at the bottom, under the thumb."""
    with st.container(key="top", horizontal=True, vertical_alignment="center", gap="medium"):
        st.html(tag("div", "pm-brand", icon("pets"), tag("span", "", "Pawmesh")), width="content")
        with st.container(key="nav", horizontal=True, gap="small", width="stretch"):
            for name, page in pages.items():
                st.page_link(page, label=name.capitalize(), icon=f":material/{ICONS[name]}:")
        with st.container(key="sign-out", width="content"):
            st.html(sign_out_form(signed))


def sign_out_form(signed: Signed) -> Html:
    """A form, so that the browser gives its cookie back; a script could not."""
    button = tag(
        "button",
        "pm-quiet-button",
        icon("logout"),
        tag("span", "", "Sign out"),
        type="submit",
        title=f"Signed in as {signed.email}",
    )
    return tag("form", "", button, method="post", action=SIGN_OUT)


def draw_signed_out() -> None:
    """The session ended while the page was open."""
    with st.container(key="signed-out"):
        st.html(
            tag(
                "div",
                "pm-empty",
                icon("lock"),
                tag("h2", "", "You are signed out"),
                tag("p", "", "Your session has ended, here or in another window."),
                tag("a", "pm-button", "Sign in again", href=SIGN_IN, target="_self"),
            )
        )


def draw_trouble(look: Look, now: datetime, zone: tzinfo) -> None:
    """What is wrong, in a place of its own that is there when nothing is wrong."""
    with st.container(key="trouble"):
        if look.trouble is not None:
            told = f"{look.trouble} Asking again every {REFRESH_S:.0f} seconds."
            if look.seen_at is not None:
                told += f" What you see is from {clock_time(look.seen_at, zone, now)}."
            st.html(note("link_off", told, "trouble", role="alert"))


def heading(title: str, lead: str, look: Look | None, now: datetime, zone: tzinfo) -> Html:
    """A page's title, a sentence, and whether it is live."""
    parts = [tag("h1", "pm-h1", title), tag("p", "pm-lead", lead)]
    if look is None:
        return tag("div", "pm-heading", tag("div", "", *parts))
    if look.trouble is not None:
        state = chip("link_off", "not connected", "alarm")
    else:
        state = chip("bolt", f"live · {clock_time(now, zone, now)}", "good")
    return tag("div", "pm-heading", tag("div", "", *parts), tag("div", "pm-chips", state))


def title(text: str, faint: str = "") -> Html:
    """A panel's title."""
    return tag("h2", "pm-title", text, tag("span", "pm-faint", f" {faint}" if faint else ""))
