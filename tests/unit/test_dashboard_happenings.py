"""What an owner reads of a collar's events."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.answers import Event
from dashboard.happenings import happenings

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def event(name: str, hours_ago: float, duration_s: float = 0.0) -> Event:
    at = NOW - timedelta(hours=hours_ago)
    return Event(observed_at=at, name=name, duration_s=duration_s)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([], []),
        ([event("sensor_fault", 2)], [("Motion sensor fails", "at least since 10:00")]),
        (
            [event("sensor_fault", 2), event("sensor_fault", 1, 1_800.0)],
            [("Motion sensor failed for 30 min", "whole again since 11:00")],
        ),
        (
            [event("sensor_fault", 3, 60.0), event("sensor_fault", 0.5)],
            [("Motion sensor fails", "at least since 11:30")],
        ),
        (  # of days: it says so daily
            [event("sensor_fault", 23.5), event("sensor_fault", 0.5)],
            [("Motion sensor fails", "at least since Tue 30 Jun 12:30")],
        ),
        (
            [event("itch", 1, 240.0), event("sensor_fault", 2)],
            [
                ("Motion sensor fails", "at least since 10:00"),
                ("Scratches much more than healthy pets do", "noticed 11:00"),
            ],
        ),
        ([event("itch", 13, 240.0), event("scratch", 0.1), event("anomaly", 0.1)], []),
    ],
)
def test_the_last_of_each_is_told_while_it_matters(
    events: list[Event], told: list[tuple[str, str]]
) -> None:
    assert [(each.text, each.faint) for each in happenings(events, UTC, NOW)] == told
