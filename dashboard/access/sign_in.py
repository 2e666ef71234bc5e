"""The page to sign in on: plain HTML, so that nothing runs before it is known for whom."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.access.door import Door, Refused, Why
from dashboard.access.gate import SIGN_IN, SIGN_OUT
from dashboard.markup import Html, tag
from dashboard.settings import Settings

PAGES = ("/today", "/places", "/alerts", "/sharing", "/account")
MAX_FORM_BYTES = 4_096
STATUS = {Why.WRONG: 401, Why.SLOW_DOWN: 429, Why.STRANGER: 403, Why.AWAY: 503, Why.BROKEN: 503}
NO_CLOUD = (
    "This dashboard does not know where its cloud is, so nobody can sign in. Start it with "
    "DASHBOARD_CLOUD_URL set to the cloud's address, such as http://127.0.0.1:8600."
)
SCRIPT = """
document.querySelector("form")?.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button");
  setTimeout(() => { button.disabled = true; button.textContent = "Signing in …"; });
});
"""
MEDIA = Path(streamlit.__file__).parent / "static" / "static" / "media"
FONT = next((each.name for each in MEDIA.glob("SourceSansVF-Upright*.woff2")), "")
SCRIPT_HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()


def routes(settings: Settings, door: Callable[[], Door], cookie: str) -> list[Route]:
    """The routes to sign in and out."""

    async def show(request: Request) -> Response:
        if door().sessions.of(request.cookies.get(cookie)) is not None:
            return RedirectResponse(_next(request.query_params.get("next")), 303)
        known = settings.cloud_url is not None
        note = "You are signed out." if "out" in request.query_params else ""
        return _page(_next(request.query_params.get("next")), note=note, known=known)

    async def sign_in(request: Request) -> Response:
        form = await _form(request)
        email, then = form.get("email", ""), _next(form.get("next"))
        try:
            value, expires_at = await run_in_threadpool(
                door().sign_in,
                email,
                form.get("password", ""),
                address=request.client.host if request.client else "",
                browser=request.headers.get("user-agent", ""),
            )
        except Refused as refused:
            known = settings.cloud_url is not None
            return _page(
                then, email=email, trouble=str(refused), known=known, status=STATUS[refused.why]
            )
        answer = RedirectResponse(then, 303)
        answer.set_cookie(
            cookie,
            value,
            max_age=max(0, int((expires_at - datetime.now(UTC)).total_seconds())),
            httponly=True,
            samesite="strict",
            secure=settings.https or request.url.scheme == "https",
        )
        return answer

    async def sign_out(request: Request) -> Response:
        signed = door().sessions.of(request.cookies.get(cookie))
        if signed is not None:
            await run_in_threadpool(door().sign_out, signed)
        answer = RedirectResponse(f"{SIGN_IN}?out", 303)
        answer.delete_cookie(cookie, httponly=True, samesite="strict")
        return answer

    async def home(_: Request) -> Response:
        return RedirectResponse(PAGES[0], 303)

    return [
        Route("/", home),
        Route(SIGN_IN, show),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


def _next(wanted: str | None) -> str:
    """Where to go on: a page of ours, never anywhere else."""
    return wanted if wanted in PAGES else PAGES[0]


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; none of one that is too large or no form."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=8, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _page(
    then: str,
    *,
    email: str = "",
    trouble: str = "",
    note: str = "",
    known: bool = True,
    status: int = 200,
) -> HTMLResponse:
    assets = files("dashboard") / "assets"
    said = tag("p", "pm-said", note, role="status") if note else Html("")
    if not known:
        trouble = NO_CLOUD
    if trouble:
        said = tag("p", "pm-wrong", trouble, role="alert")
    page = Template((assets / "sign_in.html").read_text("utf-8")).substitute(
        tokens=(assets / "tokens.css").read_text("utf-8"),
        said=said,
        form="" if known else "hidden",
        email=escape(email[:254]),
        next=then,
        focus_email="" if email else "autofocus",
        focus_password="autofocus" if email else "",
        script=SCRIPT,
        font=f"/static/media/{FONT}",
    )
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})
