"""Who is let in, and what is kept of them."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dashboard.access import kept
from dashboard.access.gate import policy
from dashboard.access.guesses import (
    EVERYONE,
    FIRST_WAIT_S,
    FREE,
    FREE_FOR_ALL,
    LONGEST_FOR_ALL_S,
    LONGEST_WAIT_S,
    NAMES_KEPT,
    Guesses,
)
from dashboard.access.sessions import FILE as SESSIONS_FILE
from dashboard.access.sessions import SESSIONS_KEPT, Sessions, cookie_name
from dashboard.access.sign_in import PAGES, _next
from dashboard.access.verifier import FILE as OWNERS_FILE
from dashboard.access.verifier import Verifier
from dashboard.settings import Settings

SOON = timedelta(hours=1)


def opened(sessions: Sessions, token: str | None = "the-cloud-token", **more: object) -> str:
    fields = {
        "email": "a@b.example",
        "owner_id": "owner-1",
        "site": "home",
        "token": token,
        "expires_at": datetime.now(UTC) + SOON,
        "browser": "Firefox/1",
    }
    return sessions.open(**(fields | more))  # type: ignore[arg-type]


class TestSessions:
    def test_a_cookie_is_known_again_after_a_restart(self, tmp_path: Path) -> None:
        cookie = opened(Sessions(tmp_path))
        signed = Sessions(tmp_path).of(cookie)
        assert signed is not None
        assert (signed.email, signed.token, signed.site) == (
            "a@b.example",
            "the-cloud-token",
            "home",
        )

    def test_the_file_holds_neither_cookie_nor_token_and_is_ours_alone(
        self, tmp_path: Path
    ) -> None:
        cookie = opened(Sessions(tmp_path))
        file = tmp_path / SESSIONS_FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert cookie not in file.read_text()
        assert "the-cloud-token" not in file.read_text()

    @given(st.text(max_size=100))
    def test_no_other_cookie_is_a_session(self, cookie: str) -> None:
        sessions = Sessions(Path("/nonexistent"))
        assert sessions.of(cookie) is None
        assert sessions.of(None) is None

    def test_what_is_over_is_over(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        cookie = opened(sessions, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        assert sessions.of(cookie) is None
        assert sessions.of_owner("owner-1") == []

    def test_signing_out_elsewhere_leaves_this_browser(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        here, there = opened(sessions), opened(sessions)
        stranger = opened(sessions, owner_id="owner-2")
        signed = sessions.of(here)
        assert signed is not None
        assert len(sessions.of_owner("owner-1")) == 2
        assert sessions.close_others(signed) == 1
        assert sessions.of(here) is not None
        assert sessions.of(there) is None
        assert sessions.of(stranger) is not None
        sessions.close(signed.session)
        assert Sessions(tmp_path).of(here) is None

    def test_the_oldest_makes_room(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        cookies = [opened(sessions, token=None) for _ in range(SESSIONS_KEPT + 1)]
        assert sessions.of(cookies[0]) is None
        assert sessions.of(cookies[-1]) is not None

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', '{"x": {"email": 3}}', "\x00"])
    def test_a_damaged_file_costs_nobody_the_page(self, tmp_path: Path, content: str) -> None:
        (tmp_path / SESSIONS_FILE).write_text(content)
        sessions = Sessions(tmp_path)
        assert sessions.of(opened(sessions)) is not None

    def test_a_token_sealed_for_another_cookie_is_no_token(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        one, other = opened(sessions), opened(sessions, token="another")
        rows = kept.read(tmp_path / SESSIONS_FILE)
        first, second = rows
        rows[first]["sealed"], rows[second]["sealed"] = (
            rows[second]["sealed"],
            rows[first]["sealed"],
        )
        kept.write(tmp_path / SESSIONS_FILE, rows)
        swapped = Sessions(tmp_path)
        for cookie in (one, other):
            signed = swapped.of(cookie)
            assert signed is not None
            assert signed.token is None

    def test_two_homes_on_one_machine_have_cookies_of_their_own(self) -> None:
        assert cookie_name(8602) != cookie_name(8603)


class TestVerifier:
    def test_only_the_confirmed_password_is_recognised(self, tmp_path: Path) -> None:
        Verifier(tmp_path).remember("A@b.example", "right \ud800", "owner-1", "home")
        verifier = Verifier(tmp_path)
        known = verifier.recognise("a@B.example", "right \ud800")
        assert known is not None
        assert (known.owner_id, known.site) == ("owner-1", "home")
        assert verifier.recognise("a@b.example", "wrong") is None
        assert verifier.recognise("other@b.example", "right \ud800") is None
        assert stat.S_IMODE((tmp_path / OWNERS_FILE).stat().st_mode) == 0o600
        assert "right" not in (tmp_path / OWNERS_FILE).read_text()
        verifier.forget("a@b.example")
        assert Verifier(tmp_path).recognise("a@b.example", "right \ud800") is None


class TestGuesses:
    def test_a_few_are_free_and_then_each_waits_longer(self) -> None:
        guesses, now = Guesses(), 1_000.0
        assert [guesses.admit("a", now) for _ in range(FREE)] == [0.0] * FREE
        waits: list[float] = []
        for _ in range(12):
            waits.append(guesses.admit("a", now))
            now += waits[-1]
            assert guesses.admit("a", now) == 0.0
        assert waits[0] == FIRST_WAIT_S
        assert waits == sorted(waits)
        assert waits[-1] == LONGEST_WAIT_S

    def test_the_right_one_is_forgiven_and_others_are_not_held_up(self) -> None:
        guesses = Guesses()
        for _ in range(FREE):
            guesses.admit("a", 0.0)
        assert guesses.admit("a", 0.0) > 0
        assert guesses.admit("b", 0.0) == 0.0
        guesses.right("a")
        assert guesses.admit("a", 0.0) == 0.0

    def test_what_nobody_decided_is_no_guess(self) -> None:
        guesses = Guesses()
        for _ in range(10 * FREE):
            assert guesses.admit("a", 0.0) == 0.0
            guesses.undecided("a")

    def test_many_names_are_slowed_together_but_never_for_long(self) -> None:
        guesses = Guesses()
        waits = [guesses.admit(f"name {n}", 0.0) for n in range(FREE_FOR_ALL + 1)]
        assert waits[:FREE_FOR_ALL] == [0.0] * FREE_FOR_ALL
        assert 0 < waits[-1] <= LONGEST_FOR_ALL_S

    def test_memory_is_bounded(self) -> None:
        guesses = Guesses()
        for n in range(NAMES_KEPT + 50):
            guesses.admit(f"name {n}", n * 100.0)
        assert len(guesses._tries) <= NAMES_KEPT
        assert EVERYONE in guesses._tries


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/today", "/today/../x", "today", "", None, "/sign-out"],
)
def test_after_signing_in_one_never_goes_elsewhere(wanted: str | None) -> None:
    assert _next(wanted) == PAGES[0]


def test_after_signing_in_one_goes_where_one_wanted() -> None:
    assert [_next(page) for page in PAGES] == list(PAGES)


def test_the_policy_names_no_other_origin_unless_tiles_are_asked_for() -> None:
    assert "http" not in policy(None)
    assert "img-src 'self' data: blob: https://*.tiles.example;" in policy(
        "https://{s}.tiles.example/{z}/{x}/{y}.png"
    )


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)//{z}",
        "https://t.example/{z}; script-src *",
        "https://t.example/{z}'",
        "https://t.example/no-placeholder",
    ],
)
def test_a_tile_url_cannot_widen_the_policy(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(tile_url=url)
