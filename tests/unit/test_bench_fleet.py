"""What a fleet must have done for its bench to pass: each condition alone fails it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from bench.crew import LATE_S
from bench.fleet import CORES_S, Measured, has_passed
from collar_sim.report import Report

STEADY = Report(
    collars=100,
    published=10_000,
    by_kind={"epoch": 10_000},
    transmissions=10_500,
    radio_lost=500,
    overwritten=0,
    dropped={},
    acked=9_990,
    owed=10,
    off=0,
    too_large=0,
    boots=1,
    seconds=120.0,
    windows=3_000,
    windows_per_s=25.0,
    simulated_until=datetime(2026, 5, 1, tzinfo=UTC),
    is_live=True,
    refused={},
    refused_models={},
    updated=0,
    windows_sent=0,
)
GOOD = Measured(
    cpu_s={"fleet": CORES_S - 20.0, "gateway": 20.0}, late_s=LATE_S, sprint=1.0, steady=STEADY
)


def test_a_fleet_passes_with_a_gateway_and_without_one() -> None:
    assert has_passed(GOOD, has_gateway=True)
    assert not has_passed(GOOD, has_gateway=False), "nobody was there to acknowledge"
    alone = replace(GOOD, steady=structs.replace(STEADY, acked=0, owed=10_000))
    assert has_passed(alone, has_gateway=False)
    assert not has_passed(alone, has_gateway=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu_s": {"fleet": CORES_S - 20.0, "gateway": 20.1}},
        {"late_s": LATE_S + 0.1},
        {"sprint": 0.99},
        {"steady": None},
        {"steady": structs.replace(STEADY, died={"0": "killed"})},
        {"steady": structs.replace(STEADY, owed=9)},
        {"steady": structs.replace(STEADY, acked=9_900, owed=100)},
    ],
)
def test_one_condition_that_does_not_hold_is_enough(wrong: dict[str, Any]) -> None:
    assert not has_passed(replace(GOOD, **wrong), has_gateway=True)
