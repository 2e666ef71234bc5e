"""No message ends ingest, none hides another collar's, and a store that fails does end it."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import home
from gateway.downlink import Downlink
from gateway.ingest import BATCH_LIMIT, admission, contiguity, rejected
from gateway.ingest.admission import Admission, Sorted
from gateway.ingest.archive import Archive
from gateway.ingest.contiguity import MAX_LOST
from gateway.ingest.dating import Basis, Dating
from gateway.ingest.rejected import KEPT_OF_A_COMMIT
from gateway.ingest.runs import UNHELD
from gateway.registry import Household
from gateway.store.store import MIGRATIONS
from gateway.wire.batch import pack
from gateway.wire.codec import JSON, MSGPACK
from gateway.wire.messages import Key
from gateway.wire.session import Delivery
from gateway.wire.topics import Kind
from gateway.wire.uplink import EnrolledCollar
from tests.strategies import MESSAGE_OF, plain
from tests.unit.door import LONG_AGO, Door, birth, event, header, open_door, packet

FAR = 2**53 - 1


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as door:
        yield door


def of_the_other() -> Delivery:
    good = birth(1)[1] | {"collar_id": "c2"}
    return packet("pawmesh/v1/home/c2/birth", msgspec.json.encode(good))


def batch(*messages: tuple[str, dict[str, object]], retained: bool = False) -> Delivery:
    packed = pack([(Kind(kind), msgspec.json.encode(fields)) for kind, fields in messages], 1)
    payload = msgspec.json.encode({"collar_id": "c1", "deflated": packed})
    return packet("pawmesh/v1/home/c1/batch", payload, retained)


async def test_what_cannot_be_stored_is_refused_alone_and_the_others_are_safe(door: Door) -> None:
    """Whatever SQLite will not take of a message, at each start anew, for it is retained."""
    await door.ask(
        """CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.seq = 2
           BEGIN SELECT RAISE(ABORT, 'no room for a two'); END"""
    )
    for _ in range(2):
        deliveries = [batch(birth(1), event(1, 1), event(1, 2), event(1, 3), retained=True)]
        deliveries.append(of_the_other())
        with structlog.testing.capture_logs() as logs:
            await door.deliver(*deliveries)
        assert all(each._done.done() for each in deliveries)
        assert any(each.get("exc_info") for each in logs)
        assert door.heard.ack("c1").key == Key(1, 3)
        assert door.heard.ack("c1").refused == ["invalid: it failed here: IntegrityError"]
        assert door.heard.ack("c2").key == Key(1, 0)
        held = await door.ask("SELECT collar_id, seq FROM message ORDER BY 1, 2")
        assert [tuple(row) for row in held] == [("c1", 0), ("c1", 1), ("c1", 3), ("c2", 0)]
        await door.restart()


async def test_a_status_beside_what_cannot_be_stored_is_taken(door: Door) -> None:
    await door.ask(
        """CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.seq = 1
           BEGIN SELECT RAISE(ABORT, 'no room for a one'); END"""
    )
    gap = {"boot": 1, "first_seq": 2, "last_seq": 4}
    status = {"collar_id": "c1", "state": "online", "boot": 1, "gaps": [gap]}
    ack = await door.take(birth(1), event(1, 1), event(1, 5), ("status", status))
    assert ack.key == Key(1, 5), "beyond the gap that the status declares"
    present = await door.ask("SELECT collar_id, state FROM presence")
    assert [tuple(row) for row in present] == [("c1", "online")]


async def test_a_store_that_fails_ends_it_and_nothing_is_acknowledged(door: Door) -> None:
    pages = (await door.ask("PRAGMA page_count"))[0][0]
    await door.ask(f"PRAGMA max_page_count = {pages + 1}")
    deliveries = [batch(birth(1), *(event(1, seq) for seq in range(1, 200))), of_the_other()]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await door.deliver(*deliveries)
    assert not any(each._done.done() for each in deliveries)
    assert door.heard.payloads == {}


async def test_where_the_store_is_at_fault_no_message_is_blamed(door: Door) -> None:
    await door.ask("CREATE TRIGGER broken BEFORE INSERT ON message BEGIN SELECT json('{'); END")
    with pytest.raises(sqlite3.OperationalError, match="malformed"):
        await door.take(birth(1), event(1, 1))
    assert await door.ask("SELECT * FROM rejected") == []


async def test_what_was_learnt_in_a_commit_that_failed_is_learnt_again(door: Door) -> None:
    await door.ask(
        """CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.seq = 2
           BEGIN SELECT RAISE(ABORT, 'no room for a two'); END"""
    )
    await door.take(birth(1), *(event(1, seq, uptime_s=60.0) for seq in (1, 2)))
    await door.take(event(1, 3, uptime_s=60.0))
    assert [row["boot"] for row in await door.ask("SELECT boot FROM boot_began")] == [1]


async def test_a_list_that_was_taken_in_parts_teaches_all_the_same(door: Door) -> None:
    await door.ask(
        """CREATE TRIGGER poison BEFORE INSERT ON message WHEN NEW.seq = 2
           BEGIN SELECT RAISE(ABORT, 'no room for a two'); END"""
    )
    told = {"observed_at": datetime.now(UTC).isoformat(), "uptime_s": 60.0}
    unset = {"observed_at": "1970-01-01T00:00:30Z", "uptime_s": 30.0, "clock": "unset"}
    await door.take(birth(1), event(1, 1, **unset), event(1, 2), event(1, 3, **told))
    assert [row["boot"] for row in await door.ask("SELECT boot FROM boot_began")] == [1]
    rows = await door.ask("SELECT basis FROM message WHERE seq = 1")
    assert rows[0]["basis"] == Basis.UPTIME


async def test_where_memory_is_short_no_message_is_blamed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(admission, "decode", short)
        delivery = of_the_other()
        with pytest.raises(MemoryError):
            await door.deliver(delivery)
        assert not delivery._done.done()
    assert await door.ask("SELECT * FROM rejected") == []


async def test_what_beyond_a_run_is_held_is_found_without_reading_it_all(door: Door) -> None:
    plan = [row["detail"] for row in await door.ask(f"EXPLAIN QUERY PLAN {UNHELD}")]
    assert [each for each in plan if each.startswith("SCAN m")] == []
    await door.take(event(1, 1), event(1, 2))
    await door.ask("INSERT INTO contiguity VALUES ('c2', 1, 1, 1, 0, 0)")
    await door.restart()
    assert (await door.take(birth(1))).key == Key(1, 2)


async def test_the_same_twice_at_once_beyond_what_is_remembered(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contiguity, "MAX_AHEAD", 3)
    with structlog.testing.capture_logs() as logs:
        await door.take(*(event(1, seq) for seq in (2, 3, 4, 9, 9, 8)))
    assert [each for each in logs if each["log_level"] == "error"] == []
    assert await door.ask("SELECT value FROM counter WHERE name = 'duplicates'")
    assert (await door.take(birth(1), event(1, 1))).key == Key(1, 4)


async def test_a_packet_of_hundreds_is_bounded_in_commit_and_in_evidence(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejected, "KEPT_REJECTED", 100)
    monkeypatch.setattr(rejected, "SLACK", 10)
    stranger = packet("pawmesh/v1/home/stranger/epoch", b"{}")
    evidence = packet("pawmesh/v1/home/c2/event", b'{"collar_id":"c2"}')
    deliveries = [batch(*[("epoch", {})] * 256) for _ in range(12)]
    sizes = list[int]()
    commit = door.ingest._archive.commit

    def measured(db: sqlite3.Connection, judged: Sorted) -> object:
        sizes.append(len(judged.refused))
        return commit(db, judged)

    monkeypatch.setattr(door.ingest._archive, "commit", measured)
    await door.deliver(evidence, stranger, *deliveries)
    assert sum(sizes) == 12 * 256 + 2
    assert max(sizes) < BATCH_LIMIT + 256
    rows = await door.ask("SELECT collar_id, count(*) FROM rejected GROUP BY 1")
    kept = {row[0]: row[1] for row in rows}
    assert kept["c2"] == kept[None] == 1, "a flood hides nothing of another"
    assert kept["c1"] <= 110
    assert (await door.ask("SELECT value FROM counter WHERE name = 'rejected'"))[0][0] == sum(sizes)


async def test_of_each_collar_a_commit_keeps_the_beginning_of_what_it_floods_us_with(
    door: Door,
) -> None:
    flood = batch(*[("epoch", {"nth": nth}) for nth in range(KEPT_OF_A_COMMIT + 5)])
    other = packet("pawmesh/v1/home/c2/event", b'{"collar_id":"c2"}')
    for _ in range(2):
        await door.deliver(flood, other)
    rows = await door.ask("SELECT collar_id, payload FROM rejected ORDER BY id")
    first = [b'{"nth":%d}' % nth for nth in range(KEPT_OF_A_COMMIT)]
    assert [row["payload"] for row in rows if row["collar_id"] == "c1"] == first * 2
    assert len([row for row in rows if row["collar_id"] == "c2"]) == 2
    counted = await door.ask("SELECT value FROM counter WHERE name = 'rejected'")
    assert counted[0][0] == 2 * (KEPT_OF_A_COMMIT + 6), "those that are not kept too"


async def test_statuses_without_end_overflow_nothing_and_the_last_one_counts(door: Door) -> None:
    await door.take(birth(1), event(1, 1))
    gap = {"boot": FAR, "first_seq": 0, "last_seq": FAR}
    forged = {"collar_id": "c1", "state": "online", "boot": FAR, "gaps": [gap]}
    chained = [
        gap | {"boot": boot, "previous": {"boot": boot - 1, "seq": FAR}} for boot in range(2, 130)
    ]
    for _ in range(3):
        statuses = [forged, forged | {"gaps": chained}, forged | {"log_start": [FAR, FAR]}]
        await door.take(*(("status", each) for each in statuses * 4))
        await door.restart()
    honest = {"collar_id": "c1", "state": "online", "boot": 1, "gaps": []}
    honest["log_start"] = {"boot": 1, "seq": 0}
    ack = await door.take(("status", forged), ("status", honest), event(1, 2), event(1, 3))
    assert ack.key == Key(1, 3)
    assert (await door.ask("SELECT lost FROM contiguity"))[0][0] == 0


async def test_counts_of_losses_that_an_earlier_store_holds_are_told(door: Door) -> None:
    for collar_id in ("c1", "c2"):
        await door.ask("INSERT INTO contiguity VALUES (?, 1, 1, 1, 0, ?)", collar_id, 2**62)
    await door.restart()
    status = await door.store.read(lambda db: home._status(db, door.household, {}))
    assert status.lost == 2**63
    await door.take(event(1, 1))
    lost = dict(map(tuple, await door.ask("SELECT collar_id, lost FROM contiguity")))
    assert lost == {"c1": MAX_LOST, "c2": 2**62}


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[sqlite3.Connection, Admission, Archive]]:
    household = Household("home")
    household.collars = {
        each: EnrolledCollar(collar_id=each, pet_id=each, pet_name="Rex", assigned_at=LONG_AGO)
        for each in ("c1", "c2")
    }
    dating = Dating()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        for file in sorted(MIGRATIONS.glob("*.sql")):
            db.executescript(file.read_text())
        yield db, Admission(household), Archive(household, dating, Downlink(household))


def fields_of(message: msgspec.Struct) -> dict[str, object]:
    return msgspec.to_builtins(message, builtin_types=(bytes, datetime))


kinds = st.sampled_from(sorted(MESSAGE_OF))
topics = st.one_of(
    kinds.map(lambda kind: f"pawmesh/v1/home/c1/{kind}"),
    st.text(max_size=40).map(lambda text: f"pawmesh/v1/home/{text}"),
)
wild = st.floats() | st.integers(-(2**70), 2**70) | plain | st.datetimes(timezones=st.just(UTC))


@st.composite
def mutants(draw: st.DrawFn) -> Delivery:
    """A message of the contract with some of its fields replaced by anything; or any bytes."""
    kind = draw(kinds)
    fields = fields_of(draw(MESSAGE_OF[kind])) | {"collar_id": "c1"}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        fields[name] = draw(wild)
    try:
        form = draw(st.sampled_from([JSON, MSGPACK]))
        payload = (msgspec.json if form == JSON else msgspec.msgpack).encode(fields)
    except (OverflowError, ValueError, TypeError, UnicodeEncodeError):  # no wire carries that
        payload = draw(st.binary(max_size=60))
    if draw(st.booleans()) and kind not in (Kind.BATCH, Kind.STATUS, Kind.MODEL):
        packed = pack([(kind, payload.replace(b"\n", b" "))], 1)
        payload, kind = msgspec.msgpack.encode({"collar_id": "c1", "deflated": packed}), Kind.BATCH
        form = MSGPACK
    sent_at = draw(st.none() | st.datetimes(timezones=st.just(UTC)))
    topic = draw(st.just(f"pawmesh/v1/home/c1/{kind}") | topics)
    return Delivery(
        topic, payload, draw(st.just(form) | st.none()), sent_at, draw(st.booleans()), None
    )  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile=st.lists(mutants(), min_size=1, max_size=4), seq=st.integers(1, FAR))
def test_nothing_that_can_be_sent_fails_unforeseen(
    gateway: tuple[sqlite3.Connection, Admission, Archive], hostile: list[Delivery], seq: int
) -> None:
    """The armour is there; this finds what it would have to stop."""
    db, admission, archive = gateway
    fields = header(1, seq, name="scratch", confidence=0.5) | {"collar_id": "c2"}
    good = Delivery(
        "pawmesh/v1/home/c2/event", json.dumps(fields).encode(), JSON, None, False, None
    )  # type: ignore[arg-type]
    received_at = datetime.now(UTC)
    judged = admission.judge([*hostile, good], received_at)
    assert [each.detail for each in judged.refused if "failed here" in each.detail] == []
    db.execute("BEGIN")
    archive.commit(db, judged)
    held = db.execute("SELECT 1 FROM message WHERE collar_id = 'c2' AND seq = ?", (seq,)).fetchone()
    db.execute("COMMIT")
    assert held
