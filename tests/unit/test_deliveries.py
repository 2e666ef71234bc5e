"""Models on their way to collars: what the gateway sends, writes down, fetches and reports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.deliveries import Courier, Packages, Reports
from gateway.deliveries.courier import AT_ONCE
from gateway.deliveries.ledger import plan
from gateway.deliveries.packages import kept_package
from gateway.deliveries.talk import ANSWER_S, MAX_PATIENCE_S, WINDOW, Talk
from gateway.downlink import Downlink
from gateway.errors import CloudUnreachable
from gateway.ingest import Heard
from gateway.registry import Household, save_registry
from gateway.slots import held_slots, note_word
from gateway.store import Store, to_us
from gateway.sync import CloudClient
from gateway.wire.codec import JSON, decode, encode
from gateway.wire.messages import (
    MAX_PAYLOAD_BYTES,
    MODEL_CHUNK_BYTES,
    Birth,
    ModelAnswer,
    ModelChunk,
    ModelOffer,
    ModelState,
    Slot,
    Slots,
)
from gateway.wire.release import MAX_GOLDEN_BYTES, MAX_MANIFEST_BYTES, ModelRefusal, Release
from gateway.wire.session import Session
from gateway.wire.topics import Topic
from gateway.wire.uplink import (
    DeliveryReports,
    Deployment,
    EnrolledCollar,
    ModelPackage,
    Registry,
    pack_body,
    unpack_body,
)
from tests.releases import CHUNKS, deployment, package_of

AT = datetime(2026, 5, 1, tzinfo=UTC)


def slot_of(release: Release) -> Slot:
    return Slot(
        slot=release.slot, package=release.package, version=release.version, sha256=release.sha256
    )


@dataclass
class Air:
    """A session's sending end: what went to the collars, decoded."""

    said: list[Any] = field(default_factory=list[Any])
    is_lost: bool = False

    def publish(self, topic: str, payload: bytes, **_: Any) -> None:
        self.said.append(decode(Topic.parse(topic), payload).message)

    def take(self) -> list[Any]:
        said, self.said = self.said, []
        return said


class Home:
    """A courier over a store of its own."""

    def __init__(self, store: Store, household: Household) -> None:
        self.store, self.household = store, household
        self.air = Air()
        self.restart()

    def restart(self) -> None:
        downlink = Downlink(self.household)
        downlink.session = cast(Session, self.air)
        self.courier = Courier(self.store, self.household, downlink)
        self.courier.opened()

    async def register(self, *deployments: Deployment, collars: int = 1, version: int = 1) -> None:
        registry = Registry(
            site="home",
            version=version,
            collars=[
                EnrolledCollar(
                    collar_id=f"c{n}", pet_id=f"p{n}", pet_name=f"Rex {n}", assigned_at=AT
                )
                for n in range(collars)
            ],
            grants=[],
            deployments=list(deployments),
        )
        await self.store.write(lambda db: save_registry(db, registry))
        await self.store.read(self.household.load)
        self.courier.replan()

    async def keep(self, *packages: ModelPackage) -> None:
        for each in packages:
            row = (each.release.sha256, msgspec.msgpack.encode(each), each.release.size)
            await self.store.write(
                lambda db, row=row: db.execute(
                    "INSERT INTO package (sha256, body, size) VALUES (?, ?, ?)", row
                )
            )

    async def answer(self, *answers: ModelAnswer) -> list[Any]:
        self.courier.hear(Heard(answers=list(answers)))
        await self.courier.step()
        return self.air.take()

    async def word(self, message: Birth | Slots) -> None:
        await self.store.write(lambda db: note_word(db, message))
        self.courier.hear(Heard(slots={message.collar_id}))
        await self.courier.step()

    async def rows(self) -> list[tuple[str, str, str | None]]:
        def read(db: Any) -> list[tuple[str, str, str | None]]:
            found = db.execute("SELECT rollout, state, reason FROM delivery ORDER BY id")
            return [tuple(row) for row in found]

        return await self.store.read(read)

    async def counter(self, name: str) -> int:
        self.courier._next_tick_s = 0.0
        await self.courier.step()
        row = await self.store.read(
            lambda db: db.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        )
        return row["value"] if row else 0


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with Store.open(tmp_path / "gateway.db") as store:
        household = Household("home")
        await store.read(household.load)
        yield Home(store, household)


def receiving(next_chunk: int, rollout: str = "r1", collar_id: str = "c0") -> ModelAnswer:
    return ModelAnswer(
        collar_id=collar_id, rollout=rollout, state=ModelState.RECEIVING, next_chunk=next_chunk
    )


def final(state: ModelState, rollout: str = "r1", **fields: Any) -> ModelAnswer:
    return ModelAnswer(collar_id="c0", rollout=rollout, state=state, **fields)


def indices(said: list[Any]) -> list[int]:
    return [each.index for each in said if isinstance(each, ModelChunk)]


def word(boot: int, seq: int, *held: Release, collar_id: str = "c0") -> Slots:
    return Slots(
        collar_id=collar_id, boot=boot, seq=seq, observed_at=AT, slots=[slot_of(r) for r in held]
    )


async def offered(home: Home, package: ModelPackage, **more: Any) -> ModelOffer:
    """A delivery just begun."""
    await home.register(deployment("r1", package, "c0"), **more)
    await home.keep(package)
    await home.courier.step()
    (offer,) = home.air.take()
    assert isinstance(offer, ModelOffer)
    return offer


async def test_a_model_goes_out_in_a_window_of_chunks_until_the_collar_has_it(home: Home) -> None:
    package = package_of()
    offer = await offered(home, package)
    assert offer.release == package.release
    got, sent = bytearray(), await home.answer(receiving(0))
    assert indices(sent) == list(range(WINDOW))
    while sent:
        chunk = sent.pop(0)
        assert len(got) == chunk.index * MODEL_CHUNK_BYTES
        got += chunk.data
        sent += await home.answer(receiving(chunk.index + 1))
    assert bytes(got) == package.model
    assert await home.answer(final(ModelState.INSTALLED)) == []
    assert await home.rows() == [("r1", "installed", None)]


async def test_a_gateway_that_died_goes_on_where_the_collar_says(home: Home) -> None:
    await offered(home, package_of())
    await home.answer(receiving(0))
    await home.answer(receiving(3))
    home.restart()
    await home.courier.step()
    (again,) = home.air.take()
    assert isinstance(again, ModelOffer)
    assert indices(await home.answer(receiving(3))) == [3, 4, 5, 6]


async def test_a_lost_chunk_is_sent_again_once_however_often_the_collar_asks(home: Home) -> None:
    await offered(home, package_of())
    await home.answer(receiving(0))
    assert indices(await home.answer(receiving(1))) == [4]
    assert indices(await home.answer(receiving(1))) == [1, 2, 3, 4]
    for _ in range(100):
        assert await home.answer(receiving(1)) == []
    assert indices(await home.answer(receiving(2))) == [5]


async def test_a_collar_that_forgot_everything_begins_again(home: Home) -> None:
    await offered(home, package_of())
    await home.answer(receiving(0))
    await home.answer(receiving(6))
    assert indices(await home.answer(receiving(0))) == [0, 1, 2, 3]


async def test_hostile_answers_are_counted_and_change_nothing(home: Home) -> None:
    await home.register(deployment("r1", package_of(), "c0"), collars=2)
    await home.keep(package_of())
    await home.courier.step()
    home.air.take()
    flood = [receiving(4096)] * 500 + [receiving(0, "nobody-knows")] * 500
    flood += [receiving(0, collar_id="c1")] * 500  # of another collar's rollout
    flood += [final(ModelState.PENDING)] * 500
    assert await home.answer(*flood) == []
    assert await home.counter("model_answers_invalid") == 1_000
    assert await home.counter("model_answers_unknown") == 500
    assert await home.rows() == [("r1", "pending", None)]
    assert indices(await home.answer(receiving(0))) == [0, 1, 2, 3]


async def test_no_answers_however_many_make_us_send_more_than_a_few_models(home: Home) -> None:
    package = package_of()
    await offered(home, package)
    chunks = 0
    for high in range(CHUNKS + 1):
        for _ in range(20):
            chunks += len(await home.answer(receiving(0)))
            chunks += len(await home.answer(receiving(high)))
    assert chunks <= CHUNKS * 2 * WINDOW


async def test_who_flaps_is_offered_once_a_second_at_most(home: Home) -> None:
    await offered(home, package_of())
    for _ in range(200):
        home.courier.hear(Heard(present={"c0": True}))
        await home.courier.step()
    assert home.air.take() == []


async def test_a_refusal_without_a_reason_is_a_refusal(home: Home) -> None:
    await offered(home, package_of())
    await home.answer(final(ModelState.REFUSED))
    assert await home.rows() == [("r1", "refused", None)]
    (row,) = await home.store.read(lambda db: db.execute("SELECT detail FROM delivery").fetchall())
    assert row["detail"] == "the collar gave no reason"


async def test_what_is_over_stays_over_whatever_is_said_later(home: Home) -> None:
    await offered(home, package_of())
    refusal = final(ModelState.REFUSED, reason=ModelRefusal.OLDER, detail="0.2.0 runs")
    await home.answer(refusal, final(ModelState.INSTALLED), receiving(0))
    await home.answer(final(ModelState.INSTALLED))
    assert await home.rows() == [("r1", "refused", "older")]


async def test_only_so_many_are_served_at_once_and_the_next_when_one_is_done(home: Home) -> None:
    package, fleet = package_of(), AT_ONCE + 10
    await home.register(deployment("r1", package, *(f"c{n}" for n in range(fleet))), collars=fleet)
    await home.keep(package)
    await home.courier.step()
    offers = home.air.take()
    assert len(offers) == AT_ONCE
    await home.answer(
        *(
            ModelAnswer(collar_id=each.collar_id, rollout="r1", state=ModelState.INSTALLED)
            for each in offers[:3]
        )
    )
    await home.courier.step()
    states = [state for _, state, _ in await home.rows()]
    assert states.count("installed") == 3
    assert len({each.collar_id for each in offers}) == AT_ONCE
    await home.answer(receiving(0, collar_id=offers[5].collar_id))
    assert home.courier._is_full


async def test_those_that_went_take_nobodys_place(home: Home) -> None:
    package, fleet = package_of(), AT_ONCE + 10
    home.courier.hear(Heard(present={f"c{n}": False for n in range(AT_ONCE)}))
    await home.store.write(
        lambda db: db.executemany(
            "INSERT INTO presence VALUES (?, 'offline', 1, 0)",
            [(f"c{n}",) for n in range(AT_ONCE)],
        )
    )
    await home.register(deployment("r1", package, *(f"c{n}" for n in range(fleet))), collars=fleet)
    await home.keep(package)
    await home.courier.step()
    assert {each.collar_id for each in home.air.take()} == {f"c{n}" for n in range(AT_ONCE, fleet)}
    home.courier.hear(Heard(present={"c7": True}))
    await home.courier.step()
    assert [each.collar_id for each in home.air.take()] == ["c7"]
    home.courier.hear(Heard(spoke={"c8", f"c{AT_ONCE}"}))  # a will came late: it is there
    await home.courier.step()
    assert [each.collar_id for each in home.air.take()] == ["c8"]


async def test_a_newer_release_takes_the_place_of_one_under_way(home: Home) -> None:
    first, second = package_of("9.0.0"), package_of("9.1.0")
    await offered(home, first)
    await home.answer(receiving(2))
    await home.keep(second)
    await home.register(deployment("r2", second, "c0"), version=2)
    await home.courier.step()
    offers = [each for each in home.air.take() if isinstance(each, ModelOffer)]
    assert [each.rollout for each in offers] == ["r2"]
    assert await home.rows() == [("r1", "refused", "superseded"), ("r2", "pending", None)]
    await home.register(deployment("r1", first, "c0"), version=3)  # the newer one is called back
    await home.courier.step()
    assert await home.rows() == [("r2", "refused", "superseded"), ("r1", "pending", None)]


async def test_a_collar_that_has_it_is_asked_nothing(home: Home) -> None:
    package = package_of()
    await home.word(word(1, 4, package.release))
    await home.keep(package)
    await home.register(deployment("r1", package, "c0"))
    await home.courier.step()
    assert home.air.take() == []
    assert await home.rows() == [("r1", "installed", None)]


async def test_the_same_bytes_under_another_version_are_the_collars_to_judge(home: Home) -> None:
    package = package_of()
    older = msgspec.structs.replace(package.release, version="0.1.0")
    await home.word(word(1, 4, older))
    await offered(home, package)
    await home.answer(final(ModelState.INSTALLED))
    await home.word(word(2, 0, older))
    assert await home.rows() == [("r1", "installed", None)]


async def test_a_collar_that_runs_no_models_is_not_waited_for(home: Home) -> None:
    package = package_of()
    await home.keep(package)
    await home.register(deployment("r1", package, "c0"))
    await home.word(word(1, 0))
    assert await home.rows() == [("r1", "refused", "unknown_slot")]
    await home.word(word(2, 0, package_of("1.0.0").release))  # another firmware
    assert await home.rows() == [("r1", "pending", None)]


async def test_a_collar_that_fell_back_is_reported_and_old_news_do_not_count(home: Home) -> None:
    package, shipped = package_of(), package_of("0.2.0")
    await home.store.write(
        lambda db: db.execute("INSERT INTO presence VALUES ('c0', 'online', 3, 0)")
    )
    await offered(home, package)
    await home.answer(final(ModelState.INSTALLED))
    await home.word(word(3, 0, shipped.release))  # late: from before
    assert await home.rows() == [("r1", "installed", None)]
    await home.word(word(3, 90, package.release))
    await home.word(word(3, 40, shipped.release))  # arrives late, and is no news
    assert await home.rows() == [("r1", "installed", None)]
    await home.word(word(4, 0, shipped.release))
    assert await home.rows() == [("r1", "refused", "self_test_failed")]


async def test_of_what_a_collar_says_of_its_slots_the_greatest_key_counts(home: Home) -> None:
    early, late = package_of("1.0.0").release, package_of("2.0.0").release
    for message in (word(2, 5, late), word(2, 4, early), word(1, 99, early), word(2, 5, early)):
        await home.word(message)
    held = await home.store.read(lambda db: held_slots(db, "c0"))
    assert {each.version for each in held.values()} == {"2.0.0"}


def test_the_largest_release_fits_into_an_offer_that_even_json_readers_get() -> None:
    full = msgspec.structs.replace(
        package_of().release, manifest=bytes(MAX_MANIFEST_BYTES), golden=bytes(MAX_GOLDEN_BYTES)
    )
    offer = ModelOffer(collar_id="c" * 32, rollout="r" * 32, release=full)
    assert len(encode(offer, JSON)) < MAX_PAYLOAD_BYTES


def test_patience_grows_to_five_minutes_and_progress_restores_it() -> None:
    talk = Talk(1, "c0", "r1", package_of())
    waits: list[float] = []
    for n in range(8):
        talk.offer(float(n))
        waits.append(talk.patience_s())
    assert waits == [ANSWER_S * 2**n for n in range(5)] + [MAX_PATIENCE_S] * 3
    talk.heard(0)
    assert talk.patience_s() == MAX_PATIENCE_S  # an answer that leads nowhere is none
    talk.heard(1)
    assert talk.patience_s() == ANSWER_S


class Cloud:
    """Requests answered by the test, through the client that the gateway uses."""

    def __init__(self) -> None:
        self.answers: list[httpx2.Response] = []
        self.requests: list[httpx2.Request] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[CloudClient]:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return self.answers.pop(0)

        transport = httpx2.MockTransport(answer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://cloud") as http:
            yield CloudClient(http, "home", Ed25519PrivateKey.generate())


def given(package: ModelPackage) -> httpx2.Response:
    return httpx2.Response(200, content=pack_body(package))


async def test_a_model_is_fetched_once_and_kept(home: Home) -> None:
    package, cloud = package_of(), Cloud()
    await home.register(deployment("r1", package, "c0"))
    await home.courier.step()
    cloud.answers = [given(package)]
    async with cloud.client() as client:
        packages = Packages(home.store)
        assert await packages.fetch(client)
        assert not await packages.fetch(client)
    assert [each.url.path for each in cloud.requests] == [f"/v1/releases/{package.release.sha256}"]
    kept = await home.store.read(lambda db: kept_package(db, package.release.sha256))
    assert kept == package


def wrong_answers() -> dict[str, httpx2.Response]:
    package = package_of()
    cut = msgspec.structs.replace(package, model=package.model[:-1])
    other = msgspec.structs.replace(package, model=bytes(len(package.model)))
    moved = msgspec.structs.replace(
        package, release=msgspec.structs.replace(package.release, slot="anomaly")
    )
    return {
        "404": httpx2.Response(404, json={"detail": "no such release"}),
        "instead": given(package_of("9.9.9")),
        "bytes, the release says": given(cut),
        "other bytes": given(other),
        "for slot anomaly": given(moved),
    }


@pytest.mark.parametrize("why", list(wrong_answers()))
async def test_a_model_that_is_not_what_was_asked_for_is_put_off(home: Home, why: str) -> None:
    package, cloud = package_of(), Cloud()
    await home.register(deployment("r1", package, "c0"))
    await home.courier.step()
    cloud.answers = [wrong_answers()[why]]
    async with cloud.client() as client:
        for _ in range(50):
            assert not await Packages(home.store).fetch(client)
    assert len(cloud.requests) == 1
    (row,) = await home.store.read(lambda db: db.execute("SELECT * FROM package").fetchall())
    assert why in row["why"]
    assert row["body"] is None
    await home.courier.step()
    assert home.air.take() == []


@pytest.mark.parametrize(
    "content", [b"<html>Sign in", b"\x28\xb5\x2f\xfd", pack_body(package_of())[:99]]
)
async def test_who_answers_in_the_clouds_place_gives_no_model(home: Home, content: bytes) -> None:
    cloud = Cloud()
    await home.register(deployment("r1", package_of(), "c0"))
    await home.courier.step()
    cloud.answers = [httpx2.Response(200, content=content)]
    async with cloud.client() as client:
        with pytest.raises(CloudUnreachable):
            await Packages(home.store).fetch(client)


async def test_each_state_is_reported_until_the_cloud_has_it(home: Home) -> None:
    cloud = Cloud()
    await offered(home, package_of())
    reports = Reports(home.store, home.household)
    cloud.answers = [httpx2.Response(503), httpx2.Response(200), httpx2.Response(200)]
    async with cloud.client() as client:
        with pytest.raises(CloudUnreachable):
            await reports.send(client)
        await reports.send(client)
        await reports.send(client)  # nothing changed: nothing is said
        await home.answer(final(ModelState.REFUSED, reason=ModelRefusal.OLDER, detail="it is"))
        await reports.send(client)
    said = [unpack_body(each.content, DeliveryReports).reports for each in cloud.requests]
    assert [[each.state.value for each in reports] for reports in said] == [
        ["pending"],
        ["pending"],
        ["refused"],
    ]
    assert (said[2][0].reason, said[2][0].detail) == (ModelRefusal.OLDER, "it is")
    assert said[2][0].changed_at > said[1][0].changed_at


async def test_a_change_while_its_report_is_under_way_is_reported_again(home: Home) -> None:
    await offered(home, package_of())
    sent: list[str] = []

    class Slow:
        async def report(self, reports: DeliveryReports) -> None:
            sent.extend(each.state.value for each in reports.reports)
            if len(sent) == 1:
                await home.answer(final(ModelState.INSTALLED))

    reports = Reports(home.store, home.household)
    for _ in range(3):
        await reports.send(Slow())
    assert sent == ["pending", "installed"]


async def test_a_report_that_is_never_taken_holds_up_no_other(home: Home) -> None:
    package, cloud = package_of(), Cloud()
    await home.register(deployment("r1", package, "c0", "c1", "c2"), collars=3)
    await home.courier.step()

    def answer(request: httpx2.Request) -> httpx2.Response:
        reports = unpack_body(request.content, DeliveryReports).reports
        cloud.requests.append(request)
        return httpx2.Response(422 if any(r.collar_id == "c1" for r in reports) else 200)

    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer), base_url="http://cloud"
    ) as http:
        client = CloudClient(http, "home", Ed25519PrivateKey.generate())
        reports = Reports(home.store, home.household)
        for _ in range(10):
            await reports.send(client)
    assert len(cloud.requests) < 10
    unreported = await home.store.read(
        lambda db: db.execute("SELECT count(*) FROM delivery WHERE reported = 0").fetchone()[0]
    )
    assert unreported == 0


async def test_instants_of_a_delivery_rise_though_the_clock_is_set_back(home: Home) -> None:
    await offered(home, package_of())
    ahead = datetime.now(UTC) + timedelta(days=1)
    await home.store.write(
        lambda db: db.execute("UPDATE delivery SET changed_us = ?", (to_us(ahead),))
    )
    await home.answer(final(ModelState.INSTALLED))
    (row,) = await home.store.read(lambda db: db.execute("SELECT * FROM delivery").fetchall())
    assert row["changed_us"] == to_us(ahead) + 1


async def test_a_fleets_plan_is_quick_to_repeat(home: Home) -> None:
    """Every change of the registry makes it, in the thread that commits messages."""
    package, fleet = package_of(), 2_000
    await home.register(deployment("r1", package, *(f"c{n}" for n in range(fleet))), collars=fleet)
    await home.courier.step()
    steps: list[None] = []

    def again(db: Any) -> None:
        db.set_progress_handler(lambda: steps.append(None), 1_000)
        plan(db, home.household, AT)
        db.set_progress_handler(None, 0)

    await asyncio.wait_for(home.store.write(again), 60)
    assert len(steps) * 1_000 < 200 * fleet
