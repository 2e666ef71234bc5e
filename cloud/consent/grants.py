"""Grants in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg.rows import dict_row

from cloud.db import Connection, load_queries
from cloud.errors import Invalid, NotFound
from cloud.identity.households import touch_sites
from gateway.wire.grants import Grant

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)


async def give(connection: Connection, owner_id: str, grants: Sequence[Grant]) -> None:
    """Record permissions for pets of this owner.

    Raises:
        NotFound: A pet is not theirs.
        Invalid: A grant would end before it begins.
    """
    pet_ids = list({grant.pet_id for grant in grants})
    values = {"pet_ids": pet_ids, "owner_id": owner_id}
    owned = dict(await (await connection.execute(SQL["lock_pets"], values)).fetchall())
    if missing := sorted(set(pet_ids) - owned.keys()):
        raise NotFound(f"no pet {missing[0]}")
    for grant in grants:
        if grant.expires_at is not None and grant.expires_at <= grant.valid_from:
            raise Invalid("expires_at: the grant would end before it begins")
    async with connection.cursor() as cursor:
        await cursor.executemany(SQL["give"], [msgspec.structs.asdict(grant) for grant in grants])
    for household_id in sorted(set(owned.values())):
        await touch_sites(connection, household_id)
    log.info("grants.given", grants=len(grants))


async def list_grants(
    connection: Connection, owner_id: str, pet_id: str | None = None
) -> list[Grant]:
    """The owner's grants, withdrawn and expired ones too, the newest first."""
    return await _fetch(connection, "list_grants", {"owner_id": owner_id, "pet_id": pet_id})


async def withdraw(connection: Connection, owner_id: str, grant_id: str, now: datetime) -> None:
    """End a grant: rows that rest on it are refused once this is committed.

    Raises:
        NotFound: It is not theirs.
    """
    values = {"grant_id": grant_id, "owner_id": owner_id, "now": now}
    row = await (await connection.execute(SQL["withdraw"], values)).fetchone()
    if row is None:
        raise NotFound(f"no grant {grant_id}")
    await touch_sites(connection, row[0])
    log.info("grant.withdrawn", grant_id=grant_id)


def grants_by_id(
    connection: psycopg.Connection[Any], grant_ids: Collection[str]
) -> dict[str, Grant]:
    """The grants of these ids, as far as there are such."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(SQL["grants_by_id"], {"grant_ids": list(grant_ids)})
        found = msgspec.convert(cursor.fetchall(), list[Grant])
    return {grant.grant_id: grant for grant in found}


async def active_or_not(connection: Connection, grant_ids: Collection[str]) -> dict[str, Grant]:
    """The grants of these ids, whether they still allow anything or not.

    They stay as they are until the transaction ends: no withdrawal comes between.
    """
    found = await _fetch(connection, "held_grants_by_id", {"grant_ids": sorted(grant_ids)})
    return {grant.grant_id: grant for grant in found}


async def _fetch(connection: Connection, query: str, values: dict[str, Any]) -> list[Grant]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[query], values)
        return msgspec.convert(await cursor.fetchall(), list[Grant])
