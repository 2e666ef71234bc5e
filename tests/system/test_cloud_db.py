"""Migrations: once, in order, and never backwards; TimescaleDB where the server has it."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from cloud.db import load_queries, migrate
from cloud.db.migrate import MIGRATIONS
from cloud.db.timescale import TIME_TABLES
from cloud.errors import DatabaseNewer, DatabaseUnavailable, MigrationChanged
from tests.system.cloud_kit import open_cloud, settings_for


def test_migrating_twice_changes_nothing(empty_database: str) -> None:
    assert migrate(empty_database) == [file.name for file in sorted(MIGRATIONS.glob("*.sql"))]
    assert migrate(empty_database) == []


def test_two_who_migrate_at_once_do_it_once(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate, [empty_database] * 4))
    assert sorted(map(len, applied)) == [0, 0, 0, len(list(MIGRATIONS.glob("*.sql")))]


def test_a_database_newer_than_the_code_is_refused(database: str) -> None:
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO schema_migration (name, checksum) VALUES ('9999_x.sql', '')")
    with pytest.raises(DatabaseNewer, match="9999_x"):
        migrate(database)


def test_a_changed_file_is_refused(database: str) -> None:
    with psycopg.connect(database) as db:
        db.execute("UPDATE schema_migration SET checksum = 'x'")
    with pytest.raises(MigrationChanged):
        migrate(database)


def test_a_file_that_fails_leaves_nothing_behind(empty_database: str, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (n int);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE bad (n int); SELECT nonsense;")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrate(empty_database, folder=tmp_path)
    with psycopg.connect(empty_database) as db:
        tables = db.execute("SELECT to_regclass('good'), to_regclass('bad')").fetchone()
    assert tables == ("good", None)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate("postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize("capability", ["consent", "history", "identity", "ingest", "rewards"])
def test_every_statement_has_a_line_of_intent_and_is_used(capability: str) -> None:
    folder = MIGRATIONS.parents[1] / capability
    text = (folder / "queries.sql").read_text()
    code = "".join(file.read_text() for file in folder.glob("*.py"))
    names = load_queries(str(folder / "any.py")).keys()
    assert names
    for name in names:
        assert re.search(rf"^-- {name} -- \w.+$", text, re.MULTILINE)
        generic = f"{name.split('_')[0]}_{{kind}}"
        assert f'"{name}"' in code or f'"{generic}"' in code, f"{name} is not used"


@pytest.fixture
def timescale() -> Iterator[str]:
    server = os.environ.get("PAWMESH_TIMESCALE_URL")
    if not server:
        pytest.skip("PAWMESH_TIMESCALE_URL names no server with TimescaleDB")
    name = sql.Identifier(f"pawmesh_{uuid4().hex}")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield server.rpartition("/")[0] + "/" + name.as_string().strip('"')
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.mark.timescale
async def test_on_timescale_the_same_tables_are_hypertables(timescale: str, tmp_path: Path) -> None:
    migrate(timescale)
    migrate(timescale, retention_days=30)
    with psycopg.connect(timescale) as db:
        tables = db.execute(
            "SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1"
        ).fetchall()
        policies = db.execute(
            "SELECT proc_name, config ->> 'drop_after' FROM timescaledb_information.jobs"
            " WHERE hypertable_name = 'epoch' ORDER BY 1"
        ).fetchall()
    assert [name for (name,) in tables] == sorted(TIME_TABLES)
    assert policies == [("policy_compression", None), ("policy_retention", "30 days")]
    async with open_cloud(settings_for(timescale, tmp_path)) as cloud:
        home = await cloud.home()
        [device] = await home.enrol()
        batch = home.batch(device.epochs(await home.grant(device.pet_id)))
        assert (await home.send_batch(batch)).accepted == 64
        assert (await home.send_batch(batch)).duplicates == 64
        history = await home.call("GET", f"/v1/pets/{device.pet_id}/history")
        assert sum(hour["epochs"] for hour in history["hours"]) == 64
    with psycopg.connect(timescale, autocommit=True) as db:
        db.execute("SELECT compress_chunk(c) FROM show_chunks('epoch') AS c")
        assert db.execute("SELECT count(*) FROM epoch").fetchone() == (64,)
