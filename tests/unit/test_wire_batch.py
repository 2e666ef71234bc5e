"""Many messages in one packet: the same bytes come out, and nothing hostile gets in."""

import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.batch import DICTIONARY, MAX_LINES, MAX_UNPACKED_BYTES, pack, unpack
from gateway.wire.codec import JSON, decode, encode
from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.messages import MESSAGES, ActivityEpoch
from gateway.wire.topics import Kind, Topic
from tests.strategies import MESSAGE_OF

BATCH = Topic("home", "c1", Kind.BATCH)
keyed = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda kind: MESSAGE_OF[kind].map(lambda message: (kind, message))
)


def deflated(lines: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=DICTIONARY)
    return deflate.compress(lines) + deflate.flush()


def refused(raw: bytes) -> RejectReason:
    with pytest.raises(Rejected) as caught:
        unpack(BATCH, raw)
    return caught.value.reason


@settings(max_examples=20, deadline=None)
@given(st.lists(keyed, min_size=1, max_size=8))
def test_what_was_packed_comes_out_byte_for_byte(said: list[tuple[Kind, msgspec.Struct]]) -> None:
    payloads = [(kind, encode(message, JSON)) for kind, message in said]
    if sum(len(payload) + 8 for _, payload in payloads) > MAX_UNPACKED_BYTES:
        return
    opened = unpack(BATCH, pack(payloads))
    assert opened == [(f"pawmesh/v1/home/c1/{kind}", payload) for kind, payload in payloads]


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
    assert len(pack([(Kind.EPOCH, each) for each in epochs])) < len(epochs[0]) + len(epochs[1])


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_is_lines(raw: bytes) -> None:
    try:
        opened = unpack(BATCH, raw)
    except Rejected:
        return
    assert 1 <= len(opened) <= MAX_LINES


def test_a_bomb_opens_no_further_than_its_limit() -> None:
    assert refused(deflated(b"0" * 10_000_000)) is RejectReason.OVERSIZED
    assert refused(deflated(b"fix {}\n" * (MAX_LINES + 1))) is RejectReason.OVERSIZED
    assert len(unpack(BATCH, deflated(b"fix {}\n" * MAX_LINES))) == MAX_LINES


@pytest.mark.parametrize(
    "raw", [deflated(b"fix {}\n")[:-1], deflated(b"fix {}\n") + b"x", deflated(b"fix {}"), b"\0"]
)
def test_a_torn_batch_is_unparsable(raw: bytes) -> None:
    assert refused(raw) is RejectReason.UNPARSABLE


def test_a_line_cannot_speak_for_another_topic() -> None:
    (text, _), *_ = unpack(BATCH, deflated(b"../c2/fix {}\n"))
    with pytest.raises(Rejected):
        Topic.parse(text)
    other = b'{"collar_id":"c2","boot":0,"seq":0,"observed_at":"2026-01-01T00:00:00Z","seconds":{}}'
    ((text, payload),) = unpack(BATCH, pack([(Kind.EPOCH, other)]))
    with pytest.raises(Rejected):
        decode(Topic.parse(text), payload, JSON)
