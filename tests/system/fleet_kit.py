"""Parts of a fleet of thousands without a cloud: its collars, their gateway, its processes."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from gateway.registry import Household, save_registry
from gateway.secret_file import write_private
from gateway.store import Store
from gateway.wire.uplink import EnrolledCollar, Registry
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Part
from pawmesh.platform import fleet_command
from pawmesh.provision import CollarKeys
from pawmesh.shards import WHOLE
from pawmesh.sim.workforce import Worker

SITE = "home"
WORN_SINCE = datetime(2020, 1, 1, tzinfo=UTC)


async def register(folder: Path, keys: Sequence[CollarKeys]) -> None:
    """Make the collars known to the gateway of a folder, which has no cloud to ask."""
    collars = [
        EnrolledCollar(
            collar_id=each.collar_id,
            pet_id=f"pet-{each.collar_id}",
            pet_name=f"Pet {each.collar_id}",
            public_key=bytes.fromhex(each.public_key),
            assigned_at=WORN_SINCE,
        )
        for each in keys
    ]
    registry = Registry(site=SITE, version=1, collars=collars, grants=[])
    secrets = [(each.collar_id, bytes.fromhex(each.salt_secret)) for each in keys]
    async with Store.open(folder / "gateway.db") as store:
        await store.write(lambda db: save_registry(db, registry))
        await store.write(
            lambda db: db.executemany("INSERT INTO collar_secret VALUES (?, ?)", secrets)
        )
        await store.read(Household(SITE).load)


def gateway_part(folder: Path, url: str) -> Part:
    """The gateway of a folder, on a broker that keeps what it owes it."""
    port = free_ports(1)[0]

    async def answers() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    env = {"GATEWAY_SITE": SITE, "GATEWAY_BROKER_URL": url, "GATEWAY_DATA_DIR": str(folder)}
    env |= {"GATEWAY_PORT": str(port), "GATEWAY_BROKER_SESSION_S": "3600"}
    argv = [sys.executable, "-P", "-m", "gateway"]
    return Part(name="gateway", argv=argv, env=env, ready=answers, restart=False)


def workers_of(
    folder: Path, keys: Sequence[CollarKeys], url: str, *, parts: int, **flags: object
) -> list[Worker]:
    """Processes that run a fleet in so many parts; ``flags`` are those of the simulator."""
    workers: list[Worker] = []
    for shard in WHOLE.split(parts):
        data_dir = folder / shard.name("fleet")
        file = data_dir.with_suffix(".json")
        members = [
            {**asdict(keys[n]), "animal_seed": n, "lat_deg": 48.1, "lon_deg": 11.5 + n * 1e-5}
            for n in shard.members(len(keys))
        ]
        write_private(file, json.dumps({"collars": members}))
        report = data_dir.with_suffix(".report")
        own = {"report": report, "micro_collars": shard.micro_collars}
        argv = [*fleet_command(file, data_dir, **own, **flags), "--pulse"]
        workers.append(Worker(str(shard), argv, data_dir, report, {"SIM_BROKER": url}))
    return workers
