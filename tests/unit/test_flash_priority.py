"""What a full flash lets go of, and that the gateway passes over it, counts it, and waits for all
the rest: the collar's own log against the gateway's own judgement, through any accident.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collar_sim.firmware.log import flash_log
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.flash_file import FLASH_VERSION, Remains, flash_version, remains
from collar_sim.firmware.log.flash_log import Entry, FlashLog
from collar_sim.firmware.log.gaps import Gaps
from gateway.ingest.contiguity import Contiguity
from gateway.wire.codec import encode
from gateway.wire.messages import MAX_GAPS, MAX_PAYLOAD_BYTES, Gap, Key, Presence, Status
from gateway.wire.topics import Kind

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
LOW_TO_HIGH = [Kind.WINDOW, Kind.EPOCH, Kind.SEAL, Kind.EVENT]


def put(log: FlashLog, kind: Kind, size: int = 100) -> Key:
    """Write a message of about so many bytes; what a boot says first is its birth."""
    key = Key(log.boot, log.next_seq)
    fields = {"observed_at": AT, "previous": log.last if kind is Kind.BIRTH else None}
    log.put(Entry(key, kind, msgspec.msgpack.encode({**fields, "x": bytes(size)})))
    return key


def kinds(log: FlashLog) -> list[Kind]:
    return [log[at].kind for at in range(log.first, log.end) if at in log]


@pytest.fixture
def flash(tmp_path: Path):
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"], 1_500)
        yield flash


@pytest.fixture(scope="module")
def shared_flash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flash]:
    """For many collars, each of another id."""
    with Flash.open(tmp_path_factory.mktemp("flash")) as flash:
        yield flash


class TestWhatGoesFirst:
    @pytest.mark.parametrize("low", range(3))
    def test_the_oldest_of_the_lowest_rank(self, flash: Flash, low: int) -> None:
        log = flash.logs["c1"]
        lower, higher = LOW_TO_HIGH[low], LOW_TO_HIGH[low + 1]
        for _ in range(6):
            put(log, higher)
            put(log, lower)
        flash.commit()
        assert kinds(log).count(higher) == 6
        assert kinds(log)[-1] is lower, "of the same rank the youngest stay"
        assert log.dropped == {lower: log.overwritten}
        assert log.size_bytes <= log.budget_bytes

    def test_alerts_go_last_and_the_oldest_of_them_first(self, flash: Flash) -> None:
        log = flash.logs["c1"]
        for _ in range(4):
            put(log, Kind.EPOCH)
        alerts = [put(log, Kind.EVENT) for _ in range(20)]
        flash.commit()
        assert set(kinds(log)) == {Kind.EVENT}
        assert [log[at].key for at in range(log.first, log.end)] == alerts[-len(log) :]

    def test_what_is_unimportant_does_not_even_enter_a_log_of_alerts(self, flash: Flash) -> None:
        log = flash.logs["c1"]
        for _ in range(11):
            put(log, Kind.EVENT)
        flash.commit()
        epoch = put(log, Kind.EPOCH)
        flash.commit()
        assert set(kinds(log)) == {Kind.EVENT}
        assert [gap.first for gap in log.gaps] == [epoch]

    def test_the_window_of_what_may_be_sent_counts_messages_not_holes(self, flash: Flash) -> None:
        log = flash.logs["c1"]
        for n in range(60):
            put(log, Kind.EVENT if n % 10 == 0 else Kind.EPOCH)
        flash.commit()
        kept = [at for at in range(log.first, log.end) if at in log]
        assert len(kept) < 20
        assert log.behind(3) == kept[3]
        assert log.behind(999) == log.end


class TestGaps:
    @given(st.permutations([(b, s) for b in (1, 2) for s in range(6)]), st.integers(1, 12))
    def test_in_any_order_they_are_runs_without_a_seam(
        self, order: list[tuple[int, int]], count: int
    ) -> None:
        gaps, gone = Gaps(), {Key(*each) for each in order[:count]}
        for key in order[:count]:
            gaps.add(Key(*key))
        told = [(gap.boot, seq) for gap in gaps for seq in range(gap.first_seq, gap.last_seq + 1)]
        assert told == sorted((key.boot, key.seq) for key in gone)
        for a, b in zip(gaps, list(gaps)[1:], strict=False):
            assert Key(a.boot, a.last_seq + 1) < b.first

    def test_there_are_never_more_than_a_status_can_say(self, tmp_path: Path) -> None:
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1"], 60_000)
            log = flash.logs["c1"]
            for _ in range(400):
                put(log, Kind.SEAL)
                put(log, Kind.EPOCH, 40)
            put(log, Kind.EVENT, 15_000)
            put(log, Kind.SEAL, 15_000)
            flash.commit()
            assert len(log.gaps) == MAX_GAPS
            assert log.dropped[Kind.SEAL] > 0, "what lay between two gaps went with them"
            assert sum(g.last_seq - g.first_seq + 1 for g in log.gaps) == log.overwritten
            far = [Gap(boot=2**53 - 1, first_seq=2**53 - 1, last_seq=2**53 - 1)] * MAX_GAPS
            status = Status(collar_id="c" * 32, state=Presence.ONLINE, gaps=far)
            assert len(encode(status)) < MAX_PAYLOAD_BYTES

    @pytest.mark.parametrize(
        ("first", "second"),
        [((Kind.EVENT, 100), (Kind.SEAL, 300)), ((Kind.SEAL, 300), (Kind.SEAL, 100))],
    )
    def test_to_close_a_gap_the_least_that_lies_between_two_goes(
        self, monkeypatch: pytest.MonkeyPatch, first: tuple[Kind, int], second: tuple[Kind, int]
    ) -> None:
        monkeypatch.setattr(flash_log, "MAX_GAPS", 2)
        log = FlashLog(1, "c1", 1, 10_000)
        low = (Kind.EPOCH, 40)
        for kind, size in (low, first, low, second, low, (Kind.EVENT, 100)):
            put(log, kind, size)
        log.budget_bytes = sum(len(log[at].payload) for at in (1, 3, 5))
        log.trim()
        assert [at in log for at in range(6)] == [False, True, False, False, False, True]
        assert [(gap.first_seq, gap.last_seq) for gap in log.gaps] == [(0, 0), (2, 4)]

    def test_to_close_a_gap_no_message_is_looked_at_for_each_of_the_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log, compared = FlashLog(1, "c1", 1, 30_000), 0

        def below(one: Key, other: Key) -> bool:
            nonlocal compared
            compared += 1
            return (one.boot, one.seq) < (other.boot, other.seq)

        for _ in range(250):
            put(log, Kind.SEAL)
            put(log, Kind.EPOCH, 40)
        monkeypatch.setattr(Key, "__lt__", below)
        monkeypatch.setattr(Key, "__le__", lambda one, other: not below(other, one))
        monkeypatch.setattr(Key, "__gt__", lambda one, other: below(other, one))
        log.trim()
        closed = log.dropped[Kind.SEAL]
        assert len(log.gaps) == MAX_GAPS
        assert closed > 20
        assert compared < 3 * closed * (len(log) + MAX_GAPS)

    def test_where_every_gap_is_a_boot_the_oldest_are_left_to_the_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flash_log, "MAX_GAPS", 3)
        run = Contiguity()
        for _ in range(8):
            with Flash.open(tmp_path) as flash:
                flash.boot(["c1"], 2_000)
                log = flash.logs["c1"]
                put(log, Kind.BIRTH)
                for _ in range(5):
                    put(log, Kind.EPOCH, 200)
                put(log, Kind.EVENT)
                flash.commit()
                assert len(log.gaps) <= 3
        run.declare(log.gaps)
        assert log.start is not None
        run.start_at(log.start)
        for at in range(log.first, log.end):
            if at in log:
                entry = log[at]
                previous = msgspec.msgpack.decode(entry.payload)["previous"]
                run.hold(entry.key, previous and msgspec.convert(previous, Key))
        assert run.acked == log.last

    def test_they_survive_a_power_cut_and_end_with_the_acknowledgement(
        self, tmp_path: Path
    ) -> None:
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1"], 600)
            for _ in range(9):
                put(flash.logs["c1"], Kind.EPOCH)
            flash.commit()
            before = list(flash.logs["c1"].gaps), dict(flash.logs["c1"].dropped)
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1"], 600)
            log = flash.logs["c1"]
            assert (list(log.gaps), dict(log.dropped)) == before
            assert log.last is not None
            log.prune(log.last)
            assert not log.gaps
            assert sum(log.dropped.values()) == log.overwritten == sum(before[1].values())

    def test_a_flash_of_the_first_release_is_brought_to_this_one(self, tmp_path: Path) -> None:
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1"])
            put(flash.logs["c1"], Kind.EPOCH)
            flash.commit()
            for column in ("gaps", "dropped"):
                flash._db.execute(f"ALTER TABLE collar DROP COLUMN {column}")
            flash._db.execute("PRAGMA main.user_version = 1")
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1"])
            log = flash.logs["c1"]
            assert (len(log), log.boot, len(log.gaps)) == (1, 2, 0)
        assert flash_version(tmp_path) == FLASH_VERSION == 2


def test_what_is_left_of_a_fleet_can_be_told_by_whoever_finds_its_flash(tmp_path: Path) -> None:
    assert remains(tmp_path) == Remains()
    for _ in range(2):
        with Flash.open(tmp_path) as flash:
            flash.boot(["c1", "c2"], 600)
            for log in flash.logs.values():
                for _ in range(9):
                    put(log, Kind.EPOCH)
            flash.commit()
            log = flash.logs["c1"]
            log.prune(log[log.first].key)
            put(log, Kind.EVENT)
            flash.commit()
    logs, dropped = flash.logs.values(), sum(log.overwritten for log in flash.logs.values())
    assert remains(tmp_path) == Remains(
        by_kind={"epoch": 36, "event": 2},
        dropped={"epoch": dropped},
        acked=2,
        overwritten=dropped,
        boots=2,
        owed=sum(map(len, logs)),
    )
    assert dropped > 18


@dataclass
class World:
    """One collar, the gateway's judgement of it, and a network that is late or forgets."""

    flash: Flash
    collar_id: str
    knows_gaps: bool = True
    """The gateway's version does."""
    written: set[Key] = field(default_factory=set[Key])
    stored: dict[Key, Key | None] = field(default_factory=dict[Key, Key | None])
    """What the gateway has, with what births name."""
    run: Contiguity = field(default_factory=Contiguity)
    late: list[Entry] = field(default_factory=list[Entry])
    acked: Key = field(default_factory=lambda: Key(0, 0))

    def boot(self) -> None:
        """As after a power cut: what was not committed is gone."""
        self.flash.boot([self.collar_id], 900)
        self.log = self.flash.logs[self.collar_id]
        self.fresh = {put(self.log, Kind.BIRTH)}

    def write(self, kind: Kind, size: int) -> None:
        self.fresh.add(put(self.log, kind, size))

    def storm(self) -> None:
        """More alerts than the log can hold: nothing else is left of it, births neither."""
        for _ in range(9):
            self.write(Kind.EVENT, 60)

    def commit(self) -> None:
        self.flash.commit()
        self.written |= self.fresh
        self.fresh = set()

    def connect(self, fate: str) -> None:
        """Say what is not owed, send what is; some of it is lost, or arrives with the next."""
        log = self.log
        arriving, self.late = self.late, []
        if self.knows_gaps:
            self.run.declare(log.gaps)
        if log.start is not None:
            self.run.start_at(log.start)
        for entry in arriving:
            self.receive(entry)
        for n, position in enumerate(range(log.first, log.committed)):
            if position not in log:
                continue
            match fate[n % len(fate)]:
                case "l":
                    self.late.append(log[position])
                case "+":
                    self.receive(log[position])
        if self.run.acked is not None:
            assert self.run.acked >= self.acked
            self.acked = self.run.acked
            log.prune(self.run.acked)

    def receive(self, entry: Entry) -> None:
        """As `gateway.ingest` does."""
        if entry.key in self.stored:
            return
        previous = None
        if entry.kind is Kind.BIRTH:
            named = msgspec.msgpack.decode(entry.payload)["previous"]
            previous = named and msgspec.convert(named, Key)
        is_new = self.run.is_new(entry.key)
        self.stored[entry.key] = previous
        if not is_new:
            self.run.found(entry.key)
        self.run.hold(entry.key, previous)

    def restart_gateway(self) -> None:
        run = Contiguity(self.run.next, self.run.acked, self.run.lost)
        for key in sorted(self.stored):
            if key >= run.next:
                run.hold(key, self.stored[key])
        self.run = run
        self.late = []  # of what arrives later still, it does not remember that it gave it up


steps = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(LOW_TO_HIGH), st.sampled_from([20, 150])),
    st.tuples(st.just("connect"), st.text("+-l", min_size=1, max_size=5)),
    st.sampled_from([("commit",), ("commit",), ("boot",), ("storm",), ("restart_gateway",)]),
)


courses = st.lists(steps, max_size=60)


def lived(flash: Flash, course: list[tuple[object, ...]], *, knows_gaps: bool) -> World:
    flash.logs.clear()
    world = World(flash, f"c-{uuid4().hex[:8]}", knows_gaps)
    world.boot()
    for name, *words in course:
        getattr(world, str(name))(*words)
    world.commit()
    return world


@settings(max_examples=250)
@given(course=courses)
def test_the_gateway_has_all_but_what_was_dropped_unheard_and_counts_just_that(
    course: list[tuple[object, ...]], shared_flash: Flash
) -> None:
    world = lived(shared_flash, course, knows_gaps=True)
    world.write(Kind.EVENT, 60)  # what lies behind the last that is held is not passed over
    world.commit()
    for _ in range(3):
        world.connect("+")
    assert len(world.log) == 0, "it ends, and nothing is owed"
    missing = world.written - world.stored.keys()
    assert world.stored.keys() <= world.written
    assert len(missing) <= world.log.overwritten
    assert world.run.lost == len(missing)
    assert world.run.next > max(world.written)


@settings(max_examples=100)
@given(course=courses)
def test_a_gateway_that_knows_no_gaps_gets_all_there_is_one_gap_at_a_time(
    course: list[tuple[object, ...]], shared_flash: Flash
) -> None:
    world = lived(shared_flash, course, knows_gaps=False)
    for _ in range(len(world.log.gaps) + 3):
        world.connect("+")
    assert len(world.log) == 0
    assert len(world.written - world.stored.keys()) <= world.log.overwritten
