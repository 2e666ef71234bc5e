"""What is sent when, and again: on a clock of our own, without a broker."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.resend import SILENT_S, WINDOW, Due, Resend
from collar_sim.firmware.log.flash import MIN_LOG_BYTES, Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.minute import Draft
from gateway.wire.messages import Key
from gateway.wire.topics import Kind

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), bytes(32))
FIX = {"lat_deg": 48.0, "lon_deg": 11.0, "accuracy_m": 3.0}


class Desk:
    """A collar's log, and whoever sends it."""

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        flash.boot(["c1"], MIN_LOG_BYTES)
        self.collar = Collar(flash.logs["c1"], KEY, AT)
        self.resend = Resend(self.collar, 0.0)
        self.resend.connected(0.0)

    def write(self, count: int) -> None:
        for _ in range(count):
            self.collar.say(Draft(AT, Kind.FIX, AT, FIX))
        self.flash.commit()

    def reboot(self) -> None:
        self.flash.boot(["c1"], MIN_LOG_BYTES)
        self.collar.reboot(self.flash.logs["c1"], AT, clock_is_set=True)

    def send(self, now_s: float, losing: tuple[int, ...] = ()) -> list[int]:
        """Send what is due; the radio loses some positions."""
        positions = self.resend.due(now_s).positions
        self.resend.lost([each for each in positions if each in losing], now_s)
        self.resend.sent([each for each in positions if each not in losing])
        return positions


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Flash.open(tmp_path) as flash:
        yield Desk(flash)


def test_all_is_sent_once_in_order_and_no_more_than_the_window(desk: Desk):
    desk.write(3)
    assert desk.send(0.0) == [0, 1, 2]
    desk.write(1)
    assert desk.send(0.1) == [3]
    assert desk.send(0.2) == []
    desk.collar.flash.budget_bytes = 2**20
    desk.write(WINDOW)
    assert desk.send(0.3) == list(range(4, WINDOW))
    desk.resend.acknowledged(Key(1, 1), 0.4)
    assert desk.send(0.5) == [WINDOW, WINDOW + 1]


def test_what_the_radio_loses_is_sent_again_alone_a_second_later(desk: Desk):
    desk.write(4)
    desk.send(0.0, losing=(1,))
    assert desk.send(0.9) == []
    assert desk.resend.rest_s(0.9) == pytest.approx(0.1)
    assert desk.send(1.0, losing=(1,)) == [1]
    assert desk.send(2.0) == [1]
    assert desk.send(9.9) == []


def test_without_an_answer_one_knocks_ever_more_patiently_then_all_is_sent_again(desk: Desk):
    desk.write(5)
    desk.send(0.0)
    knocks: dict[float, Due] = {}
    now_s = 0.0
    while now_s < 300.0:
        now_s += desk.resend.rest_s(now_s) or 0.0
        knocks[now_s] = desk.resend.due(now_s)
    assert list(knocks) == [10.0, 30.0, 70.0, 130.0, 190.0, 250.0, 310.0]
    assert all(due == Due([0], status=True) for due in knocks.values())
    assert desk.resend.acknowledged(Key(1, 0), 311.0)
    assert desk.send(311.0) == [1, 2, 3, 4]


def test_whose_radio_loses_everything_repeats_and_does_not_knock(desk: Desk):
    desk.write(2)
    for second in range(30):
        due = desk.resend.due(second)
        assert due == Due([0, 1], status=False)
        desk.resend.lost(due.positions, second)


def test_a_gateway_that_is_back_and_lacks_something_is_sent_it_again(desk: Desk):
    desk.write(3)
    desk.send(0.0)
    assert not desk.resend.acknowledged(None, SILENT_S - 1.0)  # busy with those before
    assert desk.resend.acknowledged(None, 2 * SILENT_S)
    assert desk.send(2 * SILENT_S) == [0, 1, 2]


def test_a_new_session_begins_with_the_oldest_and_its_first_answer_is_no_return(desk: Desk):
    desk.write(3)
    desk.send(0.0, losing=(2,))
    desk.resend.connected(100.0)
    assert desk.send(100.0) == [0, 1, 2]
    assert not desk.resend.acknowledged(None, 100.1)
    assert desk.send(101.1) == []


def test_what_a_full_log_drops_is_said_at_most_once_a_second(desk: Desk):
    desk.resend.announced(0.0)
    desk.write(300)
    assert desk.collar.flash.overwritten
    assert not desk.resend.due(0.5).status
    assert desk.resend.due(1.0).status
    desk.resend.announced(1.0)
    assert not desk.resend.due(5.0).status


class TestBelief:
    """Somebody else declared our messages gone: the gateway passed them, and says it has all."""

    def test_what_was_not_sent_yet_is_not_forgotten(self, desk: Desk):
        desk.write(3)
        desk.send(0.0)
        desk.write(7)
        assert desk.resend.acknowledged(Key(1, 8), 0.1)
        assert [desk.collar.flash.first, len(desk.collar.flash)] == [3, 7]
        assert desk.send(0.2) == [3, 4, 5, 6, 7, 8, 9]
        assert desk.resend.acknowledged(Key(1, 8), 0.3)
        assert len(desk.collar.flash) == 1

    def test_what_the_radio_lost_each_time_is_not_forgotten(self, desk: Desk):
        desk.write(6)
        desk.send(0.0, losing=(1, 2, 4))
        assert desk.resend.acknowledged(Key(1, 3), 0.1)
        assert desk.collar.flash.first == 1
        assert not desk.resend.acknowledged(Key(1, 3), 0.1)
        assert desk.send(1.0, losing=(2,)) == [1, 2, 4]
        assert desk.resend.acknowledged(Key(1, 5), 1.1)
        assert desk.collar.flash.first == 2
        assert desk.send(2.0) == [2]
        assert desk.resend.acknowledged(Key(1, 5), 2.1)
        assert not len(desk.collar.flash)

    def test_what_got_through_once_may_be_lost_when_repeated(self, desk: Desk):
        desk.write(2)
        desk.send(0.0)
        assert desk.send(10.0, losing=(0,)) == [0]
        assert desk.resend.acknowledged(Key(1, 1), 10.1)

    def test_what_no_boot_ever_sent_is_not_forgotten(self, desk: Desk):
        desk.write(2)
        desk.send(0.0, losing=(1,))
        desk.reboot()
        desk.write(1)
        desk.resend.connected(1.0)
        assert not desk.resend.acknowledged(Key(1, 1), 1.1), "nor what an earlier boot sent"
        assert desk.send(1.2, losing=(3,)) == [2, 3, 4]
        assert desk.resend.acknowledged(Key(1, 1), 1.3)
        assert desk.collar.flash.first == 3
        assert not desk.resend.acknowledged(Key(2, 0), 1.3)
        assert desk.send(2.2) == [3]
        assert desk.resend.acknowledged(Key(2, 0), 2.3)
        assert not len(desk.collar.flash)

    def test_a_gateway_that_holds_more_than_a_window_of_an_earlier_boot_is_told_all(
        self, desk: Desk
    ):
        desk.collar.flash.budget_bytes = 2**20
        desk.write(3 * WINDOW)
        held, count = desk.collar.flash.last, len(desk.collar.flash)
        desk.flash.boot(["c1"], 2**20)
        desk.collar.reboot(desk.flash.logs["c1"], AT, clock_is_set=True)
        desk.resend.connected(1.0)
        for sent in range(0, count, WINDOW):
            assert len(desk.send(1.0)) == min(WINDOW, count - sent)
            assert desk.resend.acknowledged(held, 1.1)
        assert not len(desk.collar.flash)

    def test_what_another_life_of_this_collar_said_is_no_word_on_ours(self, desk: Desk):
        desk.write(3)
        desk.send(0.0)
        assert not desk.resend.acknowledged(Key(1, 3), 0.1)
        assert len(desk.collar.flash) == 3


class TestStuck:
    """A gateway answers, and acknowledges nothing new: of another life, or without our birth."""

    @pytest.mark.parametrize("answer", [None, Key(1, 10**6), Key(0, 9)])
    @pytest.mark.parametrize("slow_s", [0.05, 2 * SILENT_S])
    def test_a_gateway_that_only_answers_is_told_all_once_more_and_then_knocked_at(
        self, desk: Desk, answer: Key | None, slow_s: float
    ):
        desk.collar.flash.budget_bytes = 2**20
        desk.write(WINDOW)
        now_s, sent, knocks_s = 0.0, len(desk.send(0.0)), list[float]()
        desk.resend.acknowledged(answer, 0.05)
        while now_s < 600.0:
            now_s += desk.resend.rest_s(now_s) or 0.0
            sent += len(desk.send(now_s))
            knocks_s.append(now_s)
            desk.resend.acknowledged(answer, now_s := now_s + slow_s)
            sent += len(desk.send(now_s))
        assert sent == 2 * WINDOW + len(knocks_s)
        assert len(knocks_s) <= 12
        assert desk.resend.acknowledged(Key(1, 0), now_s + 1.0)
        assert desk.send(now_s + 1.0)[0] == 1, "somebody listens again"
        assert desk.resend.acknowledged(answer, now_s + 1.0 + SILENT_S), "away, and back again"

    def test_what_a_full_log_drops_is_no_progress(self, desk: Desk):
        desk.write(10)
        log = desk.collar.flash
        log.budget_bytes = log.size_bytes
        desk.send(0.0)
        knocks_s: list[int] = []
        for second in range(1, 41):
            desk.write(1)
            if log.first in desk.send(second):
                knocks_s.append(second)
        assert log.first > 30
        assert knocks_s == [10, 30]
