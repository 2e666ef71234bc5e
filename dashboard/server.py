"""The web server: Streamlit's own application, with our gate before it."""

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from streamlit import net_util

from dashboard.access.gate import Gate, policy
from dashboard.access.sessions import cookie_name
from dashboard.access.sign_in import PAGES, SCRIPT_HASH, routes
from dashboard.house import open_house
from dashboard.settings import Settings

APP = Path(__file__).with_name("app.py")
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# Else it would look for its server below each page's address first, and complain of what it finds
ROOTED = """<script>
      window.__streamlit = {
        BACKEND_BASE_URL: location.origin + "/",
        MAIN_PAGE_BASE_URL: location.origin + "/"
      }
    </script>"""
GROUND = "<style>:root{color-scheme:light dark;background:light-dark(%s,%s)}</style>"

LIGHT = {
    "primaryColor": "#1f7a66",
    "backgroundColor": "#f6f4ef",
    "secondaryBackgroundColor": "#ffffff",
    "textColor": "#1f2b29",
    "borderColor": "#e2dfd6",
    "linkColor": "#1f7a66",
}
DARK = {
    "primaryColor": "#5fc3a9",
    "backgroundColor": "#121816",
    "secondaryBackgroundColor": "#1c2422",
    "textColor": "#e9eeec",
    "borderColor": "#2d3835",
    "linkColor": "#7fd4bd",
}
LOOK = {"baseRadius": "0.75rem", "buttonRadius": "full", "paddingTop": "1.2rem"}


def options(settings: Settings) -> dict[str, Any]:
    """Streamlit's options; given in code, they hold in whatever folder we are started."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableAgentApi": False,
        "server.allowedHosts": list(settings.browser_hosts),
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",  # what broke is in the log, not in the browser
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        **{f"theme.{name}": value for name, value in LOOK.items()},
        **{f"theme.light.{name}": value for name, value in LIGHT.items()},
        **{f"theme.dark.{name}": value for name, value in DARK.items()},
    }


def make_app(settings: Settings) -> st.App:
    """The application: routes to sign in and out, and the pages behind the gate."""
    cookie = cookie_name(settings.port)
    shell = page_shell()
    gate = Middleware(
        Gate,
        sessions=lambda: open_house().door.sessions,
        cookie=cookie,
        hosts=settings.browser_hosts,
        csp=policy(settings.tile_url, [SCRIPT_HASH, *map(_hash, INLINE.findall(shell))]),
    )

    async def page(_: Request) -> Response:
        return HTMLResponse(shell, headers={"Cache-Control": "no-cache"})

    return st.App(
        APP,
        routes=[
            *routes(settings, lambda: open_house().door, cookie),
            *(Route(name, page) for name in PAGES),
        ],
        middleware=[gate],
    )


def serve(settings: Settings) -> None:
    """Serve until interrupted."""
    # Streamlit would ask a service on the internet for our address when a strange page calls
    net_util.get_external_ip = lambda: None
    if not settings.https:  # no proxy: who names another address wants to guess unhindered
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "")
    make_app(settings).run(config=options(settings))


def page_shell() -> str:
    """Streamlit's own page, with our name, our ground colour, and its server's address."""
    shell = (Path(st.__file__).with_name("static") / "index.html").read_text("utf-8")
    ground = GROUND % (LIGHT["backgroundColor"], DARK["backgroundColor"])
    shell = shell.replace("<title>Streamlit</title>", f"<title>Pawmesh</title>{ground}", 1)
    return shell.replace("<script>", f"{ROOTED}<script>", 1)


def _hash(script: str) -> str:
    """The hash by which a policy lets a script in the page run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
