"""Collars that save their radio, and those that are ahead of their gateway: no other loss."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from gateway.wire.codec import MSGPACK, encode
from gateway.wire.messages import Desired
from gateway.wire.session import BrokerUrl, Delivery, Session, connect
from gateway.wire.topics import UPLINK_KINDS, Kind, Topic, site_filter
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.system.home import enrolled, running_home
from tests.system.household import SITE, START_AT, Acknowledger, Simulator, write_fleet

NIGHT = "2026-05-01T00:30:00Z"
FAST = ("--start-at", NIGHT, "--history", "0", "--radio-loss", "0")


def published(folder: Path) -> set[tuple[str, int, int, bytes]]:
    with closing(sqlite3.connect(folder / "sim" / "published.sqlite")) as db:
        return set(db.execute("SELECT collar_id, boot, seq, digest FROM published"))


async def test_what_can_wait_goes_up_together_and_all_of_it_arrives(tmp_path: Path) -> None:
    collars = write_fleet(tmp_path / "fleet.json", 2)
    packets: Counter[tuple[str, Kind]] = Counter()
    async with running_home(tmp_path, [enrolled(collar_id) for collar_id in collars]) as home:
        async with connect(BrokerUrl.parse(home.broker_url), "listener") as session:
            await session.subscribe(site_filter(SITE))
            listening = asyncio.create_task(_count(session, packets))
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
        minutes = sum(row["kind"] == "epoch" for row in own)
        assert minutes >= 15
        assert minutes // 5 <= packets[collar_id, Kind.BATCH] <= minutes // 5 + 2 + len(urgent)
        assert packets[collar_id, Kind.EPOCH] <= 2  # before it was told that it may
        assert sum(count for (owner, _), count in packets.items() if owner == collar_id) < len(own)


async def _count(session: Session, packets: Counter[tuple[str, Kind]]) -> None:
    async for batch in session.batches(100, 0.0):
        for delivery in batch:
            delivery.settle()
            topic = Topic.parse(delivery.topic)
            packets[topic.collar_id, topic.kind] += 1


class Older(Acknowledger):
    """A gateway of 0.2: it has no word for some kinds, and cannot read their keys."""

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        parsed = [(Topic.parse(delivery.topic), delivery) for delivery in batch]
        for topic, delivery in parsed:
            delivery.settle()
            if topic.kind is Kind.STATUS:
                desired = encode(Desired(collar_id=topic.collar_id, version=1))
                text = str(Topic(SITE, topic.collar_id, Kind.DESIRED))
                session.publish(text, desired, content_type=MSGPACK)
        known = UPLINK_KINDS - {Kind.POWER, Kind.BATCH}
        super()._take(session, [delivery for topic, delivery in parsed if topic.kind in known])


async def test_an_older_gateway_gets_all_that_it_knows(tmp_path: Path) -> None:
    write_fleet(tmp_path / "fleet.json", 1)
    with Broker(tmp_path / "broker", free_ports(1)[0]).running() as url:
        gateway = Older(url)
        task = asyncio.create_task(gateway.run())
        try:
            sim = Simulator(
                tmp_path, url, "--start-at", START_AT, "--history", "65m", "--radio-loss", "0",
                "--speed", "60", "--duration", "3s", "--upload-every", "2m",
            )  # fmt: skip
            await sim.start()
            report = await sim.finish()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert report["owed"] == 0
    assert report["by_kind"]["power"] >= 1
    assert report["overwritten"] == report["by_kind"]["power"]
    assert len(gateway.held) == report["published"] - report["by_kind"]["power"]
