"""What the collars of a process share: one voice about outages, and about what is refused."""

import asyncio

import structlog

from collar_sim.firmware.link.link import WARN_EVERY_S, Link
from gateway.wire.session import BrokerUrl

WHY = ["invalid: odba_g"]


def _rests(link: Link) -> asyncio.Event:
    """Set when a collar that waits for its next try is told to."""
    told = asyncio.Event()
    link.resting.add(told)
    return told


def test_an_outage_of_many_is_said_once_as_it_begins_and_once_as_it_ends() -> None:
    link = Link(BrokerUrl("127.0.0.1", 1), "home")
    with structlog.testing.capture_logs() as logs:
        for name in ("c1", "c2", "c3"):
            link.lost(name, "refused")
        told = _rests(link)
        link.found("c1")
        assert told.is_set()
        told.clear()
        link.let_go("c2")  # its power went
        link.found("c4")  # it was never away
        link.found("c3")
    assert [each["event"] for each in logs] == ["broker.lost", "broker.back"]
    assert not told.is_set(), "not each of a fleet tells all others"


def test_others_try_at_once_only_as_long_as_sessions_last() -> None:
    link = Link(BrokerUrl("127.0.0.1", 1), "home")
    told = _rests(link)

    def is_told() -> bool:
        was_set = told.is_set()
        told.clear()
        return was_set

    link.broke_off()
    for _ in range(5):
        link.lost("c1", "closed")
        link.found("c1")
        assert not is_told()
    link.lasted()
    assert is_told()
    link.lasted()
    assert not is_told()


def test_refusals_are_all_counted_and_said_once_a_minute() -> None:
    link = Link(BrokerUrl("127.0.0.1", 1), "home")
    with structlog.testing.capture_logs() as logs:
        for second in range(int(WARN_EVERY_S) + 1):
            link.note_refused("c1", WHY * 20, float(second))
    assert [(each["refused_so_far"], each["reasons"]) for each in logs] == [
        (20, WHY * 3),
        (20 * (int(WARN_EVERY_S) + 1), WHY * 3),
    ]
