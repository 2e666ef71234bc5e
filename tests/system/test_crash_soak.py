"""kill -9 of every process under load, and a cloud that is away: nothing is lost or doubled."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pawmesh.demo import wait_until_settled
from pawmesh.house import require
from pawmesh.platform import Platform
from pawmesh.reckoning import TIME_TABLES, Reckoning
from tests.system.soak import (
    BEGAN_AGO,
    Fleet,
    Make,
    Soaked,
    answers,
    count,
    eventually,
    sharing_home,
    soak,
)

pytestmark = pytest.mark.timeout(3_600)

ROUNDS = int(os.environ.get("SOAK", "5"))
SEED = 20261
AT_HOME = 1_500  # messages that arrive while the cloud is away


def assert_whole(found: Reckoning) -> None:
    """Each message is where it must be, once, and nowhere else."""
    assert found.owed == []
    assert found.acknowledged_not_stored == []
    assert found.other_content == []
    assert found.granted_not_in_cloud == []
    assert found.ungranted_in_cloud == []
    assert found.duplicates == 0
    assert found.published == found.acknowledged == found.stored_gateway
    assert 0 < found.stored_cloud == found.synced


@pytest.mark.parametrize("make", Make)
async def test_nothing_is_lost_or_doubled_by_kills_of_every_process(
    tmp_path: Path, make: Make
) -> None:
    soaked: Soaked = await soak(tmp_path, make, ROUNDS, SEED)
    assert_whole(soaked.found)
    assert soaked.flowed > 0
    assert soaked.kills == {
        **dict.fromkeys(("broker", "gateway", "cloud", "collars"), ROUNDS),
        "database": 1,
    }


async def test_an_absent_cloud_changes_nothing_at_home_and_gets_all_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with sharing_home(tmp_path, Make.IOTCORE, SEED, lambda _: None) as (platform, _, granted):
        os.kill(platform.supervisor.pids["cloud"], signal.SIGKILL)
        cloud = await platform.supervisor.end("cloud")
        fleet = Fleet(platform, SEED)
        await fleet.start()
        with platform.house.gateway_api(platform.gateway_url) as gateway:

            def ask(path: str) -> Any:
                return require(gateway.get(path))

            async def served() -> bool:
                stored = (await asyncio.to_thread(ask, "/v1/status"))["stored"] >= AT_HOME
                return stored and bool(await asyncio.to_thread(ask, "/v1/alerts"))

            await eventually(served)
            pets = ask("/v1/pets")
            since = f"since={datetime.now(UTC) - BEGAN_AGO:%Y-%m-%dT%H:%M:%SZ}"
            histories = [ask(f"/v1/pets/{pet['pet_id']}/history?{since}") for pet in pets]
            assert len(pets) == len(histories) > 0
            assert all(histories)
            queued = ask("/v1/status")["queued"]
        assert sum(queued.values()) > 0
        assert not await answers(f"{platform.cloud_url}/healthz")
        assert in_cloud(platform) == {}
        await fleet.kill()
        await fleet.live_out()
        await platform.supervisor.start(cloud)
        await asyncio.to_thread(wait_until_settled, platform)
        assert_whole(await count(platform, granted))
        for arrivals in in_cloud(platform).values():
            assert arrivals == sorted(arrivals)


def in_cloud(platform: Platform) -> dict[tuple[str, str], list[Any]]:
    """When the cloud received the messages of each collar and table, in the collar's order."""
    found: dict[tuple[str, str], list[Any]] = {}
    with psycopg.connect(platform.database_url) as db:
        for table in TIME_TABLES:
            rows = db.execute(
                f"SELECT collar_id, stored_at FROM {table} ORDER BY collar_id, boot, seq"
            )
            for collar_id, stored_at in rows:
                found.setdefault((collar_id, table), []).append(stored_at)
    return found
