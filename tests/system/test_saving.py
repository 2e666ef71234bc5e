"""Collars that save their radio, and those that are ahead of their gateway: no other loss."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link import resend
from collar_sim.firmware.link.downlink import Downlink
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.link.uploads import Uploads
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.flash_log import FlashLog
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.minute import Draft
from collar_sim.firmware.models.standing import Standing
from gateway.wire.batch import unpack
from gateway.wire.codec import JSON, MSGPACK, decode, encode
from gateway.wire.dictionary import NEWEST
from gateway.wire.errors import RejectReason
from gateway.wire.messages import Ack, Batch, Desired
from gateway.wire.session import BrokerUrl, Delivery, Session, connect
from gateway.wire.topics import UPLINK_KINDS, Kind, Topic, site_filter
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.home import enrolled, running_home, until
from tests.system.household import SITE, Acknowledger, Simulator, write_fleet

NIGHT = "2026-05-01T00:30:00Z"
AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
ROUNDS, EPOCHS = 3, 10
FAST = ("--start-at", NIGHT, "--history", "0", "--radio-loss", "0")


def published(folder: Path) -> set[tuple[str, int, int, bytes]]:
    with closing(sqlite3.connect(folder / "sim" / "published.sqlite")) as db:
        return set(db.execute("SELECT collar_id, boot, seq, digest FROM published"))


async def test_what_can_wait_goes_up_together_and_all_of_it_arrives(tmp_path: Path) -> None:
    collars = write_fleet(tmp_path / "fleet.json", 2)
    packets: dict[str, list[Kind]] = {collar_id: [] for collar_id in collars}
    async with running_home(tmp_path, [enrolled(collar_id) for collar_id in collars]) as home:
        async with connect(BrokerUrl.parse(home.broker_url), "listener") as session:
            await session.subscribe(site_filter(SITE))
            listening = asyncio.create_task(_note(session, packets))
            sim = Simulator(
                tmp_path, home.broker_url, *FAST,
                "--speed", "150", "--duration", "8s", "--upload-every", "5m",
            )  # fmt: skip
            await sim.start()
            report = await sim.finish()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        rows = await home.execute("SELECT collar_id, boot, seq, digest, kind, payload FROM message")
    assert report["owed"] == report["overwritten"] == 0
    assert {tuple(row)[:4] for row in rows} == published(tmp_path)
    for collar_id in collars:
        own = [row for row in rows if row["collar_id"] == collar_id]
        urgent = [
            row
            for row in own
            if row["kind"] == "event" or (row["kind"] == "fix" and b'"wifi"' not in row["payload"])
        ]
        told = packets[collar_id].index(Kind.BATCH)
        alone = packets[collar_id][:told].count(Kind.EPOCH)  # before it was told that it may
        together = sum(row["kind"] == "epoch" for row in own) - alone
        assert together >= 10
        assert Kind.EPOCH not in packets[collar_id][told:]
        batches = packets[collar_id].count(Kind.BATCH)
        assert together // 5 <= batches <= together // 5 + 2 + len(urgent)
        assert len(packets[collar_id]) < len(own)


async def _note(session: Session, packets: dict[str, list[Kind]]) -> None:
    async for batch in session.batches(100, 0.0):
        for delivery in batch:
            delivery.settle()
            topic = Topic.parse(delivery.topic)
            packets[topic.collar_id].append(topic.kind)


class Older(Acknowledger):
    """A gateway of 0.2: it has no word for some kinds, and cannot read their keys."""

    said: Mapping[str, Any] = {}
    unknown = frozenset({Kind.POWER, Kind.BATCH})

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        parsed = [(Topic.parse(delivery.topic), delivery) for delivery in batch]
        for topic, delivery in parsed:
            delivery.settle()
            if topic.kind is Kind.STATUS:
                desired = encode(Desired(collar_id=topic.collar_id, version=1, **self.said))
                text = str(Topic(SITE, topic.collar_id, Kind.DESIRED))
                session.publish(text, desired, content_type=MSGPACK)
        known = UPLINK_KINDS - self.unknown
        super()._take(session, [delivery for topic, delivery in parsed if topic.kind in known])


class Unopening(Older):
    """A gateway that says it opens batches, and more than this firmware can pack; and cannot."""

    said: Mapping[str, Any] = {"batches": True, "dictionary": 200}
    unknown = frozenset({Kind.BATCH})

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dictionaries: list[int] = []

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        for delivery in batch:
            topic = Topic.parse(delivery.topic)
            if topic.kind is Kind.BATCH:
                message = decode(topic, delivery.payload, delivery.content_type).message
                assert isinstance(message, Batch)
                self.dictionaries.append(message.dictionary)
                ack = Ack(collar_id=topic.collar_id, refused=[f"{RejectReason.UNOPENED}: torn"])
                session.publish(str(Topic(SITE, topic.collar_id, Kind.ACK)), encode(ack), qos=0)
        super()._take(session, batch)


class Misled(Unopening):
    """A gateway that opens what it is sent, but was sent a broken batch in the collar's name."""

    unknown = frozenset()
    has_misled = False

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        for delivery in batch:
            topic = Topic.parse(delivery.topic)
            if topic.kind is Kind.STATUS and not self.has_misled:  # before it may pack anything
                self.has_misled = True
                ack = Ack(collar_id=topic.collar_id, refused=[f"{RejectReason.UNOPENED}: not its"])
                session.publish(str(Topic(SITE, topic.collar_id, Kind.ACK)), encode(ack), qos=0)
        opened = [each for delivery in batch for each in self._opened(delivery)]
        super(Unopening, self)._take(session, opened)

    def _opened(self, delivery: Delivery) -> list[Delivery]:
        topic = Topic.parse(delivery.topic)
        if topic.kind is not Kind.BATCH:
            return [delivery]
        message = decode(topic, delivery.payload, delivery.content_type).message
        assert isinstance(message, Batch)
        self.dictionaries.append(message.dictionary)
        delivery.settle()
        return [
            replace(delivery, topic=text, payload=payload, content_type=JSON)
            for text, payload in unpack(topic, message.deflated, message.dictionary)
        ]


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No collar sends anything again because it has heard nothing for too long."""
    monkeypatch.setattr(resend, "ACK_TIMEOUT_S", 10 * PATIENCE_S)


@pytest.mark.usefixtures("_patient")
async def test_an_older_gateway_gets_all_that_it_knows(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", free_ports(1)[0]).running() as url:
        gateway = Older(url)
        log = await _tell(gateway, tmp_path / "flash")
    assert log.dropped == {"power": ROUNDS}
    assert len(gateway.held) == log.acked == log.end - ROUNDS


@pytest.mark.usefixtures("_patient")
async def test_what_a_gateway_cannot_open_it_is_told_message_by_message(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", free_ports(1)[0]).running() as url:
        gateway = Unopening(url)
        log = await _tell(gateway, tmp_path / "flash")
    assert len(gateway.held) == log.acked == log.end
    assert gateway.dictionaries == [NEWEST], "one batch, and no other in this session"


@pytest.mark.usefixtures("_patient")
async def test_what_it_never_sent_does_not_teach_a_collar_to_send_alone(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", free_ports(1)[0]).running() as url:
        gateway = Misled(url)
        log = await _tell(gateway, tmp_path / "flash")
    assert len(gateway.held) == log.acked == log.end
    assert len(gateway.dictionaries) >= ROUNDS


async def _tell(gateway: Older, folder: Path) -> FlashLog:
    """Have a collar that saves tell it some epochs, several times; returns what it remembers."""
    key = SealingKey(Ed25519PrivateKey.generate(), bytes(32))
    with Flash.open(folder) as flash:
        flash.boot(["c0"])
        log, at = flash.logs["c0"], AT
        collar = Collar(log, key, at, Uploads(timedelta(minutes=10)))
        collar.be_born([])
        flash.commit()
        downlink = Downlink(SITE, collar, flash.models, Standing("c0", None))
        uplink = Uplink(Link(gateway.broker, SITE), collar, downlink=downlink)
        running = [asyncio.create_task(each.run()) for each in (gateway, uplink)]
        try:
            await until(lambda: collar.opens_batches is not None)
            for _ in range(ROUNDS):
                collar.say(Draft(at, Kind.POWER, at, {"period_s": 3600.0, "battery_pct": 50.0}))
                for _ in range(EPOCHS):
                    at += timedelta(minutes=1)
                    collar.say(Draft(at, Kind.EPOCH, at, {"seconds": {"rest": 60.0}}))
                flash.commit()
                assert collar.lets_go(at, at_once=False)
                uplink.wake()
                async with asyncio.timeout(PATIENCE_S):
                    while len(log):  # noqa: ASYNC110 - of another task
                        await asyncio.sleep(0.01)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return log
