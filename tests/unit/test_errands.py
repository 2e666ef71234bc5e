"""What goes to the cloud beside the messages waits alone when it fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.errors import CloudRefused, CloudUnreachable, GatewayError
from gateway.registry import Household
from gateway.store import Store
from gateway.sync import CloudClient, Errand, Sync


@pytest_asyncio.fixture
async def sync(tmp_path: Path) -> AsyncIterator[Sync]:
    """Of a home whose registry is up to date."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(204))
    async with (
        Store.open(tmp_path / "gateway.db") as store,
        httpx2.AsyncClient(transport=transport, base_url="http://cloud") as http,
    ):
        client = CloudClient(http, "home", Ed25519PrivateKey.generate())
        yield Sync(store, Household("home"), client)


@pytest.mark.parametrize("error", [CloudRefused(404, "an older cloud"), CloudUnreachable("500")])
async def test_an_errand_that_fails_waits_and_the_others_go_on(
    sync: Sync, error: GatewayError
) -> None:
    ran: list[str] = []

    async def fails(_: CloudClient) -> bool:
        ran.append("fails")
        raise error

    async def works(_: CloudClient) -> bool:
        ran.append("works")
        if ran.count("works") == 20:
            done.set()
        return ran.count("works") < 20

    done = asyncio.Event()
    sync.errands = [Errand("fails", fails), Errand("works", works)]
    running = asyncio.create_task(sync.run())
    async with asyncio.timeout(30):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ran.count("works") == 20
    assert ran.count("fails") < 5
