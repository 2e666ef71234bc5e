"""Models over the air to real collar processes, through a real broker, with the power cut."""

import asyncio
import hashlib
import os
import random
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collar_sim.firmware.models.classifier import micro_available
from gateway.wire.codec import MSGPACK, decode, encode
from gateway.wire.errors import Rejected, SessionLost
from gateway.wire.messages import (
    ActivityEpoch,
    Birth,
    Choice,
    Desired,
    Event,
    Message,
    ModelAnswer,
    ModelOffer,
    ModelState,
    Presence,
    Slots,
    Window,
)
from gateway.wire.release import ModelRefusal, Release
from gateway.wire.session import Delivery, Session
from gateway.wire.topics import Kind, Topic
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.releases import PUBLIC, bad_release, chunks_of, offer_of, raw_of, release_of
from tests.system.household import SITE, START_AT, Acknowledger, Simulator, write_fleet

ROUNDS = int(os.environ.get("SOAK", "5"))
AHEAD = 4  # chunks under way
REPEAT_S = 1.0  # the gateway's is 10 s; the order is what is tested
RAW = raw_of()
LIVE = ("--start-at", START_AT, "--history", "0", "--radio-loss", "0")


class Deliverer(Acknowledger):
    """The least gateway that brings models: it offers, sends from where the collar stands."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.offers: dict[str, ModelOffer] = {}
        self.raw = RAW
        self.answers: dict[str, list[ModelAnswer]] = {}
        self.desired: dict[str, Desired] = {}
        self._session: Session | None = None
        self._asked: set[str] = set()
        self._sent: dict[str, int] = {}
        """Chunks before this one are under way, or there."""

    async def run(self) -> None:
        repeating = asyncio.create_task(self._repeat())
        try:
            await super().run()
        finally:
            repeating.cancel()
            await asyncio.gather(repeating, return_exceptions=True)

    def offer(self, offer: ModelOffer) -> None:
        """Bring a model to a collar, until it says what became of it."""
        self.offers[offer.collar_id] = offer
        self.answers[offer.collar_id] = []
        self._ask(offer)

    def _ask(self, offer: ModelOffer) -> None:
        self._sent.pop(offer.collar_id, None)  # whatever was under way is taken for lost
        self.send(Kind.OFFER, offer)

    def desire(self, desired: Desired) -> None:
        self.desired[desired.collar_id] = desired
        self.send(Kind.DESIRED, desired)

    def send(self, kind: Kind, message: Any) -> None:
        if self._session is not None:
            topic = str(Topic(SITE, message.collar_id, kind))
            with suppress(SessionLost):  # an outage; it is said again
                self._session.publish(topic, encode(message), content_type=MSGPACK)

    def shout(self, collar_id: str, kind: Kind, payload: bytes) -> None:
        """Publish anything at all."""
        assert self._session is not None
        topic = str(Topic(SITE, collar_id, kind))
        self._session.publish(topic, payload, content_type=MSGPACK)

    def last(self, collar_id: str) -> ModelAnswer | None:
        answers = self.answers.get(collar_id)
        return answers[-1] if answers else None

    def is_done(self, collar_id: str) -> bool:
        last = self.last(collar_id)
        return last is not None and last.state is not ModelState.RECEIVING

    def messages(self, collar_id: str) -> list[Message]:
        """All that a collar said, in its order."""
        said: list[Message] = []
        for (owner, _), (kind, payload) in sorted(self.held.items(), key=lambda item: item[0]):
            if owner == collar_id:
                message = decode(Topic(SITE, owner, kind), payload).message
                assert isinstance(message, Message)
                said.append(message)
        return said

    def slots(self, collar_id: str) -> dict[str, str]:
        """What the collar said last of its slots: version by slot."""
        said = [m for m in self.messages(collar_id) if isinstance(m, Birth | Slots)]
        return {slot.slot: slot.version for slot in said[-1].slots}

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        self._session = session
        super()._take(session, batch)

    def _keep(self, topic: Topic, delivery: Delivery) -> None:
        super()._keep(topic, delivery)
        with suppress(Rejected):
            message = decode(topic, delivery.payload, delivery.content_type).message
            if isinstance(message, ModelAnswer):
                self._answered(message)
            elif topic.kind is Kind.STATUS and self.statuses[topic.collar_id][-1].state is (
                Presence.ONLINE
            ):
                if topic.collar_id in self.desired:
                    self.send(Kind.DESIRED, self.desired[topic.collar_id])
                if topic.collar_id in self.offers and not self.is_done(topic.collar_id):
                    self._ask(self.offers[topic.collar_id])

    def _answered(self, answer: ModelAnswer) -> None:
        offer = self.offers.get(answer.collar_id)
        if offer is None or offer.rollout != answer.rollout:
            return
        self.answers[answer.collar_id].append(answer)
        self._asked.discard(answer.collar_id)
        if answer.state is ModelState.RECEIVING:
            until = answer.next_chunk + AHEAD
            first = max(answer.next_chunk, self._sent.get(answer.collar_id, 0))
            for chunk in chunks_of(offer, self.raw)[first:until]:
                self.send(Kind.CHUNK, chunk)
            self._sent[answer.collar_id] = max(first, until)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_S)
            for collar_id, offer in self.offers.items():
                if not self.is_done(collar_id):
                    if collar_id in self._asked:
                        self._ask(offer)
                    self._asked.add(collar_id)


@pytest.fixture
def broker(tmp_path: Path) -> Generator[Broker]:
    server = Broker(tmp_path / "broker", free_ports(1)[0])
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def delivering(url: str) -> AsyncGenerator[Deliverer]:
    gateway = Deliverer(url)
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def fleet(path: Path, count: int, *, key: bytes | None = PUBLIC) -> list[str]:
    """A fleet whose collars all believe the tests' release key."""
    collars = write_fleet(path, count)
    entries = msgspec.json.decode(path.read_bytes())
    if key is not None:
        for entry in entries["collars"]:
            entry["release_key"] = key.hex()
    path.write_bytes(msgspec.json.encode(entries))
    return collars


def places(folder: Path) -> dict[tuple[str, str], tuple[Release, bytes]]:
    """Release and model of each collar's places for its activity model, as they lie in flash."""
    with closing(sqlite3.connect(folder / "sim" / "flash.sqlite")) as db:
        rows = db.execute(
            """SELECT collar_id, state, release, model FROM model_slot JOIN collar USING (number)
               WHERE slot = 'activity'"""
        ).fetchall()
    return {
        (collar_id, state): (msgspec.msgpack.decode(release, type=Release), model)
        for collar_id, state, release, model in rows
    }


async def test_a_signed_model_reaches_running_collars_and_is_what_they_say_they_run(
    broker: Broker, tmp_path: Path
):
    collars = fleet(tmp_path / "fleet.json", 4)
    engine = ("--engine", "auto", "--micro-collars", "2") if micro_available() else ()
    async with delivering(broker.url) as gateway:
        sim = Simulator(tmp_path, broker.url, *LIVE, *engine, "--speed", "60")
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 4)
        release = release_of(version="9.0.0")
        for collar in collars:
            gateway.offer(offer_of(release, "r1", collar))
        await gateway.until(lambda: all(map(gateway.is_done, collars)))
        assert {gateway.last(collar).state for collar in collars} == {ModelState.INSTALLED}
        await gateway.until(lambda: all(gateway.slots(c)["activity"] == "9.0.0" for c in collars))
        installed_at = max(m.observed_at for m in gateway.messages("c0") if isinstance(m, Slots))
        await gateway.until(
            lambda: any(
                isinstance(m, ActivityEpoch) and m.observed_at > installed_at
                for m in gateway.messages("c0")
            )
        )
        assert await sim.end() == 0
        report = await sim.finish()
        assert report["updated"] == 4
        assert report["refused_models"] == {}
        assert report["by_kind"]["slots"] == 4

        sim = Simulator(tmp_path, broker.url, *LIVE, *engine, "--duration", "0")
        await sim.start()
        report = await sim.finish()
        assert report["updated"] == 4
        births = [m for c in collars for m in gateway.messages(c) if isinstance(m, Birth)]
    assert [
        {slot.version for slot in birth.slots if slot.slot == "activity"} == {"9.0.0"}
        for birth in births
    ].count(True) == 4
    slots = [m for m in gateway.messages("c1") if isinstance(m, Slots)]
    assert [each.rollout for each in slots] == ["r1"]
    assert gateway.conflicts == []


async def test_a_model_finds_its_way_through_a_radio_that_loses_much(
    broker: Broker, tmp_path: Path
):
    collars = fleet(tmp_path / "fleet.json", 3)
    async with delivering(broker.url) as gateway:
        sim = Simulator(
            tmp_path, broker.url, "--start-at", START_AT, "--history", "0", "--radio-loss", "0.3"
        )
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 3)
        for collar in collars:
            gateway.offer(offer_of(release_of(), "r1", collar))
        await gateway.until(lambda: all(map(gateway.is_done, collars)))
        assert {gateway.last(collar).state for collar in collars} == {ModelState.INSTALLED}
        await sim.end()


@pytest.mark.timeout(600)
async def test_a_power_cut_while_a_model_comes_leaves_the_old_or_the_new_one_whole(
    broker: Broker, tmp_path: Path
):
    collars = fleet(tmp_path / "fleet.json", 3)
    chance = random.Random(os.environ.get("SOAK_SEED", "7"))
    flags = (*LIVE, "--engine", "litert", "--speed", "20")
    cut_while: list[str] = []
    async with delivering(broker.url) as gateway:
        sim = Simulator(tmp_path, broker.url, *flags)
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 3)
        for n in range(ROUNDS):
            old = {collar: gateway.slots(collar)["activity"] for collar in collars}
            version, rollout = f"9.0.{n}", f"r{n}"
            release = release_of(version=version)
            for collar in collars:
                gateway.offer(offer_of(release, rollout, collar, chunk_bytes=256))
            chunks = -(-len(RAW) // 256)
            goal = chance.randint(1, 3 * chunks + 12)  # the last ones lie beyond the last chunk
            await gateway.until(
                lambda goal=goal: (
                    sum(map(len, gateway.answers.values())) >= goal
                    or all(map(gateway.is_done, collars))
                )
            )
            await asyncio.sleep(chance.uniform(0.0, 0.01 if goal < 3 * chunks else 1.0))
            await sim.kill()
            await gateway.until(  # the will comes after everything that was still said
                lambda: all(gateway.statuses[c][-1].state is Presence.OFFLINE for c in collars)
            )

            found = places(tmp_path)
            stood: dict[str, int] = {}
            for collar in collars:
                active, coming = found.get((collar, "active")), found.get((collar, "receiving"))
                for kept in (active, found.get((collar, "previous"))):
                    if kept is not None:
                        assert hashlib.sha256(kept[1]).hexdigest() == kept[0].sha256
                told = max((a.next_chunk for a in gateway.answers[collar]), default=0)
                is_new = active is not None and active[0].version == version
                if is_new:
                    assert coming is None
                    cut_while.append("installed")
                else:
                    assert (active[0].version if active else old[collar]) == old[collar]
                    stood[collar] = 0 if coming is None else -(-len(coming[1]) // 256)
                    assert stood[collar] >= told, "an answer said more than the flash holds"
                    assert gateway.last(collar) is None or not gateway.is_done(collar)
                    cut_while.append("receiving" if stood[collar] < chunks else "testing")

            for collar in collars:
                gateway.answers[collar] = []
            boots = {collar: len(_births(gateway, collar)) for collar in collars}
            sim = Simulator(tmp_path, broker.url, *flags)
            await sim.start()
            await gateway.until(lambda: all(map(gateway.is_done, collars)))
            for collar in collars:
                birth = _births(gateway, collar)[boots[collar]]
                said = {slot.slot: slot.version for slot in birth.slots}["activity"]
                assert said == (old[collar] if collar in stood else version)
                first = gateway.answers[collar][0]
                if collar in stood and first.state is ModelState.RECEIVING:
                    assert first.next_chunk == stood[collar], "it goes on where it stood"
                assert gateway.last(collar).state is ModelState.INSTALLED
            await gateway.until(
                lambda version=version: all(
                    gateway.slots(c)["activity"] == version for c in collars
                )
            )
        await sim.end()
        report = await sim.finish()
    assert report["updated"] == 3
    assert gateway.conflicts == []
    assert "receiving" in cut_while, cut_while


def _births(gateway: Deliverer, collar: str) -> list[Birth]:
    return [m for m in gateway.messages(collar) if isinstance(m, Birth)]


async def test_what_a_collar_refuses_it_says_why_and_goes_on(broker: Broker, tmp_path: Path):
    fleet(tmp_path / "fleet.json", 2)
    entries = msgspec.json.decode((tmp_path / "fleet.json").read_bytes())
    del entries["collars"][1]["release_key"]
    (tmp_path / "fleet.json").write_bytes(msgspec.json.encode(entries))
    async with delivering(broker.url) as gateway:
        sim = Simulator(tmp_path, broker.url, *LIVE, "--speed", "60")
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 2)

        gateway.offer(offer_of(release_of(), "r0", "c1"))
        await gateway.until(lambda: gateway.is_done("c1"))
        assert gateway.last("c1").reason is ModelRefusal.UNKNOWN_KEY

        for kind in (Kind.OFFER, Kind.CHUNK, Kind.DESIRED, Kind.ACK):
            for payload in (b"", b"\xc1", b"{}", os.urandom(300), b"\x91" * 9_000):
                gateway.shout("c0", kind, payload)
        corrupt = bytes([RAW[0] ^ 1]) + RAW[1:]
        for n, (release, raw, reason) in enumerate(
            [
                (release_of(version="9.0.0"), corrupt, ModelRefusal.CORRUPT),
                (release_of(version="9.0.0"), RAW[:5_000], ModelRefusal.TRUNCATED),
                (release_of(version="0.0.1"), RAW, ModelRefusal.OLDER),
                (bad_release(RAW + bytes(16_384)), RAW, ModelRefusal.TOO_LARGE),
                (bad_release(raw_of("anomaly")), raw_of("anomaly"), ModelRefusal.WRONG_SHAPE),
                (bad_release(RAW), RAW, ModelRefusal.SELF_TEST_FAILED),
            ]
        ):
            gateway.raw = raw
            gateway.offer(offer_of(release, f"r{n}", "c0"))
            await gateway.until(lambda: gateway.is_done("c0"))
            assert gateway.last("c0").reason is reason
            assert gateway.last("c0").detail

        gateway.raw = RAW
        gateway.offer(offer_of(release_of(version="9.0.0"), "good", "c0"))
        await gateway.until(lambda: gateway.is_done("c0"))
        assert gateway.last("c0").state is ModelState.INSTALLED
        await sim.end()
        report = await sim.finish()
    assert report["updated"] == 1
    assert any("unknown_key" in why for why in report["refused_models"].values())
    assert report["refused"] == {}
    assert (tmp_path / "sim.log").read_text().count("downlink.unreadable") == 4, "once a topic"


async def test_raw_windows_are_sent_while_a_gateway_asks_also_from_history_and_after_a_cut(
    broker: Broker, tmp_path: Path
):
    fleet(tmp_path / "fleet.json", 2)

    def minutes(collar: str, kind: type[Message]) -> dict[Any, int]:
        seen: dict[Any, int] = {}
        for message in gateway.messages(collar):
            if isinstance(message, kind):
                at = message.observed_at.replace(second=0)
                seen[at] = seen.get(at, 0) + 1
        return seen

    async with delivering(broker.url) as gateway:
        sim = Simulator(tmp_path, broker.url, *LIVE, "--speed", "60")
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 2)
        gateway.desire(Desired(collar_id="c0", version=5, windows_per_hour=120))
        await gateway.until(lambda: len(minutes("c0", Window)) >= 2)
        await sim.kill()
        gateway.desired.clear()  # nobody says it again: the collar remembers
        before = len(minutes("c0", Window))

        # the clock went on meanwhile, so what follows begins as history
        sim = Simulator(tmp_path, broker.url, *LIVE, "--speed", "60")
        await sim.start()
        await gateway.until(lambda: len(minutes("c0", Window)) >= before + 4)
        gateway.desire(Desired(collar_id="c0", version=6, windows_per_hour=0))
        await asyncio.sleep(0)
        await gateway.until(lambda: max(minutes("c0", ActivityEpoch)) > max(minutes("c0", Window)))
        await sim.end()
        report = await sim.finish()
    windows = [m for m in gateway.messages("c0") if isinstance(m, Window)]
    assert report["windows_sent"] == report["by_kind"]["window"] == len(windows)
    assert report["too_large"] == 0
    per_minute = minutes("c0", Window)
    asked = [at for at in minutes("c0", ActivityEpoch) if at <= max(per_minute)]
    assert all(per_minute.get(at) == 2 for at in asked if at >= min(per_minute))
    assert {window.choice for window in windows} == {Choice.UNCERTAIN, Choice.RANDOM}
    assert all(window.label and window.confidence is not None for window in windows)
    assert not minutes("c1", Window)
    assert gateway.conflicts == []


async def test_events_name_the_model_that_saw_them(broker: Broker, tmp_path: Path):
    fleet(tmp_path / "fleet.json", 1)
    async with delivering(broker.url) as gateway:
        sim = Simulator(
            tmp_path, broker.url, *LIVE, "--speed", "600", "--scenario", "sick",
        )  # fmt: skip
        await sim.start()
        await gateway.until(lambda: len(gateway.statuses) == 1)
        gateway.raw = raw_of("anomaly")
        gateway.offer(offer_of(release_of("anomaly"), "r1", "c0"))
        await gateway.until(lambda: gateway.is_done("c0"))
        await gateway.until(
            lambda: any(
                isinstance(m, Event) and m.package == "anomaly@9.0.0"
                for m in gateway.messages("c0")
            )
        )
        await sim.end()
    slots = next(m for m in gateway.messages("c0") if isinstance(m, Slots))
    later = [
        m
        for m in gateway.messages("c0")
        if isinstance(m, Event) and m.name == "anomaly" and m.observed_at > slots.observed_at
    ]
    assert later
    assert later[-1].package == "anomaly@9.0.0"
