"""The pages' script against a real gateway and a real cloud: every panel's every state."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from os import environ
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import app
from dashboard.house import open_house
from dashboard.reader import COOKIE
from gateway.wire.messages import ActivityEpoch, Event
from gateway.wire.topics import Kind
from gateway.wire.uplink import EnrolledCollar
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.dashboard_kit import (
    EMAIL,
    LONG_AGO,
    PASSWORD,
    Household,
    a_day,
    deliver,
    draw_zone,
    eventually,
    running_household,
)
from tests.system.home import SITE, Home, running_home

EVIL = "<img src=x onerror=alert(1)> **Rex** :red[x]"  # as long as the cloud takes one
EVIL_TOLD = "&lt;img src=x onerror=alert(1)&gt; **Rex** :red"


def collar(collar_id: str, pet_id: str, name: str) -> EnrolledCollar:
    return EnrolledCollar(collar_id=collar_id, pet_id=pet_id, pet_name=name, assigned_at=LONG_AGO)


def words_of(page: AppTest) -> str:
    assert not page.exception
    return "".join(each.value for each in page.html if not each.value.startswith(("<style", "/*")))


async def rerun(page: AppTest) -> str:
    await asyncio.to_thread(page.run)
    return words_of(page)


async def click(page: AppTest, key: str) -> str:
    await asyncio.to_thread(page.button(key=key).click().run)
    return words_of(page)


async def until(page: AppTest, holds: Callable[[str], bool]) -> str:
    async with asyncio.timeout(PATIENCE_S):
        words = await rerun(page)
        while not holds(words):
            await asyncio.sleep(0.2)
            words = await rerun(page)
    return words


def has_taken_all_in(home: Home) -> bool:
    """Whether nobody in the gateway is still to read what it stored."""
    with home.api as api:
        status = api.get("/v1/status").json()
    return status["unjudged"] == status["undecided"] == 0


def surroundings(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for name in [each for each in environ if each.startswith("DASHBOARD_")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    for service in ("cloud", "gateway"):  # who is away refuses at once; who is slow is not away
        monkeypatch.setattr(f"dashboard.{service}.TIMEOUT_S", PATIENCE_S)


def signed_in(page: AppTest, site: str = SITE, token: str | None = None) -> AppTest:
    """As a browser is whose owner has signed in."""
    page.session_state[COOKIE] = open_house().door.sessions.open(
        email=EMAIL,
        owner_id="owner-1",
        site=site,
        token=token,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        browser="Firefox/1",
    )
    return page


def of(view: str) -> AppTest:
    """One page of the dashboard, without the bar around it."""
    script = f"""
from dashboard import reader
from dashboard.views import frame, {view}
frame.draw_signed_out() if reader.signed_in() is None else {view}.draw()
"""
    return AppTest.from_string(script, default_timeout=PATIENCE_S)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    """Two pets; the name of one is hostile."""
    collars = [collar("c1", "bella", "Bella"), collar("c2", "rex", EVIL)]
    async with running_home(tmp_path, collars) as home:
        surroundings(
            monkeypatch,
            {
                "DASHBOARD_GATEWAY_URL": f"http://127.0.0.1:{home.port}",
                "DASHBOARD_GATEWAY_TOKEN_FILE": str(home.data_dir / "gateway.token"),
                "DASHBOARD_STATE_DIR": str(tmp_path / "dashboard"),
            },
        )
        yield home


@pytest.fixture
def page(home: Home) -> AppTest:
    return signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S))


class TestToday:
    async def test_a_silent_home_waits_and_a_lively_one_is_told(
        self, home: Home, page: AppTest
    ) -> None:
        words = await rerun(page)
        assert words.count("Nothing heard yet") == words.count("No position yet") == 2
        assert words.count("No minute of the last day has arrived yet") == 2
        assert "All is well" in words

        draw_zone(home)
        now = datetime.now(UTC)
        await deliver(home, a_day("c1", now, away=False, hours=2), a_day("c2", now, away=True))
        wanted = {"Left Home": 1, "Walking<": 2, "Seems": 1, ">online<": 2}
        words = await until(
            page, lambda words: all(words.count(each) >= n for each, n in wanted.items())
        )
        assert "In Home" in words
        assert "north-east of Home" in words
        assert "81 %" in words
        assert "not diagnoses" in words
        assert "Nothing has left this home" in words
        assert EVIL_TOLD in words
        assert "<img" not in words
        assert not page.markdown  # where names would need another kind of escaping

    async def test_a_stranger_sees_no_pet(self, home: Home) -> None:
        stranger = AppTest.from_file(app.__file__, default_timeout=PATIENCE_S)
        words = await rerun(stranger)
        assert "You are signed out" in words
        assert "Bella" not in words
        stranger.session_state[COOKIE] = "guessed"
        assert "Bella" not in await rerun(stranger)

    async def test_a_session_that_ends_takes_the_pets_with_it(
        self, home: Home, page: AppTest
    ) -> None:
        assert "Bella" in await rerun(page)
        sessions = open_house().door.sessions
        signed = sessions.of(page.session_state[COOKIE])
        assert signed is not None
        sessions.close(signed.session)
        words = await rerun(page)
        assert "Bella" not in words
        assert "You are signed out" in words

    async def test_what_fails_for_one_pet_hides_no_other(self, home: Home, page: AppTest) -> None:
        now = datetime.now(UTC)
        days = [a_day(each, now, away=False, hours=1) for each in ("c1", "c2")]
        noticed = Event(
            **{"collar_id": "c2", "boot": 1, "seq": len(days[1].messages), "observed_at": now},
            name="scratch",
            confidence=0.9,
        )
        days[1].messages.append((Kind.EVENT, noticed))
        await deliver(home, *days)
        await eventually(lambda: has_taken_all_in(home))  # who reads what is spoilt now would fail
        assert "could not be read" not in await rerun(page)
        spoil = "UPDATE message SET payload = x'00' WHERE collar_id = 'c2'"
        await home.execute(f"{spoil} AND kind = 'event'")
        words = await rerun(signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S)))
        assert words.count("The last day could not be read") == 1
        assert words.count('"pm-legend"') == 2, "what could be read is shown"
        await home.execute(f"{spoil} AND seq = 5")
        other = signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S))
        words = await rerun(other)
        assert words.count("The last day could not be read") == 1
        assert words.count("Walking") >= 2  # in the head and the legend of the other
        await home.execute(spoil)
        words = await rerun(other)
        assert words.count("Nothing heard yet") == 1

    async def test_old_news_are_marked_as_old(self, home: Home, page: AppTest) -> None:
        past = datetime.now(UTC) - timedelta(hours=3)
        await deliver(home, a_day("c1", past, away=False, hours=1), online=False)
        long_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1e6
        await home.execute("UPDATE message SET received_us = ?", int(long_ago))
        words = await rerun(page)
        assert "Nothing new since" in words
        assert "3 h" in words
        assert ">offline<" in words
        assert not [each for each in page.button if each.key == "correct-bella"]

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
        self, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = tmp_path / "token"
        monkeypatch.setenv("DASHBOARD_GATEWAY_TOKEN_FILE", str(token))
        page = signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S))
        assert "cannot be read" in await rerun(page)
        token.write_text("wrong")
        assert "DASHBOARD_GATEWAY_TOKEN_FILE" in await rerun(page)
        token.write_text((home.data_dir / "gateway.token").read_text())
        assert "Bella" in await rerun(page)

    async def test_of_many_pets_the_days_are_shown_on_demand(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many = [collar(f"d{n}", f"pet{n}", f"Pet {n}") for n in range(7)]
        async with running_home(tmp_path / "many", many) as crowd:
            surroundings(
                monkeypatch,
                {
                    "DASHBOARD_GATEWAY_URL": f"http://127.0.0.1:{crowd.port}",
                    "DASHBOARD_STATE_DIR": str(tmp_path / "crowd"),
                },
            )
            page = signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S))
            await deliver(crowd, *(a_day(f"d{n}", datetime.now(UTC), False, 1) for n in (0, 1)))
            assert (await rerun(page)).count('"pm-name"') == 7
            assert "pm-legend" not in words_of(page)
            page.toggle(key="show-pet1").set_value(True)
            await rerun(page)
            assert words_of(page).count("pm-legend") == 1

    async def test_a_home_without_collars_says_how_to_add_one(
        self, tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running_home(tmp_path / "empty", []) as empty:
            monkeypatch.setenv("DASHBOARD_GATEWAY_URL", f"http://127.0.0.1:{empty.port}")
            token = str(empty.data_dir / "gateway.token")
            monkeypatch.setenv("DASHBOARD_GATEWAY_TOKEN_FILE", token)
            page = signed_in(AppTest.from_file(app.__file__, default_timeout=PATIENCE_S))
            assert "No collars yet" in await rerun(page)
            assert page.code[0].value.startswith("pawmesh collar add")


class TestCorrecting:
    async def test_one_click_says_what_it_does_and_one_takes_it_back(
        self, home: Home, page: AppTest
    ) -> None:
        await deliver(home, a_day("c1", datetime.now(UTC), away=False, hours=1))
        await until(page, lambda words: "Is Bella walking?" in words)
        await click(page, "correct-bella")
        words = await click(page, "correct-bella-sniff")
        assert "Noted: sniffing around" in words
        assert "It stays at home" in words
        assert "Sniffing around<" in words
        assert "you said so" in words
        with home.api as api:
            [kept] = api.get("/v1/pets/bella/corrections").json()
        assert kept["behaviour"] == "sniff"
        begins, ends = (datetime.fromisoformat(kept[each]) for each in ("start_at", "end_at"))
        assert ends - begins == timedelta(minutes=1)
        words = await click(page, "undo-bella")
        assert "Is Bella walking?" in words
        with home.api as api:
            assert api.get("/v1/pets/bella/corrections").json() == []

    async def test_yes_is_an_answer_too(self, home: Home, page: AppTest) -> None:
        await deliver(home, a_day("c1", datetime.now(UTC), away=False, hours=1))
        await until(page, lambda words: "Is Bella walking?" in words)
        assert "Noted: walking" in await click(page, "confirm-bella")

    async def test_of_what_the_collar_is_unsure_about_it_asks(
        self, home: Home, page: AppTest
    ) -> None:
        day = a_day("c1", datetime.now(UTC), away=False, hours=1)
        unsure = ActivityEpoch(
            collar_id="c1",
            boot=1,
            seq=len(day.messages),
            observed_at=datetime.now(UTC) - timedelta(seconds=60),
            seconds={"unsure": 60.0},
        )
        day.messages.append((Kind.EPOCH, unsure))
        await deliver(home, day)
        await until(page, lambda words: "What is Bella doing?" in words)
        await click(page, "correct-bella")
        shown = {each.key for each in page.button}
        assert {"correct-bella-sleep", "correct-bella-vehicle"} <= shown
        assert "correct-bella-unsure" not in shown

    async def test_a_correction_that_fails_says_so_and_nothing_is_noted(
        self, home: Home, page: AppTest
    ) -> None:
        await deliver(home, a_day("c1", datetime.now(UTC), away=False, hours=1))
        await until(page, lambda words: "Is Bella walking?" in words)
        home.kill()
        words = await click(page, "confirm-bella")
        assert "cannot be reached" in words
        assert "Noted" not in words
        home.start()
        await home.ready()
        words = await rerun(page)
        assert "It was not taken" in words
        assert "Noted: walking" in await click(page, "confirm-bella")

    async def test_one_who_is_signed_out_corrects_nothing(self, home: Home, page: AppTest) -> None:
        await deliver(home, a_day("c1", datetime.now(UTC), away=False, hours=1))
        await until(page, lambda words: "Is Bella walking?" in words)
        sessions = open_house().door.sessions
        signed = sessions.of(page.session_state[COOKIE])
        assert signed is not None
        sessions.close(signed.session)
        assert "You are signed out" in await click(page, "confirm-bella")
        with home.api as api:
            assert api.get("/v1/pets/bella/corrections").json() == []


class TestPlacesAlertsAndAccount:
    async def test_places_are_empty_then_told_in_words_too(self, home: Home) -> None:
        page = signed_in(of("places"))
        assert "No collar has told a position yet" in await rerun(page)
        draw_zone(home)
        await deliver(home, a_day("c2", datetime.now(UTC), away=True, hours=1))
        words = await until(page, lambda words: "north-east of Home" in words)
        assert "No position yet" in words  # Bella
        assert "40 m around" in words
        assert "<img" not in words
        home.kill()
        words = await rerun(page)
        assert "cannot be reached" in words
        assert "north-east of Home" in words

    async def test_an_alert_has_a_life_and_can_be_seen(self, home: Home) -> None:
        page = signed_in(of("alerts"))
        assert "All is well: no open alert." in await rerun(page)
        draw_zone(home)
        await deliver(home, a_day("c2", datetime.now(UTC), away=True, hours=1))
        words = await until(page, lambda words: "Left Home" in words)
        assert "seen by geofence" in words
        assert EVIL_TOLD in words
        [seen] = [each.key for each in page.button if each.key and "acknowledge" in each.key]
        assert "You saw it" in await click(page, seen)
        assert not page.button
        await home.execute(
            "UPDATE alert SET title = '<script>alert(1)</script>', severity = '\"><b>', detail = ?",
            '{"<b>": "<i>", "n_m": 1e300}',
        )
        words = await rerun(page)
        assert "<script" not in words
        assert "<b>" not in words.replace("<b class", "")
        home.kill()
        assert "cannot be reached" in await rerun(page)

    async def test_the_account_says_who_and_signs_out_the_others(self, home: Home) -> None:
        page = signed_in(of("account"))
        assert EMAIL in await rerun(page)
        assert not page.button
        signed_in(of("account"))
        words = await until(page, lambda words: words.count("signed in ") >= 2)
        assert "Firefox" in words
        await click(page, "sign-out-others")
        assert EMAIL in await rerun(page)
        assert not page.button


class TestSharing:
    @pytest.fixture
    async def household(
        self, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Household]:
        async with running_household(tmp_path, database, {"bella": EVIL}) as household:
            surroundings(monkeypatch, household.env)
            yield household

    async def test_a_grant_is_two_clicks_and_can_be_taken_back(self, household: Household) -> None:
        door = open_house().door
        cookie, _ = door.sign_in(EMAIL, PASSWORD, address="::1", browser="")
        page = of("sharing")
        page.session_state[COOKIE] = cookie
        words = await rerun(page)
        assert "nothing shared" in words
        assert "Nothing earned yet" in words
        assert EVIL_TOLD in words
        assert "<img" not in words
        words = await click(page, "grant-raw-bella")
        assert "What leaves the house" in words
        await click(page, "give-raw-bella")
        words = await until(page, lambda words: "1 shared" in words)
        with household.owner() as owner:
            [grant] = owner.get("/v1/grants").json()
        assert (grant["stream"], grant["purpose"]) == ("raw", "training")
        await click(page, "withdraw-raw-bella")
        await until(page, lambda words: "nothing shared" in words)
        with household.owner() as owner:
            [grant] = owner.get("/v1/grants").json()
        assert grant["withdrawn_at"] is not None

    async def test_without_the_cloud_home_goes_on_and_sharing_says_so(
        self, household: Household
    ) -> None:
        door = open_house().door
        cookie, _ = door.sign_in(EMAIL, PASSWORD, address="::1", browser="")
        page, today = of("sharing"), of("today")
        page.session_state[COOKIE] = today.session_state[COOKIE] = cookie
        assert "nothing shared" in await rerun(page)
        household.cloud.kill()
        words = await until(page, lambda words: "The cloud cannot be reached" in words)
        assert "do not need it" in words
        assert "nothing shared" in words  # as it was
        await click(page, "grant-activity-bella")
        assert "Nothing was changed" in await click(page, "give-activity-bella")
        assert EVIL_TOLD in await rerun(today)
        fresh = of("sharing")
        fresh.session_state[COOKIE] = cookie
        words = await rerun(fresh)
        assert "which is away" in words
        assert "They are not lost" in words
        remembered, _ = door.sign_in(EMAIL, PASSWORD, address="::1", browser="")
        page = of("sharing")
        page.session_state[COOKIE] = remembered
        assert "You signed in while the cloud was away" in await rerun(page)
        household.cloud.start()
        await household.cloud.ready()
        await until(fresh, lambda words: "nothing shared" in words)

    async def test_a_session_ended_in_the_cloud_ends_here(self, household: Household) -> None:
        door = open_house().door
        cookie, _ = door.sign_in(EMAIL, PASSWORD, address="::1", browser="")
        page = of("sharing")
        page.session_state[COOKIE] = cookie
        signed = door.sessions.of(cookie)
        assert signed is not None
        assert signed.token is not None
        cloud = open_house().cloud
        assert cloud is not None
        cloud.sign_out(signed.token)
        assert "You are signed out" in await rerun(page)
        assert door.sessions.of(cookie) is None


def start_dashboard(folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "dashboard"],
        env=environ | {f"DASHBOARD_{name}": value for name, value in env.items()},
        cwd=folder,
        capture_output=True,
    )


def test_a_port_in_use_has_its_own_exit_code(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = start_dashboard(tmp_path, PORT=str(taken.getsockname()[1]))
    assert ended.returncode == 4
    assert b"is in use" in ended.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    ended = start_dashboard(tmp_path, TILE_URL="nowhere")
    assert ended.returncode == 2
    assert b"DASHBOARD_TILE_URL" in ended.stderr


def test_a_state_folder_that_cannot_be_has_its_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder, port = tmp_path / "file" / "below", free_ports(1)[0]
    ended = start_dashboard(tmp_path, STATE_DIR=str(folder), PORT=str(port))
    assert ended.returncode == 6
    assert b"DASHBOARD_STATE_DIR" in ended.stderr
