"""Conformance of every message kind, at both ends of the wire."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.codec import (
    JSON,
    MAX_NESTING,
    MSGPACK,
    NEVER,
    content_type_of,
    decode,
    decode_raw,
    digest,
    encode,
    salvage_key,
    salvage_previous,
    type_of,
)
from gateway.wire.errors import Rejected, RejectReason, TooLarge
from gateway.wire.messages import (
    MAX_PAYLOAD_BYTES,
    MESSAGES,
    Birth,
    Event,
    Key,
    Window,
)
from gateway.wire.topics import Kind, Topic
from tests.strategies import MESSAGE_OF, births, plain, sent

AT = "2026-03-01T12:00:00Z"
HEADER: dict[str, Any] = {"collar_id": "c1", "boot": 3, "seq": 9, "observed_at": AT}
GAP: dict[str, object] = {"boot": 1, "first_seq": 0, "last_seq": 2}
RELEASE: dict[str, Any] = {
    **{"slot": "activity", "package": "activity", "version": "0.3.0", "manifest": "AAAA"},
    **{"sha256": "0" * 64, "size": 9, "key_id": "0" * 16, "signature": "A" * 86 + "=="},
}
SMALLEST: dict[Kind, dict[str, Any]] = {
    Kind.BIRTH: HEADER | {"hardware": "board", "firmware": "1.0"},
    Kind.EPOCH: HEADER | {"seconds": {"walk": 30.0}},
    Kind.FIX: HEADER | {"lat_deg": 52.1, "lon_deg": 13.4, "accuracy_m": 5.0},
    Kind.EVENT: HEADER | {"name": "scratch", "confidence": 0.9},
    Kind.WINDOW: HEADER
    | {"rate_hz": 25.0, "acc_g_per_lsb": 0.001, "gyr_dps_per_lsb": 0.1, "samples": "A" * 16},
    Kind.SEAL: HEADER
    | {"first_seq": 0, "last_seq": 8, "root": "A" * 43 + "=", "signature": "A" * 86 + "=="},
    Kind.SLOTS: HEADER | {"slots": []},
    Kind.POWER: HEADER | {"period_s": 3600.0, "battery_pct": 80.0},
    Kind.STATUS: {"collar_id": "c1", "state": "online"},
    Kind.MODEL: {"collar_id": "c1", "rollout": "r1", "state": "receiving"},
    Kind.BATCH: {"collar_id": "c1", "deflated": "AAAA"},
    Kind.ACK: {"collar_id": "c1"},
    Kind.DESIRED: {"collar_id": "c1", "version": 1},
    Kind.OFFER: {"collar_id": "c1", "rollout": "r1", "release": RELEASE},
    Kind.CHUNK: {"collar_id": "c1", "rollout": "r1", "index": 0, "data": "A" * 16},
}
"""The required fields of each kind and nothing else, as JSON has them."""
BINARY = {"deflated": 3, "samples": 12, "root": 32, "signature": 64, "data": 12, "manifest": 3}
KINDS = sorted(SMALLEST)
KEYED = sorted(MESSAGES)
FORMS = (JSON, MSGPACK)

few = settings(max_examples=60)


def topic(kind: Kind, collar_id: str = "c1") -> Topic:
    return Topic("home", collar_id, kind)


def binary(value: Any, name: str = "") -> Any:
    """What JSON says in base64, as the bytes that MessagePack has."""
    if isinstance(value, dict):
        return {key: binary(each, key) for key, each in value.items()}
    return bytes(BINARY[name]) if name in BINARY and isinstance(value, str) else value


def packed(fields: dict[str, Any], form: str) -> bytes:
    if form == JSON:
        return msgspec.json.encode(fields)
    return msgspec.msgpack.encode(binary(fields))


def refused(kind: Kind, payload: bytes, form: str | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(topic(kind), payload, form)
    return caught.value


class TestEveryKind:
    def test_all_kinds_are_covered_here(self) -> None:
        assert set(SMALLEST) == set(MESSAGE_OF) == set(Kind) == set(type_of)

    @few
    @given(sent, st.sampled_from(FORMS), st.booleans())
    def test_what_is_sent_is_what_is_read(
        self, kind_and_message: tuple[Kind, Any], form: str, declared: bool
    ) -> None:
        kind, message = kind_and_message
        payload = encode(message, form)
        decoded = decode(topic(kind, message.collar_id), payload, form if declared else None)
        assert decoded.message == message
        assert decoded.extra is None

    @few
    @given(sent, st.sampled_from(FORMS), st.dictionaries(st.text(max_size=8), plain, min_size=1))
    def test_a_newer_sender_is_understood_and_its_fields_are_kept_aside(
        self, kind_and_message: tuple[Kind, Any], form: str, news: dict[str, Any]
    ) -> None:
        kind, message = kind_and_message
        news = {f"new_{name}": value for name, value in news.items()}
        fields = decode_raw(encode(message, form), form) | news
        payload = (msgspec.json if form == JSON else msgspec.msgpack).encode(fields)
        if len(payload) > MAX_PAYLOAD_BYTES:
            return
        decoded = decode(topic(kind, message.collar_id), payload, form)
        assert decoded.message == message
        assert decoded.extra == news
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(decoded.extra)) == news

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_required_fields_suffice_and_each_is_required(self, kind: Kind, form: str) -> None:
        assert decode(topic(kind), packed(SMALLEST[kind], form), form).message.collar_id == "c1"
        for name in SMALLEST[kind]:
            rest = {other: value for other, value in SMALLEST[kind].items() if other != name}
            error = refused(kind, packed(rest, form), form)
            assert error.reason is RejectReason.INVALID
            assert f"`{name}`" in error.detail

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_no_field_takes_another_type(self, kind: Kind, form: str) -> None:
        for field in msgspec.structs.fields(type_of[kind]):
            for wrong in ([[]], True) if field.type is not bool else ([[]], 1):
                payload = packed(SMALLEST[kind] | {field.name: wrong}, form)
                error = refused(kind, payload, form)
                assert error.reason is RejectReason.INVALID, (field.name, wrong)
                assert f"$.{field.name}" in error.detail

    @pytest.mark.parametrize("kind", KINDS)
    def test_numbers_are_finite(self, kind: Kind) -> None:
        fields = msgspec.json.schema(type_of[kind])["$defs"][type_of[kind].__name__]["properties"]
        for name, schema in fields.items():
            kinds = [schema, *schema.get("anyOf", [])]
            if not any(each.get("type") == "number" for each in kinds):
                continue
            for wrong in (float("nan"), float("inf"), float("-inf")):
                error = refused(kind, packed(SMALLEST[kind] | {name: wrong}, MSGPACK))
                assert error.reason is RejectReason.INVALID, (name, wrong)
                assert f"$.{name}" in error.detail
            text = msgspec.json.encode(SMALLEST[kind] | {name: "?"})
            for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
                error = refused(kind, text.replace(b'"?"', word))
                assert error.reason is RejectReason.UNPARSABLE

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "garbage",
        [
            b"",
            b"\x00",
            b"{",
            b"{}x",
            b"[]",
            b"null",
            b"42",
            b'"text"',
            b"\xc1",
            b"\xff" * 40,
            b"\x81\x01\x02",
            b'{"collar_id":"\xff"}',
            b'{"collar_id":"\\ud800"}',
            bytes(range(256)),
        ],
    )
    def test_garbage_is_unparsable_under_every_content_type(
        self, kind: Kind, garbage: bytes
    ) -> None:
        for form in (None, "text/plain", *FORMS):
            assert refused(kind, garbage, form).reason is RejectReason.UNPARSABLE

    @few
    @given(st.sampled_from(KINDS), st.binary(max_size=200), st.sampled_from((None, *FORMS)))
    def test_any_bytes_are_refused_and_nothing_else_happens(
        self, kind: Kind, payload: bytes, form: str | None
    ) -> None:
        assert refused(kind, payload, form).reason in (
            RejectReason.UNPARSABLE,
            RejectReason.INVALID,
        )
        assert salvage_key(payload, form, "c1") is None

    @few
    @given(sent, st.sampled_from(FORMS), st.data())
    def test_a_torn_message_is_refused(
        self, kind_and_message: tuple[Kind, Any], form: str, data: st.DataObject
    ) -> None:
        kind, message = kind_and_message
        payload = encode(message, form)
        cut = data.draw(st.integers(0, len(payload) - 1))
        with pytest.raises(Rejected):
            decode(topic(kind, message.collar_id), payload[:cut], form)

    @pytest.mark.parametrize("kind", KINDS)
    def test_deep_nesting_is_refused(self, kind: Kind) -> None:
        text = msgspec.json.encode(SMALLEST[kind])[:-1] + b',"new":%s}'
        for depth in (MAX_NESTING + 1, 500, 7_000):
            error = refused(kind, text % (b"[" * depth + b"]" * depth))
            assert error.reason in (RejectReason.INVALID, RejectReason.UNPARSABLE)
        assert decode(topic(kind), text % (b"[" * MAX_NESTING + b"]" * MAX_NESTING)).extra
        map_of = packed(SMALLEST[kind], MSGPACK)
        count = bytes([map_of[0] + 1])
        error = refused(kind, count + map_of[1:] + b"\xa3new" + b"\x91" * 10_000 + b"\x01")
        assert error.reason is RejectReason.UNPARSABLE

    @pytest.mark.parametrize("kind", KINDS)
    def test_another_collars_topic_is_refused(self, kind: Kind) -> None:
        with pytest.raises(Rejected) as caught:
            decode(topic(kind, "c2"), packed(SMALLEST[kind], JSON))
        assert caught.value.reason is RejectReason.WRONG_TOPIC
        assert "c1" in caught.value.detail
        assert "c2" in caught.value.detail

    @pytest.mark.parametrize("kind", KINDS)
    def test_ids_end_where_they_end(self, kind: Kind) -> None:
        error = refused(kind, packed(SMALLEST[kind] | {"collar_id": "c1\n"}, JSON))
        assert error.reason is RejectReason.INVALID
        assert "$.collar_id" in error.detail

    @pytest.mark.parametrize("kind", KINDS)
    def test_size_is_limited_at_both_ends(self, kind: Kind) -> None:
        filler = {"new": "x" * MAX_PAYLOAD_BYTES}
        error = refused(kind, packed(SMALLEST[kind] | filler, JSON))
        assert error.reason is RejectReason.OVERSIZED
        assert str(MAX_PAYLOAD_BYTES) in error.detail
        bare = len(packed(SMALLEST[kind] | {"new": ""}, JSON))
        fits = {"new": "x" * (MAX_PAYLOAD_BYTES - bare)}
        payload = packed(SMALLEST[kind] | fits, JSON)
        assert len(payload) == MAX_PAYLOAD_BYTES
        assert decode(topic(kind), payload).extra == fits
        assert refused(kind, payload + b" ").reason is RejectReason.OVERSIZED


class TestInstants:
    @pytest.mark.parametrize("kind", KEYED)
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize(
        "wrong",
        [
            "2026-03-01T12:00:00",
            "2026-03-01",
            "yesterday",
            1_772_366_400,
            "1969-12-31T23:59:59Z",
            "0001-01-01T00:00:00+14:00",
        ],
    )
    def test_an_instant_has_an_offset_and_is_after_1970(
        self, kind: Kind, form: str, wrong: object
    ) -> None:
        error = refused(kind, packed(SMALLEST[kind] | {"observed_at": wrong}, form), form)
        assert error.reason is RejectReason.INVALID
        assert "$.observed_at" in error.detail

    @pytest.mark.parametrize(
        "said", [AT, "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00.000000Z"]
    )
    def test_any_offset_is_the_same_instant(self, said: str) -> None:
        decoded = decode(topic(Kind.FIX), packed(SMALLEST[Kind.FIX] | {"observed_at": said}, JSON))
        assert getattr(decoded.message, "observed_at") == datetime(2026, 3, 1, 12, tzinfo=UTC)  # noqa: B009


OUT_OF_RANGE = [
    *((kind, "boot", wrong) for kind in KEYED for wrong in (-1, 2**53, 2**64 - 1, 1.5)),
    *((kind, "seq", wrong) for kind in KEYED for wrong in (-1, 2**53)),
    *((kind, "uptime_s", wrong) for kind in KEYED for wrong in (-0.1, 1e10)),
    *((kind, "clock", "sundial") for kind in KEYED),
    *((kind, "collar_id", wrong) for kind in KINDS for wrong in ("", "C1", "-c", "a" * 33, "a/b")),
    (Kind.BIRTH, "hardware", ""),
    (Kind.BIRTH, "firmware", "x" * 49),
    (Kind.BIRTH, "sample_rate_hz", 0),
    (Kind.BIRTH, "slots", [{}]),
    (Kind.BIRTH, "slots", [dict.fromkeys(("slot", "package", "version"), "x") | {"sha256": "0"}]),
    (
        Kind.BIRTH,
        "slots",
        [dict.fromkeys(("slot", "package", "version"), "x") | {"sha256": "0" * 64}] * 9,
    ),
    (Kind.BIRTH, "previous", {"boot": 1}),
    (Kind.BIRTH, "previous", {"boot": 1, "seq": -1}),
    (Kind.EPOCH, "period_s", 0),
    (Kind.EPOCH, "period_s", 3601),
    (Kind.EPOCH, "seconds", {"Walk": 1}),
    (Kind.EPOCH, "seconds", {"walk\n": 1}),
    (Kind.EPOCH, "seconds", {"walk": -1}),
    (
        Kind.EPOCH,
        "seconds",
        {f"b{'abcdefghijklmnopqrstuvwxyz'[n % 26] * (n // 26 + 1)}": 0 for n in range(33)},
    ),
    (Kind.EPOCH, "odba_g", 65),
    (Kind.EPOCH, "vedba_g", -1),
    (Kind.EPOCH, "steps", -1),
    (Kind.EPOCH, "anomaly", 1.01),
    (Kind.EPOCH, "battery_pct", 101),
    (Kind.FIX, "lat_deg", 90.01),
    (Kind.FIX, "lon_deg", -180.01),
    (Kind.FIX, "accuracy_m", -1),
    (Kind.FIX, "source", "star"),
    (Kind.FIX, "hdop", 101),
    (Kind.FIX, "speed_mps", 201),
    (Kind.EVENT, "name", ""),
    (Kind.EVENT, "confidence", -0.01),
    (Kind.WINDOW, "rate_hz", 0),
    (Kind.WINDOW, "acc_g_per_lsb", 0),
    (Kind.WINDOW, "gyr_dps_per_lsb", 101),
    (Kind.WINDOW, "samples", "AAAA"),
    (Kind.WINDOW, "samples", "not base64"),
    (Kind.SEAL, "root", "A" * 40),
    (Kind.SEAL, "signature", "A" * 40),
    (Kind.SLOTS, "slots", [{}]),
    (Kind.POWER, "period_s", 0),
    (Kind.POWER, "period_s", 86_401),
    (Kind.POWER, "battery_pct", -0.1),
    (Kind.POWER, "battery_pct", 100.1),
    (Kind.POWER, "days_left", -1),
    (Kind.POWER, "days_left", 3_651),
    (Kind.POWER, "joules", {"gnss": -1}),
    (Kind.POWER, "joules", {"gnss": 2e6}),
    (Kind.POWER, "joules", {"GNSS": 1}),
    (Kind.POWER, "joules", {f"part_{chr(97 + n)}": 0 for n in range(17)}),
    (Kind.BATCH, "deflated", ""),
    (Kind.BATCH, "sent_at", "yesterday"),
    (Kind.STATUS, "state", "asleep"),
    (Kind.STATUS, "gaps", [{"boot": 1, "first_seq": 1}]),
    (Kind.STATUS, "gaps", [{"boot": 1, "first_seq": 2, "last_seq": 1}]),
    (Kind.STATUS, "gaps", [{"boot": 1, "first_seq": 0, "last_seq": 2**53}]),
    (Kind.STATUS, "gaps", [GAP | {"first_seq": 1, "previous": {"boot": 0, "seq": 0}}]),
    (Kind.STATUS, "gaps", [GAP | {"previous": {"boot": 1, "seq": 0}}]),
    (Kind.STATUS, "gaps", [GAP] * 129),
    (Kind.STATUS, "dropped", {"epoch": -1}),
    (Kind.MODEL, "state", "sleeping"),
    (Kind.MODEL, "next_chunk", -1),
    (Kind.MODEL, "next_chunk", 4097),
    (Kind.MODEL, "reason", "mood"),
    (Kind.MODEL, "detail", "x" * 301),
    (Kind.DESIRED, "windows_per_hour", 3601),
    (Kind.OFFER, "chunk_bytes", 63),
    (Kind.OFFER, "chunk_bytes", 8193),
    (Kind.OFFER, "release", RELEASE | {"size": 0}),
    (Kind.OFFER, "release", RELEASE | {"sha256": "Z" * 64}),
    (Kind.OFFER, "release", RELEASE | {"key_id": "0" * 15}),
    (Kind.CHUNK, "index", 4096),
    (Kind.CHUNK, "data", ""),
    (Kind.CHUNK, "data", "A" * 12_000),
    (Kind.STATUS, "log_start", {"boot": 0}),
]


@pytest.mark.parametrize(("kind", "name", "wrong"), OUT_OF_RANGE)
def test_what_is_out_of_range_is_refused_by_name(kind: Kind, name: str, wrong: object) -> None:
    error = refused(kind, msgspec.json.encode(SMALLEST[kind] | {name: wrong}))
    assert error.reason is RejectReason.INVALID
    assert f"$.{name}" in error.detail


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        (Kind.EPOCH, {"seconds": {"walk": 40.0, "run": 40.0}}, "seconds"),
        (Kind.EPOCH, {"windows": 1, "windows_unsure": 2}, "windows_unsure"),
        (Kind.WINDOW, {"samples": "A" * 20}, "sample bytes"),
        (Kind.SEAL, {"last_seq": 9}, "earlier messages"),
        (Kind.SEAL, {"first_seq": 8, "last_seq": 7}, "earlier messages"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    kind: Kind, change: dict[str, Any], word: str
) -> None:
    error = refused(kind, msgspec.json.encode(SMALLEST[kind] | change))
    assert error.reason is RejectReason.INVALID
    assert word in error.detail


class TestNewerSenders:
    def test_new_fields_inside_known_ones_are_tolerated(self) -> None:
        slot = {"slot": "a", "package": "p", "version": "1", "sha256": "0" * 64}
        fields = SMALLEST[Kind.BIRTH] | {
            "slots": [slot | {"arena_bytes": 7000}],
            "previous": {"boot": 1, "seq": 2, "page": 7},
            "colour": {"of": "the strap"},
        }
        for form in FORMS:
            decoded = decode(topic(Kind.BIRTH), packed(fields, form), form)
            assert isinstance(decoded.message, Birth)
            assert decoded.message.previous == Key(1, 2)
            assert decoded.message.slots[0].package == "p"
            assert decoded.extra == {"colour": {"of": "the strap"}}
            raw = decode_raw(packed(fields, form), form)  # what is kept is what was sent
            assert raw["slots"][0]["arena_bytes"] == 7000

    @pytest.mark.parametrize(
        "alien", [2**64, -(2**63) - 1, {1: 2}, {"a": {None: 1}}, msgspec.msgpack.Ext(5, b"x")]
    )
    def test_an_unknown_field_must_be_plain_data(self, alien: object) -> None:
        fields = SMALLEST[Kind.FIX] | {"new": [alien]}
        huge = isinstance(alien, int)  # only JSON can write it
        payload = msgspec.json.encode(fields | {"new": "?"}).replace(b'"?"', str(alien).encode())
        error = refused(Kind.FIX, payload if huge else msgspec.msgpack.encode(fields))
        assert error.reason is RejectReason.INVALID
        assert "$.new" in error.detail

    def test_new_and_wrong_is_wrong(self) -> None:
        error = refused(Kind.FIX, packed(SMALLEST[Kind.FIX] | {"new": 1, "lat_deg": 91}, JSON))
        assert error.reason is RejectReason.INVALID
        assert "$.lat_deg" in error.detail


class TestContentType:
    def test_a_declared_type_wins_and_an_unknown_one_is_guessed(self) -> None:
        assert content_type_of(b"{}", MSGPACK) == MSGPACK
        assert content_type_of(b"\x80", JSON) == JSON
        assert content_type_of(b"{}", "text/plain") == JSON
        assert content_type_of(b"{}") == JSON
        assert content_type_of(b"\x80") == MSGPACK
        assert content_type_of(b"") == MSGPACK

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_wrong_declaration_is_unparsable(self, kind: Kind) -> None:
        for form, other in (FORMS, FORMS[::-1]):
            error = refused(kind, packed(SMALLEST[kind], form), other)
            assert error.reason is RejectReason.UNPARSABLE
            assert other in error.detail


class TestSender:
    def test_what_is_too_large_is_not_sent(self) -> None:
        header = {"collar_id": "c1", "boot": 0, "seq": 0, "observed_at": datetime.now(UTC)}
        scales = {"rate_hz": 25, "acc_g_per_lsb": 0.1, "gyr_dps_per_lsb": 0.1}
        window = Window(**header, **scales, samples=bytes(12_000), label="x" * 9_000)
        for form in FORMS:
            with pytest.raises(TooLarge, match=str(MAX_PAYLOAD_BYTES)):
                encode(window, form)

    def test_the_largest_window_can_be_sent_either_way(self) -> None:
        header = {"collar_id": "c" * 32, "boot": 0, "seq": 0, "observed_at": datetime.now(UTC)}
        scales = {"rate_hz": 25, "acc_g_per_lsb": 0.1, "gyr_dps_per_lsb": 0.1}
        for form in FORMS:  # base64 makes 16,000 bytes of it
            assert encode(Window(**header, **scales, samples=bytes(12_000)), form)

    def test_defaults_are_not_sent(self) -> None:
        event = Event(
            collar_id="c1", boot=0, seq=0, observed_at=datetime.now(UTC), name="x", confidence=1
        )
        assert decode_raw(encode(event)).keys() == {
            *("collar_id", "boot", "seq", "observed_at", "name", "confidence")
        }

    def test_a_digest_tells_messages_apart(self) -> None:
        assert digest(b"one") == digest(b"one") != digest(b"two")
        assert len(digest(b"")) == 16


class TestSalvage:
    @pytest.mark.parametrize("kind", KEYED)
    @pytest.mark.parametrize("form", FORMS)
    def test_the_key_of_a_refused_message_is_read_where_it_can(self, kind: Kind, form: str) -> None:
        payload = packed(HEADER | {"clock": "sundial"}, form)
        assert salvage_key(payload, form, "c1") == Key(3, 9)
        assert salvage_key(payload, form, "c2") is None
        assert salvage_key(payload, form, None) is None

    @pytest.mark.parametrize(
        "wrong", [{"boot": -1}, {"seq": "9"}, {"seq": None}, {"boot": 2**53}, {"seq": True}]
    )
    def test_half_a_key_is_none(self, wrong: dict[str, Any]) -> None:
        assert salvage_key(packed(HEADER | wrong, JSON), JSON, "c1") is None

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_a_number_that_json_does_not_know_costs_no_key(self, number: str) -> None:
        fields = HEADER | {"hardware": "x", "previous": {"boot": 2, "seq": 7}}
        payload = packed(fields, JSON)[:-1] + b', "sample_rate_hz": ' + number.encode() + b"}"
        assert refused(Kind.BIRTH, payload, JSON).reason is RejectReason.UNPARSABLE
        for form in (None, JSON):
            assert salvage_key(payload, form, "c1") == Key(3, 9)
            assert salvage_previous(payload, form) == Key(2, 7)
        assert salvage_key(payload, MSGPACK, "c1") is None
        assert salvage_key(payload[:-1], JSON, "c1") is None

    def test_what_a_refused_birth_follows(self) -> None:
        fields = HEADER | {"hardware": ""}
        assert salvage_previous(packed(fields, JSON)) is None
        named = fields | {"previous": {"boot": 2, "seq": 7}}
        assert salvage_previous(packed(named, JSON)) == Key(2, 7)
        assert salvage_previous(packed(fields | {"previous": 7}, JSON)) == NEVER
        assert salvage_previous(b"\xc1") == NEVER

    @few
    @given(births(), st.sampled_from(FORMS))
    def test_and_it_is_what_it_says(self, birth: Birth, form: str) -> None:
        assert salvage_previous(encode(birth, form), form) == birth.previous
        assert salvage_key(encode(birth, form), form, birth.collar_id) == birth.key
