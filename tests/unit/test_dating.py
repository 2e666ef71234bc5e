"""When the gateway files a message whose collar does not know what time it is."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.ingest.dating import Dating
from gateway.wire.messages import ClockQuality, Event

NOW = datetime(2026, 5, 1, 8, tzinfo=UTC)
BOOT_AT = NOW - timedelta(hours=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told(
    clock: ClockQuality, observed_at: datetime, uptime_s: float = 3_600.0, boot: int = 1
) -> Event:
    return Event(
        collar_id="c1",
        boot=boot,
        seq=1,
        observed_at=observed_at,
        uptime_s=uptime_s,
        clock=clock,
        name="anomaly",
        confidence=1.0,
    )


@pytest.mark.parametrize("clock", [ClockQuality.RTC, ClockQuality.UNSET])
@pytest.mark.parametrize("jump_s", [-1e8, -7_200, 7_200, 1e8])
def test_uptime_dates_what_a_clock_of_its_own_misdates(clock: ClockQuality, jump_s: float) -> None:
    dating = Dating()
    good = told(ClockQuality.NETWORK, BOOT_AT + timedelta(seconds=60), 60.0)
    assert dating.filed_at(good, NOW) == good.observed_at
    wrong = told(clock, BOOT_AT + timedelta(seconds=3_600 + jump_s))
    assert dating.filed_at(wrong, NOW) == BOOT_AT + timedelta(hours=1)


def test_what_was_said_before_any_clock_was_right_is_filed_as_it_comes() -> None:
    dating = Dating()
    assert dating.filed_at(told(ClockQuality.UNSET, EPOCH), NOW) == NOW
    dating.filed_at(told(ClockQuality.GNSS, NOW, boot=1), NOW)
    assert dating.filed_at(told(ClockQuality.UNSET, EPOCH, boot=2), NOW) == NOW


def test_a_quartz_that_nobody_ever_set_right_is_taken_at_its_word_but_not_ahead() -> None:
    dating = Dating()
    past, ahead = NOW - timedelta(days=3), NOW + timedelta(days=3)
    assert dating.filed_at(told(ClockQuality.RTC, past), NOW) == past
    assert dating.filed_at(told(ClockQuality.RTC, ahead), NOW) == NOW


def test_a_stranger_without_uptime_is_taken_at_its_word() -> None:
    dating = Dating()
    dating.filed_at(told(ClockQuality.NETWORK, NOW - timedelta(days=1), 0.0), NOW)
    past = NOW - timedelta(hours=3)
    assert dating.filed_at(told(ClockQuality.RTC, past, 0.0), NOW) == past


def test_a_quartz_that_drifts_a_little_is_believed_to_the_letter() -> None:
    dating = Dating()
    dating.filed_at(told(ClockQuality.NETWORK, BOOT_AT + timedelta(seconds=60), 60.0), NOW)
    drifted = BOOT_AT + timedelta(seconds=3_590)
    assert dating.filed_at(told(ClockQuality.RTC, drifted), NOW) == drifted


@pytest.mark.parametrize("uptime_s", [1.0, 1e9, 3e11])
def test_no_instant_and_no_uptime_leave_the_calendar(uptime_s: float) -> None:
    dating = Dating()
    edges = [datetime.min.replace(tzinfo=UTC), NOW, datetime.max.replace(tzinfo=UTC)]
    for clock in ClockQuality:
        for at in edges:
            assert isinstance(dating.filed_at(told(clock, at, uptime_s), NOW), datetime)
    assert dating.filed_at(told(ClockQuality.UNSET, EPOCH, 60.0), NOW) <= NOW
