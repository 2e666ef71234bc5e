"""The application: every route under one roof."""

from functools import partial

from fastapi import APIRouter, Depends, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.api import collars, corrections, home, pets
from gateway.api.access import BEARER, require_owner
from gateway.api.dependencies import StoreDep
from gateway.api.limits import LimitBodies
from gateway.api.problems import add_problem_handlers
from gateway.host import PluginHost
from gateway.registry import Household
from gateway.store import Store
from gateway.wire.problems import with_problems

ROUTERS = (pets.router, home.router, collars.router, corrections.router)
OWNER_ONLY = (Depends(BEARER), Depends(require_owner))

open_router = APIRouter()


@open_router.get("/healthz")
async def healthz(store: StoreDep) -> dict[str, str]:
    """Whether the gateway works: its store answers."""
    await store.read(lambda db: db.execute("SELECT 1").fetchone())
    return {"status": "ok"}


@open_router.get("/metrics")
async def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def make_app(store: Store, household: Household, host: PluginHost, token: str) -> FastAPI:
    """The application; whoever serves it sets ``state.refresh`` and ``state.wake_sync``."""
    app = FastAPI(title="Pawmesh gateway", version="1", docs_url=None, redoc_url=None)
    app.state.store, app.state.household, app.state.host = store, household, host
    app.state.token = token
    add_problem_handlers(app)
    app.add_middleware(LimitBodies)
    app.include_router(open_router)
    for each in ROUTERS:
        app.include_router(each, prefix="/v1", dependencies=OWNER_ONLY)
    app.openapi = partial(with_problems, app.openapi)
    return app
