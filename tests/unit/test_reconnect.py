"""How a collar that lost its broker waits for its next try."""

import asyncio

import pytest

from collar_sim.firmware.link import link as link_module
from collar_sim.firmware.link import reconnect as reconnect_module
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.reconnect import Reconnect
from gateway.wire.session import BrokerUrl

FOR_EVER_S = 3_600.0


@pytest.fixture
def link() -> Link:
    return Link(BrokerUrl("127.0.0.1", 1), "home")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Between what each wait was drawn: one for the next try never ends, one once told is none."""
    asked: list[tuple[float, float]] = []

    def uniform(least_s: float, most_s: float) -> float:
        asked.append((least_s, most_s))
        return FOR_EVER_S if least_s else 0.0

    monkeypatch.setattr(reconnect_module.random, "uniform", uniform)
    return asked


async def _resting(reconnect: Reconnect, link: Link) -> asyncio.Task[None]:
    task = asyncio.create_task(reconnect.rest())
    await asyncio.sleep(0)
    assert len(link.resting) == 1
    return task


async def test_a_rest_ends_soon_after_another_collar_gets_through(
    link: Link, drawn: list[tuple[float, float]]
):
    link.lost("c2", "refused")
    resting = await _resting(Reconnect(link, "c1"), link)
    link.found("c2")
    async with asyncio.timeout(20):
        await resting
    assert drawn == [(0.2, 2.0), (0.0, 2.0)], "at random, or all would come at once"
    assert not link.resting


async def test_what_was_told_before_a_rest_ends_none(link: Link, drawn: list[tuple[float, float]]):
    link.lost("c2", "refused")
    reconnect = Reconnect(link, "c1")
    first = await _resting(reconnect, link)
    link.found("c2")
    async with asyncio.timeout(20):
        await first
    second = await _resting(reconnect, link)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert not link.resting


async def test_who_gives_up_rests_no_longer_and_never_again(
    link: Link, drawn: list[tuple[float, float]]
):
    reconnect = Reconnect(link, "c1")
    resting = await _resting(reconnect, link)
    reconnect.give_up()
    async with asyncio.timeout(20):
        await resting
        await reconnect.rest()
    assert drawn == [(0.2, 2.0)]


async def test_who_gives_up_while_it_lets_others_go_first_waits_no_longer(
    link: Link, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reconnect_module.random, "uniform", lambda *_: FOR_EVER_S)
    link.lost("c2", "refused")
    reconnect = Reconnect(link, "c1")
    resting = await _resting(reconnect, link)
    link.found("c2")
    await asyncio.sleep(0)
    reconnect.give_up()
    async with asyncio.timeout(20):
        await resting


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_session_says_that_none_lasts_unless_we_ended_it(
    link: Link, monkeypatch: pytest.MonkeyPatch, is_ours: bool
):
    monkeypatch.setattr(link_module, "RECONNECT_S", 0.0)  # others may be told each time
    reconnect = Reconnect(link, "c1")
    with reconnect.in_session():
        pass
    reconnect.judge(is_ours=is_ours)
    told = asyncio.Event()
    link.resting.add(told)
    link.lost("c2", "refused")
    link.found("c2")
    assert told.is_set() == is_ours
