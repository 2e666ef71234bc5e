"""The page: ``streamlit run`` executes this file for each reader; see ``dashboard.__main__``."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.answers import Pet
from dashboard.cards import draw_card, unfolded_key
from dashboard.gateway import Gateway
from dashboard.markup import Html, chip, icon, tag
from dashboard.panels import draw_alerts, draw_house
from dashboard.settings import Settings
from dashboard.watch import Look, Watch
from dashboard.words import NOT_A_DIAGNOSIS, clock_time

REFRESH_S = 2.0
COLUMNS = 2
OPEN_CARDS = 6  # with more pets, charts are shown for those the reader asks for
ASSETS = Path(__file__).with_name("assets")
NO_PETS = "No collars yet. Enrol the first one:"
ADD_COLLAR = "pawmesh collar add --pet NAME"


def main() -> None:
    """Draw the page."""
    # a symbol as the page's icon would be fetched from Google; a file of ours is not
    icon_file = str(ASSETS / "paw.svg")
    st.set_page_config(page_title="Pawmesh", page_icon=icon_file, layout="wide")
    st.html(ASSETS / "style.css")
    live()


@st.cache_resource(on_release=Gateway.close)
def open_gateway(url: str, token_file: Path | None) -> Gateway:
    """One client for all readers."""
    return Gateway(url, token_file)


@st.fragment(run_every=REFRESH_S)
def live() -> None:
    """The part that brings itself up to date."""
    now, zone = datetime.now(UTC), reader_zone()
    if "watch" not in st.session_state:
        settings = Settings()
        gateway = open_gateway(settings.gateway_url, settings.gateway_token_file)
        st.session_state["watch"] = Watch(gateway)
    watch: Watch = st.session_state["watch"]
    if watch.seen_at is None:
        with st.spinner("Asking the gateway …"):
            look = watch.look(now, unfolded)
    else:
        look = watch.look(now, unfolded)
    st.html(header(look, now, zone))
    with st.container(key="trouble"):
        if look.trouble is not None:
            told = sentence(look.trouble, look.seen_at, now, zone)
            st.html(tag("div", "pm-note pm-trouble", icon("link_off"), told))
    if look.pets:
        draw_home(look, now, zone)
    elif look.trouble is None:
        with st.container(border=True, key="no-pets"):
            st.html(tag("div", "pm-nobody", icon("pets"), NO_PETS))
            st.code(ADD_COLLAR, language=None)


def unfolded(pets: Sequence[Pet]) -> set[str]:
    """The pets whose track and day are shown."""
    return {
        pet.pet_id
        for pet in pets
        if len(pets) <= OPEN_CARDS or st.session_state.get(unfolded_key(pet.pet_id))
    }


def draw_home(look: Look, now: datetime, zone: tzinfo) -> None:
    """The pets, with the alerts and the house beside them."""
    pets_side, panels_side = st.columns([3, 1.15], gap="medium")
    with pets_side:
        columns = st.columns(COLUMNS, gap="medium")
        for index, pet in enumerate(look.pets):
            with columns[index % len(columns)]:
                draw_card(pet, look, now, zone, foldable=len(look.pets) > OPEN_CARDS)
        if any(pet.observations for pet in look.pets):
            st.html(tag("div", "pm-faint pm-foot", NOT_A_DIAGNOSIS))
    with panels_side:
        draw_alerts(look, now, zone)
        draw_house(look, now)


def header(look: Look, now: datetime, zone: tzinfo) -> Html:
    """The page's name, and whether it is live."""
    if look.trouble is not None:
        state = chip("link_off", "not connected", "alarm")
    else:
        state = chip("bolt", f"live · {clock_time(now, zone, now)}", "good")
    count = f"{len(look.pets)} {'pet' if len(look.pets) == 1 else 'pets'}" if look.pets else ""
    return tag(
        "div",
        "pm-top",
        tag("div", "pm-brand", icon("pets"), "Pawmesh"),
        tag("div", "pm-faint", count),
        tag("div", "pm-chips", state),
    )


def sentence(trouble: str, seen_at: datetime | None, now: datetime, zone: tzinfo) -> str:
    """What is wrong, and what happens next."""
    told = f"{trouble} Asking again every {REFRESH_S:.0f} seconds."
    return (
        told
        if seen_at is None
        else f"{told} What you see is from {clock_time(seen_at, zone, now)}."
    )


def reader_zone() -> tzinfo:
    """The time zone of the reader's browser."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


if __name__ == "__main__":
    main()
