"""When the collar looks where it is: hardly at home, at once when it left, else seldom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from collar_sim.animal import Animal, AnimalMinute, Scenario
from collar_sim.animal.place.ground import Ground, neighbourhood
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals.home_wifi import heard
from collar_sim.animal.signals.receiver import Receiver, Start
from collar_sim.firmware.sensing.positioning import (
    CALM_S,
    GIVE_UP_S,
    WIFI_ACCURACY_M,
    Positioning,
    ReceiverUse,
    TimedFix,
)
from gateway.wire.messages import FixSource

HOME = (48.1, 11.5)
AT = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
STILL, RUNNING = [0.01] * 15, [1.0] * 15
MINUTE = timedelta(minutes=1)


def minutes_at(*, heard: bool, valid: bool, count: int) -> list[AnimalMinute]:
    """A dog asleep at home by night, with the radio made so."""
    asleep = next(
        minute
        for minute in Animal.draw(5, home=HOME).minutes(AT - timedelta(hours=9), 200)
        if set(minute.behaviour) == {"sleep"} and not minute.gnss.astray.any()
    )
    gnss = replace(
        asleep.gnss,
        valid=np.full(60, valid),
        lat_deg=asleep.lat_deg,
        lon_deg=asleep.lon_deg,
        accuracy_m=np.full(60, 4.0),
        speed_mps=np.zeros(60),
    )
    minute = replace(asleep, at_home_wifi=np.full(60, heard), gnss=gnss)
    return [replace(minute, start_at=AT + n * MINUTE) for n in range(count)]


class Located:
    """A collar's positioning with the receiver that it drives."""

    def __init__(self, home: tuple[float, float] = HOME, seed: int = 0) -> None:
        self.receiver = Receiver(seed)
        self._positioning = Positioning(home, seed, self.receiver)

    def minute(
        self, minute: AnimalMinute, window_vedba_g: list[float]
    ) -> tuple[list[TimedFix], ReceiverUse]:
        self.receiver.under(minute.gnss, int(minute.start_at.timestamp()))
        return self._positioning.minute(minute, window_vedba_g)


def gaps_s(fixes: list[TimedFix]) -> list[float]:
    return [(b.observed_at - a.observed_at).total_seconds() for a, b in pairwise(fixes)]


def sources(fixes: list[TimedFix]) -> set[FixSource]:
    return {fix.fields.get("source", FixSource.GNSS) for fix in fixes}


def test_at_home_the_receiver_stays_off_whatever_the_pet_does():
    positioning = Located()
    fixes: list[TimedFix] = []
    for minute in minutes_at(heard=True, valid=True, count=10):
        said, use = positioning.minute(minute, RUNNING)
        fixes += said
        assert use.gnss_on_s == 0
        assert use.wifi_scans <= 1
    assert sources(fixes) == {FixSource.WIFI}
    assert set(gaps_s(fixes)) == {CALM_S}
    assert (fixes[0].fields["lat_deg"], fixes[0].fields["lon_deg"]) == HOME


def test_a_calm_pet_elsewhere_is_located_every_thirty_seconds_by_hot_starts():
    positioning = Located()
    fixes, on_s, starts = [], 0, 0
    for minute in minutes_at(heard=False, valid=True, count=20):
        said, use = positioning.minute(minute, STILL)
        fixes += said
        on_s += use.gnss_on_s
        starts += use.starts
    assert sources(fixes) == {FixSource.GNSS}
    assert positioning.receiver.starts == {Start.COLD: 1, Start.HOT: starts - 1}
    assert (fixes[0].observed_at - AT).total_seconds() > 12.0
    assert gaps_s(fixes)[1:] == pytest.approx([CALM_S] * (len(fixes) - 2), abs=2)
    assert on_s < 0.15 * 20 * 60


def test_the_accelerometer_wakes_the_receiver():
    counts = []
    for activity in (STILL, RUNNING):
        positioning = Located()
        minutes = minutes_at(heard=False, valid=True, count=3)
        counts.append(len([f for m in minutes for f in positioning.minute(m, activity)[0]]))
    assert counts[1] > 3 * counts[0]


def test_without_a_view_of_the_sky_it_gives_up_and_tries_again():
    positioning = Located()
    uses = [
        positioning.minute(minute, STILL)
        for minute in minutes_at(heard=False, valid=False, count=30)
    ]
    assert not [fix for fixes, _ in uses for fix in fixes]
    on_s = sum(use.gnss_on_s for _, use in uses)
    assert 2 * GIVE_UP_S < on_s < 0.6 * 30 * 60


def test_coming_home_turns_the_receiver_off():
    positioning = Located()
    for minute in minutes_at(heard=False, valid=True, count=2):
        positioning.minute(minute, RUNNING)
    home = [
        replace(m, start_at=m.start_at + 2 * MINUTE)
        for m in minutes_at(heard=True, valid=True, count=2)
    ]
    positioning.minute(home[0], RUNNING)
    fixes, use = positioning.minute(home[1], RUNNING)
    assert use.gnss_on_s == 0
    assert sources(fixes) == {FixSource.WIFI}


def test_an_escape_is_confirmed_by_two_good_fixes_soon_after_it_left_the_home():
    delays_s: list[float] = []
    for number in range(24):
        home = (48.1 + number / 10, 11.5)
        leaves_at = AT + timedelta(minutes=2, seconds=20)
        animal = Animal.draw(number, home=home, scenario=Scenario.ESCAPE, incident_at=leaves_at)
        positioning = Located(home, number)
        minutes = list(animal.minutes(AT, 8))
        # as the models would report a gallop, once it has lasted a window
        fixes = [f for m in minutes for f in positioning.minute(m, [0.3] * 15)[0]]
        heard = np.concatenate([m.at_home_wifi for m in minutes])
        left_s = int(np.flatnonzero(heard)[-1]) + 1
        if left_s < 140:
            continue  # its garden lies out of hearing
        good = [
            (fix.observed_at - AT).total_seconds() - left_s
            for fix in fixes
            if sources([fix]) == {FixSource.GNSS} and fix.fields["accuracy_m"] < 30.0
        ]
        after = [each for each in good if each >= 0]
        delays_s.append(after[1])
        follow = [b - a for a, b in pairwise(after[1:20])]
        assert np.median(follow) == 5.0
    assert len(delays_s) > 12
    assert np.median(delays_s) <= 12.0
    assert np.quantile(delays_s, 0.9) <= 16.0


def heard_share(number: int, distance_m: float, ground: Ground) -> float:
    """How often the access point of a home is heard, that far along its street."""
    zeros, along = np.zeros(60), np.full(60, distance_m)
    track = Track(along, zeros, zeros, zeros, along, zeros, np.full(60, ground, np.int8))
    rng = np.random.default_rng(number)
    here = neighbourhood((48.1 + number / 10, 11.5))
    return float(heard(here, track, float(rng.standard_normal()), rng)[0].mean())


def test_the_wifi_is_heard_at_home_and_not_three_hundred_metres_away():
    for number in range(40):
        assert heard_share(number, 0.0, Ground.HOUSE) == 1.0
        assert heard_share(number, WIFI_ACCURACY_M / 2, Ground.GARDEN) > 0.9
        assert heard_share(number, 300.0, Ground.STREET) == 0.0
