"""Households and their pets, as far as the caller may see them.

``owner_id`` is the caller everywhere; ``None`` is the operator, who sees all.
"""

from dataclasses import dataclass

from psycopg.rows import class_row

from cloud.db import Connection, load_queries
from cloud.errors import NotFound
from cloud.identity.ids import new_id

SQL = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Household:
    """Where pets live."""

    household_id: str
    owner_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Pet:
    """An animal, and the collar it wears now."""

    pet_id: str
    household_id: str
    name: str
    species: str
    collar_id: str | None


async def add_household(connection: Connection, owner_id: str, name: str) -> Household:
    """Create a household of this owner."""
    values = {"household_id": new_id("home"), "owner_id": owner_id, "name": name}
    await connection.execute(SQL["add_household"], values)
    return Household(**values)


async def list_households(connection: Connection, owner_id: str | None) -> list[Household]:
    """The caller's households."""
    async with connection.cursor(row_factory=class_row(Household)) as cursor:
        await cursor.execute(SQL["list_households"], {"owner_id": owner_id})
        return await cursor.fetchall()


async def own_household(
    connection: Connection, owner_id: str | None, household_id: str | None
) -> Household:
    """The caller's household of this id, or the only one when no id is given.

    Raises:
        NotFound: It is not theirs, or there are several to choose from.
    """
    if household_id is None:
        theirs = await list_households(connection, owner_id)
        if len(theirs) != 1:
            raise NotFound(f"name a household_id; you have {len(theirs)}")
        return theirs[0]
    async with connection.cursor(row_factory=class_row(Household)) as cursor:
        values = {"household_id": household_id, "owner_id": owner_id}
        await cursor.execute(SQL["own_household"], values)
        found = await cursor.fetchone()
    if found is None:
        raise NotFound(f"no household {household_id}")
    return found


async def touch_sites(connection: Connection, household_id: str) -> None:
    """Let the household's gateways know that something changed."""
    await connection.execute(SQL["touch_sites"], {"household_id": household_id})


async def add_pet(
    connection: Connection, household: Household, name: str, species: str, pet_id: str | None
) -> Pet:
    """Create a pet in a household of the caller's."""
    pet = Pet(pet_id or new_id("pet"), household.household_id, name, species, None)
    values = {
        "pet_id": pet.pet_id,
        "household_id": pet.household_id,
        "name": name,
        "species": species,
    }
    await connection.execute(SQL["add_pet"], values)
    return pet


async def list_pets(connection: Connection, owner_id: str | None) -> list[Pet]:
    """The caller's pets."""
    async with connection.cursor(row_factory=class_row(Pet)) as cursor:
        await cursor.execute(SQL["list_pets"], {"owner_id": owner_id})
        return await cursor.fetchall()


async def own_pet(connection: Connection, owner_id: str | None, pet_id: str) -> Pet:
    """The caller's pet of this id.

    Raises:
        NotFound: It is not theirs.
    """
    async with connection.cursor(row_factory=class_row(Pet)) as cursor:
        await cursor.execute(SQL["own_pet"], {"owner_id": owner_id, "pet_id": pet_id})
        found = await cursor.fetchone()
    if found is None:
        raise NotFound(f"no pet {pet_id}")
    return found
