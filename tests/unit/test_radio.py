"""Radio loss: as much as asked, in bursts, and more of it away from home."""

import numpy as np
import pytest

from collar_sim.animal import Radio
from collar_sim.animal.signals.radio import (
    CELLULAR_BAD_S,
    CELLULAR_WORSE,
    LOSS_GOOD,
    WIFI_BAD_S,
    Bearer,
    Weather,
)


def outcomes(radio: Radio | Bearer, count: int, every_s: float = 1.0) -> np.ndarray:
    return np.array([radio.delivers(every_s * n) for n in range(count)])


@pytest.mark.parametrize("mean_loss", [0.005, 0.02, 0.1, 0.3])
def test_in_the_long_run_as_much_is_lost_as_asked(mean_loss: float):
    at_home, away = Radio(4, mean_loss), Radio(4, mean_loss)
    away.is_home = False
    # every ten minutes: each outcome for itself, so a binomial count
    for radio, share in ((at_home, mean_loss), (away, CELLULAR_WORSE * mean_loss)):
        lost = 1 - outcomes(radio, 20_000, 600.0).mean()
        assert lost == pytest.approx(share, abs=4 * np.sqrt(share / 20_000))


@pytest.mark.parametrize("bad_s", [WIFI_BAD_S, CELLULAR_BAD_S])
def test_bad_times_last_as_stated_and_have_no_memory(bad_s: float):
    link = Bearer(Weather.losing(0.1, bad_s), np.random.default_rng(3))
    bad: list[bool] = [False]
    for second in range(150_000):
        link.delivers(float(second))
        bad.append(link._bad)
    edges = np.diff(np.array([*bad, False], np.int8))
    lengths_s = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    assert len(lengths_s) > 200
    assert np.mean(lengths_s) == pytest.approx(bad_s, rel=0.2)
    assert np.std(lengths_s) == pytest.approx(np.mean(lengths_s), rel=0.25)  # exponential


def test_a_retry_a_second_later_meets_the_same_weather_and_one_ten_minutes_later_does_not():
    soon, late = outcomes(Radio(1), 50_000), outcomes(Radio(1), 50_000, 600.0)
    assert 1 - soon[1:][~soon[:-1]].mean() > 0.4
    assert 1 - late[1:][~late[:-1]].mean() < 0.06


def test_a_link_that_is_asked_to_be_good_is_never_bad():
    assert Weather.losing(LOSS_GOOD / 2, WIFI_BAD_S).bad_share == 0.0
    assert outcomes(Radio(2, 0.001), 5_000).mean() > 0.98


def test_the_same_seed_loses_the_same():
    assert np.array_equal(outcomes(Radio(1), 500), outcomes(Radio(1), 500))
    assert not np.array_equal(outcomes(Radio(1, 0.3), 500), outcomes(Radio(2, 0.3), 500))
