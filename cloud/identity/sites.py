"""Sites: the gateways that speak to us, how they prove it, and what they are told."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader
from psycopg.rows import class_row, dict_row

from cloud.api.dependencies import ServicesDep
from cloud.db import Connection, load_queries
from cloud.errors import Conflict, NotSignedIn
from cloud.identity.households import Household
from cloud.rollout.deployments import deployments_of
from gateway.wire.errors import WrongSeal
from gateway.wire.grants import Grant
from gateway.wire.uplink import (
    SIGNATURE_HEADER,
    SITE_HEADER,
    EnrolledCollar,
    Registry,
    verify_request,
)

SQL = load_queries(__file__)
_signature = APIKeyHeader(
    name=SIGNATURE_HEADER,
    scheme_name="GatewaySignature",
    auto_error=False,
    description="A gateway's signature of the request; see `wire.md`.",
)


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway's group of collars."""

    site_id: str
    household_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """The site whose gateway signed this request."""

    site_id: str
    version: int
    cursor: int
    body: bytes


async def register_site(
    connection: Connection, household: Household, site_id: str, public_key: bytes
) -> Site:
    """Create a site, or give it the key of its new gateway.

    Raises:
        Conflict: Another household has a site of this id.
    """
    values = {
        "site_id": site_id,
        "household_id": household.household_id,
        "gateway_public_key": public_key,
    }
    async with connection.cursor(row_factory=class_row(Site)) as cursor:
        await cursor.execute(SQL["change_gateway_key"], values)
        if (site := await cursor.fetchone()) is not None:
            return site
        found = await connection.execute(SQL["gateway_of"], {"site_id": site_id})
        if await found.fetchone() is not None:
            raise Conflict(f"the site id {site_id} is taken")
        await cursor.execute(SQL["add_site"], values)
        return Site(site_id, household.household_id, 1)


async def list_sites(connection: Connection, owner_id: str | None) -> list[Site]:
    """The caller's sites."""
    async with connection.cursor(row_factory=class_row(Site)) as cursor:
        await cursor.execute(SQL["list_sites"], {"owner_id": owner_id})
        return await cursor.fetchall()


async def registry_of(connection: Connection, site_id: str, version: int) -> Registry:
    """What the gateway of this site has to know."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["registry_collars"], {"site_id": site_id})
        collars = await cursor.fetchall()
        await cursor.execute(SQL["registry_grants"], {"site_id": site_id})
        grants = await cursor.fetchall()
    return Registry(
        site=site_id,
        version=version,
        collars=msgspec.convert(collars, list[EnrolledCollar]),
        grants=msgspec.convert(grants, list[Grant]),
        deployments=await deployments_of(connection, site_id),
    )


async def get_gateway(
    request: Request, services: ServicesDep, _: Annotated[str | None, Depends(_signature)]
) -> Gateway:
    """The site that signed this request.

    Raises:
        NotSignedIn: None of ours did, or not just now.
    """
    headers = dict(request.headers)
    async with services.database.transaction() as connection:
        values = {"site_id": headers.get(SITE_HEADER, "")[:64]}
        row: Any = await (await connection.execute(SQL["gateway_of"], values)).fetchone()
    if row is None:
        raise NotSignedIn("the request is not signed by a known site's gateway")
    body = await request.body()
    public_key, version, cursor = row
    try:
        await asyncio.to_thread(
            verify_request,
            *(public_key, headers, request.method, request.url.path, body, datetime.now(UTC)),
        )
    except WrongSeal as error:
        raise NotSignedIn(str(error)) from error
    return Gateway(headers[SITE_HEADER], version, cursor, body)


GatewayDep = Annotated[Gateway, Depends(get_gateway)]
