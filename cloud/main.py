"""The cloud service: migrate, open, serve, settle."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import structlog
import uvicorn
from fastapi import FastAPI

from cloud.api.app import create_app
from cloud.db import migrate
from cloud.db.retention import keep_dropping_old
from cloud.errors import DatabaseUnavailable
from cloud.identity.sessions import forget_expired
from cloud.rewards.emission import keep_settling
from cloud.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Serve until cancelled.

    Raises:
        DatabaseNewer, MigrationChanged, DatabaseUnavailable: The database is not for us.
        OSError: The address cannot be listened on.
    """
    url = settings.database_url.get_secret_value()
    await _migrate(url, settings)
    app = create_app(settings)
    with _listen(settings.host, settings.port) as listener:
        async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
            database = app.state.services.database
            tasks.create_task(keep_settling(database, settings), name="settle")
            tasks.create_task(forget_expired(database), name="sessions")
            tasks.create_task(
                keep_dropping_old(database, settings.retention_days), name="retention"
            )
            tasks.create_task(_serve(app, listener), name="http")
            log.info("cloud.started", host=settings.host, port=listener.getsockname()[1])


class _Server(uvicorn.Server):
    """Leaves signals to the caller's runner, which turns them into cancellation."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def _migrate(url: str, settings: Settings) -> None:
    """Bring the database up to date, waiting for it as long as we may: it may be recovering."""
    deadline = asyncio.get_running_loop().time() + settings.database_wait_s
    while True:
        try:
            await asyncio.to_thread(migrate, url, settings.retention_days)
        except DatabaseUnavailable:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def _serve(app: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=3
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)
