"""Laws of what may be acknowledged: never more than is held or declared gone, in any order."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.ingest import contiguity
from gateway.ingest.contiguity import Contiguity
from gateway.wire.messages import Key

few = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Stream:
    """What a collar wrote, in its order."""

    keys: list[Key]
    previous: dict[int, Key | None]
    """What each boot's birth names."""

    def held(self, run: Contiguity, key: Key) -> None:
        run.hold(key, self.previous[key.boot] if key.seq == 0 else None)


@st.composite
def streams(draw: st.DrawFn, chained: bool = True) -> Stream:
    """Some boots of some messages; the first follows nothing, the others the boot before."""
    keys: list[Key] = []
    previous: dict[int, Key | None] = {}
    boot = draw(st.integers(0, 3))
    for length in draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)):
        follows = keys[-1] if keys else None
        previous[boot] = follows if chained or draw(st.booleans()) else None
        keys += [Key(boot, seq) for seq in range(length)]
        boot += draw(st.integers(1, 3))
    return Stream(keys, previous)


@st.composite
def arrivals(draw: st.DrawFn, chained: bool = True) -> tuple[Stream, list[Key]]:
    """A stream, and all of it in some order with some of it twice."""
    stream = draw(streams(chained))
    again = draw(st.lists(st.sampled_from(stream.keys), max_size=5))
    return stream, draw(st.permutations(stream.keys + again))


class TestLaws:
    @few
    @given(arrivals())
    def test_any_order_with_any_repetition_ends_with_the_same_acknowledgement(
        self, arrived: tuple[Stream, list[Key]]
    ) -> None:
        stream, order = arrived
        run = Contiguity()
        for key in order:
            stream.held(run, key)
        assert run.acked == stream.keys[-1]
        assert run.next == Key(stream.keys[-1].boot, stream.keys[-1].seq + 1)
        assert run.lost == 0

    @few
    @given(arrivals())
    def test_what_is_acknowledged_is_held_and_so_is_all_before_it(
        self, arrived: tuple[Stream, list[Key]]
    ) -> None:
        stream, order = arrived
        run, held = Contiguity(), set[Key]()
        for key in order:
            held.add(key)
            stream.held(run, key)
            owed = [each for each in stream.keys if each not in held]
            best = max((k for k in held if not owed or k < owed[0]), default=None)
            assert run.acked == best  # neither too much nor too little

    @few
    @given(arrivals(), st.data())
    def test_an_acknowledgement_never_goes_back_and_never_jumps_a_gap(
        self, arrived: tuple[Stream, list[Key]], data: st.DataObject
    ) -> None:
        stream, order = arrived
        lost = set(data.draw(st.lists(st.sampled_from(stream.keys), max_size=3)))
        run, before = Contiguity(), Key(-1, -1)
        for key in order:
            if key not in lost:
                stream.held(run, key)
            now = run.acked or Key(-1, -1)
            assert before <= now
            assert not any(each <= now for each in lost)
            before = now

    @few
    @given(arrivals(), st.data())
    def test_what_is_declared_gone_is_not_waited_for_and_nothing_else_is_given_up(
        self, arrived: tuple[Stream, list[Key]], data: st.DataObject
    ) -> None:
        stream, order = arrived
        log_start = data.draw(st.sampled_from(stream.keys))
        gone = {
            key
            for key in data.draw(st.lists(st.sampled_from(stream.keys), max_size=4))
            if key < log_start
        }
        said_at = data.draw(st.integers(0, len(order)))
        run = Contiguity()
        for index, key in enumerate(order):
            if index == said_at:
                run.start_at(log_start)
            if key not in gone:
                stream.held(run, key)
        run.start_at(log_start)
        assert run.acked == stream.keys[-1]
        assert run.next == Key(stream.keys[-1].boot, stream.keys[-1].seq + 1)
        assert 0 <= run.lost <= len(stream.keys)

    @few
    @given(arrivals(chained=False), st.data())
    def test_a_birth_that_names_nothing_begins_anew(
        self, arrived: tuple[Stream, list[Key]], data: st.DataObject
    ) -> None:
        stream, order = arrived
        anew = max(boot for boot, previous in stream.previous.items() if previous is None)
        lost = {k for k in data.draw(st.lists(st.sampled_from(stream.keys))) if k.boot < anew}
        run = Contiguity()
        for key in order:
            if key not in lost:
                stream.held(run, key)
        assert run.acked == stream.keys[-1]

    @few
    @given(arrivals(), st.data())
    def test_a_restart_of_the_gateway_changes_nothing(
        self, arrived: tuple[Stream, list[Key]], data: st.DataObject
    ) -> None:
        """As the gateway does it: what is not behind the saved run is held again, in order."""
        stream, order = arrived
        restart_at = data.draw(st.integers(0, len(order)))
        run, held = Contiguity(), set[Key]()
        for index, key in enumerate(order):
            if index == restart_at:
                run = Contiguity(run.next, run.acked, run.lost)
                for old in sorted(held):
                    if run.next is None or old >= run.next:
                        stream.held(run, old)
            held.add(key)
            stream.held(run, key)
        assert run.acked == stream.keys[-1]

    @few
    @given(arrivals())
    def test_a_key_is_new_until_it_is_held(self, arrived: tuple[Stream, list[Key]]) -> None:
        stream, order = arrived
        run, held = Contiguity(), set[Key]()
        for key in order:
            assert run.is_new(key) == (key not in held)
            stream.held(run, key)
            held.add(key)


class TestBoots:
    def test_a_boot_waits_for_the_one_it_follows(self) -> None:
        run = Contiguity(Key(1, 3), Key(1, 2))
        run.hold(Key(2, 0), previous=Key(1, 3))
        assert run.acked == Key(1, 2)
        run.hold(Key(1, 3))
        assert run.acked == Key(2, 0)

    def test_a_boot_that_wrote_nothing_is_no_gap(self) -> None:
        run = Contiguity(Key(1, 3), Key(1, 2))
        run.hold(Key(9, 0), previous=Key(1, 2))
        assert run.acked == Key(9, 0)

    def test_without_a_birth_nothing_is_acknowledged(self) -> None:
        run = Contiguity()
        for seq in range(1, 9):
            run.hold(Key(1, seq))
        assert run.acked is None
        run.hold(Key(1, 0))
        assert run.acked == Key(1, 8)

    def test_a_new_gateway_waits_for_what_the_collar_still_owes(self) -> None:
        run = Contiguity()
        run.hold(Key(2, 0), previous=Key(1, 7))
        assert run.acked is None
        run.start_at(Key(1, 6))
        run.hold(Key(1, 6))
        assert run.acked == Key(1, 6)
        run.hold(Key(1, 7))
        assert run.acked == Key(2, 0)

    def test_a_blocked_boot_does_not_block_one_that_begins_anew(self) -> None:
        run = Contiguity(Key(1, 3), Key(1, 2))
        run.hold(Key(2, 0), previous=Key(1, 9))
        run.hold(Key(3, 0))
        assert run.acked == Key(3, 0)


class TestLogStart:
    @example(log_start=Key(4, 0))
    @given(st.builds(Key, boot=st.just(4), seq=st.integers(0, 2)))
    def test_said_before_the_birth_comes_it_is_no_trap(self, log_start: Key) -> None:
        run = Contiguity()
        run.start_at(log_start)
        for seq in range(5):
            run.hold(Key(4, seq))
        assert (run.acked, run.next) == (Key(4, 4), Key(4, 5))

    def test_what_the_flash_had_no_room_for_is_counted(self) -> None:
        run = Contiguity(Key(1, 10), Key(1, 9))
        run.hold(Key(1, 12))
        run.start_at(Key(1, 15))
        assert (run.acked, run.next, run.lost) == (Key(1, 12), Key(1, 15), 4)

    def test_an_old_one_changes_nothing(self) -> None:
        run = Contiguity(Key(1, 10), Key(1, 9))
        for log_start in (Key(0, 99), Key(1, 0), Key(1, 10)):
            run.start_at(log_start)
        assert (run.acked, run.next, run.lost) == (Key(1, 9), Key(1, 10), 0)


class TestRoom:
    def test_the_gap_itself_always_has_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contiguity, "MAX_AHEAD", 10)
        run = Contiguity(Key(1, 1), Key(1, 0))
        for seq in range(2, 20):
            run.hold(Key(1, seq))
        assert not run.knows_all
        run.hold(Key(1, 1))
        assert run.acked == Key(1, 11)  # what did not fit is sent again
        for seq in range(12, 20):
            run.hold(Key(1, seq))
        assert run.acked == Key(1, 19)

    def test_what_a_dead_boot_left_behind_a_gap_takes_no_room(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(contiguity, "MAX_AHEAD", 10)
        run = Contiguity()
        for boot in range(50):
            for seq in (0, *range(2, 9)):
                run.hold(Key(boot, seq))
            assert run.acked == Key(boot, 0)
        assert run.knows_all
