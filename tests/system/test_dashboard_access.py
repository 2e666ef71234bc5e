"""Signing in: the right ones pass, nobody else, whatever state cloud, gateway and disk are in."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from dashboard.access.door import Door, Refused, Why
from dashboard.access.guesses import FREE
from dashboard.access.sessions import Sessions
from dashboard.access.verifier import Verifier
from dashboard.cloud import Cloud
from dashboard.errors import SignedOut
from dashboard.gateway import Gateway
from tests.patience import PATIENCE_S
from tests.system.dashboard_kit import (
    ELSEWHERE,
    EMAIL,
    PASSWORD,
    Household,
    dashboard_answers,
    running_dashboard,
    running_household,
)
from tests.system.home import SITE

HTML = {"accept": "text/html"}
NO_CLOUDS: list[tuple[int, bytes, dict[str, str], Why]] = [
    (429, b"", {"retry_after": "7"}, Why.SLOW_DOWN),
    (429, b"", {"retry_after": "soon"}, Why.SLOW_DOWN),
    (200, b"<html>a hotel's page</html>", {}, Why.BROKEN),
    (201, b'{"token": "a\\nb: c", "owner_id": 1}', {}, Why.BROKEN),
    (201, b"[" * 100_000, {}, Why.BROKEN),
    (302, b"", {"location": "http://127.0.0.1:1/"}, Why.BROKEN),
    (422, b'{"detail": ["x"]}', {}, Why.BROKEN),
    (422, b"[" * 100_000, {}, Why.BROKEN),
    (404, b'{"detail": "Not Found"}', {}, Why.BROKEN),
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud that is away refuses at once; one that is slow is not away."""
    monkeypatch.setattr("dashboard.cloud.TIMEOUT_S", PATIENCE_S)


@pytest.fixture
async def household(tmp_path: Path, database: str) -> AsyncIterator[Household]:
    async with running_household(tmp_path, database, {"bella": "Bella"}) as household:
        yield household


@contextmanager
def door_of(household: Household, cloud_url: str | None = None) -> Iterator[Door]:
    """The door as it is after a start: what it knows is on disk."""
    folder = household.folder / "dashboard"
    gateway = Gateway(
        f"http://127.0.0.1:{household.home.port}", household.home.data_dir / "gateway.token"
    )
    cloud = Cloud(cloud_url or household.cloud.url)
    try:
        yield Door(gateway, cloud, Sessions(folder), Verifier(folder))
    finally:
        gateway.close()
        cloud.close()


@contextmanager
def cloud_of(household: Household) -> Iterator[Cloud]:
    cloud = Cloud(household.cloud.url)
    try:
        yield cloud
    finally:
        cloud.close()


def enter(door: Door, email: str = EMAIL, password: str = PASSWORD) -> str:
    return door.sign_in(email, password, address="::1", browser="")[0]


def refusal(door: Door, email: str = EMAIL, password: str = PASSWORD) -> Why:
    with pytest.raises(Refused) as refused:
        enter(door, email, password)
    assert str(refused.value).endswith((".", "?"))
    return refused.value.why


def opens_a_socket(url: str, origin: str, cookie: str) -> bool:
    """Whether a browser's page from there gets Streamlit's socket."""
    try:
        with connect(
            url.replace("http", "ws") + "/_stcore/stream",
            origin=Origin(origin),
            additional_headers={"Cookie": cookie},
        ):
            return True
    except InvalidStatus:
        return False


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server that is no cloud: it answers everything in one way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))  # or closing would reset
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_DELETE = do_POST  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestDoor:
    async def test_the_owner_of_this_home_passes_and_no_other(self, household: Household) -> None:
        def check() -> None:
            with door_of(household) as door:
                signed = door.sessions.of(enter(door))
                assert signed is not None
                assert (signed.email, signed.site) == (EMAIL, SITE)
                assert signed.token is not None
                assert refusal(door, password="wrong password") is Why.WRONG
                assert refusal(door, email="nobody@example.org") is Why.WRONG
                assert refusal(door, email="") is Why.WRONG
                assert refusal(door, password="x" * 10_000) is Why.WRONG
                assert refusal(door, email=ELSEWHERE) is Why.STRANGER
                door.sign_out(signed)
            with cloud_of(household) as cloud, pytest.raises(SignedOut):
                cloud.sites(signed.token)

        await asyncio.to_thread(check)

    async def test_without_the_cloud_only_who_was_here_before_passes(
        self, household: Household
    ) -> None:
        def check() -> None:
            with door_of(household) as door:
                enter(door)
                assert refusal(door, email=ELSEWHERE) is Why.STRANGER
            household.cloud.kill()
            with door_of(household) as door:
                signed = door.sessions.of(enter(door))
                assert signed is not None
                assert signed.token is None
                assert refusal(door, password="wrong password") is Why.AWAY
                assert refusal(door, email=ELSEWHERE) is Why.AWAY

        await asyncio.to_thread(check)

    async def test_a_cloud_that_hangs_is_one_that_is_away(
        self, household: Household, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def check() -> None:
            with door_of(household) as door:
                enter(door)
            monkeypatch.setattr("dashboard.cloud.TIMEOUT_S", 0.5)
            with (
                socket.create_server(("127.0.0.1", 0)) as silent,
                door_of(household, f"http://127.0.0.1:{silent.getsockname()[1]}") as door,
            ):
                assert door.sessions.of(enter(door)) is not None

        await asyncio.to_thread(check)

    async def test_what_is_no_cloud_lets_nobody_in(self, household: Household) -> None:
        def check() -> None:
            for status, body, headers, why in NO_CLOUDS:
                with answering(status, body, **headers) as url, door_of(household, url) as door:
                    assert refusal(door) is why, (status, body[:20])

        await asyncio.to_thread(check)

    async def test_guessing_has_to_wait_and_the_owner_elsewhere_has_not(
        self, household: Household
    ) -> None:
        def check() -> None:
            with door_of(household) as door:
                for _ in range(FREE):
                    assert refusal(door, password="wrong password") is Why.WRONG
                assert refusal(door) is Why.SLOW_DOWN
                assert door.sign_in(EMAIL, PASSWORD, address="10.0.0.9", browser="")[0]

        await asyncio.to_thread(check)

    async def test_without_the_gateway_whose_home_it_is_is_remembered_or_not_said(
        self, household: Household
    ) -> None:
        def check() -> None:
            household.home.kill()
            with door_of(household) as door:
                assert refusal(door) is Why.BROKEN
            household.home.start()

        await asyncio.to_thread(check)
        await household.home.ready()

        def again() -> None:
            with door_of(household) as door:
                enter(door)
                household.home.kill()
                assert enter(door)

        await asyncio.to_thread(again)

    async def test_a_session_that_the_cloud_ended_is_over_here(self, household: Household) -> None:
        def check() -> None:
            with door_of(household) as door, cloud_of(household) as cloud:
                signed = door.sessions.of(cookie := enter(door))
                assert signed is not None
                assert signed.token is not None
                door.confirm(signed)
                assert door.sessions.of(cookie) is not None
                cloud.sign_out(signed.token)
                door.confirm(signed)
                assert door.sessions.of(cookie) is None

        await asyncio.to_thread(check)

    async def test_a_gateway_of_another_home_ends_the_session(self, household: Household) -> None:
        def check() -> None:
            with door_of(household) as door:
                signed = door.sessions.of(cookie := enter(door))
                assert signed is not None
                door.confirm(replace(signed, site="elsewhere"))
                assert door.sessions.of(cookie) is None

        await asyncio.to_thread(check)


class TestGate:
    @pytest.fixture
    async def url(self, household: Household, tmp_path: Path) -> AsyncIterator[str]:
        with running_dashboard(household.env, tmp_path) as url:
            await dashboard_answers(url)
            yield url

    async def test_a_stranger_gets_the_sign_in_page_and_nothing_else(self, url: str) -> None:
        def check() -> None:
            with httpx2.Client(base_url=url, timeout=PATIENCE_S) as http:
                for path in ("/", "/today", "/places", "/nowhere", "/_stcore/host-config", "/x/y"):
                    answer = http.get(path, headers=HTML)
                    assert answer.status_code == 303, path
                    assert answer.headers["location"].startswith("/sign-in?next=")
                assert http.get("/_stcore/script-health-check").status_code == 401
                assert http.post("/_stcore/agent/interact", json={}).status_code in (401, 403)
                page = http.get("/sign-in?next=https://evil.example")
                assert page.status_code == 200
                assert 'name="next" value="/today"' in page.text
                assert "evil" not in page.text
                assert "default-src 'self'" in page.headers["content-security-policy"]
                evil = {"host": "evil.example"}
                assert http.get("/sign-in", headers=evil).status_code == 400
                assert http.get("/_stcore/health", headers=evil).status_code == 200
            assert not opens_a_socket(url, url, "")

        await asyncio.to_thread(check)

    async def test_the_cookie_is_for_this_page_s_requests_alone(self, url: str) -> None:
        def check() -> None:
            form = {"email": EMAIL, "password": PASSWORD, "next": "/sharing"}
            with httpx2.Client(base_url=url, timeout=PATIENCE_S) as http:
                for origin in ("http://evil.example", f"{url}@evil.example", "null", "http://["):
                    sent = {"origin": origin}
                    assert http.post("/sign-in", data=form, headers=sent).status_code == 403, origin
                assert http.post("/sign-in", data=form).status_code == 403
                own = {"origin": url}
                wrong = http.post("/sign-in", data=form | {"password": "wrong"}, headers=own)
                assert wrong.status_code == 401
                assert 'role="alert"' in wrong.text
                assert "set-cookie" not in wrong.headers
                hostile = http.post("/sign-in", data={"email": '"><script>'}, headers=own)
                assert '"><script>' not in hostile.text
                assert http.post("/sign-in", content=b"\xff" * 9_000, headers=own).is_error
                right = http.post("/sign-in", data=form, headers=own)
                assert (right.status_code, right.headers["location"]) == (303, "/sharing")
                cookie = SimpleCookie(right.headers["set-cookie"])
                [(name, kept)] = cookie.items()
                assert kept["httponly"]
                assert kept["samesite"] == "strict"
                assert kept["path"] == "/"
                assert kept.value not in right.headers["location"]
                assert http.get("/sharing", headers=HTML).status_code == 200
                assert http.get("/sign-in", headers=HTML).headers["location"] == "/today"
                jar = f"{name}={kept.value}"
                assert not opens_a_socket(url, "http://127.0.0.1:1", jar)
                assert opens_a_socket(url, url, jar)
                assert http.post("/sign-out", headers={"origin": "null"}).status_code == 403
                out = http.post("/sign-out", headers=own)
                assert out.headers["location"] == "/sign-in?out"
                http.cookies.set(name, kept.value)
                assert http.get("/today", headers=HTML).status_code == 303

        await asyncio.to_thread(check)

    async def test_who_guesses_has_to_wait_whatever_address_they_name(self, url: str) -> None:
        def check() -> None:
            form = {"email": EMAIL, "password": "wrong"}
            with httpx2.Client(base_url=url, headers={"origin": url}, timeout=PATIENCE_S) as http:
                answers = [
                    http.post(
                        "/sign-in", data=form, headers={"x-forwarded-for": f"10.0.0.{n}"}
                    ).status_code
                    for n in range(FREE + 1)
                ]
            assert answers == [401] * FREE + [429]

        await asyncio.to_thread(check)

    async def test_without_a_cloud_it_says_how_to_set_one(
        self, household: Household, tmp_path: Path
    ) -> None:
        env = {key: value for key, value in household.env.items() if "CLOUD" not in key}
        with running_dashboard(env, tmp_path) as url:
            await dashboard_answers(url)
            page = await asyncio.to_thread(httpx2.get, f"{url}/sign-in")
        assert "DASHBOARD_CLOUD_URL" in page.text
