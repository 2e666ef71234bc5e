"""What is refused at the door is told to the collar, and never acknowledges what is still owed."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from gateway.wire.batch import pack
from gateway.wire.messages import MAX_PAYLOAD_BYTES, Key
from gateway.wire.topics import Kind
from tests.unit.door import AT, Door, birth, event, header, open_door


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as door:
        yield door


@pytest.mark.parametrize("wrong", [{"hardware": ""}, {"observed_at": "2900-01-01T00:00:00Z"}])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_refused_birth_waits_for_what_it_follows(
    door: Door, wrong: dict[str, str], restarted: bool
) -> None:
    assert (await door.take(birth(1), event(1, 1))).key == Key(1, 1)
    kind, fields = birth(2, previous={"boot": 1, "seq": 2})
    ack = await door.take((kind, fields | wrong))
    assert ack.key == Key(1, 1)  # (1, 2) is owed: what the birth says is true, refused or not
    assert len(ack.refused) == 1
    if restarted:
        await door.restart()
    assert (await door.take(event(1, 2))).key == Key(2, 0)


async def test_a_refused_message_is_acknowledged_in_its_turn(door: Door) -> None:
    ack = await door.take(birth(1), event(1, 1, confidence=2), event(1, 2))
    assert ack.key == Key(1, 2)
    assert "invalid" in ack.refused[0]
    assert "$.confidence" in ack.refused[0]


async def test_whatever_was_refused_the_acknowledgement_can_be_sent(door: Door) -> None:
    ugly = [event(1, seq, **{"\x01\u2028" * 200: 2**70}) for seq in range(1, 40)]
    wrong = [(kind, fields | {"clock": "\x02😾" * 100}) for kind, fields in ugly]
    ack = await door.take(birth(1), *wrong)
    assert ack.key == Key(1, 39)
    assert len(ack.refused) == 20
    assert len(door.heard.payloads["c1"]) < MAX_PAYLOAD_BYTES
    assert all(text.isascii() and text.isprintable() for text in ack.refused)


async def test_a_field_that_cannot_be_kept_is_refused_and_the_rest_goes_on(door: Door) -> None:
    payload = ("event", event(1, 1)[1] | {"new": {"deep": [[[[[[[[[1]]]]]]]]]}})
    ack = await door.take(birth(1), payload, event(1, 2, new={"kept": [1]}))
    assert ack.key == Key(1, 2)
    assert "$.new" in ack.refused[0]
    rows = await door.store.read(lambda db: db.execute("SELECT extra FROM message").fetchall())
    kept = [msgspec.msgpack.decode(row["extra"]) for row in rows if row["extra"]]
    assert kept == [{"new": {"kept": [1]}}]


async def test_a_kind_from_a_newer_collar_is_refused_and_holds_nothing_up(door: Door) -> None:
    ack = await door.take(birth(1), ("humidity", header(1, 1, share=0.4)), event(1, 2))
    assert ack.key == Key(1, 2)
    assert ack.refused == ["wrong_topic: kind 'humidity' is unknown"]


async def test_each_message_of_a_batch_is_judged_as_if_it_had_come_alone(door: Door) -> None:
    said = [
        *(birth(1), event(1, 1), event(1, 2, confidence=2), event(1, 3)),
        ("status", {"collar_id": "c1", "state": "offline"}),
        ("batch", {"collar_id": "c1", "deflated": "AAAA"}),
    ]
    packed = pack([(Kind(kind), msgspec.json.encode(fields)) for kind, fields in said], 1)
    batch = ("batch", {"collar_id": "c1", "deflated": packed, "sent_at": AT})
    ack = await door.take(batch)
    assert ack.key == Key(1, 3)
    assert [each.split(":")[0] for each in ack.refused] == ["invalid", *["wrong_topic"] * 2]
    assert (await door.take(batch, event(1, 1))).key == Key(1, 3)  # again, and one of them alone
    rows = await door.store.read(lambda db: db.execute("SELECT sent_us FROM message").fetchall())
    assert [row["sent_us"] for row in rows] == [1_767_225_600_000_000] * 3


async def test_a_batch_that_does_not_open_is_refused_with_its_reason(door: Door) -> None:
    ack = await door.take(("batch", {"collar_id": "c1", "deflated": b"no deflate"}))
    assert ack.key is None
    assert ack.refused[0].startswith("unopened: not raw deflate")
