"""What a replay needs of the platform: collars known, grants given, both stores counted."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from gateway.wire.grants import Precision, Stream
from pawmesh.console import say
from pawmesh.house import SITE, House, require
from pawmesh.provision import CollarKeys, ensure_owner, share_secrets, sign_in
from pawmesh.reckoning import reckon

STALE_S = 60.0  # without any progress in the cloud
POLL_S = 0.5
PURPOSE, RECIPIENT = "research", "pawmesh"
NAME_LENGTH = 80
PRECISIONS = {Stream.ACTIVITY: Precision.EXACT, Stream.POSITION: Precision.KM1}
TABLE_OF = {Stream.ACTIVITY: "epoch", Stream.POSITION: "fix"}


def enrol(
    house: House,
    running: dict[str, Any],
    keys: dict[str, CollarKeys],
    species: str,
    since: datetime,
) -> None:
    """Make a pet of each animal, with its collar on since before the first sample."""
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        household_id = ensure_owner(house, cloud)
        known = {each["collar_id"] for each in require(cloud.get("/v1/collars"))}
        pets = [
            {
                "name": animal[:NAME_LENGTH],
                "species": species,
                "pet_id": f"pet-{each.collar_id}",
                "collar_id": each.collar_id,
                "public_key": each.public_key,
                "assigned_at": since.isoformat(),
            }
            for animal, each in keys.items()
            if each.collar_id not in known
        ]
        if pets:
            body = {"site_id": SITE, "household_id": household_id, "pets": pets}
            require(cloud.post("/v1/enrol", json=body))
        share_secrets(gateway, list(keys.values()))


def give_grants(
    house: House, running: dict[str, Any], keys: dict[str, CollarKeys], since: datetime
) -> set[tuple[str, str]]:
    """Allow research what the collars will say; returns the pairs of collar and stream."""
    pets = {f"pet-{each.collar_id}": each.collar_id for each in keys.values()}
    with (
        sign_in(house, running["cloud_url"]) as owner,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        given = {
            (each["pet_id"], each["stream"])
            for each in require(owner.get("/v1/grants"))
            if each["withdrawn_at"] is None
        }
        for stream, precision in PRECISIONS.items():
            missing = [pet_id for pet_id in pets if (pet_id, stream.value) not in given]
            if missing:
                grant = {
                    "pet_ids": missing,
                    "stream": stream.value,
                    "purpose": PURPOSE,
                    "recipient": RECIPIENT,
                    "precision": precision.value,
                    "valid_from": since.isoformat(),
                }
                require(owner.post("/v1/grants", json=grant))
        require(gateway.post("/v1/registry/refresh"))
    return {(collar_id, stream.value) for collar_id in pets.values() for stream in PRECISIONS}


def until_in_cloud(
    house: House,
    running: dict[str, Any],
    keys: dict[str, CollarKeys],
    granted: set[tuple[str, str]],
) -> None:
    """Wait until what is granted is in the cloud, or nothing more comes."""
    if not granted:
        return
    ids = [each.collar_id for each in keys.values()]
    wanted = sum(_at_home(running, ids).get(table, 0) for table in TABLE_OF.values())
    held, since_s = -1, time.monotonic()
    while time.monotonic() - since_s < STALE_S:
        now = sum(_in_cloud(running, ids).values())
        if now >= wanted:
            return
        if now != held:
            held, since_s = now, time.monotonic()
        time.sleep(POLL_S)
    say(f"Only {held} of {wanted} granted messages have reached the cloud; see pawmesh status")


def counted(
    folder: Path,
    running: dict[str, Any],
    keys: dict[str, CollarKeys],
    granted: set[tuple[str, str]],
) -> dict[str, Any]:
    """What both stores hold of the replay, compared with its own record."""
    ids = [each.collar_id for each in keys.values()]
    home, cloud = _at_home(running, ids), _in_cloud(running, ids)
    found = reckon(folder, Path(running["gateway_db"]), running["database_url"], granted)
    return {
        "epochs_stored": home.get("epoch", 0),
        "fixes_stored": home.get("fix", 0),
        "events_stored": home.get("event", 0),
        "epochs_cloud": cloud["epoch"],
        "fixes_cloud": cloud["fix"],
        "published": found.published,
        "acknowledged": found.acknowledged,
        "lost": len({*found.owed, *found.acknowledged_not_stored, *found.other_content}),
        "not_yet_in_cloud": len(found.granted_not_in_cloud),
        "duplicates": found.duplicates,
    }


def _at_home(running: dict[str, Any], ids: list[str]) -> dict[str, int]:
    marks = ",".join("?" * len(ids))
    with closing(sqlite3.connect(f"file:{running['gateway_db']}?mode=ro", uri=True)) as db:
        rows = db.execute(
            f"SELECT kind, count(*) FROM message WHERE collar_id IN ({marks}) GROUP BY kind", ids
        )
        return dict(rows.fetchall())


def _in_cloud(running: dict[str, Any], ids: list[str]) -> dict[str, int]:
    with psycopg.connect(running["database_url"]) as db:
        found: dict[str, int] = {}
        for table in TABLE_OF.values():
            query = f"SELECT count(*) FROM {table} WHERE collar_id = ANY(%s)"  # one of ours
            [count] = db.execute(query, (ids,)).fetchone() or (0,)  # pyright: ignore[reportArgumentType]
            found[table] = int(count)
        return found
