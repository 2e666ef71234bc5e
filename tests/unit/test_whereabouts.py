"""A radio knows in its second, and not before, whether the home's WiFi is there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import plugins
from collar_sim.animal import Scenario
from collar_sim.assembly import Assembly, EngineChoice, FleetOptions, assemble
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.minute import MINUTE
from collar_sim.fleet import Fleet
from collar_sim.fleet_file import FleetFile, Member
from collar_sim.wearer import Carried
from collar_sim.whereabouts import Move, moves
from gateway.wire.session import BrokerUrl

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
MINUTES = 12
MEMBER = Member(
    collar_id="c1",
    signing_key="1" * 64,
    salt_secret="2" * 64,
    animal_seed=3,
    lat_deg=48.1,
    lon_deg=11.5,
    scenario=Scenario.ESCAPE,
)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Fleet, Assembly]]:
    """One dog that runs away after a minute."""
    options = FleetOptions(
        broker=BrokerUrl("127.0.0.1", 1),
        site="home",
        models=Path(plugins.__path__[0]),
        start_at=AT,
        history=MINUTES * MINUTE,
        engine=EngineChoice.LITERT,
    )
    with Flash.open(tmp_path) as flash:
        parts = assemble(options, FleetFile([MEMBER], {}), flash)
        (wearer,) = parts.wearers
        before = wearer.carried()
        wearer.resume(Carried(None, before.battery, incident_at=AT + MINUTE), 0)
        yield Fleet(parts, flash), parts


async def test_in_its_second(fleet: tuple[Fleet, Assembly]) -> None:
    running, parts = fleet
    radio = parts.wearers[0].radio
    assert radio is not None
    leaves: Move | None = None
    for n in range(MINUTES):
        made = parts.production.minute(AT + n * MINUTE)
        running._take(made)
        gone = [each for each, _ in made.drafts if isinstance(each, Move) and not each.is_home]
        if gone:
            (leaves,) = gone
            break
        await running._release(made.end_at)
        assert radio.is_home
    assert leaves is not None
    assert leaves.release_at.second
    assert radio.is_home, "the minute is made, and has not begun"
    await running._release(leaves.release_at - timedelta(microseconds=1))
    assert radio.is_home
    await running._release(leaves.release_at)
    assert not radio.is_home


async def test_in_catching_up_at_the_end_of_its_minute(fleet: tuple[Fleet, Assembly]) -> None:
    running, parts = fleet
    radio = parts.wearers[0].radio
    assert radio is not None
    assert radio.is_home
    assert await running._catch_up() == AT + MINUTES * MINUTE
    assert not radio.is_home


def test_who_begins_in_the_middle_of_an_outing_is_told() -> None:
    out = [False] * 3 + [True] * 57
    assert moves(AT, out, None) == [Move(AT, False), Move(AT + timedelta(seconds=3), True)]
    assert moves(AT, [True] * 60, None) == [Move(AT, True)]
    assert moves(AT, [True] * 60, was_home=True) == []
