"""The gate before every request: without a session there is only the page to sign in on.

It stands before Streamlit, so a stranger's request starts no script and opens no socket. Every
answer forbids the browser to load or send anything elsewhere.
"""

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.access.sessions import Sessions

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
HEALTH = "/_stcore/health"  # for who looks after the process, and calls it by no public name
OPEN = (SIGN_IN, HEALTH, "/favicon.png")
LIBRARY = "/static/"  # Streamlit's own scripts and fonts, the same for everyone
CHANGES = ("POST", "PUT", "PATCH", "DELETE")


def policy(tile_url: str | None, scripts: Sequence[str] = ()) -> str:
    """The Content-Security-Policy of our pages: this origin, and nothing else.

    Args:
        tile_url: Map tiles that the owner has asked for are let in as images.
        scripts: Hashes of the scripts that the pages carry in themselves.
    """
    tiles = "" if tile_url is None else f" {_origin(tile_url)}"
    inline = "".join(f" '{each}'" for each in scripts)
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' blob:{inline}",  # Streamlit hands components on as blobs
            "style-src 'self' 'unsafe-inline'",  # it styles by inline sheets
            f"img-src 'self' data: blob:{tiles}",
            "font-src 'self' data:",
            "connect-src 'self' blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class Gate:
    """ASGI middleware.

    Args:
        app: What is behind the gate.
        sessions: Those who may pass.
        cookie: Name of the cookie that says who they are.
        hosts: Names the page may be called by; empty: any.
        csp: The pages' Content-Security-Policy.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Callable[[], Sessions],
        cookie: str,
        hosts: Sequence[str],
        csp: str,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._cookie = cookie
        self._hosts = hosts
        self._csp = csp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, self._guarded(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401, "reason": "sign in"})
        else:
            await refusal(scope, receive, self._guarded(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path: str = scope["path"]
        host = headers.get("host", "")
        if self._hosts and path != HEALTH and _hostname(host) not in self._hosts:
            return PlainTextResponse("This page has another name.", 400)
        changes = scope["type"] == "websocket" or scope["method"] in CHANGES
        if changes and not self._same_origin(headers, host):
            return PlainTextResponse("Only this page's own pages may do that.", 403)
        if path in OPEN or path.startswith(LIBRARY):
            return None
        if self._sessions().of(cookie_parser(headers.get("cookie", "")).get(self._cookie)):
            return None
        if scope["type"] == "http" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(f"{SIGN_IN}?next={quote(path, safe='')}", 303)
        return PlainTextResponse("Sign in first.", 401)

    @staticmethod
    def _same_origin(headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        try:
            return bool(host) and urlsplit(origin).netloc == host
        except ValueError:  # no URL at all
            return False

    def _guarded(self, send: Send) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self._csp
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
            await send(message)

        return guarded


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _origin(url: str) -> str:
    """The part of a tile URL that a policy names; a placeholder in it becomes any name."""
    parts = urlsplit(url)
    host = parts.netloc.replace("{s}", "*")
    return f"{parts.scheme}://{host}"
