"""The routes: each parses, asks one view, and answers."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, BaseModel, Field
from starlette.exceptions import HTTPException as AnyHTTPException

from gateway.alerts import acknowledge
from gateway.api import collars, corrections, views
from gateway.api.access import BEARER, require_owner
from gateway.api.dependencies import HouseholdDep, Limit, OwnPet, Slug, StoreDep
from gateway.api.limits import LimitBodies
from gateway.corrections import count_queued
from gateway.deliveries.ledger import count_open
from gateway.deliveries.reports import count_unreported
from gateway.errors import GatewayError
from gateway.host import PluginHost
from gateway.outbox import lag_by_stream
from gateway.registry import Household
from gateway.store import Store
from gateway.wire.codec import EARLIEST
from gateway.wire.problems import with_problems
from gateway.wire.topics import ID_PATTERN, Kind

SHOWN_KINDS = (Kind.EPOCH, Kind.FIX, Kind.EVENT)
DEFAULT_SPAN = timedelta(days=1)

router = APIRouter(prefix="/v1", dependencies=[Depends(BEARER), Depends(require_owner)])
open_router = APIRouter()


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


@open_router.get("/healthz")
async def healthz(store: StoreDep) -> dict[str, str]:
    """Whether the gateway works: its store answers."""
    await store.read(lambda db: db.execute("SELECT 1").fetchone())
    return {"status": "ok"}


@open_router.get("/metrics")
async def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/pets")
async def pets(store: StoreDep, household: HouseholdDep) -> list[views.PetView]:
    """Every pet of the home: what it does, where it is, and how fresh that is."""
    return await store.read(lambda db: views.pets(db, household, datetime.now(UTC)))


@router.get("/pets/{pet_id}/history")
async def history(
    store: StoreDep,
    household: HouseholdDep,
    pet_id: OwnPet,
    kind: Annotated[list[Kind] | None, Query()] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Limit = 2_000,
) -> list[views.HistoryEntry]:
    """A pet's epochs, fixes and events of the last day, or of the time asked for."""
    kinds = [each for each in kind or SHOWN_KINDS if each in SHOWN_KINDS]
    upto = until or datetime.now(UTC) + timedelta(seconds=1)
    start = since or max(upto, EARLIEST + DEFAULT_SPAN) - DEFAULT_SPAN
    return await store.read(
        lambda db: views.history(db, household, pet_id, kinds, start, upto, limit)
    )


@router.get("/alerts")
async def alerts(
    store: StoreDep,
    pet_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    *,
    open_only: bool = False,
    limit: Limit = 200,
) -> list[views.AlertView]:
    """Alerts, newest first."""
    return await store.read(lambda db: views.alerts(db, pet_id, open_only=open_only, limit=limit))


@router.post("/alerts/{alert_id}/acknowledge", status_code=204)
async def acknowledge_alert(
    store: StoreDep, alert_id: Annotated[int, Path(ge=1, lt=2**63)]
) -> None:
    """The owner has seen this alert."""
    known = await store.write(lambda db: acknowledge(db, alert_id, datetime.now(UTC)))
    if not known:
        raise HTTPException(404, f"no alert {alert_id}")


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


def make_app(store: Store, household: Household, host: PluginHost, token: str) -> FastAPI:
    """The application; whoever serves it sets ``state.refresh`` and ``state.wake_sync``."""
    app = FastAPI(title="Pawmesh gateway", version="1", docs_url=None, redoc_url=None)
    app.state.store, app.state.household, app.state.host = store, household, host
    app.state.token = token
    app.add_middleware(LimitBodies)
    app.include_router(open_router)
    app.include_router(router)
    for each in (collars.router, corrections.router):
        app.include_router(each, prefix=router.prefix, dependencies=router.dependencies)
    app.openapi = partial(with_problems, app.openapi)

    @app.exception_handler(AnyHTTPException)  # the framework's own too: 404, 405, no JSON
    async def problem(_: Request, error: AnyHTTPException) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return _problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _problem(422, f"{where}: {first['msg']}")

    return app


def _status(db: sqlite3.Connection, household: Household, plugins: dict[str, str]) -> StatusView:
    return StatusView(
        site=household.registry.site,
        registry_version=household.registry.version,
        collars=len(household.collars),
        counters=dict(db.execute("SELECT name, value FROM counter").fetchall()),
        stored=db.execute("SELECT count(*) FROM message").fetchone()[0],
        queued={stream: queued for stream, (queued, _) in lag_by_stream(db).items()},
        undecided=db.execute("SELECT count(*) FROM message WHERE decided = 0").fetchone()[0],
        unjudged=db.execute(
            """SELECT coalesce(max((SELECT max(id) FROM message) - message_id), 0)
               FROM plugin_cursor"""
        ).fetchone()[0]
        or 0,
        lost=db.execute("SELECT coalesce(sum(lost), 0) FROM contiguity").fetchone()[0],
        labels_queued=count_queued(db),
        deliveries_open=count_open(db),
        reports_queued=count_unreported(db),
        plugins=plugins,
    )


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem as RFC 9457 has it."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return JSONResponse(
        body | {"detail": detail},
        status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )
