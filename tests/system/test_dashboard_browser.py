"""An owner's evening in a real browser: sign in, see, correct, share, earn, sign out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, async_playwright, expect

from gateway.wire.messages import ActivityEpoch, Event, Power
from gateway.wire.topics import Kind
from tests.patience import PATIENCE_S
from tests.system.dashboard_kit import (
    EMAIL,
    PASSWORD,
    Household,
    a_day,
    dashboard_answers,
    deliver,
    draw_zone,
    eventually,
    fix,
    running_dashboard,
    running_household,
    seal_all,
)

EVIL = "<img src=x onerror=alert(1)> **Rex** :red[x]"
PATIENCE_MS = 1_000 * PATIENCE_S
CHROMIUM = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def browser_page(**more: object) -> AsyncIterator[Page]:
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=CHROMIUM
        )
        page = await browser.new_page(**({"viewport": {"width": 1480, "height": 1050}} | more))
        page.set_default_timeout(PATIENCE_MS)
        yield page
        await browser.close()


class Heard:
    """All that a page asked for, and all it complained of."""

    def __init__(self, page: Page) -> None:
        self.called: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.called.add(request.url))
        page.on("websocket", lambda socket: self.called.add(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._take)

    def _take(self, said: object) -> None:
        text: str = said.text  # type: ignore[attr-defined]
        if said.type == "error" and " 401 " not in text:  # type: ignore[attr-defined]
            self.complaints.append(text)  # a wrong password is answered 401, and Chromium notes it

    def require_peace(self, url: str) -> None:
        assert self.complaints == []
        assert {urlsplit(each).netloc for each in self.called} - {""} == {urlsplit(url).netloc}
        schemes = {urlsplit(each).scheme for each in self.called}
        assert schemes <= {"http", "ws", "data", "blob"}


async def sign_in(page: Page, password: str = PASSWORD) -> None:
    await page.locator(".st-key-sign-in-email input").fill(EMAIL)
    await page.locator(".st-key-sign-in-password input").fill(password)
    await page.locator(".st-key-sign-in button").click()


@pytest.fixture
async def household(tmp_path: Path, database: str) -> AsyncIterator[Household]:
    pets = {"bella": "Bella", "rex": EVIL}
    async with running_household(tmp_path, database, pets) as household:
        draw_zone(household.home)
        yield household


async def test_an_owner_s_evening(household: Household, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    bella, rex = a_day("c1", now, False, hours=2, seals=True), a_day("c2", now, True, hours=2)
    seal_all(bella, household.keys["c1"])
    await deliver(household.home, bella, rex)
    with running_dashboard(household.env, tmp_path) as url:
        await dashboard_answers(url)
        async with browser_page() as page:
            heard = Heard(page)
            await page.goto(url)
            await sign_in(page, "not my password")
            await expect(page.get_by_role("alert")).to_contain_text("wrong")
            await sign_in(page)
            await expect(page.locator(".pm-name")).to_have_text([EVIL, "Bella"])
            assert urlsplit(page.url).path == "/today"
            assert await page.evaluate("document.cookie + localStorage.length") != ""
            assert "pawmesh" not in await page.evaluate("document.cookie")

            await sees_them_move(household, bella, page)
            await corrects(page)
            await shares_and_earns(household, bella, page)

            await page.reload()
            await expect(page.locator(".pm-h1")).to_have_text("Sharing")
            await page.locator(".st-key-sign-out button").click()
            await expect(page.get_by_role("status")).to_contain_text("signed out")
            await page.goto(f"{url}/today")
            await expect(page.locator(".st-key-sign-in button")).to_be_visible()
    heard.require_peace(url)


async def sees_them_move(household: Household, bella: object, page: Page) -> None:
    """A behaviour and a position change while the page stands, and the map keeps its view."""
    card = page.locator(".st-key-pet-bella")
    await expect(card).to_contain_text("Walking")
    await page.evaluate("window.sameDocument = true")
    symbols = "document.fonts.check('20px \"Material Symbols Rounded\"')"
    assert await page.evaluate(symbols)
    pet = page.locator(".st-key-map-card [data-pet=bella]")
    await expect(pet).to_be_visible()
    await page.get_by_role("button", name="Closer").click()
    scale = page.locator(".st-key-map-card text.scale")
    chosen = await scale.text_content()
    before = await pet.get_attribute("data-x")
    at = datetime.now(UTC)
    run = ActivityEpoch(
        collar_id="c1",
        boot=1,
        seq=len(bella.messages),  # type: ignore[attr-defined]
        observed_at=at - timedelta(seconds=60),
        seconds={"run": 60.0},
        battery_pct=7.0,
    )
    bella.messages.append((Kind.EPOCH, run))  # type: ignore[attr-defined]
    power = Power(
        **{"collar_id": "c1", "boot": 1, "seq": len(bella.messages), "observed_at": at},  # type: ignore[attr-defined]
        period_s=3_600.0,
        battery_pct=7.0,
        days_left=1.04,
        joules={"gnss": 6.0, "wifi": 3.0, "imu": 1.0},
    )
    bella.messages.append((Kind.POWER, power))  # type: ignore[attr-defined]
    for name, lasted_s in (("itch", 200.0), ("sensor_fault", 0.0)):
        happened = Event(
            **{"collar_id": "c1", "boot": 1, "seq": len(bella.messages), "observed_at": at},  # type: ignore[attr-defined]
            name=name,
            confidence=0.9,
            duration_s=lasted_s,
        )
        bella.messages.append((Kind.EVENT, happened))  # type: ignore[attr-defined]
    moved = fix("c1", len(bella.messages), at, 31.0, 4.0)  # type: ignore[attr-defined]
    bella.messages.append((Kind.FIX, moved))  # type: ignore[attr-defined]
    await deliver(household.home, bella)  # type: ignore[arg-type]
    await expect(card.locator(".pm-doing")).to_contain_text("Running")
    await expect(card.locator(".pm-chips")).to_contain_text("7 %")
    await expect(card.locator(".pm-energy")).to_contain_text("Battery lasts about 25 hours")
    await expect(card.locator(".pm-facts")).to_contain_text("Motion sensor fails")
    await expect(card.locator(".pm-facts")).to_contain_text("Scratches much more than healthy pets")
    await expect(card.locator(".pm-energy .pm-key").first).to_have_text("Satellite position60 %")
    await expect(pet).not_to_have_attribute("data-x", before or "")
    assert await scale.text_content() == chosen
    assert await page.evaluate("window.sameDocument")


async def corrects(page: Page) -> None:
    """One click for now, then another for a stretch of the day, by keyboard."""
    card = page.locator(".st-key-pet-bella")
    await card.locator(".st-key-correct-bella button").click()
    await card.locator(".st-key-correct-bella-play button").click()
    await expect(card).to_contain_text("Noted: playing")
    await expect(card.locator(".pm-doing")).to_contain_text("Playing")
    await card.locator(".st-key-undo-bella button").click()
    await expect(card.locator(".pm-doing")).to_contain_text("Running")
    ribbon = card.get_by_role("listbox")
    await ribbon.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Enter"):
        await page.keyboard.press(key)
    await expect(card).to_contain_text("What was it really?")
    await card.locator(".st-key-correct-bella-sniff button").click()
    await expect(card).to_contain_text("Noted: sniffing around")
    await expect(ribbon.locator(".bar.said")).to_have_count(1)


async def shares_and_earns(household: Household, bella: object, page: Page) -> None:
    """Two clicks let activity out; what then leaves earns tokens, which are shown with why."""
    await page.locator(".st-key-nav").get_by_text("Sharing").click()
    await expect(page.locator(".st-key-left")).to_contain_text("Nothing has left this home")
    await page.locator(".st-key-grant-activity-bella button").click()
    await page.locator(".st-key-give-activity-bella button").click()
    await expect(page.locator(".st-key-sharing-bella")).to_contain_text("1 shared")

    def granted() -> bool:
        with household.home.api as api:
            return api.post("/v1/registry/refresh").json()["version"] > before

    with household.home.api as api:
        before = api.get("/v1/status").json()["registry_version"] - 1
    await eventually(granted)
    await asyncio.sleep(0.1)  # what is observed from here on lies under the grant
    messages = bella.messages  # type: ignore[attr-defined]
    first = len(messages)
    for number in range(60):
        epoch = ActivityEpoch(
            collar_id="c1",
            boot=1,
            seq=len(messages),
            observed_at=datetime.now(UTC) - timedelta(milliseconds=60 - number),
            period_s=1.0,
            seconds={"run": 1.0},
        )
        messages.append((Kind.EPOCH, epoch))
    seal_all(bella, household.keys["c1"], first)  # type: ignore[arg-type]
    await deliver(household.home, bella)  # type: ignore[arg-type]
    await expect(page.locator(".st-key-left")).to_contain_text("left the house")
    await expect(page.locator(".pm-amount")).not_to_have_text("0")
    await expect(page.locator(".st-key-earned")).to_contain_text("The collar's signature proves it")


async def test_it_survives_the_gateway_and_the_cloud(household: Household, tmp_path: Path) -> None:
    await deliver(household.home, a_day("c1", datetime.now(UTC), False, hours=1))
    with running_dashboard(household.env, tmp_path) as url:
        await dashboard_answers(url)
        async with browser_page(
            viewport={"width": 390, "height": 844}, color_scheme="dark"
        ) as page:
            heard = Heard(page)
            await page.goto(f"{url}/alerts")
            await sign_in(page)
            await expect(page.locator(".pm-h1")).to_have_text("Alerts")
            await page.locator(".st-key-nav").get_by_text("Today").click()
            card = page.locator(".st-key-pet-bella")
            await expect(card).to_contain_text("Walking")
            await page.evaluate("window.sameDocument = true")
            household.cloud.kill()
            household.home.kill()
            await expect(page.locator(".pm-trouble")).to_contain_text("cannot be reached")
            await expect(card).to_contain_text("Walking")
            household.home.start()
            await household.home.ready()
            await expect(page.locator(".pm-trouble")).to_have_count(0)
            assert await page.evaluate("window.sameDocument")
            wide = "document.documentElement.scrollWidth <= window.innerWidth"
            assert await page.evaluate(wide)
            await page.locator(".st-key-sign-out button").click()
            await sign_in(page)  # the cloud is away
            await expect(card).to_contain_text("Walking")
            await page.goto(f"{url}/sharing")
            await expect(page.get_by_text("while the cloud was away")).to_be_visible()
    heard.require_peace(url)
