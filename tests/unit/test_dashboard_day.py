"""The last day as stretches, the night behind it, and what may be corrected of it."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.answers import Correction, Epoch
from dashboard.day import VOUCHED, Stretch, around, blocks_of, stretches_of, totals
from dashboard.pictures import _chosen
from dashboard.sun import elevation_deg, nights
from dashboard.words import DOINGS, SAYABLE

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
DAY_AGO = NOW - timedelta(days=1)


def epoch(minutes_ago: float, seconds: dict[str, float], period_s: float = 60.0) -> Epoch:
    at = NOW - timedelta(minutes=minutes_ago)
    return Epoch(observed_at=at, period_s=period_s, seconds=seconds)


def said(begin_ago: float, end_ago: float, behaviour: str, said_ago: float = 0.0) -> Correction:
    return Correction(
        correction_id="c1",
        start_at=NOW - timedelta(minutes=begin_ago),
        end_at=NOW - timedelta(minutes=end_ago),
        behaviour=behaviour,
        said_at=NOW - timedelta(minutes=said_ago),
    )


def told(stretches: list[Stretch]) -> list[tuple[float, str, bool]]:
    return [(each.seconds / 60, each.behaviour, each.corrected) for each in stretches]


class TestStretches:
    def test_minutes_of_the_same_are_one_stretch_and_a_gap_parts_them(self) -> None:
        epochs = [epoch(n, {"rest": 40, "walk": 20}) for n in (10, 9, 8)]
        epochs += [epoch(n, {"walk": 60}) for n in (7, 3, 2)]
        found = stretches_of(epochs, [], DAY_AGO, NOW)
        assert told(found) == [(3, "rest", False), (1, "walk", False), (2, "walk", False)]

    def test_the_owner_s_word_lies_over_the_collar_s(self) -> None:
        epochs = [epoch(n, {"rest": 60}) for n in range(10, 0, -1)]
        found = stretches_of(epochs, [said(7, 5, "sleep")], DAY_AGO, NOW)
        assert told(found) == [(3, "rest", False), (2, "sleep", True), (5, "rest", False)]

    def test_of_two_words_the_last_said_counts(self) -> None:
        epochs = [epoch(n, {"rest": 60}) for n in range(10, 0, -1)]
        first, then = said(8, 2, "walk", said_ago=2), said(6, 4, "run", said_ago=1)
        for corrections in ([first, then], [then, first]):
            found = stretches_of(epochs, corrections, DAY_AGO, NOW)
            assert told(found) == [
                (2, "rest", False),
                (2, "walk", True),
                (2, "run", True),
                (2, "walk", True),
                (2, "rest", False),
            ]

    def test_a_word_about_a_part_of_a_long_period_cuts_it(self) -> None:
        found = stretches_of(
            [epoch(60, {"rest": 3_600}, 3_600)], [said(40, 30, "eat")], DAY_AGO, NOW
        )
        assert told(found) == [(20, "rest", False), (10, "eat", True), (30, "rest", False)]

    def test_nothing_is_drawn_before_the_day_or_after_now(self) -> None:
        epochs = [epoch(24 * 60 + 5, {"rest": 3_600}, 3_600), epoch(1, {"run": 300}, 300)]
        found = stretches_of(epochs, [], DAY_AGO, NOW)
        assert found[0].begins_at == DAY_AGO
        assert found[-1].ends_at == NOW

    def test_an_empty_period_is_no_stretch(self) -> None:
        assert stretches_of([epoch(5, {}), epoch(4, {"rest": 0})], [], DAY_AGO, NOW) == []

    @given(
        st.lists(
            st.tuples(st.floats(0, 1_500), st.floats(1, 3_600), st.sampled_from(list(DOINGS))),
            max_size=30,
        ),
        st.lists(
            st.tuples(st.floats(0, 1_500), st.floats(0.1, 60), st.sampled_from(SAYABLE)),
            max_size=8,
        ),
    )
    def test_stretches_never_overlap_and_never_leave_the_day(
        self, spans: list[tuple[float, float, str]], words: list[tuple[float, float, str]]
    ) -> None:
        epochs = [epoch(ago, {name: period_s}, period_s) for ago, period_s, name in spans]
        corrections = [
            said(ago, ago - length, name, said_ago=index)
            for index, (ago, length, name) in enumerate(words)
        ]
        found = stretches_of(epochs, corrections, DAY_AGO, NOW)
        assert all(DAY_AGO <= each.begins_at < each.ends_at <= NOW for each in found)
        assert all(one.ends_at <= two.begins_at for one, two in itertools.pairwise(found))
        assert sum(totals(found).values()) == pytest.approx(sum(each.seconds for each in found))


class TestBlocks:
    def test_what_ten_minutes_mostly_were_is_what_is_drawn(self) -> None:
        routine = ["rest", "rest", "walk", "rest", "sniff", "rest", "rest", "walk", "rest", "rest"]
        epochs = [epoch(20 - n, {name: 60}) for n, name in enumerate(routine)]
        epochs += [epoch(10 - n, {"run" if n % 3 else "walk": 60}) for n in range(10)]
        found = blocks_of(stretches_of(epochs, [], DAY_AGO, NOW))
        assert told(found) == [(10, "rest", False), (10, "run", False)]

    def test_the_owner_s_word_stays_as_it_was_said(self) -> None:
        epochs = [epoch(n, {"rest": 60}) for n in range(30, 0, -1)]
        found = blocks_of(stretches_of(epochs, [said(17, 16, "eat")], DAY_AGO, NOW))
        assert told(found) == [(13, "rest", False), (1, "eat", True), (16, "rest", False)]

    @given(
        st.lists(st.tuples(st.floats(0, 1_500), st.sampled_from(list(DOINGS))), max_size=60),
        st.lists(st.tuples(st.floats(0, 1_500), st.floats(0.1, 60)), max_size=5),
    )
    def test_blocks_never_overlap(
        self, minutes: list[tuple[float, str]], words: list[tuple[float, float]]
    ) -> None:
        epochs = [epoch(ago, {name: 60}) for ago, name in minutes]
        corrections = [said(ago, ago - length, "eat") for ago, length in words]
        found = blocks_of(stretches_of(epochs, corrections, DAY_AGO, NOW))
        assert all(one.ends_at <= two.begins_at for one, two in itertools.pairwise(found))
        assert all(DAY_AGO <= each.begins_at < each.ends_at <= NOW for each in found)


class TestChoosing:
    @given(st.integers(1, 600), st.floats(0, 1))
    def test_no_more_than_an_hour_is_vouched_for_and_it_holds_the_click(
        self, minutes: int, share: float
    ) -> None:
        stretch = Stretch(NOW - timedelta(minutes=minutes), NOW, "rest")
        at = stretch.begins_at + share * (stretch.ends_at - stretch.begins_at)
        begin, end = around(stretch, at)
        assert stretch.begins_at <= begin <= at <= end <= stretch.ends_at
        assert timedelta() < end - begin <= VOUCHED

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "now",
            [],
            {},
            {"begin": 1, "at": 2},
            {"begin": "x", "at": None},
            {"begin": int(DAY_AGO.timestamp()), "at": "1; DROP TABLE"},
            {"begin": int(DAY_AGO.timestamp()), "at": [1]},
        ],
    )
    def test_what_no_browser_of_ours_sends_chooses_nothing(self, value: object) -> None:
        assert _chosen(value, [Stretch(DAY_AGO, NOW, "rest")]) is None

    @pytest.mark.parametrize("at", [-(10**18), 0, 10**18])
    def test_an_instant_outside_the_stretch_is_moved_into_it(self, at: int) -> None:
        stretch = Stretch(DAY_AGO, NOW, "rest")
        chosen = _chosen({"begin": int(DAY_AGO.timestamp()), "at": at}, [stretch])
        assert chosen is not None
        assert stretch.begins_at <= chosen[1] <= stretch.ends_at


class TestSun:
    @pytest.mark.parametrize(
        ("at", "lat_deg", "lon_deg", "expected_deg"),
        [  # the NOAA solar calculator's
            (datetime(2026, 6, 21, 12, tzinfo=UTC), 51.48, 0.0, 61.9),
            (datetime(2026, 12, 21, 12, tzinfo=UTC), 51.48, 0.0, 15.1),
            (datetime(2026, 3, 20, 12, tzinfo=UTC), 0.0, 0.0, 88.1),
        ],
    )
    def test_it_stands_as_high_as_almanacs_say(
        self, at: datetime, lat_deg: float, lon_deg: float, expected_deg: float
    ) -> None:
        assert elevation_deg(at, lat_deg, lon_deg) == pytest.approx(expected_deg, abs=0.5)

    def test_a_winter_night_is_long_and_a_polar_summer_has_none(self) -> None:
        winter = datetime(2026, 12, 21, 12, tzinfo=UTC)
        [(dusk, dawn)] = nights(winter, winter + timedelta(days=1), 51.48, 0.0)
        assert 15.5 < (dawn - dusk) / timedelta(hours=1) < 16.7
        assert nights(NOW, NOW + timedelta(days=1), 78.2, 15.6) == []

    @given(st.floats(-90, 90), st.floats(-180, 180))
    def test_every_place_has_a_sky(self, lat_deg: float, lon_deg: float) -> None:
        for dusk, dawn in nights(DAY_AGO, NOW, lat_deg, lon_deg):
            assert DAY_AGO <= dusk < dawn <= NOW
