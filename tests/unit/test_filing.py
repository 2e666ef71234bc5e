"""Under which instant messages of doubtful clocks are kept, through restarts; and what leaves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.consent import ConsentFilter
from gateway.ingest import archive
from gateway.ingest.dating import MAX_BOOTS, Basis, Filed
from gateway.ingest.filing import MISDATED
from gateway.store import from_us
from gateway.wire.grants import Grant, Stream
from tests.unit.door import Door, birth, event, header, open_door, packet

NOW = datetime.now(UTC).replace(microsecond=0)
BOOT_AT = NOW - timedelta(hours=3)
GRANTED_AT = NOW - timedelta(hours=2)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
UNSET_AT = datetime(1970, 1, 1, tzinfo=UTC)
EVENTS = Grant(
    grant_id="g1",
    pet_id="p1",
    stream=Stream.EVENTS,
    purpose="p",
    recipient="r",
    valid_from=GRANTED_AT,
)


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, EVENTS) as door:
        yield door


def said(
    seq: int, observed_at: datetime, uptime: timedelta, clock: str = "rtc", boot: int = 1
) -> tuple[str, dict[str, Any]]:
    uptime_s = uptime.total_seconds()
    return event(boot, seq, observed_at=observed_at, uptime_s=uptime_s, clock=clock)


def born(boot: int = 1, at: datetime = BOOT_AT, **fields: Any) -> tuple[str, dict[str, Any]]:
    return birth(boot, observed_at=at + SECOND, uptime_s=1.0, **fields)


async def filed(door: Door) -> dict[int, Filed]:
    rows = await door.ask("SELECT seq, observed_us, basis FROM message WHERE kind = 'event'")
    return {row["seq"]: Filed(from_us(row["observed_us"]), Basis(row["basis"])) for row in rows}


async def shared(door: Door) -> set[int]:
    await ConsentFilter(door.store, door.household).decide()
    rows = await door.ask("SELECT seq FROM message JOIN outbox ON message.id = message_id")
    return {row["seq"] for row in rows}


async def test_a_collar_that_set_its_clock_once_goes_on_to_share(door: Door) -> None:
    minutes = [
        said(seq, GRANTED_AT + n * timedelta(minutes=1), (n + 60) * timedelta(seconds=60.0012))
        for seq, n in enumerate(range(60), start=1)  # 20 ppm, and stamps in whole seconds
    ]
    soon = datetime.now(UTC) + 5 * SECOND
    ahead = said(61, soon, soon - BOOT_AT)
    await door.take(born(), *minutes, ahead)
    assert await shared(door) == set(range(1, 62))


async def test_what_was_before_a_grant_stays_at_home_whatever_its_clock_says(door: Door) -> None:
    two_hours_ahead = BOOT_AT + timedelta(minutes=30) + timedelta(hours=2)
    await door.take(born())
    for seq in range(1, 4):
        await door.restart()
        await door.take(said(seq, two_hours_ahead, timedelta(minutes=30)))
    right = BOOT_AT + timedelta(minutes=30), Basis.UPTIME
    assert await filed(door) == dict.fromkeys(range(1, 4), right)
    assert await shared(door) == set()


async def test_where_nobody_knows_the_time_nothing_is_shared(door: Door) -> None:
    claimed, live = GRANTED_AT + timedelta(hours=1), datetime.now(UTC) - 20 * SECOND
    await door.take(
        birth(1, observed_at=live, clock="rtc"),
        said(1, claimed, timedelta(minutes=9)),
        said(2, live, timedelta(minutes=70)),
        said(3, claimed, timedelta(0)),
        said(4, datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=70), "unset"),
    )
    assert await shared(door) == set()
    assert [basis for _, basis in (await filed(door)).values()] == [
        *(Basis.CLAIM, Basis.CLAIM, Basis.CLAIM, Basis.ARRIVAL)
    ]


@pytest.mark.parametrize("lists", [1, 2, 8])
async def test_a_backlog_by_a_clock_ahead_is_not_shared_where_it_crosses_its_arrival(
    door: Door, lists: int
) -> None:
    minutes = [said(n, BOOT_AT + n * MINUTE + 2 * HOUR, n * MINUTE) for n in range(1, 181)]
    await door.take(birth(1, clock="rtc"))
    for n in range(lists):
        await door.take(*minutes[n * 180 // lists : (n + 1) * 180 // lists])
        assert await shared(door) == set()
    await door.take(said(181, BOOT_AT + 181 * MINUTE, 181 * MINUTE, "network"))
    assert await shared(door) == {181}


@pytest.mark.parametrize("seal_wait_s", [3_600.0, -1.0])
async def test_an_honest_backlog_is_shared_once_its_boot_tells_the_time(
    door: Door, seal_wait_s: float
) -> None:
    """Within the time that it is waited for, and after it has been withheld."""
    patience = ConsentFilter(door.store, door.household, seal_wait_s)
    minutes = [said(n, GRANTED_AT + n * MINUTE, HOUR + n * MINUTE) for n in range(1, 91)]
    await door.take(birth(1, clock="rtc"), *minutes)
    assert await patience.decide() == 0
    withheld = await door.ask("SELECT count(*) FROM message WHERE decided = 1 AND kind = 'event'")
    assert withheld[0][0] == (0 if seal_wait_s > 0 else 90)
    await door.take(said(91, GRANTED_AT + 91 * MINUTE, HOUR + 91 * MINUTE, "network"))
    assert await shared(door) == set(range(1, 92))


async def test_a_seal_waits_for_its_boot_to_tell_the_time(door: Door) -> None:
    await door.take(
        birth(1, clock="rtc", seals=True),
        *(said(n, GRANTED_AT + n * MINUTE, HOUR + n * MINUTE) for n in (1, 2, 3)),
        (
            "seal",
            header(1, 4, first_seq=0, last_seq=3, root="A" * 43 + "=", signature="A" * 86 + "=="),
        ),
    )
    assert await shared(door) == set()
    assert await door.ask("SELECT 1 FROM message WHERE decided != 0") == []
    await door.take(said(5, GRANTED_AT + 5 * MINUTE, HOUR + 5 * MINUTE, "network"))
    assert await shared(door) == {1, 2, 3}


async def test_a_conflicting_copy_teaches_nothing(door: Door) -> None:
    known = said(1, BOOT_AT + MINUTE, MINUTE, "network")
    await door.take(born(), known)
    forged = said(1, BOOT_AT + 2 * HOUR + MINUTE, MINUTE, "network")
    assert (await door.take(forged)).refused[0].startswith("conflict")
    await door.take(said(2, BOOT_AT + 3 * HOUR - MINUTE, HOUR - MINUTE))
    await door.restart()
    began = await door.ask("SELECT began_us FROM boot_began")
    assert [from_us(row[0]) for row in began] == [BOOT_AT]
    assert await shared(door) == set()


async def test_what_one_wrong_stamp_misfiled_is_filed_anew(door: Door) -> None:
    backlog = [said(n, UNSET_AT + n * MINUTE, n * MINUTE, "unset") for n in range(1, 4)]
    await door.take(birth(1, clock="unset"), *backlog)
    week_zero = said(4, datetime(1980, 1, 6, tzinfo=UTC), 4 * MINUTE, "gnss")
    await door.take(week_zero, said(5, BOOT_AT - timedelta(days=40), 5 * MINUTE, "gnss"))
    await door.take(said(6, BOOT_AT + 6 * MINUTE, 6 * MINUTE, "gnss"))
    dates, misfiled = await filed(door), (1, 2, 3)
    right = {n: (BOOT_AT + n * MINUTE, Basis.UPTIME) for n in misfiled}
    assert {n: dates[n] for n in misfiled} == right
    assert await door.ask("SELECT 1 FROM message WHERE pet_id IS NULL AND seq < 4") == []


async def test_a_long_backlog_is_filed_anew_a_part_a_commit_through_a_restart(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "REFILED", 10)
    backlog = [said(n, UNSET_AT + n * MINUTE, n * MINUTE, "unset") for n in range(1, 36)]
    await door.take(birth(1, clock="unset"), *backlog)
    known: list[int] = []

    async def note() -> None:
        rows = await door.ask("SELECT count(*) FROM message WHERE basis = 3")
        known.append(rows[0][0])

    for seq in (36, 37):
        await door.take(said(seq, BOOT_AT + seq * MINUTE, seq * MINUTE, "network"))
        await note()
    await door.restart()
    while await door.ingest.refile():
        await note()
    assert known[:2] == [9, 19], "the birth without uptime is one of ten"
    assert max(b - a for a, b in pairwise(known)) <= 10
    assert (await filed(door))[35] == (BOOT_AT + 35 * MINUTE, Basis.UPTIME)


async def test_what_came_before_anyone_knew_the_time_is_filed_anew_when_someone_does(
    door: Door,
) -> None:
    """A power cut: the collar sends what it wrote without a clock first, list after list."""
    uptimes = [n * timedelta(minutes=1) for n in range(1, 91)]
    backlog = [
        said(seq, datetime(1970, 1, 1, tzinfo=UTC) + uptime, uptime, "unset")
        for seq, uptime in enumerate(uptimes, start=1)
    ]
    await door.take(birth(1, clock="unset"), *backlog[:30])
    first = await filed(door)
    await door.take(*backlog[30:60])
    await door.restart()
    await door.take(*backlog[60:], said(91, BOOT_AT + timedelta(minutes=91), timedelta(minutes=91)))
    guessed = await filed(door)
    for known in (first, {seq: guessed[seq] for seq in range(61, 91)}):
        instants = [at for at, _ in known.values()]
        assert {b - a for a, b in pairwise(instants)} == {60 * SECOND}
    assert all(at <= datetime.now(UTC) for at, _ in guessed.values())

    good_at = BOOT_AT + timedelta(minutes=92)
    await door.take(said(92, good_at, timedelta(minutes=92), "network"))
    right = {seq: (BOOT_AT + up, Basis.UPTIME) for seq, up in enumerate(uptimes, start=1)}
    right[91] = BOOT_AT + timedelta(minutes=91), Basis.CLOCK  # that one was right, as it turns out
    assert await filed(door) == right | {92: (good_at, Basis.CLOCK)}
    assert await shared(door) == {91, 92}


async def test_in_one_list_who_knows_the_time_may_come_last(door: Door) -> None:
    good_at = BOOT_AT + timedelta(minutes=9)
    await door.take(
        birth(1, clock="unset"),
        said(1, datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=5), "unset"),
        said(2, good_at, timedelta(minutes=9), "network"),
    )
    assert await filed(door) == {
        1: (BOOT_AT + timedelta(minutes=5), Basis.UPTIME),
        2: (good_at, Basis.CLOCK),
    }


async def test_a_retained_message_teaches_nothing(door: Door) -> None:
    kind, fields = said(5, BOOT_AT + timedelta(hours=1), timedelta(hours=1), "network")
    topic = f"pawmesh/v1/home/c1/{kind}"
    await door.deliver(packet(topic, msgspec.json.encode(fields), retained=True))
    assert await door.ask("SELECT * FROM boot_began") == []


async def test_so_many_boots_are_written_down_and_the_newest_are(door: Door) -> None:
    for boot in range(3 * MAX_BOOTS):
        await door.take(born(boot))
    rows = await door.ask("SELECT boot FROM boot_began ORDER BY boot")
    assert [row["boot"] for row in rows] == list(range(2 * MAX_BOOTS, 3 * MAX_BOOTS))


async def test_what_is_misdated_is_found_without_reading_the_boot(door: Door) -> None:
    plan = await door.ask(f"EXPLAIN QUERY PLAN {MISDATED}", "c1", 1, 0, 10)
    assert "message_misdated" in plan[0]["detail"]
