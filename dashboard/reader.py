"""The one who reads the page: who that is, where their clock stands, and what they see."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.access.sessions import Signed, cookie_name
from dashboard.errors import Trouble
from dashboard.house import House, open_house
from dashboard.watch import Watch

REFRESH_S = 2.0
CONFIRM_EVERY_S = 60.0  # between two times the cloud is asked whether a session still holds
REMEMBERED = 256  # sessions; forgetting costs one question more
COOKIE = "cookie"  # in the session's state: given by a test, as a browser gives its own

_confirmed: dict[str, float] = {}
_confirming = threading.Lock()


def house() -> House:
    """This home's dashboard."""
    return open_house()


def signed_in() -> Signed | None:
    """Who reads, as long as their session holds."""
    at = house()
    given = st.session_state.get(COOKIE)
    cookie = given or st.context.cookies.get(cookie_name(at.settings.port))
    signed = at.door.sessions.of(cookie)
    if signed is not None:
        _confirm_sometimes(at, signed)
    return signed


def require() -> Signed:
    """Who reads; when their session is over, the page is drawn anew and says so."""
    signed = signed_in()
    if signed is None:
        st.rerun()
    return signed


def allowed() -> bool:
    """Whether a click may do something: a page that stands open can outlive its session."""
    return signed_in() is not None


def watch() -> Watch:
    """This reader's view of the home."""
    if "watch" not in st.session_state:
        st.session_state["watch"] = Watch(house().gateway)
    return st.session_state["watch"]


def zone() -> tzinfo:
    """The time zone of the reader's browser."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def now() -> datetime:
    """This instant, aware."""
    return datetime.now(UTC)


def _confirm_sometimes(at: House, signed: Signed) -> None:
    """Ask beside the page, so that a slow cloud does not make it slow."""
    with _confirming:
        if time.monotonic() - _confirmed.get(signed.session, 0.0) < CONFIRM_EVERY_S:
            return
        if len(_confirmed) > REMEMBERED:
            _confirmed.clear()
        _confirmed[signed.session] = time.monotonic()

    def confirm() -> None:
        with suppress(Trouble):  # nothing was decided: the next time, then
            at.door.confirm(signed)

    threading.Thread(target=confirm, name="confirm", daemon=True).start()
