"""When the gateway files a message whose collar does not know what time it is."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ingest.dating import DRIFT, FUTURE, MAX_BOOTS, Basis, Dating, Filed
from gateway.wire.messages import ActivityEpoch, ClockQuality, Event

NOW = datetime(2026, 5, 1, 8, tzinfo=UTC)
BOOT_AT = NOW - timedelta(hours=2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RTC, UNSET, NETWORK = ClockQuality.RTC, ClockQuality.UNSET, ClockQuality.NETWORK
HOUR_S, SECOND = 3_600.0, timedelta(seconds=1)


def told(
    clock: ClockQuality, observed_at: datetime, uptime_s: float = HOUR_S, boot: int = 1
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


def told_epoch(observed_at: datetime, uptime_s: float) -> ActivityEpoch:
    """A minute from then on, by a clock of its own."""
    header = {"collar_id": "c1", "boot": 1, "seq": 1, "clock": RTC}
    return msgspec.convert(
        header | {"observed_at": observed_at, "uptime_s": uptime_s, "seconds": {}}, ActivityEpoch
    )


@pytest.fixture
def dating() -> Dating:
    """Of a collar whose boot 1 has said the time by a clock that the network had set."""
    dating = Dating()
    dating.hear(told(NETWORK, BOOT_AT + timedelta(seconds=60), 60.0), NOW)
    return dating


class TestWhatIsKnown:
    @pytest.mark.parametrize("clock", [RTC, UNSET])
    @pytest.mark.parametrize("jump_s", [-1e8, -7_200, 7_200, 1e8])
    def test_uptime_dates_what_a_clock_of_its_own_misdates(
        self, dating: Dating, clock: ClockQuality, jump_s: float
    ) -> None:
        wrong = told(clock, BOOT_AT + timedelta(seconds=HOUR_S + jump_s))
        assert dating.file(wrong, NOW) == Filed(BOOT_AT + timedelta(hours=1), Basis.UPTIME)

    @pytest.mark.parametrize("off", [-DRIFT, timedelta(0), timedelta(seconds=0.37), DRIFT])
    def test_a_quartz_that_drifts_a_little_is_believed_to_the_letter(
        self, dating: Dating, off: timedelta
    ) -> None:
        said = BOOT_AT + timedelta(hours=1) + off
        assert dating.file(told(RTC, said), NOW) == Filed(said, Basis.CLOCK)
        beyond = said + off / 100
        assert (dating.file(told(RTC, beyond), NOW).basis is Basis.UPTIME) == (abs(off) == DRIFT)

    def test_a_stamp_some_seconds_ahead_of_us_is_no_lie(self, dating: Dating) -> None:
        ahead = NOW + timedelta(seconds=5)
        assert dating.file(told(RTC, ahead, 2 * HOUR_S), NOW) == Filed(ahead, Basis.CLOCK)
        assert Dating().file(told(RTC, ahead), NOW) == Filed(ahead, Basis.CLAIM)

    def test_what_says_now_as_it_comes_is_live_whatever_its_uptime_says_but_stays_at_home(
        self, dating: Dating
    ) -> None:
        slept = told(RTC, NOW, 60.0)  # its uptime paused; or it waited, and its clock is ahead
        assert dating.file(slept, NOW) == Filed(NOW, Basis.CLAIM)
        assert dating.file(told(RTC, NOW, 0.0), NOW) == Filed(NOW, Basis.CLAIM)
        assert dating.file(told(UNSET, EPOCH, 0.0), NOW) == Filed(NOW, Basis.ARRIVAL)

    def test_a_boot_older_than_all_that_are_remembered_teaches_nothing(
        self, dating: Dating
    ) -> None:
        for boot in range(2, MAX_BOOTS + 2):
            dating.hear(told(NETWORK, NOW, 1.0, boot), NOW)
        assert dating.learnt()
        dating.hear(told(NETWORK, NOW, 1.0, 1), NOW)
        assert dating.learnt() == {}

    def test_what_would_put_a_boot_years_back_teaches_nothing(self, dating: Dating) -> None:
        dating.learnt()
        dating.hear(told(ClockQuality.GNSS, datetime(1980, 1, 6, tzinfo=UTC)), NOW)
        dating.hear(told(NETWORK, NOW, 1e9), NOW)
        dating.hear(told(UNSET, EPOCH, 1e9, 2), NOW)
        assert dating.learnt() == {}
        assert dating.file(told(UNSET, EPOCH, 10.0, 2), NOW).at == NOW

    def test_each_boot_has_its_own_beginning_and_the_newest_are_remembered(
        self, dating: Dating
    ) -> None:
        wrong = EPOCH + timedelta(days=365)
        for boot in range(2, MAX_BOOTS + 1):
            dating.hear(told(NETWORK, NOW, boot * 1.0, boot), NOW)
        assert dating.file(told(RTC, wrong), NOW).basis is Basis.UPTIME
        dating.hear(told(NETWORK, NOW, 1.0, MAX_BOOTS + 1), NOW)
        assert dating.file(told(RTC, wrong), NOW).basis is Basis.CLAIM
        assert dating.file(told(RTC, wrong, 1.0, 2), NOW).at == NOW - timedelta(seconds=1)

    def test_what_was_written_down_is_known_after_a_restart(self, dating: Dating) -> None:
        learnt = dating.learnt()
        assert dating.learnt() == {}
        again = Dating()
        again.restore((*key, began_at) for key, began_at in learnt.items())
        wrong = told(RTC, BOOT_AT + timedelta(hours=3))
        assert again.file(wrong, NOW) == dating.file(wrong, NOW)
        jitter = timedelta(milliseconds=300)
        again.hear(told(NETWORK, BOOT_AT + timedelta(seconds=90) + jitter, 90.0), NOW)
        assert again.learnt() == {}, "not written for each message"

    def test_who_is_ahead_of_us_teaches_nothing(self) -> None:
        dating = Dating()
        dating.hear(told(NETWORK, NOW + 2 * FUTURE, 60.0), NOW)
        assert dating.learnt() == {}
        assert dating.file(told(UNSET, EPOCH), NOW).basis is Basis.ARRIVAL


class TestWhatNobodyKnows:
    def test_a_quartz_that_nobody_set_is_taken_at_its_word_but_not_ahead(self) -> None:
        past, ahead = NOW - timedelta(days=3), NOW + timedelta(days=3)
        assert Dating().file(told(RTC, past), NOW) == Filed(past, Basis.CLAIM)
        assert Dating().file(told(RTC, ahead), NOW) == Filed(NOW, Basis.ARRIVAL)

    def test_one_that_says_now_as_it_comes_is_not_borne_out(self) -> None:
        said = NOW - timedelta(seconds=20)
        assert Dating().file(told(RTC, said), NOW) == Filed(said, Basis.CLAIM)

    def test_who_sends_as_it_happens_is_live_though_its_clock_was_never_set(self) -> None:
        dating = Dating()
        bases: list[Basis] = []
        for n in range(4):  # of a bridge that knows the time
            at = NOW + n * timedelta(seconds=30, milliseconds=400)
            message = told(UNSET, EPOCH, HOUR_S + n * 30)
            dating.hear(message, at)
            filed = dating.file(message, at, at)
            assert at - filed.at <= timedelta(seconds=2)
            bases.append(filed.basis)
        assert bases == [Basis.BACKLOG, Basis.ARRIVAL, Basis.ARRIVAL, Basis.ARRIVAL]

    def test_who_sends_as_it_happens_is_live_though_its_clock_is_slow(self) -> None:
        dating, slow = Dating(), timedelta(hours=2)
        bases: list[Basis] = []
        for n in range(4):
            at = NOW + n * timedelta(seconds=30, milliseconds=400)
            message = told(RTC, at - slow, HOUR_S + n * 30)
            dating.hear(message, at)
            filed = dating.file(message, at, at - slow)
            bases.append(filed.basis)
            assert at - filed.at == (slow if n == 0 else pytest.approx(timedelta(0), abs=SECOND))
        assert bases == [Basis.CLAIM, *[Basis.ARRIVAL] * 3]

    @pytest.mark.parametrize("fixes_s", [[30.0], [10.0, 40.0], [10.0, 10.04, 10.3], [0.05, 59.0]])
    def test_a_slow_clock_is_live_between_epochs_and_one_after_the_other(
        self, fixes_s: list[float]
    ) -> None:
        """An epoch's date is a minute old when it is told; who sends two at once has one pace."""
        dating, slow = Dating(), timedelta(hours=2)
        for minute in range(4):
            start = NOW + minute * timedelta(minutes=1)
            epoch = told_epoch(start - slow - timedelta(minutes=1), HOUR_S + 60 * (minute - 1))
            dating.hear(epoch, start)
            assert (dating.file(epoch, start).basis is Basis.ARRIVAL) == (minute > 0)
            for sent, after_s in enumerate(fixes_s):
                at = start + timedelta(seconds=after_s)
                event = told(RTC, at - slow, HOUR_S + 60 * minute + after_s)
                received_at = at + timedelta(milliseconds=70 * sent)
                dating.hear(event, received_at)
                filed = dating.file(event, received_at)
                if minute > 0:
                    assert filed.basis is Basis.ARRIVAL
                    assert abs(filed.at - at) < SECOND

    @pytest.mark.parametrize("apart_ms", [5, 100, 300])
    @pytest.mark.parametrize("every_s", [1, 60])
    def test_a_right_clock_that_drains_its_log_one_by_one_keeps_its_dates(
        self, apart_ms: int, every_s: int
    ) -> None:
        dating = Dating()
        live = told(RTC, NOW - timedelta(hours=1), HOUR_S)
        for at in (live.observed_at, live.observed_at + timedelta(seconds=30)):
            dating.hear(told(RTC, at, HOUR_S + (at - live.observed_at).total_seconds()), at)
        for n in range(31 // every_s, 3_600 // every_s):
            age_s = n * every_s
            message = told(RTC, live.observed_at + timedelta(seconds=age_s), HOUR_S + age_s)
            received_at = NOW + n * timedelta(milliseconds=apart_ms)
            dating.hear(message, received_at)
            filed = dating.file(message, received_at)
            assert abs(filed.at - message.observed_at) <= DRIFT

    @pytest.mark.parametrize("apart_s", [1, 20, 600])
    def test_a_right_clock_that_nobody_set_keeps_its_dates(self, apart_s: int) -> None:
        """After two hours without a link it sends ten minutes a list, the oldest first."""
        dating, lists = Dating(), 20
        for n in range(lists):
            at = NOW + n * timedelta(seconds=apart_s)
            newest_at = min(
                at, NOW - timedelta(hours=2) + n * timedelta(minutes=10, seconds=apart_s)
            )
            ages = [timedelta(minutes=age) for age in range(10)]
            messages = [
                told(RTC, newest_at - age, (newest_at - BOOT_AT - age).total_seconds() + HOUR_S)
                for age in ages
            ]
            for message in messages:
                dating.hear(message, at)
            for message in messages:
                filed = dating.file(message, at, at)
                assert filed == Filed(message.observed_at, Basis.CLAIM)

    def test_a_backlog_message_by_message_does_not_pass_for_live(self) -> None:
        dating = Dating()
        for n in range(60):
            at = NOW + n * timedelta(seconds=1)
            message = told(UNSET, EPOCH, HOUR_S + n * 60)
            dating.hear(message, at)
            assert dating.file(message, at, at).basis is Basis.BACKLOG

    def test_a_stranger_without_uptime_is_taken_at_its_word(self) -> None:
        dating = Dating()
        dating.hear(told(NETWORK, NOW - timedelta(days=1), 0.0), NOW)
        past = NOW - timedelta(hours=3)
        assert dating.file(told(RTC, past, 0.0), NOW) == Filed(past, Basis.CLAIM)
        assert dating.file(told(UNSET, EPOCH, 0.0), NOW) == Filed(NOW, Basis.ARRIVAL)

    @given(st.lists(st.integers(1, 10_000), min_size=2, unique=True))
    def test_a_backlog_is_as_far_apart_as_its_uptimes_and_none_of_it_is_ahead(
        self, uptimes_s: list[int]
    ) -> None:
        dating = Dating()
        backlog = [told(UNSET, EPOCH + timedelta(seconds=up_s), up_s) for up_s in uptimes_s]
        for message in backlog:
            dating.hear(message, NOW)
        for message in backlog:
            at, basis = dating.file(message, NOW, NOW - timedelta(seconds=1))
            assert NOW - at == timedelta(seconds=max(uptimes_s) - message.uptime_s)
            assert basis is Basis.BACKLOG, "its collar knows by now what time it is"
            never_set = EPOCH + timedelta(seconds=max(uptimes_s))
            assert dating.file(message, NOW, never_set).basis is Basis.ARRIVAL


@given(
    st.sampled_from(ClockQuality),
    st.datetimes(timezones=st.just(UTC)),
    st.floats(0, 3e11),
    st.datetimes(timezones=st.just(UTC)),
    st.floats(0, 3e11),
)
def test_no_instant_and_no_uptime_leave_the_calendar(
    clock: ClockQuality, at: datetime, uptime_s: float, other_at: datetime, other_s: float
) -> None:
    dating = Dating()
    dating.hear(told(NETWORK, other_at, other_s), NOW)
    dating.hear(told(clock, at, uptime_s), NOW)
    filed = dating.file(told(clock, at, uptime_s), NOW, other_at)
    assert filed.at <= NOW + FUTURE or clock not in (RTC, UNSET)
