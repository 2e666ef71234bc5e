"""From signed bytes to rows, rollups and scores: each message once, and only what is granted."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import zstandard

from cloud.db.retention import drop_old
from gateway.wire.topics import Kind
from gateway.wire.uplink import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    SIGNATURE_HEADER,
    Group,
    pack_body,
    sign_request,
)
from tests.system.cloud_kit import Cloud, Device, Home

MINUTE = timedelta(minutes=1)
TABLES = ("message", "epoch", "fix", "event", "raw_window", "score", "refused", "behaviour_hour")


@pytest.fixture
async def home(cloud: Cloud) -> Home:
    return await cloud.home()


def contents(database: str) -> dict[str, list[Any]]:
    with psycopg.connect(database) as db:
        rows = {t: db.execute(f"SELECT * FROM {t}".encode()).fetchall() for t in TABLES}
    return {table: sorted(map(repr, found)) for table, found in rows.items()}


def reasons(receipt: Any) -> list[str]:
    return sorted({row.reason for row in receipt.refused})


def now() -> datetime:
    return datetime.now(UTC)


def edited(group: Group, index: int = 0, **leaves: Any) -> Group:
    """The group with leaves of one row changed after it was sealed."""
    row = group.rows[index]
    changed = msgspec.structs.replace(row, leaves=dict(sorted((row.leaves | leaves).items())))
    rows = [*group.rows[:index], changed, *group.rows[index + 1 :]]
    return msgspec.structs.replace(group, rows=rows)


async def granted(home: Home, stream: str = "activity", **more: Any) -> tuple[Device, str]:
    [device] = await home.enrol()
    return device, await home.grant(device.pet_id, stream, **more)


async def test_a_sealed_hour_is_stored_rolled_up_and_scored(home: Home) -> None:
    device, grant = await granted(home)
    receipt = await home.send(device.epochs(grant))
    assert (receipt.accepted, receipt.duplicates, receipt.refused) == (64, 0, [])
    assert receipt.cursor == 64
    cursor = await home.signed("GET", "/v1/uplink/cursor")
    assert cursor.json() == {"cursor": 64}
    history = await home.call("GET", f"/v1/pets/{device.pet_id}/history")
    assert sum(hour["epochs"] for hour in history["hours"]) == 64
    assert sum(hour["seconds"]["walk"] for hour in history["hours"]) == 64 * 20.5
    state = await home.call("GET", f"/v1/pets/{device.pet_id}")
    assert state["epoch"]["battery_pct"] == 88.5
    assert state["fix"] is None
    wallet = await home.call("GET", "/v1/wallet")
    assert wallet["pending_units"] == 64 * 900


async def test_a_replay_changes_nothing(home: Home, database: str) -> None:
    device, grant = await granted(home)
    good, bad = device.epochs(grant), device.epochs("no-grant", first=100)
    batch = home.batch(good, bad)
    await home.send_batch(batch)
    before = contents(database)
    again = await home.send_batch(batch)
    assert (again.accepted, again.duplicates, len(again.refused)) == (0, 64, 64)
    assert contents(database) == before


async def test_a_batch_that_is_partly_new_adds_only_what_is_new(home: Home, database: str) -> None:
    device, grant = await granted(home)
    group = device.epochs(grant, sealed=False)
    half = msgspec.structs.replace(group, rows=group.rows[:32])
    await home.send(half)
    receipt = await home.send(group, group)
    assert (receipt.accepted, receipt.duplicates) == (32, 96)
    assert len(contents(database)["epoch"]) == 64


async def test_the_same_key_with_other_content_is_a_conflict(home: Home, database: str) -> None:
    device, grant = await granted(home)
    await home.send(device.epochs(grant))
    receipt = await home.send(device.epochs(grant))  # the clock went on: other content
    assert receipt.accepted == 0
    assert reasons(receipt) == ["conflict"]
    assert len(contents(database)["epoch"]) == 64


async def test_unsealed_rows_are_stored_and_earn_nothing(home: Home, database: str) -> None:
    device, grant = await granted(home)
    receipt = await home.send(device.epochs(grant, sealed=False))
    assert receipt.accepted == 64
    assert (await home.call("GET", "/v1/wallet"))["pending_units"] == 0
    assert "'unsealed'" in contents(database)["score"][0]


@pytest.mark.parametrize(
    "change", ["leaf", "root", "signature", "other_key", "missing_row", "seq", "header"]
)
async def test_a_wrong_seal_refuses_its_group_and_no_other(home: Home, change: str) -> None:
    device, grant = await granted(home)
    group, good = device.epochs(grant), device.epochs(grant, first=100)
    if group.seal is None:
        raise AssertionError
    replace = msgspec.structs.replace
    header = group.rows[0].leaves["_header"]
    changed = {
        "leaf": lambda: edited(group, steps=49),
        "root": lambda: replace(group, seal=replace(group.seal, root=bytes(32))),
        "signature": lambda: replace(group, seal=replace(group.seal, signature=bytes(64))),
        "other_key": lambda: Device(device.collar_id, device.pet_id).epochs(grant),
        "missing_row": lambda: replace(group, rows=group.rows[1:]),
        "seq": lambda: replace(group, withheld={64: bytes(32)}),
        "header": lambda: edited(group, _header=[*header[:3], 99, *header[4:]]),
    }[change]()
    receipt = await home.send(changed, good)
    assert receipt.accepted == 64
    assert reasons(receipt) == ["wrong_seal"]
    assert {row.seq for row in receipt.refused} == {row.seq for row in changed.rows}


async def test_a_disclosed_leaf_that_does_not_prove_is_refused(home: Home) -> None:
    device, grant = await granted(home, "position", precision="1km")
    names = {"position_1km", "accuracy_m"}
    messages = [(Kind.FIX, device.fix(n, now() - n * MINUTE)) for n in range(3)]
    group = device.group(messages, {Kind.FIX: (grant, names)})
    assert reasons(await home.send(edited(group, position_1km=[1, 2]))) == ["wrong_seal"]
    assert (await home.send(group)).accepted == 3


async def test_a_coarse_position_is_stored_as_its_cell(home: Home) -> None:
    device, grant = await granted(home, "position", precision="1km")
    group = device.group(
        [(Kind.FIX, device.fix(0, now()))], {Kind.FIX: (grant, {"position_1km", "accuracy_m"})}
    )
    assert (await home.send(group)).accepted == 1
    fix = (await home.call("GET", f"/v1/pets/{device.pet_id}"))["fix"]
    assert (fix["cell_lat"], fix["cell_lon"], fix["precision"]) == (4813, 1157, "1km")
    assert fix["lat_deg"] is None
    assert fix["accuracy_m"] == 4.5


async def test_leaves_beyond_the_grant_are_refused(home: Home, database: str) -> None:
    device, grant = await granted(home, "position", precision="1km")
    for names in (None, {"position_1km", "position_100m"}, {"lat_deg", "lon_deg"}):
        group = device.group([(Kind.FIX, device.fix(0, now()))], {Kind.FIX: (grant, names)})
        assert reasons(await home.send(group)) == ["not_granted"]
    assert contents(database)["fix"] == []


async def test_mixed_kinds_under_one_seal_with_some_withheld(home: Home, database: str) -> None:
    device, activity = await granted(home)
    events = await home.grant(device.pet_id, "events")
    messages = [
        (Kind.EPOCH, device.epoch(0, now())),
        (Kind.FIX, device.fix(1, now())),
        (Kind.EVENT, device.event(2, now())),
    ]
    grants: dict[Kind, tuple[str, set[str] | None]] = {
        Kind.EPOCH: (activity, None),
        Kind.EVENT: (events, None),
    }
    group = device.group(messages, grants)
    assert set(group.withheld) == {1}
    assert (await home.send(group)).accepted == 2
    stored = contents(database)
    assert [len(stored[table]) for table in ("epoch", "fix", "event")] == [1, 0, 1]


async def test_a_withdrawn_grant_ends_at_once(home: Home) -> None:
    device, grant = await granted(home)
    assert (await home.send(device.epochs(grant))).accepted == 64
    await home.call("DELETE", f"/v1/grants/{grant}", expect=204)
    assert reasons(await home.send(device.epochs(grant, first=100))) == ["not_granted"]
    assert grant not in await home.granted()


@pytest.mark.parametrize("when", ["expired", "not_yet"])
async def test_a_grant_outside_its_time_allows_nothing(home: Home, when: str) -> None:
    begins = now() - timedelta(days=2) if when == "expired" else now() + timedelta(days=1)
    ends = (begins + timedelta(days=1)).isoformat()
    device, grant = await granted(home, valid_from=begins.isoformat(), expires_at=ends)
    assert reasons(await home.send(device.epochs(grant))) == ["not_granted"]


async def test_a_grant_of_another_stream_pet_or_owner_allows_nothing(
    cloud: Cloud, home: Home
) -> None:
    device, _ = await granted(home)
    other_pet, other_grant = await granted(home)
    strangers = await cloud.home()
    _, foreign = await granted(strangers)
    for grant in (await home.grant(device.pet_id, "position"), other_grant, foreign):
        assert reasons(await home.send(device.epochs(grant))) == ["not_granted"]
    receipt = await strangers.send(other_pet.epochs(other_grant))
    assert reasons(receipt) == ["unknown_collar"]


async def test_after_a_swap_each_pet_has_what_it_did(home: Home) -> None:
    [device, spare] = await home.enrol(2)
    first, second = device.pet_id, spare.pet_id
    grants = {pet: await home.grant(pet) for pet in (first, second)}
    half_past = now() - 30 * MINUTE
    swap = {"pet_id": second, "at": half_past.isoformat()}
    await home.call("POST", f"/v1/collars/{device.collar_id}/assign", swap, expect=204)
    assert {c.collar_id: c.pet_id for c in (await home.registry()).collars}[
        device.collar_id
    ] == second
    start = now() - 60 * MINUTE
    messages = [(Kind.EPOCH, device.epoch(n, start + n * MINUTE)) for n in range(60)]
    whole = device.group(messages, {Kind.EPOCH: (grants[first], None)})
    rows = [
        msgspec.structs.replace(row, grant_id=grants[first if row.seq < 29 else second])
        for row in whole.rows
        if row.seq not in (29, 30, 31)
    ]
    receipt = await home.send(msgspec.structs.replace(whole, rows=rows, seal=None))
    assert (receipt.accepted, receipt.refused) == (57, [])
    for pet, epochs in ((first, 29), (second, 28)):
        history = await home.call("GET", f"/v1/pets/{pet}/history")
        assert sum(hour["epochs"] for hour in history["hours"]) == epochs


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ({"steps": "many"}, "invalid"),
        ({"steps": -1}, "invalid"),
        ({"odba_g": math.nan}, "invalid"),
        ({"odba_g": math.inf}, "invalid"),
        ({"battery_pct": math.nan}, "invalid"),
        ({"seconds": {"walk": math.nan}}, "invalid"),
        ({"seconds": {"walk": 3600.0}}, "invalid"),
        ({"seconds": {"WALK!": 1.0}}, "invalid"),
        ({"seconds": None}, "invalid"),
        ({"seconds": [1, 2]}, "invalid"),
        ({"windows": 2**63}, "invalid"),
        ({"seconds": {1: 2.0}}, "invalid"),
        ({"from_the_future": 1}, "not_granted"),
    ],
)
async def test_ill_typed_leaves_refuse_the_row_and_no_other(
    home: Home, leaves: dict[str, Any], reason: str
) -> None:
    device, grant = await granted(home)
    receipt = await home.send(edited(device.epochs(grant, 3, sealed=False), **leaves))
    assert (receipt.accepted, reasons(receipt)) == (2, [reason])


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        "header",
        ["epoch", "COLLAR", 1, 0, "not a time", 1.0, "network"],
        ["epoch", "COLLAR", 1, 0, "2026-01-01T00:00:00", 1.0, "network"],
        ["epoch", "COLLAR", 1, 0, "0001-01-01T00:00:00+14:00", 1.0, "network"],
        ["epoch", "COLLAR", 1, 0, 12, 1.0, "network"],
        ["epoch", "COLLAR", 1, 0, "2026-01-01T00:00:00Z", "x", "network"],
        ["epoch", "COLLAR", 1, 0, "2026-01-01T00:00:00Z", 1.0, []],
        ["epoch", "COLLAR", 1, 7, "2026-01-01T00:00:00Z", 1.0, "network"],
        ["fix", "COLLAR", 1, 0, "2026-01-01T00:00:00Z", 1.0, "network"],
    ],
)
async def test_a_header_of_another_form_refuses_the_row(home: Home, header: Any) -> None:
    device, grant = await granted(home)
    if isinstance(header, list):
        header = [device.collar_id if part == "COLLAR" else part for part in header]
    receipt = await home.send(edited(device.epochs(grant, 3, sealed=False), _header=header))
    assert (receipt.accepted, reasons(receipt)) == (2, ["invalid"])


async def test_the_future_is_refused(home: Home) -> None:
    device, grant = await granted(home)
    tomorrow = now() + timedelta(days=1)
    group = device.group([(Kind.EPOCH, device.epoch(0, tomorrow))], {Kind.EPOCH: (grant, None)})
    assert reasons(await home.send(group)) == ["future_dated"]
    ahead = device.epochs(grant, 1, sealed=False)
    rows = [msgspec.structs.replace(ahead.rows[0], received_at=tomorrow)]
    receipt = await home.send(msgspec.structs.replace(ahead, rows=rows))
    assert reasons(receipt) == ["future_dated"]


async def test_text_that_a_database_cannot_hold_is_refused(home: Home) -> None:
    device, grant = await granted(home, "events")
    bad, good = device.event(0, now(), name="a\0b"), device.event(1, now())
    group = device.group([(Kind.EVENT, bad), (Kind.EVENT, good)], {Kind.EVENT: (grant, None)})
    receipt = await home.send(group)
    assert (receipt.accepted, reasons(receipt)) == (1, ["invalid"])


async def test_what_was_refused_can_be_looked_at_without_its_content(
    home: Home, database: str
) -> None:
    device, _ = await granted(home)
    await home.send(device.epochs("no-grant", 1))
    [refused] = contents(database)["refused"]
    assert "not_granted" in refused
    assert device.collar_id in refused


async def test_retention_goes_by_receipt_and_keeps_rollups_and_keys(
    cloud: Cloud, home: Home, database: str
) -> None:
    device, grant = await granted(home)
    start = now() - timedelta(days=20)
    old = device.group([(Kind.EPOCH, device.epoch(0, start))], {Kind.EPOCH: (grant, None)})
    await home.send(old)
    db = cloud.app.state.services.database
    assert await drop_old(db, now() - timedelta(days=10)) == 0
    assert await drop_old(db, now() + MINUTE) == 1
    assert (await home.send(old)).duplicates == 1
    assert len(contents(database)["behaviour_hour"]) == 3


async def test_a_batch_of_another_site_is_refused(cloud: Cloud, home: Home) -> None:
    device, grant = await granted(home)
    other = await cloud.home()
    batch = home.batch(device.epochs(grant), site=other.site)
    assert (await home.signed("POST", "/v1/uplink", pack_body(batch))).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"garbage", 422),
        (zstandard.compress(b"garbage"), 422),
        (zstandard.compress(msgspec.msgpack.encode({"site": 1})), 422),
        (zstandard.compress(b"\x91" * 100_000), 422),
        (zstandard.compress(bytes(50 * MAX_BODY_BYTES)), 422),
        (bytes(10 * 2**20), 413),
    ],
    ids=["empty", "garbage", "packed_garbage", "ill_typed", "nested", "bomb", "oversize"],
)
async def test_a_bad_body_is_refused_with_a_problem(home: Home, body: bytes, status: int) -> None:
    response = await home.signed("POST", "/v1/uplink", body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


async def test_too_many_rows_or_numbers_out_of_range_are_refused(home: Home) -> None:
    device, grant = await granted(home)
    group = device.epochs(grant, 1, sealed=False)
    many = msgspec.structs.replace(group, rows=group.rows * 5_001)
    wild = msgspec.structs.replace(group, rows=[msgspec.structs.replace(group.rows[0], seq=2**63)])
    for bad in (many, wild):
        body = pack_body(home.batch(bad))
        assert (await home.signed("POST", "/v1/uplink", body)).status_code == 422


async def test_only_the_sites_own_gateway_is_believed(cloud: Cloud, home: Home) -> None:
    other = await cloud.home()
    body = pack_body(home.batch())
    signed = sign_request(home.key, home.site, "POST", "/v1/uplink", body, now())
    late = now() - timedelta(hours=1)
    attempts = [
        {},
        sign_request(other.key, home.site, "POST", "/v1/uplink", body, now()),
        sign_request(home.key, "nowhere", "POST", "/v1/uplink", body, now()),
        sign_request(home.key, home.site, "GET", "/v1/uplink", body, now()),
        sign_request(home.key, home.site, "POST", "/v1/uplink", body + b"x", now()),
        sign_request(home.key, home.site, "POST", "/v1/uplink", body, late),
        signed | {SIGNATURE_HEADER: "zz"},
    ]
    for headers in attempts:
        headers["content-type"] = CONTENT_TYPE
        response = await cloud.http.post("/v1/uplink", content=body, headers=headers)
        assert response.status_code == 401, headers
    assert (await cloud.http.post("/v1/uplink", content=body, headers=signed)).status_code == 200


async def test_what_was_observed_before_the_grant_began_is_refused(home: Home) -> None:
    device, grant = await granted(home, valid_from=datetime.now(UTC).isoformat())
    receipt = await home.send(device.epochs(grant))
    assert receipt.accepted == 0
    assert {each.reason for each in receipt.refused} == {"not_granted"}
