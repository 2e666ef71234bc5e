"""What a collar says of its battery, as the gateway shows it."""

from datetime import UTC, datetime, timedelta
from itertools import islice, product
from string import ascii_lowercase
from typing import Any

import msgspec

from gateway.api import views
from gateway.api.power import MAX_PARTS, MAX_REPORTS, OTHER, power
from gateway.wire.topics import Kind
from tests.unit.test_ingest_refused import Door, birth, door, event, header

__all__ = ["door"]  # the fixture

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def report(seq: int, at: datetime, **fields: Any) -> tuple[str, dict[str, Any]]:
    said = {"observed_at": at, "period_s": 3_600.0, "battery_pct": 80.0 - seq}
    return "power", msgspec.to_builtins(header(1, seq) | said | fields)


async def shown(door: Door) -> views.PetView:
    pets = await door.store.read(lambda db: views.pets(db, door.household, NOON))
    return next(each for each in pets if each.pet_id == "p1")


async def test_a_pets_page_has_the_last_report_and_a_day_of_energy(door: Door) -> None:
    await door.take(birth(1), event(1, 1))
    assert (await shown(door)).power is None
    hours = range(30)
    reports = [
        report(2 + n, NOON + n * timedelta(hours=1), days_left=9.0, joules={"imu": 1.0, "wifi": n})
        for n in hours
    ]
    await door.take(*reports)
    seen = (await shown(door)).power
    assert seen is not None
    assert (seen.battery_pct, seen.days_left, seen.charging) == (80.0 - 31, 9.0, False)
    assert seen.span_s == 86_400.0
    assert list(seen.joules.items()) == [("wifi", float(sum(range(6, 30)))), ("imu", 24.0)]


async def test_a_report_of_a_clock_that_nobody_set_is_shown_when_it_was_filed(door: Door) -> None:
    lost = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    began = datetime.now(UTC)
    await door.take(birth(1), event(1, 1), report(2, lost, clock="unset", uptime_s=60.0))
    seen = (await shown(door)).power
    assert seen is not None
    assert seen.observed_at >= began - timedelta(minutes=2)


async def test_whoever_says_much_is_read_to_a_limit(door: Door) -> None:
    """A day of reports each minute, each with parts of its own, makes no answer long."""
    names = map("".join, product(ascii_lowercase, repeat=3))
    said = [
        report(
            1 + n,
            NOON + n * timedelta(minutes=1),
            battery_pct=50.0,
            joules=dict.fromkeys(islice(names, 8), 1.0 + n),
        )
        for n in range(150)
    ]
    await door.take(birth(1), *said)
    seen = (await shown(door)).power
    assert seen is not None
    assert seen.span_s == MAX_REPORTS * 3_600.0
    assert len(seen.joules) == MAX_PARTS + 1
    assert sum(seen.joules.values()) == 8 * sum(1.0 + n for n in range(50, 150))
    *largest, (other, _) = seen.joules.items()
    assert other == OTHER
    assert {each for _, each in largest} == {150.0, 149.0, 148.0, 147.0}


async def test_a_bad_report_is_refused_with_its_reason_and_the_last_good_one_stays(
    door: Door,
) -> None:
    wrong: list[dict[str, Any]] = [
        {"joules": {"imu": -1.0}},
        {"joules": {f"part_{chr(97 + n)}": 1.0 for n in range(17)}},
        {"days_left": "soon"},
        {"battery_pct": 101.0},
        {"period_s": 0.0},
    ]
    bad = [report(2 + n, NOON, **each) for n, each in enumerate(wrong)]
    ack = await door.take(birth(1), report(1, NOON), *bad)
    assert ack.key is not None
    assert ack.key.seq == len(wrong) + 1
    assert [each.split(" - at ")[1].rstrip("`") for each in ack.refused] == [
        *("`$.joules[...]", "`$.joules", "`$.days_left", "`$.battery_pct", "`$.period_s")
    ]
    seen = await door.store.read(lambda db: power(db, door.household, "p1"))
    assert seen is not None
    assert (seen.battery_pct, seen.days_left, seen.joules) == (79.0, None, {})


async def test_reports_are_history_for_who_asks(door: Door) -> None:
    await door.take(birth(1), event(1, 1), report(2, NOON, charging=True))
    (entry,) = await door.store.read(
        lambda db: views.history(
            db, door.household, "p1", [Kind.POWER], NOON, NOON + timedelta(days=1), 10
        )
    )
    assert entry.fields["charging"] is True
