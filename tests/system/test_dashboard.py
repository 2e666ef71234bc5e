"""The page against a real gateway: its script, and what a real browser makes of it."""

import asyncio
import math
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import streamlit as st
from playwright.async_api import Page, async_playwright, expect
from streamlit.testing.v1 import AppTest

from dashboard import app
from gateway.wire.messages import ActivityEpoch, Fix, Message, Presence, Status
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind
from gateway.wire.uplink import EnrolledCollar
from pawmesh.embedded.ports import free_ports
from tests.system.home import Collar, Home, birth, running_home, send

HOME = (60.1920, 24.9458)
M_PER_DEG = 111_195.0
EVIL = "<img src=x onerror=alert(1)> **Rex** :red[x] [y](http://evil.example)"
PATIENCE_MS = 60_000
CHROMIUM = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROUTINE = [  # by hour: what a dog mostly does
    *["sleep"] * 6, "walk", "eat", "rest", "sleep", "sleep", "rest",
    "walk", "sniff", "rest", "sleep", "play", "walk", "eat", "rest", "play", "rest", "sleep",
    "sleep",
]  # fmt: skip
ODBA_G = {"sleep": 0.02, "rest": 0.05, "sniff": 0.3, "walk": 0.6, "play": 1.4, "eat": 0.2}


def collar(collar_id: str, pet_id: str, name: str) -> EnrolledCollar:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    return EnrolledCollar(collar_id=collar_id, pet_id=pet_id, pet_name=name, assigned_at=long_ago)


def fix(collar_id: str, seq: int, at: datetime, east_m: float, north_m: float) -> Fix:
    return Fix(
        collar_id=collar_id,
        boot=1,
        seq=seq,
        observed_at=at,
        lat_deg=HOME[0] + north_m / M_PER_DEG,
        lon_deg=HOME[1] + east_m / M_PER_DEG / math.cos(math.radians(HOME[0])),
        accuracy_m=6.0,
    )


def minute(collar_id: str, seq: int, at: datetime, behaviour: str, rng: random.Random) -> Message:
    second = rng.choice(["walk", "sniff", "rest", "unsure", "scratch", behaviour])
    share = rng.uniform(35, 60)
    seconds = {second: 60 - share, behaviour: share} if second != behaviour else {behaviour: 60.0}
    return ActivityEpoch(
        collar_id=collar_id,
        boot=1,
        seq=seq,
        observed_at=at,
        seconds=seconds,
        odba_g=ODBA_G.get(behaviour, 1.2) * rng.uniform(0.7, 1.3),
        windows=30,
        battery_pct=81.0,
    )


def a_day(collar_id: str, now: datetime, away: bool, hours: int = 24) -> Collar:
    """What a collar has to tell of its last day; ``away``: the pet leaves its home at the end."""
    rng = random.Random(collar_id)
    messages: list[tuple[Kind, Message]] = [(Kind.BIRTH, birth(collar_id))]
    for back in range(hours * 60, 0, -1):
        at = now - timedelta(minutes=back)
        behaviour = ROUTINE[at.hour] if back > 5 else "walk"
        messages.append((Kind.EPOCH, minute(collar_id, len(messages), at, behaviour, rng)))
    for back in range(100, -1, -1):
        angle, radius = back / 9, 14 + 10 * math.sin(back / 7)
        walk = max(0, 12 - back) * 6.0 if away else 0.0
        east_m, north_m = radius * math.cos(angle) + walk, radius * math.sin(angle) + walk / 2
        at = now - timedelta(seconds=30 * back)
        messages.append((Kind.FIX, fix(collar_id, len(messages), at, east_m, north_m)))
    return Collar(collar_id, messages)


async def deliver(home: Home, *collars: Collar, online: bool = True) -> None:
    await asyncio.gather(*(each.deliver(home.broker_url) for each in collars))
    async with connect(BrokerUrl.parse(home.broker_url), "teller") as session:
        for each in collars:
            state = Presence.ONLINE if online else Presence.OFFLINE
            send(session, Kind.STATUS, Status(collar_id=each.collar_id, state=state, boot=1))
        await session.drained()


def draw_zone(home: Home) -> None:
    zone = {"name": "Home", "lat_deg": HOME[0], "lon_deg": HOME[1], "radius_m": 40.0}
    with home.api as api:
        api.put("/v1/zones/home", json=zone).raise_for_status()


def words_of(page: AppTest) -> str:
    assert not page.exception
    return "".join(each.value for each in page.html if not each.value.startswith("<style"))


async def rerun(page: AppTest) -> str:
    await asyncio.to_thread(page.run)
    return words_of(page)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    """Two pets; the name of one is hostile."""
    collars = [collar("c1", "bella", "Bella"), collar("c2", "rex", EVIL)]
    async with running_home(tmp_path, collars) as home:
        monkeypatch.setenv("DASHBOARD_GATEWAY_URL", f"http://127.0.0.1:{home.port}")
        yield home


@pytest.fixture
def page() -> Iterator[AppTest]:
    yield AppTest.from_file(app.__file__, default_timeout=60)
    st.cache_resource.clear()


class TestScript:
    async def test_a_silent_home_waits_and_a_lively_one_is_told(
        self, home: Home, page: AppTest
    ) -> None:
        words = await rerun(page)
        assert words.count("Nothing heard yet") == words.count("No position yet") == 2
        assert words.count("Nothing recorded yet") == 2
        assert "All is well" in words

        draw_zone(home)
        now = datetime.now(UTC)
        await deliver(home, a_day("c1", now, away=False, hours=2), a_day("c2", now, away=True))
        async with asyncio.timeout(60):
            wanted = {"Left Home": 1, "Walking<": 2, "Seems": 1, ">online<": 2}
            while any(words.count(each) < times for each, times in wanted.items()):
                words = await rerun(page)
        assert "In Home" in words
        assert "north-east of Home" in words
        assert "81 %" in words
        assert "not diagnoses" in words
        assert "seen by geofence" in words
        assert "Nothing has left this home" in words
        assert len(page.get("plotly_chart")) == 4
        assert "&lt;img src=x onerror=alert(1)&gt; **Rex**" in words
        assert "<img" not in words
        assert not page.markdown  # where names would need another kind of escaping

    async def test_what_fails_for_one_pet_hides_no_other(self, home: Home, page: AppTest) -> None:
        now = datetime.now(UTC)
        await deliver(home, *(a_day(each, now, away=False, hours=1) for each in ("c1", "c2")))
        assert "could not be read" not in await rerun(page)
        await home.execute("UPDATE message SET payload = x'00' WHERE collar_id = 'c2' AND seq = 5")
        other = AppTest.from_file(app.__file__, default_timeout=60)
        words = await rerun(other)
        assert words.count("The track and the day could not be read") == 1
        assert len(other.get("plotly_chart")) == 3
        await home.execute("UPDATE message SET payload = x'00' WHERE collar_id = 'c2'")
        words = await rerun(other)
        assert words.count("Walking") == 2  # in the head and the legend of the other
        assert words.count("Nothing heard yet") == 1

    async def test_old_news_are_marked_as_old(self, home: Home, page: AppTest) -> None:
        past = datetime.now(UTC) - timedelta(hours=3)
        await deliver(home, a_day("c1", past, away=False, hours=1), online=False)
        long_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1e6
        await home.execute("UPDATE message SET received_us = ?", int(long_ago))
        words = await rerun(page)
        assert "Nothing new since" in words
        assert "3 h ago" in words
        assert ">offline<" in words

    async def test_without_the_gateway_it_says_so_keeps_what_it_knows_and_recovers(
        self, home: Home, page: AppTest
    ) -> None:
        home.kill()
        words = await rerun(page)
        assert "cannot be reached" in words
        assert "Bella" not in words
        home.start()
        await home.ready()
        words = await rerun(page)
        assert "Bella" in words
        assert "cannot be reached" not in words
        home.kill()
        words = await rerun(page)
        assert "cannot be reached" in words
        assert "What you see is from" in words
        assert "Bella" in words

    async def test_a_wrong_token_is_explained(
        self, home: Home, page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = tmp_path / "token"
        monkeypatch.setenv("DASHBOARD_GATEWAY_TOKEN_FILE", str(token))
        assert "cannot be read" in await rerun(page)
        token.write_text("wrong")
        assert "DASHBOARD_GATEWAY_TOKEN_FILE" in await rerun(page)
        token.write_text((home.data_dir / "gateway.token").read_text())
        assert "Bella" in await rerun(page)

    async def test_of_many_pets_the_charts_are_shown_on_demand(
        self, tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many = [collar(f"d{n}", f"pet{n}", f"Pet {n}") for n in range(7)]
        async with running_home(tmp_path / "many", many) as crowd:
            monkeypatch.setenv("DASHBOARD_GATEWAY_URL", f"http://127.0.0.1:{crowd.port}")
            await deliver(crowd, *(a_day(f"d{n}", datetime.now(UTC), False, 1) for n in (0, 1)))
            assert (await rerun(page)).count('"pm-name"') == 7
            assert not page.get("plotly_chart")
            page.toggle(key="show-pet1").set_value(True)
            await rerun(page)
            assert len(page.get("plotly_chart")) == 2

    async def test_a_home_without_collars_says_how_to_add_one(
        self, tmp_path: Path, page: AppTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_home(tmp_path / "empty", []) as empty:
            monkeypatch.setenv("DASHBOARD_GATEWAY_URL", f"http://127.0.0.1:{empty.port}")
            assert "No collars yet" in await rerun(page)
            assert page.code[0].value.startswith("pawmesh collar add")


@contextmanager
def dashboard_of(home: Home, folder: Path) -> Iterator[str]:
    """The dashboard's process, started in a folder of no meaning; yields its address."""
    port = free_ports(1)[0]
    env = {"DASHBOARD_GATEWAY_URL": f"http://127.0.0.1:{home.port}", "DASHBOARD_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard"], env=os.environ | env, cwd=folder
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


async def answers(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        while True:
            try:
                (await http.get(f"{url}/_stcore/health")).raise_for_status()
                return
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM
        )
        page = await browser.new_page(viewport={"width": 1480, "height": 1050})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        await browser.close()


async def test_in_a_browser_it_lives_and_calls_nobody_else(home: Home, tmp_path: Path) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    draw_zone(home)
    now = datetime.now(UTC)
    bella, rex = a_day("c1", now, False, hours=2), a_day("c2", now, True, hours=2)
    await deliver(home, bella, rex)
    called: set[str] = set()
    complaints: list[str] = []
    with dashboard_of(home, tmp_path) as url:
        await answers(url)
        async with browser_page() as page:
            page.on("request", lambda request: called.add(request.url))
            page.on("websocket", lambda socket: called.add(socket.url))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda said: complaints.append(said.text) if said.type == "error" else None,
            )
            await page.goto(url)
            await expect(page.locator(".pm-name")).to_have_text([EVIL, "Bella"])
            await expect(page.locator(".js-plotly-plot")).to_have_count(4)
            await expect(page.locator(".st-key-alerts")).to_contain_text("Left Home")
            await page.evaluate("window.sameDocument = true")
            symbols = "document.fonts.check('20px \"Material Symbols Rounded\"')"
            assert await page.evaluate(symbols)

            card = page.locator(".st-key-pet-bella")
            await expect(card).to_contain_text("Walking")
            run = ActivityEpoch(
                collar_id="c1",
                boot=1,
                seq=len(bella.messages),
                observed_at=datetime.now(UTC) - timedelta(seconds=60),
                seconds={"run": 60.0},
                battery_pct=7.0,
            )
            bella.messages.append((Kind.EPOCH, run))
            await deliver(home, bella)
            await expect(card.locator(".pm-doing")).to_contain_text("Running")
            await expect(card.locator(".pm-chips")).to_contain_text("7 %")

            home.kill()
            await expect(page.locator(".pm-trouble")).to_contain_text("cannot be reached")
            await expect(card).to_contain_text("Running")
            home.start()
            await home.ready()
            await expect(page.locator(".pm-trouble")).to_have_count(0)
            assert await page.evaluate("window.sameDocument")
    assert complaints == []
    assert {urlsplit(each).netloc for each in called} - {""} == {urlsplit(url).netloc}
    assert {urlsplit(each).scheme for each in called} <= {"http", "ws", "data", "blob"}


def test_a_port_in_use_has_its_own_exit_code(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = os.environ | {"DASHBOARD_PORT": str(taken.getsockname()[1])}
        ended = subprocess.run(
            [sys.executable, "-m", "dashboard"], env=env, cwd=tmp_path, capture_output=True
        )
    assert ended.returncode == 4
    assert b"is in use" in ended.stderr
