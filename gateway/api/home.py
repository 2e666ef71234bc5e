"""The home itself: how its gateway is, its zones, its secrets, and who lives there."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from gateway.api import views
from gateway.api.dependencies import HouseholdDep, Limit, Slug, StoreDep
from gateway.corrections import count_queued
from gateway.deliveries.ledger import count_open
from gateway.deliveries.reports import count_unreported
from gateway.errors import GatewayError
from gateway.host import PluginHost
from gateway.outbox import lag_by_stream
from gateway.registry import Household
from gateway.wire.topics import ID_PATTERN

router = APIRouter()


class ZoneBody(BaseModel):
    """A circle that plugins judge positions by."""

    name: str = Field(min_length=1, max_length=60)
    lat_deg: float = Field(ge=-90, le=90, allow_inf_nan=False)
    lon_deg: float = Field(ge=-180, le=180, allow_inf_nan=False)
    radius_m: float = Field(gt=0, le=100_000, allow_inf_nan=False)
    pet_id: str | None = Field(default=None, pattern=ID_PATTERN)
    """For this pet only; without it, for every pet of the home."""


Secrets = dict[
    Annotated[str, Field(pattern=ID_PATTERN)], Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
]


class StatusView(BaseModel):
    """How the gateway is."""

    site: str
    registry_version: int
    collars: int
    counters: dict[str, int]
    stored: int
    queued: dict[str, int]
    undecided: int
    """Messages that the consent filter has not decided on; most wait for their seal."""
    unjudged: int
    """Messages that some plugin has not seen yet."""
    lost: int
    labels_queued: int
    """Corrections that the cloud is still to be told of, or to forget."""
    deliveries_open: int
    """Models on their way to collars."""
    reports_queued: int
    """States of deliveries that the cloud is still to be told of."""
    plugins: dict[str, str]


@router.get("/rejected")
async def rejected(store: StoreDep, limit: Limit = 200) -> list[views.RejectedView]:
    """Messages that were refused, with the reason."""
    return await store.read(lambda db: views.rejected(db, limit))


@router.get("/outbox")
async def outbox(store: StoreDep, limit: Limit = 200) -> list[views.OutboxView]:
    """What may leave the home, and what has left."""
    return await store.read(lambda db: views.outbox(db, limit))


@router.get("/status")
async def status(request: Request, store: StoreDep, household: HouseholdDep) -> StatusView:
    """Counts and lags."""
    host: PluginHost = request.app.state.host
    plugins = {plugin_id: plugin.state.value for plugin_id, plugin in host.plugins.items()}
    return await store.read(lambda db: _status(db, household, plugins))


@router.get("/zones")
async def zones(store: StoreDep) -> dict[str, ZoneBody]:
    """The home's zones by id; they never leave it."""
    rows = await store.read(lambda db: db.execute("SELECT * FROM zone").fetchall())
    return {row["zone_id"]: ZoneBody(**{k: row[k] for k in ZoneBody.model_fields}) for row in rows}


@router.put("/zones/{zone_id}", status_code=204)
async def put_zone(store: StoreDep, zone_id: Slug, zone: ZoneBody) -> None:
    """Make or change a zone."""
    await store.write(
        lambda db: db.execute(
            """INSERT OR REPLACE INTO zone (zone_id, name, lat_deg, lon_deg, radius_m, pet_id)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (zone_id, zone.name, zone.lat_deg, zone.lon_deg, zone.radius_m, zone.pet_id),
        )
    )


@router.put("/secrets", status_code=204)
async def put_secrets(store: StoreDep, household: HouseholdDep, secrets: Secrets) -> None:
    """Share collars' salt secrets, as hex by collar id, with the gateway; they stay at home."""
    rows = [(collar_id, bytes.fromhex(secret)) for collar_id, secret in secrets.items()]
    await store.write(
        lambda db: db.executemany("INSERT OR REPLACE INTO collar_secret VALUES (?, ?)", rows)
    )
    await store.read(household.load)


@router.post("/registry/refresh")
async def refresh(request: Request, household: HouseholdDep) -> dict[str, int]:
    """Ask the cloud for the registry now; answers with its version."""
    refresh_now: Callable[[], Awaitable[object]] = request.app.state.refresh
    try:
        await refresh_now()
    except GatewayError as error:
        raise HTTPException(502, f"the cloud does not give it: {error}") from error
    return {"version": household.registry.version}


def _unjudged(db: sqlite3.Connection, plugins: Iterable[str]) -> int:
    """What the plugin that is furthest behind has before it; one that never judged, everything."""
    last = db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0]
    seen = dict(db.execute("SELECT plugin_id, message_id FROM plugin_cursor").fetchall())
    return max((last - seen.get(each, 0) for each in plugins), default=0)


def _status(db: sqlite3.Connection, household: Household, plugins: dict[str, str]) -> StatusView:
    return StatusView(
        site=household.registry.site,
        registry_version=household.registry.version,
        collars=len(household.collars),
        counters=dict(db.execute("SELECT name, value FROM counter").fetchall()),
        stored=db.execute("SELECT count(*) FROM message").fetchone()[0],
        queued={stream: queued for stream, (queued, _) in lag_by_stream(db).items()},
        undecided=db.execute("SELECT count(*) FROM message WHERE decided = 0").fetchone()[0],
        unjudged=_unjudged(db, plugins),
        lost=int(db.execute("SELECT total(lost) FROM contiguity").fetchone()[0]),
        labels_queued=count_queued(db),
        deliveries_open=count_open(db),
        reports_queued=count_unreported(db),
        plugins=plugins,
    )
