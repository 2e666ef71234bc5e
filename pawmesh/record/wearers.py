"""Who a tape's collars are: asked for when it is recorded, enrolled again where it is played."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.wire.uplink import EnrolledCollar
from pawmesh.errors import PawmeshError
from pawmesh.house import SITE, House, require
from pawmesh.provision import ensure_owner
from pawmesh.record.tape import Tape, Wearer

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)  # before anything that a collar may have observed


def asking(
    house: House, running: dict[str, Any], *, with_secrets: bool
) -> Callable[[], list[Wearer]]:
    """Asks for all collars that are enrolled here, each time it is called."""

    def ask() -> list[Wearer]:
        with house.operator_api(running["cloud_url"]) as cloud:
            pets = {each["pet_id"]: each for each in require(cloud.get("/v1/pets"))}
            collars = require(cloud.get("/v1/collars"))
        secrets = _secrets(Path(running["gateway_db"])) if with_secrets else {}
        return [
            Wearer(
                collar=EnrolledCollar(
                    collar_id=each["collar_id"],
                    pet_id=each["pet_id"],
                    pet_name=pets[each["pet_id"]]["name"],
                    species=pets[each["pet_id"]]["species"],
                    public_key=each["public_key"] and bytes.fromhex(each["public_key"]),
                    assigned_at=_at(each["assigned_at"]),
                ),
                salt_secret=secrets.get(each["collar_id"]),
            )
            for each in collars
            if each["site_id"] == SITE and each["pet_id"] in pets
        ]

    return ask


def enrol_wearers(house: House, running: dict[str, Any], tape: Tape) -> list[str]:
    """Enrol a recording's collars that are not known here; returns which.

    Raises:
        PawmeshError: One is known with another key: what it said then is not believed here.
    """
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        known = {each["collar_id"]: each for each in require(cloud.get("/v1/collars"))}
        pets_here = {each["pet_id"] for each in require(cloud.get("/v1/pets"))}
        pets: list[dict[str, Any]] = []
        for collar_id, wearer in tape.wearers.items():
            key = wearer.collar.public_key
            public_key = None if key is None else key.hex()
            if collar_id in known:
                if known[collar_id]["public_key"] != public_key:
                    raise PawmeshError(
                        f"{collar_id} is enrolled here with another key than in {tape.path}. "
                        "Play it on another --data-dir"
                    )
                continue
            pet_id = wearer.collar.pet_id
            if pet_id in pets_here:  # of another collar: which of them wore it when is not told
                pet_id = f"pet-{collar_id}"
            pets_here.add(pet_id)
            pets.append(
                {
                    "name": wearer.collar.pet_name,
                    "species": wearer.collar.species,
                    "pet_id": pet_id,
                    "collar_id": collar_id,
                    "public_key": public_key,
                    "assigned_at": wearer.collar.assigned_at.isoformat(),
                }
            )
        if pets:
            body = {"site_id": SITE, "household_id": ensure_owner(house, cloud), "pets": pets}
            require(cloud.post("/v1/enrol", json=body))
        secrets = {
            collar_id: wearer.salt_secret.hex()
            for collar_id, wearer in tape.wearers.items()
            if wearer.salt_secret is not None
        }
        if secrets:
            require(gateway.put("/v1/secrets", json=secrets))
        require(gateway.post("/v1/registry/refresh"))
    return [str(each["collar_id"]) for each in pets]


def _secrets(gateway_db: Path) -> dict[str, bytes]:
    with closing(sqlite3.connect(f"file:{gateway_db}?mode=ro", uri=True)) as db:
        return dict(db.execute("SELECT collar_id, secret FROM collar_secret").fetchall())


def _at(text: str | None) -> datetime:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(str(text))
    return LONG_AGO
