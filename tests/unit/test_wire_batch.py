"""Many messages in one packet: the same bytes come out, and nothing hostile gets in."""

import hashlib
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.batch import MAX_LINES, MAX_UNPACKED_BYTES, opened, pack, unpack
from gateway.wire.codec import JSON, decode, encode
from gateway.wire.dictionary import DICTIONARIES, NEWEST
from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.messages import MESSAGES, ActivityEpoch
from gateway.wire.topics import Kind, Topic
from tests.strategies import MESSAGE_OF

BATCH = Topic("home", "c1", Kind.BATCH)
GOLDEN = Path(__file__).parents[1] / "data" / "batch-1"
SHA256_OF = {1: "04a6053e3cdc41d95291e57b9b9c285e8af72e870ed8b6545ec9309cd7d94311"}
keyed = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda kind: MESSAGE_OF[kind].map(lambda message: (kind, message))
)


def deflated(lines: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=DICTIONARIES[1])
    return deflate.compress(lines) + deflate.flush()


def unopened(raw: bytes, dictionary: int = 1) -> str:
    with pytest.raises(Rejected) as caught:
        unpack(BATCH, raw, dictionary)
    assert caught.value.reason is RejectReason.UNOPENED
    return caught.value.detail


def test_a_dictionary_that_firmware_was_built_with_never_changes() -> None:
    found = {number: hashlib.sha256(each).hexdigest() for number, each in DICTIONARIES.items()}
    assert found == SHA256_OF


def test_a_batch_of_an_old_collar_opens_for_ever() -> None:
    _, found = opened(BATCH, (GOLDEN / "batch.json").read_bytes())
    lines = [f"{Topic.parse(text).kind} ".encode() + payload for text, payload in found]
    assert b"\n".join([*lines, b""]) == (GOLDEN / "lines.txt").read_bytes()
    for text, payload in found:
        decode(Topic.parse(text), payload, JSON)


def test_a_batch_of_a_dictionary_to_come_says_what_to_do() -> None:
    number = max(DICTIONARIES) + 1
    why = unopened(deflated(b"fix {}\n"), number)
    assert f"dictionary {number} is not known here" in why
    assert "alone" in why


@pytest.mark.parametrize(
    "envelope",
    [
        b'{"collar_id":"c1"}',
        b'{"collar_id":"c2","deflated":"AA=="}',
        b'{"collar_id":"c1","deflated":"AA==","dictionary":0}',
        b'{"collar_id":"c1","deflated":"AA==","sent_at":"today"}',
        b"{" + b" " * 17_000 + b"}",
        b"nothing",
    ],
)
def test_whatever_is_wrong_with_a_batch_has_one_name(envelope: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        opened(BATCH, envelope)
    assert caught.value.reason is RejectReason.UNOPENED


@settings(max_examples=20)
@given(st.lists(keyed, min_size=1, max_size=8))
def test_what_was_packed_comes_out_byte_for_byte(said: list[tuple[Kind, msgspec.Struct]]) -> None:
    payloads = [(kind, encode(message, JSON)) for kind, message in said]
    if sum(len(payload) + 8 for _, payload in payloads) > MAX_UNPACKED_BYTES:
        return
    found = unpack(BATCH, pack(payloads, 1))
    assert found == [(f"pawmesh/v1/home/c1/{kind}", payload) for kind, payload in payloads]


def test_ten_minutes_take_less_than_two_sent_alone() -> None:
    epochs = [
        encode(
            msgspec.convert(
                {
                    **{"collar_id": "c1", "boot": 3, "seq": 100 + n, "uptime_s": 6e3 + 60 * n},
                    **{"observed_at": f"2026-03-01T12:{n:02}:00Z", "steps": 7 * n % 31},
                    **{"seconds": {"walk": 4.0 * n, "rest": 60 - 4.0 * n}, "windows": 15},
                    **{"odba_g": 0.1 + n / 97, "vedba_g": 0.1 + n / 83, "battery_pct": 80 - n / 50},
                },
                ActivityEpoch,
            ),
            JSON,
        )
        for n in range(10)
    ]
    packed = pack([(Kind.EPOCH, each) for each in epochs], NEWEST)
    assert len(packed) < len(epochs[0]) + len(epochs[1])


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_is_lines(raw: bytes) -> None:
    try:
        found = unpack(BATCH, raw)
    except Rejected:
        return
    assert 1 <= len(found) <= MAX_LINES


def test_a_bomb_opens_no_further_than_its_limit() -> None:
    assert "65536 bytes" in unopened(deflated(b"0" * 10_000_000))
    assert "257 lines" in unopened(deflated(b"fix {}\n" * (MAX_LINES + 1)))
    assert len(unpack(BATCH, deflated(b"fix {}\n" * MAX_LINES))) == MAX_LINES


@pytest.mark.parametrize(
    "raw", [deflated(b"fix {}\n")[:-1], deflated(b"fix {}\n") + b"x", deflated(b"fix {}"), b"\0"]
)
def test_a_torn_batch_does_not_open(raw: bytes) -> None:
    unopened(raw)


def test_a_line_cannot_speak_for_another_topic() -> None:
    (text, _), *_ = unpack(BATCH, deflated(b"../c2/fix {}\n"))
    with pytest.raises(Rejected):
        Topic.parse(text)
    other = b'{"collar_id":"c2","boot":0,"seq":0,"observed_at":"2026-01-01T00:00:00Z","seconds":{}}'
    ((text, payload),) = unpack(BATCH, pack([(Kind.EPOCH, other)], 1))
    with pytest.raises(Rejected):
        decode(Topic.parse(text), payload, JSON)
