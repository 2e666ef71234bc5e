"""Collars, and which pet wears which: swap a collar, and the pet keeps its history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from psycopg.rows import class_row

from cloud.db import Connection, load_queries
from cloud.errors import Invalid, NotFound
from cloud.identity.households import Household, own_pet, touch_sites
from cloud.identity.ids import new_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Collar:
    """A device, and the pet that wears it now."""

    collar_id: str
    site_id: str
    public_key: str | None
    """Ed25519, hexadecimal; without it what the collar sends is unsealed."""
    pet_id: str | None
    assigned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A pet and its collar, to be enrolled together."""

    name: str
    species: str
    pet_id: str
    collar_id: str
    public_key: bytes | None
    assigned_at: datetime


async def list_collars(connection: Connection, owner_id: str | None) -> list[Collar]:
    """The caller's collars."""
    async with connection.cursor(row_factory=class_row(Collar)) as cursor:
        await cursor.execute(SQL["list_collars"], {"owner_id": owner_id})
        return await cursor.fetchall()


async def add_collar(
    connection: Connection,
    owner_id: str | None,
    *,
    collar_id: str | None,
    pet_id: str,
    site_id: str | None,
    public_key: bytes | None,
    at: datetime,
) -> Collar:
    """Register a collar that one of the caller's pets wears from ``at`` on.

    Raises:
        NotFound: The pet or the site is not the caller's.
    """
    pet = await own_pet(connection, owner_id, pet_id)
    site_id = await _site_of(connection, pet.household_id, site_id)
    collar_id = collar_id or new_id("collar")
    values = {"collar_id": collar_id, "site_id": site_id, "public_key": public_key}
    await connection.execute(SQL["add_collar"], values)
    assignment = {"collar_id": collar_id, "pet_id": pet_id, "at": at}
    await connection.execute(SQL["assign"], assignment)
    await touch_sites(connection, pet.household_id)
    log.info("collar.added", collar_id=collar_id, site_id=site_id)
    return Collar(collar_id, site_id, public_key.hex() if public_key else None, pet_id, at)


async def assign(
    connection: Connection, owner_id: str | None, collar_id: str, pet_id: str, at: datetime
) -> None:
    """Put the collar on another pet of the same household from ``at`` on.

    Raises:
        NotFound: Collar or pet is not the caller's.
        Invalid: They are of different households, or the wearer put it on later than ``at``.
    """
    pet = await own_pet(connection, owner_id, pet_id)
    values = {"collar_id": collar_id, "owner_id": owner_id}
    row = await (await connection.execute(SQL["own_collar"], values)).fetchone()
    if row is None:
        raise NotFound(f"no collar {collar_id}")
    if row[2] != pet.household_id:
        raise Invalid("collar and pet are of different households")
    await connection.execute(SQL["end_assignment"], {"collar_id": collar_id, "at": at})
    assignment = {"collar_id": collar_id, "pet_id": pet_id, "at": at}
    await connection.execute(SQL["assign"], assignment)
    await touch_sites(connection, pet.household_id)
    log.info("collar.assigned", collar_id=collar_id)


async def enrol(
    connection: Connection, household: Household, site_id: str, newcomers: Sequence[Newcomer]
) -> None:
    """Create many pets and collars at once.

    Raises:
        NotFound: The site is not of this household.
    """
    await _site_of(connection, household.household_id, site_id)
    pet_ids = [each.pet_id for each in newcomers]
    pets = {
        "household_id": household.household_id,
        "pet_ids": pet_ids,
        "names": [each.name for each in newcomers],
        "species": [each.species for each in newcomers],
    }
    collars = {
        "site_id": site_id,
        "collar_ids": [each.collar_id for each in newcomers],
        "pet_ids": pet_ids,
        "keys": [each.public_key for each in newcomers],
        "assigned": [each.assigned_at for each in newcomers],
    }
    await connection.execute(SQL["enrol_pets"], pets)
    await connection.execute(SQL["enrol_collars"], collars)
    await touch_sites(connection, household.household_id)
    log.info("fleet.enrolled", site_id=site_id, collars=len(newcomers))


async def _site_of(connection: Connection, household_id: str, site_id: str | None) -> str:
    cursor = await connection.execute(SQL["sites_of_household"], {"household_id": household_id})
    sites: list[str] = [row[0] for row in await cursor.fetchall()]
    if site_id is None and len(sites) == 1:
        return sites[0]
    if site_id not in sites:
        raise NotFound(f"no site {site_id or '(of several)'} in this household")
    return site_id
