"""What a commit that failed did not keep is not acknowledged, counted or remembered either."""

import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from gateway.ingest import archive
from gateway.ingest.dating import Basis
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Key
from gateway.wire.topics import Kind
from tests.unit.door import Door, birth, event, open_door, packet

Fault = Callable[[Door, Path], AbstractContextManager[None]]
UNSET = {"observed_at": "1970-01-01T00:00:30Z", "uptime_s": 30.0, "clock": "unset"}
BACKLOG = (birth(1, **UNSET), *(event(1, seq, **UNSET) for seq in range(1, 200)))


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as door:
        yield door


def told(seq: int) -> tuple[str, dict[str, Any]]:
    """An event of a collar that knows the time by now."""
    return event(1, seq, observed_at=datetime.now(UTC).isoformat(), uptime_s=60.0)


def counted() -> dict[str, float]:
    """What ``/metrics`` says of messages, by kind, and of refusals, by reason."""
    found: dict[str, float] = {}
    for kind in Kind:
        stored = REGISTRY.get_sample_value("pawmesh_messages_total", {"kind": kind.value})
        found[kind.value] = stored or 0
    for reason in RejectReason:
        refused = REGISTRY.get_sample_value("pawmesh_rejected_total", {"reason": reason.value})
        found[reason.value] = refused or 0
    return found


def since(before: dict[str, float]) -> dict[str, float]:
    now = counted()
    return {name: now[name] - before[name] for name in now if now[name] != before[name]}


@contextmanager
def full_store(door: Door, _: Path) -> Generator[None]:
    """No page can be added: a statement in the midst of the transaction fails."""
    db = door.store._writer
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    yield
    db.execute(f"PRAGMA max_page_count = {2**30}")


@contextmanager
def no_file_grows(folder: Path) -> Generator[None]:
    """As on a full disk: COMMIT fails, which writes all that the transaction did."""
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    (wal,) = folder.glob("*-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, was[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)


@contextmanager
def full_disk(door: Door, folder: Path) -> Generator[None]:
    """All of the transaction is done when its COMMIT fails."""
    kept, commit = door.ingest._archive, door.ingest._archive.commit
    reached: list[archive.Outcome] = []

    def noted(db: sqlite3.Connection, judged: archive.Sorted) -> archive.Outcome:
        reached.append(commit(db, judged))
        return reached[-1]

    with pytest.MonkeyPatch.context() as patched, no_file_grows(folder):
        patched.setattr(kept, "commit", noted)
        yield
    assert len(reached) == 1, "only its COMMIT was missing"


@pytest.mark.parametrize("fault", [full_store, full_disk])
async def test_after_a_full_disk_it_goes_on_from_what_is_stored(
    door: Door, tmp_path: Path, fault: Fault
) -> None:
    before = counted()
    packets = [
        packet(f"pawmesh/v1/home/c1/{kind}", msgspec.json.encode(message))
        for kind, message in (*BACKLOG, ("fix", {"collar_id": "c1"}))
    ]
    with fault(door, tmp_path), pytest.raises(sqlite3.OperationalError, match=r"full|I/O"):
        await door.deliver(*packets)
    assert not any(each._done.done() for each in packets)
    assert door.heard.payloads == {}
    assert since(before) == {}

    assert (await door.take(event(1, 200))).key is None, "what lies before it is still owed"
    await door.deliver(*packets)
    assert door.heard.ack("c1").key == Key(1, 200)
    assert since(before) == {"birth": 1, "event": 200, "invalid": 1}
    assert (await door.ask("SELECT count(*) FROM message"))[0][0] == 201
    counters = {row["name"]: row["value"] for row in await door.ask("SELECT * FROM counter")}
    assert counters == {"rejected": 1}


@pytest.mark.parametrize("fault", [full_store, full_disk])
async def test_what_was_learnt_of_a_boot_as_the_disk_was_full_is_learnt_again(
    door: Door, tmp_path: Path, fault: Fault
) -> None:
    await door.take(*BACKLOG)
    who_knows = [told(seq) for seq in range(200, 400)]
    with fault(door, tmp_path), pytest.raises(sqlite3.OperationalError, match=r"full|I/O"):
        await door.take(*who_knows)
    await door.take(*who_knows)
    assert [row["boot"] for row in await door.ask("SELECT boot FROM boot_began")] == [1]
    bases = await door.ask("SELECT basis, count(*) FROM message GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in bases] == [(Basis.UPTIME, 200), (Basis.CLOCK, 200)]


async def test_what_could_not_be_filed_anew_is_tried_again(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "REFILED", 50)
    await door.take(*BACKLOG)
    await door.take(told(200))  # the first fifty are filed anew beside it
    with no_file_grows(tmp_path), pytest.raises(sqlite3.OperationalError, match=r"full|I/O"):
        await door.ingest.refile()
    while await door.ingest.refile():
        pass
    assert await door.ask("SELECT 1 FROM message WHERE basis < ?", Basis.UPTIME.value) == []


@pytest.mark.parametrize("deferred", [False, True])
async def test_who_was_taken_one_by_one_is_counted_once(door: Door, deferred: bool) -> None:
    """A message that its INSERT refuses; or the COMMIT, when all the others have been stored."""
    await door.ask(
        f"""CREATE TABLE later (id INTEGER REFERENCES message (id)
            {"DEFERRABLE INITIALLY DEFERRED" if deferred else ""})"""
    )
    await door.ask(
        """CREATE TRIGGER poison AFTER INSERT ON message WHEN NEW.seq = 2
           BEGIN INSERT INTO later VALUES (-1); END"""
    )
    before = counted()
    ack = await door.take(birth(1), event(1, 1), event(1, 2), event(1, 3), ("fix", {}))
    assert ack.key == Key(1, 3)
    assert since(before) == {"birth": 1, "event": 2, "invalid": 2}
    kept = [row["seq"] for row in await door.ask("SELECT seq FROM message ORDER BY seq")]
    assert kept == [0, 1, 3]
