import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.messages import MESSAGES, Ack, Key, Message
from gateway.wire.topics import UNKEYED_KINDS, UPLINK_KINDS, Kind
from tests.strategies import keys, sent


def test_what_goes_up_has_a_key_unless_it_is_said_again_when_it_matters() -> None:
    assert set(MESSAGES) == UPLINK_KINDS - UNKEYED_KINDS
    assert all(issubclass(each, Message) for each in MESSAGES.values())


@settings(max_examples=50)
@given(st.lists(keys, unique=True))
def test_keys_are_ordered_as_the_collar_wrote_them(some: list[Key]) -> None:
    assert sorted(some) == sorted(some, key=lambda key: (key.boot, key.seq))


@settings(max_examples=50)
@given(sent)
def test_messages_are_immutable(kind_and_message: tuple[Kind, msgspec.Struct]) -> None:
    _, message = kind_and_message
    with pytest.raises(AttributeError):
        setattr(message, "collar_id", "other")  # noqa: B010


def test_an_acknowledgement_names_a_whole_key_or_none() -> None:
    assert Ack(collar_id="c1").key is None
    assert Ack(collar_id="c1", boot=1).key is None
    assert Ack(collar_id="c1", boot=0, seq=0).key == Key(0, 0)
