"""Whatever makes a message decidable, the next look finds it, and reads nothing that must wait."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.consent import ConsentFilter
from gateway.ingest.dating import Basis
from gateway.ready import IN_RUN, READY_SEALS, WAITED, ready_alone, ready_seals
from gateway.registry import save_registry
from gateway.store import Store
from gateway.store.store import MIGRATIONS
from gateway.wire.grants import Grant, Stream
from tests.unit.door import LONG_AGO, Door, birth, event, header, open_door

WAITED_US = 1_000
SEAL = {"first_seq": 0, "last_seq": 2, "root": "A" * 43 + "=", "signature": "A" * 86 + "=="}
EVENTS = Grant(
    grant_id="g1",
    pet_id="p1",
    stream=Stream.EVENTS,
    purpose="p",
    recipient="r",
    valid_from=LONG_AGO,
)


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, EVENTS) as door:
        yield door


async def decide(door: Door, seal_wait_s: float = 3_600.0) -> set[int]:
    """What is decided after a look, by ``seq``, births and seals left out."""
    await ConsentFilter(door.store, door.household, seal_wait_s).decide()
    rows = await door.ask("SELECT seq FROM message WHERE decided != 0 AND kind = 'event'")
    return {row["seq"] for row in rows}


class TestWhatMakesAMessageReady:
    async def test_its_arrival_where_nothing_is_missing(self, door: Door) -> None:
        await door.take(birth(1), event(1, 1))
        assert await decide(door) == {1}

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_what_closes_the_gap_before_it(self, door: Door, restarted: bool) -> None:
        await door.take(birth(1), event(1, 2), event(1, 3), event(1, 5))
        assert await decide(door) == set()
        if restarted:
            await door.restart()
        await door.take(event(1, 1))
        assert await decide(door) == {1, 2, 3}

    async def test_the_word_that_what_is_missing_will_never_come(self, door: Door) -> None:
        await door.take(birth(1), event(1, 2))
        assert await decide(door) == set()
        gap = {"boot": 1, "first_seq": 1, "last_seq": 1}
        online = {"collar_id": "c1", "state": "online", "boot": 1, "gaps": [gap]}
        await door.take(("status", online))
        assert await decide(door) == {2}

    @pytest.mark.parametrize(
        "said",
        [
            [birth(1), event(1, 2)],  # behind a gap
            [event(1, 2)],  # of a collar whose run has not even begun
            [birth(1, seals=True), event(1, 2)],
            [birth(1, clock="rtc"), event(1, 2, clock="rtc")],
        ],
    )
    async def test_that_it_waited_long_enough(self, door: Door, said: Any) -> None:
        await door.take(*said)
        assert await decide(door) == set()
        assert await decide(door, -1.0) == {2}

    async def test_the_next_boot_where_its_own_had_promised_seals(self, door: Door) -> None:
        await door.take(birth(1, seals=True), event(1, 1), event(1, 2))
        assert await decide(door) == set()
        await door.take(birth(2, previous={"boot": 1, "seq": 2}, seals=True), event(2, 1))
        await decide(door)
        rows = await door.ask("SELECT boot FROM message WHERE decided != 0 AND kind = 'event'")
        assert [row["boot"] for row in rows] == [1, 1]

    async def test_its_seal_once_all_before_it_is_held(self, door: Door) -> None:
        await door.take(birth(1, seals=True), event(1, 2), ("seal", header(1, 3, **SEAL)))
        assert await decide(door) == set()
        await door.take(event(1, 1), event(1, 4))
        assert await decide(door) == {1, 2}

    async def test_that_its_boot_tells_the_time(self, door: Door) -> None:
        now, boot_at = datetime.now(UTC), datetime.now(UTC) - timedelta(hours=1)
        early = event(1, 1, observed_at=boot_at + timedelta(minutes=9), uptime_s=540, clock="rtc")
        await door.take(birth(1), early)
        assert await decide(door) == set()
        await door.take(event(1, 2, observed_at=now, uptime_s=3_600))
        assert await decide(door) == {1, 2}


async def test_the_grants_are_those_of_when_it_became_ready(door: Door) -> None:
    await door.take(birth(1), event(1, 2))
    await decide(door)
    registry = msgspec.structs.replace(door.household.registry, version=2, grants=[])
    await door.store.write(lambda db: save_registry(db, registry))
    await door.store.read(door.household.load)
    await door.take(event(1, 1))
    assert await decide(door) == {1, 2}
    assert await door.ask("SELECT 1 FROM outbox") == []


async def test_what_is_ready_in_more_than_one_sweep_is_decided_and_leaves_once(door: Door) -> None:
    told = [event(1, seq) for seq in range(1, 2_500)]
    await door.take(birth(1), *told[1:], told[0])
    assert await ConsentFilter(door.store, door.household).decide() == 2_499
    rows = await door.ask("SELECT count(*), count(DISTINCT message_id) FROM outbox")
    assert tuple(rows[0]) == (2_499, 2_499)


Told = tuple[str, int, int]
rows = st.dictionaries(
    st.tuples(st.sampled_from(["c1", "c2", "c3"]), st.integers(0, 2), st.integers(0, 3)),
    st.tuples(
        st.sampled_from(["event", "epoch", "birth", "power", "seal"]),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from([None, *Basis]),
        st.sampled_from([WAITED_US - 1, WAITED_US]),
    ),
    max_size=14,
)
runs = st.dictionaries(
    st.sampled_from(["c1", "c2", "c3"]), st.tuples(st.integers(0, 2), st.integers(0, 4))
)
promises = st.sets(st.tuples(st.sampled_from(["c1", "c2", "c3"]), st.integers(0, 2)))


@pytest.fixture(scope="module")
def store() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        for file in sorted(MIGRATIONS.glob("*.sql")):
            db.executescript(file.read_text())
        yield db


@dataclass
class Held:
    """What a store holds, and what the filter promises, without a thought of how it is found."""

    rows: dict[Told, Any]
    runs: dict[str, tuple[int, int]]
    promised: set[tuple[str, int]]

    def ready(self, *, seals: bool) -> set[Told]:
        undecided = {key for key, (_, decided, *_) in self.rows.items() if not decided}
        chosen = {key for key in undecided if (self.rows[key][0] == "seal") == seals}
        return {key for key in chosen if (self.is_ready_seal if seals else self.is_ready)(key)}

    def is_ready(self, key: Told) -> bool:
        if self.waited(key):
            return True
        sealing = key[:2] in self.promised and self.in_run(key) and self.runs[key[0]][0] == key[1]
        return self.in_run(key) and not self.is_claim(key) and not sealing

    def is_ready_seal(self, key: Told) -> bool:
        claims = [each for each in self.rows if each[:2] == key[:2] and self.is_claim(each)]
        return self.in_run(key) and (self.waited(key) or not claims)

    def waited(self, key: Told) -> bool:
        return self.rows[key][3] < WAITED_US

    def in_run(self, key: Told) -> bool:
        return key[0] in self.runs and key[1:] < self.runs[key[0]]

    def is_claim(self, key: Told) -> bool:
        kind, decided, basis, _ = self.rows[key]
        return not decided and basis is Basis.CLAIM and kind in ("event", "epoch")


def sealed_claim(seal_received_us: int) -> Held:
    claim = "event", 0, Basis.CLAIM, WAITED_US
    told = {("c1", 1, 0): claim, ("c1", 1, 1): ("seal", 0, None, seal_received_us)}
    return Held(told, {"c1": (1, 2)}, {("c1", 1)})


held = st.builds(Held, rows, runs, promises)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(held=held, limit=st.sampled_from([1, 3, 100]))
@example(held=sealed_claim(WAITED_US), limit=100)
@example(held=sealed_claim(WAITED_US - 1), limit=100)
def test_exactly_what_is_ready_is_found(store: sqlite3.Connection, held: Held, limit: int) -> None:
    for table in ("message", "contiguity", "sealing_boot"):
        store.execute(f"DELETE FROM {table}")
    fill(store, [(*key, *row) for key, row in held.rows.items()])
    run_rows = [(collar_id, *run) for collar_id, run in held.runs.items()]
    store.executemany("INSERT INTO contiguity VALUES (?, ?, ?, 0, 0, 0)", run_rows)
    store.executemany("INSERT INTO sealing_boot VALUES (?, ?)", held.promised)
    found = ready_alone(store, WAITED_US, limit)
    keys, ready = {key_of(row) for row in found}, held.ready(seals=False)
    assert keys <= ready
    assert len(keys) == len(found) == min(limit, len(ready))
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert {key_of(row) for row in ready_seals(store, WAITED_US)} == held.ready(seals=True)


def key_of(row: sqlite3.Row) -> Told:
    return row["collar_id"], row["boot"], row["seq"]


def fill(db: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Store messages of a collar, boot, seq, kind, decision, basis, reception."""
    db.executemany(
        """INSERT INTO message VALUES (NULL, ?1, ?2, ?3, ?4, 'p1', 0, NULL, ?7, '', x'', x'', NULL,
                                       ?5, ?6)""",
        rows,
    )


@pytest.mark.parametrize(
    ("waiting", "next_seq", "seals"),
    [
        ([("c1", 1, seq, "event", 0, 4, WAITED_US) for seq in range(2, 20_000)], 1, 0),
        ([("c1", 1, seq, "event", 0, 4, WAITED_US) for seq in range(20_000)], 20_000, 1),
        ([("c1", 1, seq, "event", 0, 2, WAITED_US) for seq in range(20_000)], 20_000, 0),
    ],
    ids=["behind a gap", "for a seal", "for the time"],
)
async def test_a_look_reads_nothing_of_what_waits(
    tmp_path: Path, waiting: list[tuple[Any, ...]], next_seq: int, seals: int
) -> None:
    """It happens in the thread that commits messages."""

    def hundreds_of_steps(db: sqlite3.Connection) -> int:
        fill(db, waiting)
        db.execute("INSERT INTO contiguity VALUES ('c1', 1, ?, 0, 0, 0)", (next_seq,))
        db.execute("INSERT INTO sealing_boot VALUES ('c1', ?)", (1 if seals else 0,))
        steps: list[None] = []
        db.set_progress_handler(lambda: steps.append(None), 100)
        assert ready_seals(db, WAITED_US) == ready_alone(db, WAITED_US, 2_000) == []
        db.set_progress_handler(None, 0)
        return len(steps)

    async with Store.open(tmp_path / "gateway.db") as store:
        assert await store.write(hundreds_of_steps) <= 3


async def test_each_condition_is_an_index(door: Door) -> None:
    plans: list[str] = []
    for sql, values in ((READY_SEALS, (0,)), (WAITED, (0, 1)), (IN_RUN, (0, 1))):
        plans += [row["detail"] for row in await door.ask(f"EXPLAIN QUERY PLAN {sql}", *values)]
    for index in ("message_unread_seal", "message_claimed"):
        assert any(index in each for each in plans)
    assert any("message_undecided (received_us<?)" in each for each in plans)
    assert any("message_decidable (collar_id=? AND (boot,seq)<(?,?))" in each for each in plans)
    count = await door.ask("EXPLAIN QUERY PLAN SELECT count(*) FROM message WHERE decided = 0")
    assert "message_undecided" in count[0]["detail"], "a status asks for it"
