"""Real servers for tests: one PostgreSQL a worker, a fresh database a test."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from psycopg import sql

from cloud.db import migrate
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from tests.system.cloud_kit import Cloud, open_cloud, settings_for

TEMPLATE = "pawmesh_template"
EXCUSES = ("timescale", "recordings")

# what is slow may be the machine: hypothesis would judge an example by the clock on the wall
settings.register_profile(
    "whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("whatever the machine")


def pytest_configure() -> None:
    """A shell that runs us in the background ignores SIGINT; what we start would never hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The report of a run names the marks that excuse a skip, for scripts/judge_skips.py."""
    for item in items:
        marks = [mark for mark in EXCUSES if item.get_closest_marker(mark)]
        item.user_properties += [("excuse", mark) for mark in marks]


class Unswept(Postgres):
    """A server that sweeps no database: we may not drop one while its own worker is in there."""

    def argv(self) -> list[str]:
        return [*super().argv(), "-c", "autovacuum=off"]


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this worker's own, ended with it; the URL is of a database to connect to."""
    folder = tmp_path_factory.mktemp("postgres")
    with Unswept(folder, free_ports(1)[0]).running() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """Name of a database that every test's own is copied from."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(_named(postgres_url, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """URL of a fresh, migrated database, dropped after the test whoever still uses it."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(migrated_template)
            )
        )
        yield _named(postgres_url, name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """URL of a fresh database without any tables."""
    name = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield _named(postgres_url, name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
def no_task_is_left_running(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves tasks behind."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("_tasks_end")


@pytest_asyncio.fixture
async def _tasks_end() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - before - {asyncio.current_task()}
    left = [task for task in others if not task.done()]
    for task in left:
        task.cancel()
    assert not left, f"tasks left running: {[task.get_name() for task in left]}"


def _named(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


@pytest_asyncio.fixture
async def cloud(database: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """A cloud in this process over a fresh database."""
    async with open_cloud(settings_for(database, tmp_path)) as running:
        yield running
