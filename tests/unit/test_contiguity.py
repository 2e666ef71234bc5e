"""Laws of what may be acknowledged: never more than is held or declared gone, in any order."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.ingest import contiguity
from gateway.ingest.contiguity import BEFORE_ALL, Contiguity
from gateway.wire.messages import Gap, Key

few = settings(max_examples=80)
FAR = 2**53 - 1


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
                    if old >= run.next:
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
        assert (run.acked, run.next, run.lost) == (Key(1, 12), Key(1, 13), 2)
        run.hold(Key(1, 15))
        assert (run.acked, run.next, run.lost) == (Key(1, 15), Key(1, 16), 4)

    def test_an_old_one_changes_nothing(self) -> None:
        run = Contiguity(Key(1, 10), Key(1, 9))
        for log_start in (Key(0, 99), Key(1, 0), Key(1, 10)):
            run.start_at(log_start)
        assert (run.acked, run.next, run.lost) == (Key(1, 9), Key(1, 10), 0)


@dataclass
class Naive:
    """The same in so many words, with nothing remembered but what was said."""

    held: dict[Key, Key | None] = field(default_factory=dict[Key, Key | None])
    gaps: list[Gap] = field(default_factory=list[Gap])
    log_start: Key = BEFORE_ALL
    next: Key = BEFORE_ALL
    acked: Key | None = None
    lost: int = 0

    def advance(self) -> None:
        while ahead := sorted(key for key in self.held if key >= self.next):
            here, last = self.next, ahead[-1]
            births = {key.boot: previous for key, previous in self.held.items() if key.seq == 0}
            gone = {gap.boot: gap.previous for gap in self.gaps if gap.first_seq == 0}
            boots = [
                boot
                for boot, previous in [*gone.items(), *births.items()]
                if here.boot < boot <= last.boot and (previous is None or previous < here)
            ]
            if ahead[0] == here:
                self.acked, self.next = here, Key(here.boot, here.seq + 1)
            elif any(gap.first <= here <= gap.last for gap in self.gaps):
                self.lost += 1
                self.next = Key(here.boot, here.seq + 1)
            elif boots:
                self.next = Key(min(boots), 0)
            elif here < self.log_start:
                self.next = min(self.log_start, ahead[0])
                self.lost += self.next.seq - here.seq if self.next.boot == here.boot else 0
            else:
                return


small_keys = st.builds(Key, boot=st.integers(0, 3), seq=st.integers(0, 5))


@st.composite
def small_gaps(draw: st.DrawFn) -> Gap:
    boot, first, more = draw(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)))
    names = boot and not first and draw(st.booleans())
    previous = Key(boot - 1, draw(st.integers(0, 5))) if names else None
    return Gap(boot=boot, first_seq=first, last_seq=first + more, previous=previous)


said = st.one_of(
    st.tuples(st.just("hold"), small_keys, st.none() | small_keys),
    st.tuples(st.just("declare"), st.lists(small_gaps(), max_size=4)),
    st.tuples(st.just("start_at"), small_keys),
)


class TestAgainstTheNaive:
    @example(
        [
            (
                "declare",
                [Gap(boot=0, first_seq=2, last_seq=2), Gap(boot=0, first_seq=1, last_seq=4)],
            ),
            ("hold", Key(0, 0), None),
            ("hold", Key(0, 5), None),
        ]
    )
    @few
    @given(st.lists(said, max_size=25))
    def test_one_sweep_does_what_one_step_after_the_other_does(
        self, course: list[tuple[Any, ...]]
    ) -> None:
        run, naive = Contiguity(), Naive()
        for name, *words in course:
            getattr(run, name)(*words)
            match name, words:
                case "hold", [key, previous]:
                    naive.held[key] = previous if key.seq == 0 else None
                case "declare", [gaps]:
                    naive.gaps = gaps
                case "start_at", [log_start]:
                    naive.log_start = log_start
            naive.advance()
            assert (run.acked, run.next, run.lost) == (naive.acked, naive.next, naive.lost)


class TestHostile:
    """What one forged status, which nobody signs, cannot do."""

    def test_the_future_it_claims_retires_no_boot(self) -> None:
        run = Contiguity(Key(1, 2), Key(1, 1))
        run.declare([Gap(boot=FAR, first_seq=0, last_seq=FAR)])
        run.start_at(Key(FAR, FAR))
        for seq in range(2, 6):
            run.hold(Key(1, seq))
        run.start_at(Key(1, 0))  # its collar's own
        run.hold(Key(2, 0), Key(1, 5))
        assert (run.acked, run.lost) == (Key(2, 0), 0)

    def test_a_gap_beyond_belief_is_not_believed(self) -> None:
        run = Contiguity(Key(1, 5), Key(1, 4))
        run.declare([Gap(boot=1, first_seq=5, last_seq=FAR)])
        run.hold(Key(2, 0), Key(1, FAR))
        assert (run.acked, run.lost) == (Key(1, 4), 0)

    def test_what_it_says_is_replaced_and_not_kept(self) -> None:
        run = Contiguity(Key(1, 5), Key(1, 4))
        for boot in range(10, 10_000, 100):
            run.declare(Gap(boot=b, first_seq=0, last_seq=0) for b in range(boot, boot + 100))
        assert len(run._lost_births) == len(run._gaps) == 100
        run.declare([])
        run.hold(Key(10_000, 1))
        assert (run.acked, run.next) == (Key(1, 4), Key(1, 5))

    def test_every_second_key_declared_gone_is_one_sweep(self) -> None:
        """Counted in steps: a pass over what is ahead for each of the gaps would be 5 million."""
        run, steps = Contiguity(Key(1, 1), Key(1, 0)), Counter[str]()
        for seq in range(2, 40_002, 2):
            run.hold(Key(1, seq))

        def note(_frame: object, event: str, _argument: object) -> None:
            steps[event] += 1

        sys.setprofile(note)
        try:
            run.declare(Gap(boot=1, first_seq=seq, last_seq=seq) for seq in range(1, 257, 2))
        finally:
            sys.setprofile(None)
        assert (run.acked, run.lost) == (Key(1, 256), 128)
        assert steps.total() < 128 * 100

    def test_births_without_end_take_no_room_and_the_one_that_follows_has_it(self) -> None:
        run = Contiguity(Key(1, 1), Key(1, 0))
        for boot in range(3, 3_000):
            run.hold(Key(boot, 0), Key(boot - 1, 0))
        assert len(run._births) == contiguity.MAX_BOOTS_AHEAD
        run.hold(Key(2, 0), Key(1, 0))
        last = 2 + contiguity.MAX_BOOTS_AHEAD
        assert run.acked == Key(last, 0)
        assert not run.knows_all
        run.hold(Key(last + 1, 0), Key(last, 0))
        assert run.acked == Key(last + 1, 0)

    def test_counts_and_late_finds_stay_within_the_store(self) -> None:
        run = Contiguity(Key(1, 0), None, 2**62)
        run.start_at(Key(1, FAR))
        run.hold(Key(1, FAR))
        assert run.lost == contiguity.MAX_LOST


class TestLateFinds:
    def test_only_what_was_counted_is_taken_back(self) -> None:
        run = Contiguity(Key(1, 1), Key(1, 0))
        run.declare([Gap(boot=1, first_seq=1, last_seq=2), Gap(boot=1, first_seq=4, last_seq=5)])
        for seq in (3, 6):
            run.hold(Key(1, seq))
        assert run.lost == 4
        for late, lost in [(0, 4), (3, 4), (1, 3), (5, 2), (6, 2), (9, 2)]:
            run.found(Key(1, late))
            assert run.lost == lost


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
