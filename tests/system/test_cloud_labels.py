"""What owners say reaches the cloud under a grant, once, and can be taken back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from gateway.wire.topics import Kind
from gateway.wire.uplink import LabelBatch, OwnerLabel, UplinkReceipt, pack_body
from tests.system.cloud_kit import Cloud, Device, Home
from tests.system.learning_kit import label

AGO = timedelta(minutes=10)


@pytest.fixture
async def home(cloud: Cloud) -> Home:
    return await cloud.home()


def now() -> datetime:
    return datetime.now(UTC)


async def teaching(home: Home, **more: Any) -> tuple[Device, str]:
    [device] = await home.enrol()
    how = {"stream": "raw", "purpose": "training"} | more
    return device, await home.grant(device.pet_id, **how)


def edited(given: OwnerLabel, **changes: Any) -> OwnerLabel:
    return msgspec.structs.replace(given, **changes)


async def test_a_label_is_kept_once_and_its_owner_sees_it(home: Home) -> None:
    device, grant = await teaching(home)
    said = label(device, grant, now() - AGO, "walk")
    for _ in range(2):
        receipt = await home.say(said)
        assert (receipt.accepted, receipt.refused) == (1, {})
    [seen] = await home.call("GET", f"/v1/labels?pet_id={device.pet_id}")
    assert (seen["label_id"], seen["behaviour"], seen["grant_id"]) == (said.label_id, "walk", grant)
    assert datetime.fromisoformat(seen["start_at"]) == said.start_at


async def test_the_newer_version_of_a_label_wins_in_whatever_order_they_come(home: Home) -> None:
    device, grant = await teaching(home)
    old = label(device, grant, now() - AGO, "walk", said_at=now() - timedelta(minutes=5))
    new = edited(old, behaviour="run", said_at=now() - timedelta(minutes=4))
    for batch in ([old, new], [new, old], [old]):
        await home.say(*batch)
        [seen] = await home.call("GET", "/v1/labels")
        assert seen["behaviour"] == "run"


async def test_labels_are_listed_by_span_and_pet(home: Home) -> None:
    device, grant = await teaching(home)
    other, its_grant = await teaching(home)
    begin = now() - AGO
    await home.say(
        label(device, grant, begin, "walk", 1),
        label(device, grant, begin + timedelta(minutes=5), "run", 2),
        label(other, its_grant, begin, "rest", 3),
    )
    assert len(await home.call("GET", "/v1/labels")) == 3
    middle = (begin + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    pet = f"/v1/labels?pet_id={device.pet_id}"
    assert [each["behaviour"] for each in await home.call("GET", f"{pet}&since={middle}")] == [
        "run"
    ]
    assert [each["behaviour"] for each in await home.call("GET", f"{pet}&until={middle}")] == [
        "walk"
    ]
    assert len(await home.call("GET", "/v1/labels?limit=2")) == 2


async def test_a_label_taken_back_is_gone_and_again_is_no_error(home: Home) -> None:
    device, grant = await teaching(home)
    said = label(device, grant, now() - AGO, "walk")
    await home.say(said)
    for _ in range(2):
        response = await home.signed("DELETE", f"/v1/labels/{said.label_id}")
        assert response.status_code == 204
    assert await home.call("GET", "/v1/labels") == []


async def test_a_label_needs_a_grant_of_raw_windows_for_training(home: Home, cloud: Cloud) -> None:
    device, grant = await teaching(home)
    [other] = await home.enrol()
    stranger = await cloud.home()
    theirs, their_grant = await teaching(stranger)
    begin = now() - AGO
    good = label(device, grant, begin, "walk")
    grants = {
        "activity": await home.grant(device.pet_id, "activity", purpose="training"),
        "research": await home.grant(device.pet_id, "raw", purpose="research"),
        "another pet": await home.grant(other.pet_id, "raw", purpose="training"),
        "another owner": their_grant,
        "late": await home.grant(
            device.pet_id, "raw", purpose="training", valid_from=now().isoformat()
        ),
        "withdrawn": await home.grant(device.pet_id, "raw", purpose="training"),
        "no grant at all": "no-such-grant",
    }
    await home.call("DELETE", f"/v1/grants/{grants['withdrawn']}", expect=204)
    wrong = [
        edited(good, label_id=f"l{n}", grant_id=each) for n, each in enumerate(grants.values())
    ]
    receipt = await home.say(good, *wrong)
    assert receipt.accepted == 1
    assert receipt.refused == {each.label_id: "not_granted" for each in wrong}
    receipt = await home.say(edited(good, pet_id=theirs.pet_id, grant_id=their_grant))
    assert list(receipt.refused.values()) == ["unknown_pet"]
    assert await stranger.call("GET", "/v1/labels") == []


async def test_a_grant_that_ended_by_itself_takes_no_more(home: Home, database: str) -> None:
    device, grant = await teaching(home)
    with psycopg.connect(database) as db:
        db.execute("UPDATE grant_ SET expires_at = now() - interval '1 second'")
    receipt = await home.say(label(device, grant, now() - AGO, "walk"))
    assert list(receipt.refused.values()) == ["expired"]


async def test_nobody_labels_the_future(home: Home) -> None:
    device, grant = await teaching(home)
    begin = now() - AGO
    wrong = [
        label(device, grant, now() + timedelta(minutes=6), "walk", 1),
        label(device, grant, begin, "walk", 2, end_at=now() + timedelta(minutes=6)),
        label(device, grant, begin, "walk", 3, said_at=now() + timedelta(minutes=6)),
        label(device, grant, begin, "walk", 4, said_at=begin - timedelta(seconds=1)),
        label(device, grant, begin, "walk", 5, said_at=datetime.min.replace(tzinfo=UTC)),
    ]
    receipt = await home.say(*wrong)
    assert receipt.refused == {each.label_id: "future_dated" for each in wrong}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 100,
        pack_body(LabelBatch(site="home1", labels=[]))[:-3],
        pack_body(LabelBatch(site="another", labels=[])),
        pack_body(UplinkReceipt(cursor=1, accepted=1, duplicates=0)),
    ],
)
async def test_a_body_that_is_no_batch_of_this_site_is_refused(home: Home, body: bytes) -> None:
    response = await home.signed("POST", "/v1/labels", body)
    assert response.status_code in (403, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_another_gateway_brings_and_forgets_nothing(home: Home, cloud: Cloud) -> None:
    device, grant = await teaching(home)
    said = label(device, grant, now() - AGO, "walk")
    await home.say(said)
    stranger = await cloud.home()
    receipt = await stranger.say(edited(said, behaviour="run", said_at=now()))
    assert list(receipt.refused.values()) == ["unknown_pet"]
    batch = LabelBatch(site=home.site, labels=[said])
    response = await stranger.signed("POST", "/v1/labels", pack_body(batch))
    assert response.status_code == 403
    await stranger.signed("DELETE", f"/v1/labels/{said.label_id}")
    [seen] = await home.call("GET", "/v1/labels")
    assert seen["behaviour"] == "walk"
    assert await stranger.call("GET", "/v1/labels") == []
    await stranger.call("GET", f"/v1/labels?pet_id={device.pet_id}", expect=404)
    assert len(await cloud.operator("GET", "/v1/labels")) == 1


async def test_raw_windows_come_through_with_why_they_were_chosen(
    home: Home, database: str
) -> None:
    device, grant = await teaching(home)
    messages = [
        (Kind.WINDOW, device.window(0, now() - AGO, choice="random")),
        (Kind.WINDOW, device.window(1, now() - AGO, choice="uncertain", aura="violet")),
        (Kind.WINDOW, device.window(2, now() - AGO)),
        (Kind.EPOCH, device.epoch(3, now() - AGO)),
    ]
    del messages[2][1]["choice"]
    group = device.group(messages, {Kind.WINDOW: (grant, None)})
    shown = [row for row in group.rows if "aura" not in row.leaves]
    assert len(shown) == 2, "a leaf that we do not know may not be shown"
    known = {"aura"} ^ set(group.rows[1].leaves)
    group = device.group(messages, {Kind.WINDOW: (grant, known)})
    receipt = await home.send(group)
    assert (receipt.accepted, receipt.refused) == (3, [])
    with psycopg.connect(database) as db:
        rows = db.execute("SELECT choice, sealed, octet_length(samples) FROM raw_window").fetchall()
    assert sorted(rows, key=repr) == [
        ("random", True, 1200),
        ("uncertain", True, 1200),
        (None, True, 1200),
    ]
    history = await home.call("GET", f"/v1/pets/{device.pet_id}/history")
    assert history["raw_windows"] == 3
    assert history["hours"] == []


async def test_a_sealed_window_earns_what_a_window_is_worth(home: Home, database: str) -> None:
    device, grant = await teaching(home)
    messages = [(Kind.WINDOW, device.window(n, now() - AGO)) for n in range(2)]
    await home.send(device.group(messages, {Kind.WINDOW: (grant, None)}))
    with psycopg.connect(database) as db:
        [score] = db.execute("SELECT rows_new, quality_ppm, units, reasons FROM score").fetchall()
    assert score == (2, 1_000_000, 4_000, ["sealed", "fresh"])


@pytest.mark.parametrize("choice", ["because", 7, "", None])
async def test_a_reason_of_choice_that_is_none_is_refused(home: Home, choice: Any) -> None:
    device, grant = await teaching(home)
    messages = [(Kind.WINDOW, device.window(0, now() - AGO, choice=choice))]
    receipt = await home.send(device.group(messages, {Kind.WINDOW: (grant, None)}))
    expected = [] if choice is None else ["invalid"]
    assert [row.reason for row in receipt.refused] == expected
