"""The pages: Streamlit executes this file for each reader; see ``dashboard.server``."""

from pathlib import Path

import streamlit as st

from dashboard import reader
from dashboard.views import account, alerts, places, sharing, today
from dashboard.views.frame import draw_signed_out, draw_top

ASSETS = Path(__file__).with_name("assets")
VIEWS = {
    "today": today.draw,
    "places": places.draw,
    "alerts": alerts.draw,
    "sharing": sharing.draw,
    "account": account.draw,
}


def main() -> None:
    """Draw the page that the address names."""
    # a symbol as the page's icon would be fetched from Google; a file of ours is not
    st.set_page_config(page_icon=str(ASSETS / "paw.svg"), layout="wide")
    pages = {
        name: st.Page(view, title=f"{name.capitalize()} · Pawmesh", url_path=name)
        for name, view in VIEWS.items()
    }
    # the first page has no name in the address, and every one of ours needs one
    root = st.Page(today.draw_root, title="Pawmesh", default=True, visibility="hidden")
    page = st.navigation([root, *pages.values()], position="hidden")
    st.html(ASSETS / "tokens.css")
    st.html(ASSETS / "style.css")
    signed = reader.signed_in()
    if signed is None:
        draw_signed_out()
        return
    draw_top(pages, signed)
    page.run()


if __name__ == "__main__":
    main()
