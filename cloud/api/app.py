"""The application: every capability's routes under one roof."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from cloud.api import health
from cloud.api.limits import LimitBodies
from cloud.api.problems import add_problem_handlers
from cloud.api.state import Services
from cloud.consent import routes as consent
from cloud.db import blocking, open_database
from cloud.history import routes as history
from cloud.identity import routes as identity
from cloud.identity.operator import operator_token_hash
from cloud.ingest import routes as ingest
from cloud.ingest.workers import open_workers
from cloud.labels import routes as labels
from cloud.models import routes as models
from cloud.models.release_key import ReleaseKey
from cloud.models.shipped import register_shipped, shipped_folder
from cloud.rewards import routes as rewards
from cloud.rollout import routes as rollout
from cloud.settings import Settings
from cloud.training import routes as training
from gateway.wire.problems import with_problems

ROUTERS = (
    health.router,
    identity.router,
    consent.router,
    history.router,
    ingest.router,
    rewards.router,
    labels.router,
    models.router,
    rollout.router,
    training.router,
)


def create_app(settings: Settings) -> FastAPI:
    """The application; its lifespan opens and closes the database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        token_hash = operator_token_hash(settings.operator_token_file)
        release_key = ReleaseKey.kept(settings.release_key_path)
        url = settings.database_url.get_secret_value()
        await asyncio.to_thread(_register_shipped, url, settings, release_key)
        timeout_s = settings.pool_timeout_s
        async with (
            open_database(url, settings.pool_size, timeout_s) as database,
            open_workers(url, timeout_s, settings.ingest_workers) as workers,
        ):
            app.state.services = Services(
                settings=settings,
                database=database,
                workers=workers,
                operator_token_hash=token_hash,
                release_key=release_key,
            )
            yield

    app = FastAPI(
        title="Pawmesh cloud",
        version="1",
        description="Stores what was granted, pays for it, and tells gateways who lives there.",
        lifespan=lifespan,
        docs_url=None,  # both pages load scripts from a CDN
        redoc_url=None,
    )
    add_problem_handlers(app)
    app.add_middleware(LimitBodies)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = partial(with_problems, app.openapi)
    return app


def _register_shipped(url: str, settings: Settings, key: ReleaseKey) -> None:
    with blocking(url) as connection:
        register_shipped(connection, settings.models_dir or shipped_folder(), key)
