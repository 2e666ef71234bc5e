"""What goes up at once fits, and whoever answers in the cloud's place breaks nothing."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.consent import ConsentFilter
from gateway.errors import CloudUnreachable
from gateway.ingest import Ingest
from gateway.outbox import next_batch, prune, settle_batch
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.sync import CloudClient
from gateway.wire.codec import MSGPACK
from gateway.wire.grants import Grant, Stream
from gateway.wire.session import Delivery, Session
from gateway.wire.uplink import MAX_BODY_BYTES, EnrolledCollar, Registry, UplinkBatch

AT = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = 800  # of 12 kB each: more than one body holds


class Deaf:
    """A session's sending end that nobody listens to."""

    def publish(self, *_: Any, **__: Any) -> None:
        pass


def delivery(kind: str, seq: int, **fields: Any) -> Delivery:
    message = {"collar_id": "c1", "boot": 1, "seq": seq, "observed_at": AT} | fields
    done = asyncio.get_running_loop().create_future()
    topic = f"pawmesh/v1/home/c1/{kind}"
    return Delivery(topic, msgspec.msgpack.encode(message), MSGPACK, None, False, done)


async def test_raw_windows_of_an_outage_go_up_in_bodies_that_fit(tmp_path: Path) -> None:
    collar = EnrolledCollar(collar_id="c1", pet_id="p1", pet_name="Luna", assigned_at=AT)
    grant = Grant(
        grant_id="g1", pet_id="p1", stream=Stream.RAW, purpose="p", recipient="r", valid_from=AT
    )
    household = Household("home")
    async with Store.open(tmp_path / "gateway.db") as store:
        registry = Registry(site="home", version=1, collars=[collar], grants=[grant])
        await store.write(lambda db: save_registry(db, registry))
        await store.read(household.load)
        scale = {"rate_hz": 25.0, "acc_g_per_lsb": 0.001, "gyr_dps_per_lsb": 0.1}
        batch = [delivery("birth", 0, hardware="h", firmware="f")]
        for seq in range(1, WINDOWS + 1):
            batch.append(delivery("window", seq, samples=bytes(12_000), **scale))
        await Ingest(store, household, lambda: None).take(cast(Session, Deaf()), batch)
        assert await ConsentFilter(store, household).decide() == WINDOWS
        sent: list[int] = []
        while True:
            now = datetime.now(UTC)
            upload = await store.write(lambda db, now=now: next_batch(db, household, now))
            if upload is None:
                break
            assert len(msgspec.msgpack.encode(upload)) < MAX_BODY_BYTES
            sent += [row.seq for group in upload.groups for row in group.rows]
            await store.write(lambda db, u=upload, now=now: settle_batch(db, u, [], now))
    assert sent == list(range(1, WINDOWS + 1))


async def test_a_seal_over_more_than_an_upload_holds_is_refused(tmp_path: Path) -> None:
    """It would take the other collars' rows of that upload with it."""
    household = Household("home")
    collar = EnrolledCollar(collar_id="c1", pet_id="p1", pet_name="Luna", assigned_at=AT)
    seal = {"first_seq": 0, "last_seq": 2_000, "root": bytes(32), "signature": bytes(64)}
    async with Store.open(tmp_path / "gateway.db") as store:
        registry = Registry(site="home", version=1, collars=[collar], grants=[])
        await store.write(lambda db: save_registry(db, registry))
        await store.read(household.load)
        batch = [delivery("birth", 0, hardware="h", firmware="f", seals=True)]
        batch += [delivery("event", seq, name="bark", confidence=1.0) for seq in range(1, 2_001)]
        batch.append(delivery("seal", 2_001, **seal))
        await Ingest(store, household, lambda: None).take(cast(Session, Deaf()), batch)
        await ConsentFilter(store, household).decide()
        refused = await store.read(
            lambda db: db.execute(
                "SELECT kind, detail FROM rejected, message USING (seq)"
            ).fetchall()
        )
    assert [tuple(row) for row in refused] == [("seal", "covers more than 2000 messages")]


async def test_the_settled_rows_of_days_are_not_read_each_second(tmp_path: Path) -> None:
    """It happens in the thread that commits messages."""
    rows = [(n,) for n in range(1, 5_001)]

    def fill(db: sqlite3.Connection) -> None:
        db.executemany(
            """INSERT INTO message VALUES (?1, 'c1', 1, ?1, 'fix', 'p1', 0, 0, 0, '', x'', x'',
                                           NULL, 2, 4)""",
            rows,
        )
        db.executemany(
            """INSERT INTO outbox VALUES (?1, ?1, 'c1', 1, 'position', 'g1', NULL, x'', 0,
                                          'synced', NULL, 2000000000000000)""",
            rows,
        )

    def thousands_of_steps(db: sqlite3.Connection) -> int:
        steps: list[None] = []
        db.set_progress_handler(lambda: steps.append(None), 1_000)
        prune(db, AT)
        db.set_progress_handler(None, 0)
        return len(steps)

    async with Store.open(tmp_path / "gateway.db") as store:
        await store.write(fill)
        assert await store.write(thousands_of_steps) <= 1


@pytest.mark.parametrize("page", [b"<html>Sign in to the hotel", b"\x28\xb5\x2f\xfd", b"{}"])
async def test_who_answers_in_the_clouds_place_is_no_cloud(page: bytes) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=page))
    async with httpx2.AsyncClient(transport=transport, base_url="http://cloud") as http:
        cloud = CloudClient(http, "home", Ed25519PrivateKey.generate())
        empty = UplinkBatch(site="home", first_id=1, last_id=1, sent_at=AT, groups=[])
        with pytest.raises(CloudUnreachable):
            await cloud.registry(0)
        with pytest.raises(CloudUnreachable):
            await cloud.send(empty)
