"""The outbox under a change of mind: what was queued and is no longer granted stays at home."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway.outbox import next_batch, settle_batch
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.wire import seal as sealing
from gateway.wire.grants import Grant, Stream
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind
from gateway.wire.uplink import RefusedRow, Registry, UplinkBatch
from tests.patience import PATIENCE_S
from tests.system.home import SITE, Home, enrolled, running_home, send
from tests.system.test_gateway import Sealed, grant

NOW = datetime.now(UTC)


async def queue_all(home: Home, luna: Sealed) -> None:
    """Send a sealed batch and wait until its epoch and fix are in the outbox."""
    with home.api as api:
        assert api.put("/v1/secrets", json={"luna": luna.secret.hex()}).status_code == 204
    async with connect(BrokerUrl.parse(home.broker_url), "collar") as session:
        for kind, message in [*luna.messages, (Kind.SEAL, luna.seal)]:
            send(session, kind, message)
        await session.drained()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with home.api as api:
                    if len(api.get("/v1/outbox").json()) == 2:
                        return
                await asyncio.sleep(0.05)


def prove(batch: UplinkBatch) -> None:
    """What the cloud does: the rows and the withheld hashes make the root that was signed."""
    for group in batch.groups:
        assert group.seal is not None
        hashes = dict(group.withheld) | {row.seq: sealing.disclosed_hash(row) for row in group.rows}
        sealing.verify_root(group.seal, [hashes[seq] for seq in sorted(hashes)])


async def household_with(store: Store, registry: Registry) -> Household:
    await store.write(lambda db: save_registry(db, registry))
    household = Household(SITE)
    await store.read(household.load)
    return household


async def test_what_is_withdrawn_before_it_left_stays_and_the_rest_still_proves(
    tmp_path: Path,
) -> None:
    luna = Sealed("luna")
    collars = [enrolled("luna", public_key=luna.key.public_key().public_bytes_raw())]
    both = [grant("luna", Stream.ACTIVITY), grant("luna", Stream.POSITION)]
    async with running_home(tmp_path, collars, both) as home:
        await queue_all(home, luna)
        home.stop()
        withdrawn = msgspec.structs.replace(both[1], withdrawn_at=NOW - timedelta(seconds=1))
        registry = Registry(site=SITE, version=2, collars=collars, grants=[both[0], withdrawn])
        async with Store.open(home.data_dir / "gateway.db") as store:
            household = await household_with(store, registry)
            batch = await store.write(lambda db: next_batch(db, household, NOW))
            assert batch is not None
            assert [row.kind for group in batch.groups for row in group.rows] == [Kind.EPOCH]
            prove(batch)
            assert b"lat_deg" not in msgspec.msgpack.encode(batch)
            await store.write(lambda db: settle_batch(db, batch, [], NOW))
            rows = await store.read(
                lambda db: db.execute("SELECT stream, state FROM outbox ORDER BY id").fetchall()
            )
            assert await store.write(lambda db: next_batch(db, household, NOW)) is None
    assert [tuple(row) for row in rows] == [("activity", "synced"), ("position", "withdrawn")]


async def test_with_every_grant_withdrawn_nothing_leaves(tmp_path: Path) -> None:
    luna = Sealed("luna")
    collars = [enrolled("luna", public_key=luna.key.public_key().public_bytes_raw())]
    both: list[Grant] = [grant("luna", Stream.ACTIVITY), grant("luna", Stream.POSITION)]
    async with running_home(tmp_path, collars, both) as home:
        await queue_all(home, luna)
        home.stop()
        registry = Registry(site=SITE, version=2, collars=collars, grants=[])
        async with Store.open(home.data_dir / "gateway.db") as store:
            household = await household_with(store, registry)
            batch = await store.write(lambda db: next_batch(db, household, NOW))
    assert batch is None or not batch.groups


async def test_a_row_the_cloud_refuses_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    luna = Sealed("luna")
    collars = [enrolled("luna", public_key=luna.key.public_key().public_bytes_raw())]
    both = [grant("luna", Stream.ACTIVITY), grant("luna", Stream.POSITION)]
    async with running_home(tmp_path, collars, both) as home:
        await queue_all(home, luna)
        home.stop()
        registry = Registry(site=SITE, version=2, collars=collars, grants=both)
        async with Store.open(home.data_dir / "gateway.db") as store:
            household = await household_with(store, registry)
            batch = await store.write(lambda db: next_batch(db, household, NOW))
            assert batch is not None
            refused = [RefusedRow(collar_id="luna", boot=1, seq=2, reason="not_granted")]
            await store.write(lambda db: settle_batch(db, batch, refused, NOW))
            rows = await store.read(
                lambda db: db.execute("SELECT state, reason FROM outbox ORDER BY id").fetchall()
            )
    assert [tuple(row) for row in rows] == [("synced", None), ("refused", "not_granted")]


async def test_what_was_before_a_grant_began_stays(tmp_path: Path) -> None:
    luna = Sealed("luna")
    collars = [enrolled("luna", public_key=luna.key.public_key().public_bytes_raw())]
    late = msgspec.structs.replace(
        grant("luna", Stream.ACTIVITY), valid_from=NOW - timedelta(minutes=10)
    )
    async with running_home(tmp_path, collars, [late, grant("luna", Stream.POSITION)]) as home:
        with home.api as api:
            assert api.put("/v1/secrets", json={"luna": luna.secret.hex()}).status_code == 204
        async with connect(BrokerUrl.parse(home.broker_url), "collar") as session:
            for kind, message in [*luna.messages, (Kind.SEAL, luna.seal)]:  # the epoch: an hour ago
                send(session, kind, message)
            await session.drained()
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with home.api as api:
                        outbox = api.get("/v1/outbox").json()
                    if outbox:
                        break
                    await asyncio.sleep(0.05)
    assert [row["stream"] for row in outbox] == ["position"]
