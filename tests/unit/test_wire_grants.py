"""Laws of consent: nothing outside the grant, nothing outside its time, nowhere more exact."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.codec import decode_raw, encode
from gateway.wire.grants import BESIDE_COARSE, COARSE_LEAF, STREAM_OF, Grant, Precision, Stream
from gateway.wire.messages import Message
from gateway.wire.seal import HEADER, disclose, leaves_of
from gateway.wire.topics import Kind
from tests.strategies import grants, instants, sent

few = settings(max_examples=80)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHERE = {"lat_deg", "lon_deg", "position_100m", "position_1km", "position_10km"}
messages = sent.filter(lambda pair: isinstance(pair[1], Message))


def grant(stream: Stream = Stream.POSITION, **change: object) -> Grant:
    fixed = {"grant_id": "g1", "pet_id": "p1", "purpose": "study", "recipient": "lab"}
    return Grant(**fixed | {"stream": stream, "valid_from": NOW - HOUR} | change)  # type: ignore[arg-type]


class TestWhat:
    @few
    @given(grants, messages)
    def test_nothing_outside_the_grants_stream(
        self, given_grant: Grant, kind_and_message: tuple[Kind, Message]
    ) -> None:
        kind, message = kind_and_message
        present = set(leaves_of(kind, decode_raw(encode(message))))
        leaves = given_grant.leaves(kind, present)
        assert leaves <= present
        if STREAM_OF.get(kind) is not given_grant.stream:
            assert not leaves

    @pytest.mark.parametrize("kind", sorted(set(Kind) - set(STREAM_OF)))
    @pytest.mark.parametrize("stream", Stream)
    def test_births_seals_and_presence_belong_to_no_stream(
        self, kind: Kind, stream: Stream
    ) -> None:
        assert not grant(stream).leaves(kind, {"hardware", "state", "root"})

    @few
    @given(
        st.sampled_from(sorted(COARSE_LEAF)),
        st.sets(st.sampled_from([*WHERE, *BESIDE_COARSE, "hdop", "speed_mps", "home_address"])),
    )
    def test_a_coarse_grant_shows_its_own_cell_and_nothing_more_exact(
        self, precision: Precision, present: set[str]
    ) -> None:
        leaves = grant(precision=precision).leaves(Kind.FIX, present)
        assert leaves & WHERE <= {COARSE_LEAF[precision]}
        assert leaves <= BESIDE_COARSE | {COARSE_LEAF[precision]}

    def test_every_precision_but_exact_has_a_cell(self) -> None:
        assert set(COARSE_LEAF) == set(Precision) - {Precision.EXACT}

    @few
    @given(messages)
    def test_an_exact_grant_shows_the_whole_message(
        self, kind_and_message: tuple[Kind, Message]
    ) -> None:
        kind, message = kind_and_message
        if kind not in STREAM_OF:
            return
        leaves = leaves_of(kind, decode_raw(encode(message)))
        granted = grant(STREAM_OF[kind]).leaves(kind, set(leaves) - {HEADER})
        assert disclose(kind, message.seq, leaves, bytes(32), granted).hidden == {}

    @pytest.mark.parametrize("kind", sorted(STREAM_OF))
    def test_a_field_that_we_do_not_know_stays_at_home(self, kind: Kind) -> None:
        present = {"confidence", "odba_g", "samples", "lat_deg", "last_lat_deg", "owner_phone"}
        leaves = grant(STREAM_OF[kind]).leaves(kind, present)
        assert not leaves & {"last_lat_deg", "owner_phone"}
        assert ("lat_deg" in leaves) == (kind is Kind.FIX)


class TestWhen:
    @few
    @given(grants, instants)
    def test_a_grant_holds_from_its_beginning_to_its_first_end(
        self, given_grant: Grant, instant: datetime
    ) -> None:
        begun = given_grant.valid_from <= instant
        expired = given_grant.expires_at is not None and given_grant.expires_at <= instant
        withdrawn = given_grant.withdrawn_at is not None and given_grant.withdrawn_at <= instant
        assert given_grant.active_at(instant) == (begun and not expired and not withdrawn)

    @pytest.mark.parametrize(
        "change",
        [
            {"valid_from": NOW + HOUR},
            {"expires_at": NOW},
            {"expires_at": NOW - HOUR},
            {"withdrawn_at": NOW},
            {"withdrawn_at": NOW - HOUR, "expires_at": NOW + HOUR},
            {"expires_at": NOW - HOUR, "withdrawn_at": NOW + HOUR},
            {"valid_from": NOW, "expires_at": NOW},
        ],
    )
    def test_not_yet_no_more_and_withdrawn_allow_nothing(self, change: dict[str, datetime]) -> None:
        assert not grant(**change).active_at(NOW)

    def test_it_begins_at_its_instant_and_ends_before_its_last(self) -> None:
        ends = grant(valid_from=NOW, expires_at=NOW + HOUR)
        assert not ends.active_at(NOW - timedelta(microseconds=1))
        assert ends.active_at(NOW)
        assert ends.active_at(NOW + HOUR - timedelta(microseconds=1))
        assert not ends.active_at(NOW + HOUR)
        assert grant().active_at(datetime.max.replace(tzinfo=UTC))
