"""What gateway and cloud exchange: signed requests, bounded bodies."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.errors import Rejected, RejectReason, WrongSeal
from gateway.wire.topics import Kind
from gateway.wire.uplink import (
    MAX_BODY_BYTES,
    MAX_SIGNATURE_AGE_S,
    SIGNATURE_HEADER,
    SIGNED_AT_HEADER,
    SITE_HEADER,
    EnrolledCollar,
    Group,
    RefusedRow,
    Registry,
    Row,
    UplinkBatch,
    UplinkReceipt,
    pack_body,
    sign_request,
    unpack_body,
    verify_request,
)
from tests.strategies import counters, grants, ids, instants, maybe, names, plain, seals

few = settings(max_examples=40)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BODY = b"body"

hashes = st.binary(min_size=32, max_size=32)
rows = st.builds(
    Row,
    seq=counters,
    kind=st.sampled_from(Kind),
    leaves=st.dictionaries(names, plain, max_size=2),
    seed=maybe(hashes),
    salts=maybe(st.binary(max_size=64)),
    hidden=st.dictionaries(names, hashes, max_size=2),
    grant_id=ids,
    received_at=instants,
)
groups = st.builds(
    Group,
    collar_id=ids,
    boot=counters,
    rows=st.lists(rows, max_size=2),
    seal=maybe(seals()),
    withheld=st.dictionaries(counters, hashes, max_size=2),
)
bodies = st.one_of(
    st.builds(
        UplinkBatch,
        site=ids,
        first_id=counters,
        last_id=counters,
        sent_at=instants,
        groups=st.lists(groups, max_size=2),
    ),
    st.builds(
        UplinkReceipt,
        cursor=counters,
        accepted=counters,
        duplicates=counters,
        refused=st.lists(
            st.builds(RefusedRow, collar_id=ids, boot=counters, seq=counters, reason=names),
            max_size=2,
        ),
    ),
    st.builds(
        Registry,
        site=ids,
        version=counters,
        collars=st.lists(
            st.builds(
                EnrolledCollar,
                collar_id=ids,
                pet_id=ids,
                pet_name=names,
                species=names,
                public_key=maybe(hashes),
                assigned_at=instants,
            ),
            max_size=2,
        ),
        grants=st.lists(grants, max_size=2),
    ),
)


def refused(body: bytes, cls: type[msgspec.Struct] = UplinkBatch) -> Rejected:
    with pytest.raises(Rejected) as caught:
        unpack_body(body, cls)
    return caught.value


class TestBodies:
    @few
    @given(bodies)
    def test_what_is_packed_is_what_is_unpacked(self, body: msgspec.Struct) -> None:
        assert unpack_body(pack_body(body), type(body)) == body

    @few
    @given(bodies, st.dictionaries(st.text(max_size=8).map("new_{}".format), plain, min_size=1))
    def test_a_newer_sender_is_understood(self, body: msgspec.Struct, news: dict[str, Any]) -> None:
        fields = msgspec.msgpack.decode(msgspec.msgpack.encode(body)) | news
        packed = zstandard.compress(msgspec.msgpack.encode(fields))
        assert unpack_body(packed, type(body)) == body

    @few
    @given(bodies, st.data())
    def test_a_torn_body_is_refused(self, body: msgspec.Struct, data: st.DataObject) -> None:
        packed = pack_body(body)
        cut = data.draw(st.integers(0, len(packed) - 1))
        assert refused(packed[:cut], type(body)).reason is RejectReason.UNPARSABLE

    @few
    @given(st.binary(max_size=200))
    def test_any_bytes_are_refused_and_nothing_else_happens(self, body: bytes) -> None:
        assert refused(body).reason is RejectReason.UNPARSABLE
        again = refused(zstandard.compress(body)).reason
        assert again in (RejectReason.UNPARSABLE, RejectReason.INVALID)

    def test_what_is_no_zstd_is_said_to_be_none(self) -> None:
        assert "zstd" in refused(msgspec.msgpack.encode({})).detail

    @pytest.mark.parametrize("level", [1, 3])
    def test_a_bomb_is_refused_without_unpacking_it(self, level: int) -> None:
        bomb = zstandard.compress(bytes(16 * MAX_BODY_BYTES), level)
        assert len(bomb) < 100_000
        tracemalloc.start()
        error = refused(bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert error.reason in (RejectReason.OVERSIZED, RejectReason.UNPARSABLE)
        assert peak < 4 * MAX_BODY_BYTES

    def test_the_limit_is_of_what_is_unpacked(self) -> None:
        largest = msgspec.msgpack.encode(bytes(MAX_BODY_BYTES - 5))
        assert len(largest) == MAX_BODY_BYTES
        assert refused(zstandard.compress(largest)).reason is RejectReason.INVALID  # no batch
        error = refused(zstandard.compress(largest + b"\0"))
        assert error.reason is RejectReason.OVERSIZED
        assert str(MAX_BODY_BYTES) in error.detail

    @pytest.mark.parametrize(
        ("change", "names"),
        [
            ({"site": "HOME"}, "site"),
            ({"first_id": -1}, "first_id"),
            ({"sent_at": "2026-06-01T12:00:00"}, "sent_at"),
            ({"groups": [{}]}, "groups"),
            ({"groups": None}, "groups"),
        ],
    )
    def test_another_form_is_refused_by_name(self, change: dict[str, Any], names: str) -> None:
        batch = UplinkBatch(site="home", first_id=1, last_id=1, sent_at=NOW, groups=[])
        fields = msgspec.msgpack.decode(msgspec.msgpack.encode(batch)) | change
        error = refused(zstandard.compress(msgspec.msgpack.encode(fields)))
        assert error.reason is RejectReason.INVALID
        assert f"$.{names}" in error.detail

    def test_withheld_hashes_are_hashes(self) -> None:
        group = Group(collar_id="c1", boot=0, rows=[], withheld={1: bytes(33)})
        assert "withheld" in refused(pack_body(group), Group).detail

    def test_an_abyss_is_refused(self) -> None:
        assert refused(zstandard.compress(b"\x91" * 100_000)).reason is RejectReason.INVALID
        batch = UplinkBatch(site="home", first_id=1, last_id=1, sent_at=NOW, groups=[])
        body = msgspec.msgpack.encode(batch)
        deep = bytes([body[0] + 1]) + body[1:] + b"\xa1x" + b"\x91" * 100_000
        assert refused(zstandard.compress(deep)).reason in (
            RejectReason.INVALID,
            RejectReason.UNPARSABLE,
        )


class TestSignatures:
    def signed(self) -> dict[str, str]:
        return sign_request(KEY, "home", "POST", "/v1/uplink", BODY, NOW)

    def verify(self, headers: dict[str, str], **change: Any) -> None:
        said = {"method": "POST", "path": "/v1/uplink", "body": BODY, "now": NOW} | change
        key = said.pop("public_key", PUBLIC)
        verify_request(key, headers, **said)

    @few
    @given(ids, st.text(max_size=10), st.text(max_size=20), st.binary(max_size=50), instants)
    def test_what_is_signed_verifies(
        self, site: str, method: str, path: str, body: bytes, now: datetime
    ) -> None:
        headers = sign_request(KEY, site, method, path, body, now)
        verify_request(PUBLIC, headers, method, path, body, now)
        assert all(value.isascii() and value.isprintable() for value in headers.values())

    @pytest.mark.parametrize(
        "change",
        [
            {"body": b"Body"},
            {"body": b""},
            {"path": "/v1/uplink/"},
            {"path": "/v1/registry"},
            {"method": "PUT"},
            {"public_key": Ed25519PrivateKey.generate().public_key().public_bytes_raw()},
            {"public_key": bytes(32)},
            {"public_key": b"short"},
        ],
    )
    def test_anything_else_does_not(self, change: dict[str, Any]) -> None:
        self.verify(self.signed())
        with pytest.raises(WrongSeal, match="not signed"):
            self.verify(self.signed(), **change)

    @pytest.mark.parametrize(
        "change",
        [
            {SITE_HEADER: "other"},
            {SIGNED_AT_HEADER: (NOW + timedelta(seconds=1)).isoformat()},
            {SIGNED_AT_HEADER: "2026-06-01T12:00:00"},
            {SIGNED_AT_HEADER: "noon"},
            {SIGNED_AT_HEADER: "0001-01-01T00:00:00+14:00"},
            {SIGNATURE_HEADER: "00" * 64},
            {SIGNATURE_HEADER: "00"},
            {SIGNATURE_HEADER: "signed"},
            {SITE_HEADER: "\ud800"},
        ],
    )
    def test_changed_headers_do_not(self, change: dict[str, str]) -> None:
        with pytest.raises(WrongSeal, match="not signed"):
            self.verify(self.signed() | change)

    @pytest.mark.parametrize("missing", [SITE_HEADER, SIGNED_AT_HEADER, SIGNATURE_HEADER])
    def test_missing_headers_do_not(self, missing: str) -> None:
        headers = self.signed()
        del headers[missing]
        with pytest.raises(WrongSeal):
            self.verify(headers)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_an_old_signature_and_one_from_the_future_do_not(self, sign: int) -> None:
        limit = timedelta(seconds=sign * MAX_SIGNATURE_AGE_S)
        self.verify(self.signed(), now=NOW + limit)
        with pytest.raises(WrongSeal, match="clocks"):
            self.verify(self.signed(), now=NOW + limit + timedelta(seconds=sign))

    def test_a_naive_time_is_no_time_even_when_signed(self) -> None:
        headers = sign_request(KEY, "home", "POST", "/v1/uplink", BODY, NOW.replace(tzinfo=None))
        with pytest.raises(WrongSeal):
            self.verify(headers)
