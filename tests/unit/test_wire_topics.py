import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.topics import (
    DOWNLINK_KINDS,
    UPLINK_KINDS,
    Kind,
    Topic,
    ack_filter,
    downlink_filters,
    site_filter,
)
from tests.strategies import ids


@settings(max_examples=100)
@given(ids, ids, st.sampled_from(Kind))
def test_what_is_built_is_what_is_parsed(site: str, collar_id: str, kind: Kind) -> None:
    topic = Topic(site, collar_id, kind)
    assert Topic.parse(str(topic)) == topic
    assert str(topic) == f"pawmesh/v1/{site}/{collar_id}/{kind}"


@pytest.mark.parametrize(
    ("text", "reason", "names"),
    [
        ("", RejectReason.WRONG_TOPIC, "''"),
        ("pawmesh", RejectReason.WRONG_TOPIC, "pawmesh"),
        ("pawmesh/v1/home/c1", RejectReason.WRONG_TOPIC, "c1"),
        ("pawmesh/v1/home/c1/fix/", RejectReason.WRONG_TOPIC, "fix/"),
        ("/pawmesh/v1/home/c1/fix", RejectReason.WRONG_TOPIC, "/pawmesh"),
        ("petmesh/v1/home/c1/fix", RejectReason.WRONG_TOPIC, "petmesh"),
        ("pawmesh/v2/home/c1/fix", RejectReason.UNSUPPORTED_VERSION, "'v2'"),
        ("pawmesh/v9/home/c1/teleport", RejectReason.UNSUPPORTED_VERSION, "'v9'"),
        ("pawmesh/v1/home/c1/teleport", RejectReason.WRONG_TOPIC, "teleport"),
        ("pawmesh/v1/home/c1/FIX", RejectReason.WRONG_TOPIC, "FIX"),
        ("pawmesh/v1/home/C1/fix", RejectReason.WRONG_TOPIC, "C1"),
        ("pawmesh/v1//c1/fix", RejectReason.WRONG_TOPIC, "//c1"),
        ("pawmesh/v1/home/c1\n/fix", RejectReason.WRONG_TOPIC, r"c1\n"),
        ("pawmesh/v1/home\n/c1/fix", RejectReason.WRONG_TOPIC, r"home\n"),
        ("pawmesh/v1/home/" + "c" * 33 + "/fix", RejectReason.WRONG_TOPIC, "ccc"),
        ("pawmesh/v1/home/ć1/fix", RejectReason.WRONG_TOPIC, "ć1"),
    ],
)
def test_other_topics_are_refused_by_name(text: str, reason: RejectReason, names: str) -> None:
    with pytest.raises(Rejected) as caught:
        Topic.parse(text)
    assert caught.value.reason is reason
    assert names in caught.value.detail


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text("pawmesh/v1c+#", max_size=40))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(Rejected):
        Topic.parse(text)


def test_the_details_stay_short() -> None:
    with pytest.raises(Rejected) as caught:
        Topic.parse("x" * 60_000)
    assert len(caught.value.detail) < 200


def test_a_site_hears_all_its_collars_whatever_their_version() -> None:
    assert site_filter("home") == "pawmesh/+/home/+/+"
    assert ack_filter("home", "c1") == str(Topic("home", "c1", Kind.ACK))


def test_a_collar_subscribes_to_all_that_goes_down_and_nothing_else() -> None:
    kinds = {Topic.parse(each).kind for each in downlink_filters("home", "c1")}
    assert kinds == set(Kind) - UPLINK_KINDS == DOWNLINK_KINDS
