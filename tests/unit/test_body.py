"""Heart, breath and temperature stay within what is published, and follow what the animal does."""

from datetime import UTC, datetime

import numpy as np
import pytest

from collar_sim.animal import Animal, Scenario, Species
from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.life.body import (
    AT_REST,
    Baseline,
    BodyMinute,
    Vitals,
    body_minute,
    draw_baseline,
)
from plugins.sdk.behaviours import Behaviour

HOME = (48.14, 0.0)
CALM = Baseline(80.0, 18.0, 38.7)
REST = Bout(Behaviour.REST, 0.3)
SLEEP = Bout(Behaviour.SLEEP, 0.3)
RUN = Bout(Behaviour.RUN, 2.5, froude=3.0, speed_mps=4.0)


def after(
    bout: Bout, minutes: int, vitals: Vitals = AT_REST, hour: float = 12.0, fever_c: float = 0.0
) -> tuple[BodyMinute, Vitals]:
    """The last of so many minutes of a bout."""
    assert minutes > 0
    for number in range(minutes):
        minute, vitals = body_minute(
            Species.DOG, CALM, vitals, [Segment(0, 60, bout)], hour,
            np.random.default_rng(number), fever_c=fever_c,
        )  # fmt: skip
    return minute, vitals


def test_at_rest_it_is_at_its_baseline_and_asleep_below():
    rest, _ = after(REST, 10)
    assert rest.heart_bpm.mean() == pytest.approx(80.0, rel=0.1)
    assert rest.breath_rpm.mean() == pytest.approx(18.0, rel=0.15)
    asleep, _ = after(SLEEP, 10)
    assert asleep.heart_bpm.mean() < 0.9 * rest.heart_bpm.mean()
    assert 10.0 < asleep.breath_rpm.mean() < 16.0, "13 a minute: Rishniw et al. 2012"


def test_a_run_raises_all_three_and_they_come_back_one_after_the_other():
    rest, _ = after(REST, 5)
    run, tired = after(RUN, 5)
    assert run.heart_bpm[-1] > 1.8 * rest.heart_bpm.mean()
    assert run.breath_rpm[-1] > 4.0 * rest.breath_rpm.mean()
    assert 0.1 < run.temperature_c[-1] - rest.temperature_c[-1] < 1.5
    assert (np.diff(run.temperature_c) > 0).all()
    soon, _ = after(REST, 3, tired)
    assert soon.heart_bpm[-1] < 1.2 * rest.heart_bpm.mean()
    assert soon.breath_rpm[-1] > 1.4 * rest.breath_rpm.mean(), "it pants on"
    later, _ = after(REST, 120, tired)
    assert later.temperature_c[-1] == pytest.approx(rest.temperature_c[-1], abs=0.05)


def test_the_evening_is_warmer_than_the_night_and_a_fever_than_either():
    night, _ = after(REST, 2, hour=6.0)
    evening, _ = after(REST, 2, hour=18.0)
    assert 0.2 < evening.temperature_c.mean() - night.temperature_c.mean() < 0.6
    fever, _ = after(REST, 2, hour=18.0, fever_c=1.5)
    assert fever.temperature_c.mean() - evening.temperature_c.mean() == pytest.approx(1.5)
    assert fever.heart_bpm.mean() > 1.1 * evening.heart_bpm.mean()
    assert fever.breath_rpm.mean() > 1.1 * evening.breath_rpm.mean()


@pytest.mark.parametrize(
    ("species", "heart_bpm", "breath_rpm"),
    [("dog", (50, 130), (10, 30)), ("cat", (90, 190), (15, 45))],
)
def test_baselines_lie_where_clinics_find_them(species, heart_bpm, breath_rpm):
    profiles = [Animal.draw(seed, home=HOME).profile for seed in range(300)]
    drawn = [
        (draw_baseline(profile, np.random.default_rng(seed)), profile.mass_kg)
        for seed, profile in enumerate(profiles)
        if profile.species == species
    ]
    heart, breath, warm = np.array(
        [(one.heart_bpm, one.breath_rpm, one.temperature_c) for one, _ in drawn]
    ).T
    assert heart_bpm[0] < heart.min() < heart.max() < heart_bpm[1]
    assert breath_rpm[0] < breath.min() < breath.max() < breath_rpm[1]
    assert 38.1 <= warm.min() < warm.max() <= 39.2
    if species == "dog":
        rise = np.polyfit(np.log([mass for _, mass in drawn]), np.log(heart), 1)[0]
        assert -0.09 < rise < 0.01, "hardly with mass among dogs: Hezzell et al. 2013"


def test_a_day_stays_within_what_a_body_can_do():
    for seed, scenario in ((4, Scenario.CALM_DAY), (1, Scenario.BUSY), (2, Scenario.SICK)):
        minutes = Animal.draw(seed, home=HOME, scenario=scenario).minutes(
            datetime(2026, 5, 1, 7, tzinfo=UTC), 90
        )
        bodies = [minute.body for minute in minutes]
        heart, breath, warm = (
            np.concatenate([getattr(each, name) for each in bodies])
            for name in ("heart_bpm", "breath_rpm", "temperature_c")
        )
        assert 35 < heart.min() < heart.max() < 290
        assert 8 < breath.min() < breath.max() < 220
        assert 37.8 < warm.min() < warm.max() < 41.5
        assert np.abs(np.diff(heart)).max() < 25, "no jumps from second to second"
