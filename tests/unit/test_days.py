"""Days of animals beside what their collars said, summed up."""

import numpy as np
import pytest

from pawmesh.models.days import Day, alarms_a_day, minutes_metrics, seconds_metrics


def day(truth: list[str], said: list[str], excess: float, anomaly: str = "", n: int = 144) -> Day:
    """So many like minutes."""
    return Day(
        animal="a",
        behaviour=[np.repeat(truth, 60 // len(truth))] * n,
        said=[np.repeat(said, 60 // len(said))] * n,
        anomaly=[np.array([anomaly] * 30 + [""] * 30)] * n,
        excess=[excess] * n,
        events=["anomaly", "itch", "anomaly"],
        bouts={"scratch_bouts": 12, "drink_bouts": 0},
        true_bouts={"scratch_bouts": 10, "drink_bouts": 1},
    )


def test_seconds_are_judged_one_by_one_and_bouts_by_the_day() -> None:
    found = seconds_metrics(
        [day(["walk", "rest"], ["walk", "unsure"], 0.0)], ["walk", "rest", "eat"]
    )
    assert found["per_class"] == {"walk": 1.0, "rest": 0.0}
    assert found["macro_f1"] == 0.5
    assert found["coverage"] == 0.5
    assert found["hours_a_day"]["rest"] == {"true": 12.0, "said": 0.0}
    assert found["bouts_a_day"]["scratch_bouts"] == {
        "true": 100.0,
        "said": 120.0,
        "worst_animal_off_by": 20.0,
    }


def test_minutes_that_show_something_are_held_against_calm_ones() -> None:
    sick = [day(["walk"], ["walk"], 1.0, "limp"), day(["walk"], ["walk"], -1.0, "limp")]
    calm = [day(["walk"], ["walk"], 0.0)]
    found = minutes_metrics(sick, calm)
    assert found == {"limp": {"minutes": 288, "auc": 0.5, "recall": 0.5}}


def test_alarms_are_by_the_day() -> None:
    found = alarms_a_day([day(["walk"], ["walk"], 0.0)])
    assert found["a_day"] == pytest.approx(20.0)
    assert found["per_animal"] == {"a": 20.0}
