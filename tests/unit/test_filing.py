"""Under which instant messages of doubtful clocks are kept, through restarts; and what leaves."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest_asyncio

from gateway.consent import ConsentFilter
from gateway.ingest.dating import MAX_BOOTS, Basis, Filed
from gateway.ingest.filing import MISDATED
from gateway.store import from_us
from gateway.wire.grants import Grant, Stream
from tests.unit.door import Door, birth, event, open_door, packet

NOW = datetime.now(UTC).replace(microsecond=0)
BOOT_AT = NOW - timedelta(hours=3)
GRANTED_AT = NOW - timedelta(hours=2)
SECOND = timedelta(seconds=1)
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
    ahead = said(61, datetime.now(UTC) + 5 * SECOND, timedelta(hours=3) + 5 * SECOND)
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


async def test_where_nobody_knows_the_time_only_what_comes_at_once_is_shared(door: Door) -> None:
    claimed, live = GRANTED_AT + timedelta(hours=1), datetime.now(UTC) - 20 * SECOND
    await door.take(
        birth(1, observed_at=live, clock="rtc"),
        said(1, claimed, timedelta(minutes=9)),
        said(2, live, timedelta(minutes=70)),
        said(3, claimed, timedelta(0)),
        said(4, datetime(1970, 1, 1, tzinfo=UTC), timedelta(minutes=70), "unset"),
    )
    assert await shared(door) == {2}
    assert [basis for _, basis in (await filed(door)).values()] == [
        *(Basis.CLAIM, Basis.CLOCK, Basis.CLAIM, Basis.ARRIVAL)
    ]


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
    plan = await door.ask(f"EXPLAIN QUERY PLAN {MISDATED}", "c1", 1)
    assert "message_misdated" in plan[0]["detail"]
