"""Account: who is signed in, where, and where everything is kept."""

from datetime import datetime, tzinfo

import streamlit as st

from dashboard import reader
from dashboard.access.sessions import Signed
from dashboard.markup import Html, chip, icon, joined, note, tag
from dashboard.views.frame import draw_trouble, heading, title
from dashboard.watch import Look
from dashboard.words import clock_time, freshness, named

LEAD = "Who is signed in, and where everything is kept."
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def draw() -> None:
    """Draw the page."""
    _live()


@st.fragment(run_every=5.0)
def _live() -> None:
    signed = reader.require()
    now, zone = reader.now(), reader.zone()
    look = reader.watch().look(now)
    st.html(heading("Account", LEAD, None, now, zone))
    draw_trouble(look, now, zone)
    left, right = st.columns(2, gap="medium")
    with left:
        with st.container(border=True, key="who"):
            st.html(title("You"))
            st.html(joined(_who(signed, look, now, zone)))
        _draw_browsers(signed, now, zone)
    with right, st.container(border=True, key="where-kept"):
        st.html(title("Where your data is"))
        st.html(joined(_kept(look)))


def _who(signed: Signed, look: Look, now: datetime, zone: tzinfo) -> list[Html]:
    site = look.home.status.site if look.home else signed.site
    lines = [
        _line("person", "Signed in as", named(signed.email, 80)),
        _line("home", "Home", site),
        _line("schedule", "Since", clock_time(signed.since, zone, now)),
        _line("event_busy", "Until", clock_time(signed.expires_at, zone, now)),
    ]
    if signed.token is None:
        told = "You signed in while the cloud was away, with what this home remembers of you."
        lines.append(note("cloud_off", told, "low"))
    return lines


def _draw_browsers(signed: Signed, now: datetime, zone: tzinfo) -> None:
    sessions = reader.house().door.sessions
    found = sessions.of_owner(signed.owner_id)
    with st.container(border=True, key="browsers"):
        st.html(title("Where you are signed in", "on this home's dashboard"))
        rows = [
            tag(
                "li",
                "",
                icon("devices"),
                tag(
                    "div",
                    "",
                    tag("strong", "", browser_name(browser)),
                    " ",
                    chip("check", "this one", "good") if session == signed.session else "",
                    tag("div", "pm-faint", f"signed in {freshness(since, now)}"),
                ),
            )
            for session, since, browser in found
        ]
        st.html(tag("ul", "pm-list", *rows))
        if len(found) > 1:
            st.button(
                "Sign out everywhere else",
                key="sign-out-others",
                icon=":material/logout:",
                on_click=_sign_out_others,
            )


def _sign_out_others() -> None:
    signed = reader.signed_in()
    if signed is not None:
        reader.house().door.sessions.close_others(signed)


def _kept(look: Look) -> list[Html]:
    settings = reader.house().settings
    kept = f"{look.home.status.stored:,} messages" if look.home else "Everything the collars say"
    cloud = (
        f"Only what you allow under Sharing, at {settings.cloud_url}"
        if settings.cloud_url
        else "There is none"
    )
    return [
        _line("home", "At home", f"{kept}, in the gateway's data folder"),
        _line("fence", "Zones", "At home only; they never leave"),
        _line("cloud", "In the cloud", cloud),
        _line("devices", "In this browser", "One cookie that says you are signed in"),
        tag(
            "p",
            "pm-faint pm-foot",
            "The page itself loads nothing from elsewhere, and asks no one but your gateway and "
            "your cloud.",
        ),
    ]


def _line(icon_name: str, name: str, text: str) -> Html:
    words = tag("div", "", tag("div", "pm-faint", name), tag("div", "pm-wrap", text))
    return tag("div", "pm-fact pm-fact-tall", icon(icon_name), words)


def browser_name(agent: str) -> str:
    """A browser in two words.

    >>> browser_name("Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0 Safari/537.36")
    'Chrome on Linux'
    """
    browser = next((name for mark, name in BROWSERS if mark in agent), "A browser")
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser
