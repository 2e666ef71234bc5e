"""An owner's word: what is kept, what a grant lets out, and what happens to it on the way."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from gateway.corrections import Correction, corrected, corrections, count_queued, forget, say
from gateway.errors import CloudRefused, CloudUnreachable
from gateway.labels import Labels
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.wire.grants import Grant, Stream
from gateway.wire.uplink import EnrolledCollar, LabelBatch, LabelReceipt, OwnerLabel, Registry
from plugins.sdk.behaviours import Behaviour

NOW = datetime.now(UTC)
NOON = NOW - timedelta(hours=6)
MINUTE = timedelta(minutes=1)


def grant(**fields: Any) -> Grant:
    values: dict[str, Any] = {
        "grant_id": "g1",
        "pet_id": "p1",
        "stream": Stream.RAW,
        "purpose": "training",
        "recipient": "pawmesh",
        "valid_from": NOON - timedelta(hours=1),
    }
    return Grant(**values | fields)


class Cloud:
    """Who takes labels, as the test has it."""

    def __init__(self) -> None:
        self.labels: list[OwnerLabel] = []
        self.forgotten: list[str] = []
        self.refuse: dict[str, str] = {}
        self.meanwhile: Callable[[LabelBatch], Any] | None = None

    async def share_labels(self, batch: LabelBatch) -> LabelReceipt:
        self.labels += batch.labels
        if self.meanwhile is not None:
            await self.meanwhile(batch)
        refused = {
            each.label_id: self.refuse[each.behaviour]
            for each in batch.labels
            if each.behaviour in self.refuse
        }
        return LabelReceipt(accepted=len(batch.labels) - len(refused), refused=refused)

    async def forget_label(self, label_id: str) -> None:
        self.forgotten.append(label_id)


class Home:
    """Corrections of one pet, and the errand that brings them to the cloud."""

    def __init__(self, store: Store, household: Household) -> None:
        self.store, self.household = store, household
        self.labels = Labels(store, household)
        self.cloud = Cloud()

    async def allow(self, *grants: Grant) -> None:
        collar = EnrolledCollar(collar_id="c1", pet_id="p1", pet_name="Rex", assigned_at=NOON)
        registry = Registry(site="home", version=1, collars=[collar], grants=list(grants))
        await self.store.write(lambda db: save_registry(db, registry))
        await self.store.read(self.household.load)

    async def say(
        self, behaviour: Behaviour = Behaviour.EAT, start_at: datetime = NOON, minutes: int = 5
    ) -> Correction:
        return await self.store.write(
            lambda db: say(
                db,
                self.household,
                pet_id="p1",
                start_at=start_at,
                end_at=start_at + minutes * MINUTE,
                behaviour=behaviour,
                now=datetime.now(UTC),
            )
        )

    async def forget(self, correction: Correction) -> bool:
        return await self.store.write(lambda db: forget(db, "p1", correction.correction_id))

    async def states(self) -> list[str]:
        until = NOW + timedelta(days=1)
        held = await self.store.read(
            lambda db: corrections(db, "p1", NOW - timedelta(days=9), until, 100)
        )
        return [each.state for each in reversed(held)]

    async def queued(self) -> int:
        return await self.store.read(count_queued)

    async def sync(self) -> bool:
        return await self.labels.sync(self.cloud)


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with Store.open(tmp_path / "gateway.db") as store:
        home = Home(store, Household("home"))
        await home.allow()
        yield home


async def test_of_overlapping_corrections_the_last_said_counts(home: Home) -> None:
    await home.say(Behaviour.EAT, NOON, 10)
    inner = await home.say(Behaviour.DRINK, NOON + 2 * MINUTE, 2)

    async def at(minute: int) -> str | None:
        return await home.store.read(lambda db: corrected(db, "p1", NOON + minute * MINUTE))

    assert [await at(minute) for minute in (-1, 0, 2, 3, 4, 9, 10)] == [
        *(None, "eat", "drink", "drink", "eat", "eat", None)
    ]
    assert await home.forget(inner)
    assert await at(2) == "eat"
    assert not await home.forget(inner)


async def test_without_a_grant_it_stays_home_and_a_later_one_lets_it_out(home: Home) -> None:
    said = await home.say()
    assert (said.state, said.is_shared) == ("home", False)
    assert "no grant" in said.why
    await home.sync()
    await home.allow(
        grant(stream=Stream.ACTIVITY),
        grant(grant_id="g2", purpose="research"),
        grant(grant_id="g3", valid_from=NOON + MINUTE),
        grant(grant_id="g4", pet_id="p2"),
        grant(grant_id="g5", withdrawn_at=NOW),
        grant(grant_id="g6", expires_at=NOW),
        grant(grant_id="g7", valid_from=NOW + timedelta(days=1)),
    )
    await home.sync()
    assert home.cloud.labels == []
    await home.allow(grant(grant_id="g8"))
    await home.sync()
    (label,) = home.cloud.labels
    assert (label.label_id, label.grant_id) == (said.correction_id, "g8")
    assert await home.states() == ["shared"]
    assert await home.queued() == 0


async def test_a_grant_that_ends_before_it_left_keeps_it_home(home: Home) -> None:
    await home.allow(grant())
    said = await home.say()
    assert (said.state, said.is_shared, said.grant_id) == ("queued", True, "g1")
    assert await home.queued() == 1
    await home.allow(grant(withdrawn_at=datetime.now(UTC)))
    await home.sync()
    assert home.cloud.labels == []
    assert await home.states() == ["home"]


async def test_what_was_on_its_way_when_the_power_went_is_sent_again(home: Home) -> None:
    await home.allow(grant())
    said = await home.say()

    async def lost(_: LabelBatch) -> None:
        raise CloudUnreachable("in the middle of it")

    home.cloud.meanwhile = lost
    with suppress(CloudUnreachable):
        await home.sync()
    home.labels = Labels(home.store, home.household)  # another process
    home.cloud.meanwhile = None
    await home.sync()
    assert [each.label_id for each in home.cloud.labels] == [said.correction_id] * 2
    assert await home.states() == ["shared"]


async def test_what_may_have_left_is_forgotten_there_too(home: Home) -> None:
    """Said, sent without an answer, its grant ended: the cloud may have it all the same."""
    await home.allow(grant())
    said = await home.say()

    async def lost(_: LabelBatch) -> None:
        raise CloudUnreachable("in the middle of it")

    home.cloud.meanwhile = lost
    with suppress(CloudUnreachable):
        await home.sync()
    await home.allow()
    await home.sync()
    assert len(home.cloud.labels) == 1
    assert await home.states() == ["shared"]
    await home.forget(said)
    assert await home.states() == []
    assert await home.queued() == 1
    await home.sync()
    assert home.cloud.forgotten == [said.correction_id]
    assert await home.queued() == 0


async def test_one_taken_back_while_it_is_sent_is_forgotten_afterwards(home: Home) -> None:
    await home.allow(grant())
    said = await home.say()

    async def take_back(_: LabelBatch) -> None:
        await home.forget(said)

    home.cloud.meanwhile = take_back
    await home.sync()
    assert await home.states() == []
    assert home.cloud.forgotten == []
    home.cloud.meanwhile = None
    await home.sync()
    assert home.cloud.forgotten == [said.correction_id]


async def test_one_that_never_left_is_taken_back_without_a_word(home: Home) -> None:
    await home.allow(grant())
    await home.forget(await home.say())
    await home.sync()
    assert (home.cloud.labels, home.cloud.forgotten) == ([], [])


async def test_what_the_cloud_refuses_says_why_and_is_tried_again_with_another_grant(
    home: Home,
) -> None:
    await home.allow(grant())
    await home.say(Behaviour.EAT)
    await home.say(Behaviour.DRINK)
    home.cloud.refuse = {"eat": "not_granted"}
    await home.sync()
    assert await home.states() == ["refused", "shared"]
    await home.sync()
    assert len(home.cloud.labels) == 2  # not again and again
    home.cloud.refuse = {}
    await home.allow(grant(grant_id="g9"))
    await home.sync()
    assert await home.states() == ["shared", "shared"]


async def test_a_label_that_is_never_taken_holds_up_no_other(home: Home) -> None:
    await home.allow(grant())
    for minute in range(20):
        behaviour = Behaviour.EAT if minute == 7 else Behaviour.DRINK
        await home.say(behaviour, NOON + minute * MINUTE, 1)

    async def choke(batch: LabelBatch) -> None:
        if any(each.behaviour is Behaviour.EAT for each in batch.labels):
            raise CloudRefused(422, "eat?")

    home.cloud.meanwhile = choke
    for _ in range(20):
        await home.sync()
    states = await home.states()
    assert (states[7], states.count("shared")) == ("refused", 19)
