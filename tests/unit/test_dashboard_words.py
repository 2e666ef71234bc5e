"""What the page says, and the arithmetic behind its charts."""

from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.material_icon_names import ALL_MATERIAL_ICONS

from dashboard.answers import Pet, Place, Zone, one_card_each
from dashboard.markup import tag
from dashboard.places import Origin, direction, home_of, origin_of, whereabouts, zones_of
from dashboard.settings import Settings
from dashboard.words import (
    BATTERY_STEPS,
    DOINGS,
    accuracy,
    battery,
    clock_time,
    doing,
    duration,
    fact,
    freshness,
    length,
    named,
    observed,
    people,
    sureness,
)
from plugins.sdk.behaviours import Behaviour

NOW = datetime(2026, 7, 1, 12, 20, tzinfo=UTC)
HOME = Zone(name="Home", lat_deg=60.0, lon_deg=24.0, radius_m=40.0)


def place(lat_deg: float = 60.0, lon_deg: float = 24.0, accuracy_m: float = 6.0) -> Place:
    return Place(
        lat_deg=lat_deg, lon_deg=lon_deg, accuracy_m=accuracy_m, observed_at=NOW, age_s=0.0
    )


def pet(pet_id: str, name: str, collar_id: str = "c1", until: datetime | None = None) -> Pet:
    return Pet(
        pet_id=pet_id,
        name=name,
        species="dog",
        collar_id=collar_id,
        online=True,
        behaviour=None,
        behaviour_at=None,
        behaviour_until=until,
        heard_at=None,
        anomaly=None,
        battery_pct=None,
        stale=False,
        place=None,
        observations=[],
        open_alerts=0,
    )


def test_every_behaviour_of_the_models_has_words_and_an_icon_that_exists() -> None:
    assert set(DOINGS) == set(Behaviour)
    assert {each.icon for each in DOINGS.values()} <= ALL_MATERIAL_ICONS


def test_an_unknown_behaviour_is_shown_by_its_own_name() -> None:
    assert doing("dig_hole").text == "dig hole"
    assert doing(None).text == "nothing heard yet"


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (-200, "just now"),
        (0, "just now"),
        (12, "12 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_600, "1 h ago"),
        (3_780, "1 h 3 min ago"),
        (47 * 3_600, "47 h ago"),
        (48 * 3_600, "2 days ago"),
    ],
)
def test_freshness_is_told_in_the_unit_people_use(age_s: float, text: str) -> None:
    assert freshness(NOW - timedelta(seconds=age_s), NOW) == text


def test_what_was_never_heard_is_never() -> None:
    assert freshness(None, NOW) == "never"
    assert duration(-5) == "0 s"


def test_distances_and_accuracy_have_units() -> None:
    assert [length(m) for m in (6.4, 999.4, 1_240)] == ["6 m", "999 m", "1.2 km"]
    assert [accuracy(m) for m in (0.0, 5.7, 2_400)] == ["± 1 m", "± 6 m", "± 2.4 km"]


def test_no_model_is_ever_quite_sure() -> None:
    assert sureness(1.0) == "99 % sure"


def test_moods_are_observations() -> None:
    assert observed("emotion", "calm", 0.72) == "Seems calm · 72 % sure"
    assert observed("emotion", "unsure", 0.4) == "Mood not clear enough to say"
    assert observed("gait", "short_steps", 0.8) == "Gait: short steps · 80 % sure"


@given(st.floats(0, 100))
def test_every_battery_level_has_an_icon(battery_pct: float) -> None:
    assert battery(battery_pct)[1] in ALL_MATERIAL_ICONS
    assert BATTERY_STEPS == 7


def test_a_low_battery_says_so() -> None:
    assert [battery(pct)[2] for pct in (None, 80.0, 20.0, 5.0)] == [
        "unknown",
        "good",
        "low",
        "alarm",
    ]


def test_details_of_alerts_carry_their_units() -> None:
    assert fact("distance_m", 23.44) == "distance 23.4 m"
    assert fact("uneasy_s", 1_500.0) == "uneasy 25 min"
    assert fact("zone", "Home") == "zone Home"
    assert fact("m", 3) == "m 3"


def test_a_time_of_another_day_has_its_date() -> None:
    helsinki = ZoneInfo("Europe/Helsinki")
    assert clock_time(NOW, helsinki, NOW) == "15:20"
    assert clock_time(NOW - timedelta(days=1), helsinki, NOW) == "Tue 30 Jun 15:20"


@given(st.text())
def test_words_from_outside_stay_words(text: str) -> None:
    html = tag("b", "name", text, title=text)
    inner = html.removesuffix("</b>").rpartition(">")[2]
    assert unescape(inner) == text
    assert html.count("<") == 2
    assert html.count(">") == 2


class TestPlaces:
    def test_home_is_the_zone_called_so(self) -> None:
        zones = {"a": HOME.model_copy(update={"name": "Field"}), "z": HOME}
        assert origin_of(zones, []) == Origin(60.0, 24.0, "Home")

    def test_without_a_zone_home_is_where_the_track_began(self) -> None:
        assert origin_of({}, [place(61.0, 25.0)]) == Origin(61.0, 25.0)
        assert origin_of({}, []) is None
        assert home_of([pet("rex", "Rex")], {}) is None

    def test_a_zone_may_be_of_one_pet(self) -> None:
        zones = {"a": HOME, "b": HOME.model_copy(update={"pet_id": "rex"})}
        assert list(zones_of("bella", zones)) == ["a"]
        assert list(zones_of("rex", zones)) == ["a", "b"]

    def test_whereabouts_are_a_zone_or_a_way_from_home(self) -> None:
        zones, origin = {"home": HOME}, Origin(60.0, 24.0, "Home")
        assert whereabouts(place(), zones, origin) == "in Home"
        assert whereabouts(place(60.01), zones, origin) == "1.1 km north of Home"
        assert whereabouts(place(60.5, 24.5), {}, Origin(60.0, 24.0)) == "60.50000, 24.50000"

    def test_metres_take_the_short_way_round_the_world(self) -> None:
        east_m, _ = Origin(0.0, 179.999).metres(0.0, -179.999)
        assert 0 < east_m < 300

    @given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    def test_every_way_has_a_direction(self, east_m: float, north_m: float) -> None:
        assert direction(east_m, north_m)


def test_of_two_collars_on_one_pet_the_fresher_one_is_shown() -> None:
    old, new = pet("rex", "Rex", "c1", NOW - timedelta(hours=1)), pet("rex", "Rex", "c2", NOW)
    assert one_card_each([new, pet("bella", "bella"), old]) == [pet("bella", "bella"), new]


def test_on_loopback_the_page_answers_to_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "ALLOWED_HOSTS"):
        monkeypatch.delenv(f"DASHBOARD_{name}", raising=False)
    assert "127.0.0.1" in Settings().browser_hosts
    assert Settings(host="0.0.0.0").browser_hosts == []
    assert Settings(allowed_hosts=["pets.example"]).browser_hosts == ["pets.example"]


@given(st.text(max_size=300), st.integers(2, 60))
def test_a_name_is_one_short_line_that_turns_nothing_round(text: str, limit: int) -> None:
    name = named(text, limit)
    bare = name.removeprefix("\u2068").removesuffix("\u2069")
    assert 0 < len(bare) <= max(limit, len("(no name)"))
    assert "\n" not in bare
    assert not any(mark in bare for mark in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")


def test_a_name_from_right_to_left_is_isolated_from_the_sentence() -> None:
    assert named("רקס") == "\u2068רקס\u2069"
    assert people(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
