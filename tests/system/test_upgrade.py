"""A home of an earlier release under today's ``pawmesh up``; and homes of a later one."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cloud.db.migrate import MIGRATIONS as CLOUD_MIGRATIONS
from collar_sim.firmware.log.flash import FLASH_VERSION
from gateway.store.store import MIGRATIONS as GATEWAY_MIGRATIONS
from pawmesh.backup import database
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from pawmesh.house import House, require
from pawmesh.provision import sign_in
from tests.system.old_house import HOUSE_0_1, make_old_house
from tests.system.test_platform import Up, eventually, pawmesh, running

PETS = {"Luna", "Rex", "Momo"}
COLLARS = {"fleet-00001", "fleet-00002"}
SHARED = "fleet-00001"
GRANTS = {("grant-407ebbd612f8", "activity"), ("grant-05b39e6f687d", "position")}
BALANCE = 204_000
BOOTS = 2  # of each collar under 0.1
OWED = 4  # messages of each collar that the gateway of 0.1 was killed before it took
ASLEEP = timedelta(minutes=40)  # long enough for a batch to be full, sealed and shared
Key = tuple[str, int, int]


def held(path: Path) -> dict[Key, bytes]:
    """Each message in a gateway's store, and its digest."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT collar_id, boot, seq, digest FROM message")
        return {(row[0], row[1], row[2]): row[3] for row in rows}


def owed(path: Path) -> set[Key]:
    """Each message in the collars' flash."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT collar_id, log.boot, seq FROM log JOIN collar USING (number)")
        return set(rows.fetchall())


def boots(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT collar_id, boot FROM collar").fetchall())


def user_version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


@dataclass
class Moved:
    """The home of 0.1, running today, and what it was before."""

    up: Up
    before: dict[Key, bytes]
    owed: set[Key]

    @property
    def house(self) -> House:
        return House(self.up.data_dir)

    @property
    def flash(self) -> Path:
        return self.house.fleet / "fleet" / "flash.sqlite"

    def cloud(self, query: str) -> list[Any]:
        with psycopg.connect(self.up.noted["database_url"]) as db:
            return db.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("upgrade")
    make_old_house(folder / "data", asleep=ASLEEP)
    before = held(folder / "data/gateway/gateway.db")
    debts = owed(folder / "data/fleet/fleet/flash.sqlite")
    words = ("--collars", 2, "--seed", 7, "--port-base", 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUD_RETENTION_DAYS", "36500")  # the home of 0.1 grows older than 400 days
        with running(folder, *words) as up:
            yield Moved(up, before, debts)
            assert up.interrupt() == 0
            assert not up.left()


class TestFromTheFirstRelease:
    def test_the_stores_are_brought_to_this_version(self, moved: Moved) -> None:
        known = sorted(file.name for file in CLOUD_MIGRATIONS.glob("[0-9]*.sql"))
        applied = moved.cloud("SELECT name FROM schema_migration ORDER BY name")
        assert [name for (name,) in applied] == known
        gateway = len(list(GATEWAY_MIGRATIONS.glob("[0-9]*.sql")))
        assert user_version(moved.house.gateway / "gateway.db") == gateway
        assert eventually(lambda: user_version(moved.flash) == FLASH_VERSION)

    def test_pets_grants_and_tokens_are_what_they_were(self, moved: Moved) -> None:
        assert {pet["name"] for pet in moved.up.command("status")["pets"]} == PETS
        with sign_in(moved.house, moved.up.noted["cloud_url"]) as owner:
            grants = require(owner.get("/v1/grants"))
            wallet = require(owner.get("/v1/wallet"))
        assert {(grant["grant_id"], grant["stream"]) for grant in grants} == GRANTS
        assert not any(grant["withdrawn_at"] for grant in grants)
        first = [entry for entry in wallet["entries"] if entry["made_at"] < "2025-02"]
        assert sum(entry["amount"] for entry in first) == BALANCE
        assert wallet["balance"] >= BALANCE
        with moved.house.operator_api(moved.up.noted["cloud_url"]) as cloud:
            assert require(cloud.get("/v1/rewards/verify")) == {"ok": True, "findings": []}

    def test_nothing_that_was_stored_or_owed_is_lost(self, moved: Moved) -> None:
        store = moved.house.gateway / "gateway.db"
        assert len(moved.owed) == OWED * len(COLLARS)
        assert not moved.owed & moved.before.keys()
        assert eventually(lambda: moved.owed <= held(store).keys())
        now = held(store)
        assert {key: now[key] for key in moved.before} == moved.before
        with closing(sqlite3.connect(store)) as db:
            assert db.execute("SELECT count(*), sum(lost) FROM contiguity").fetchone() == (2, 0)
            assert db.execute("SELECT * FROM rejected").fetchall() == []
        with moved.house.gateway_api(moved.up.noted["gateway_url"]) as gateway:
            history = require(
                gateway.get(
                    "/v1/pets/pet-fleet-00001/history",
                    params={"since": "2025-01-15T00:00:00Z", "until": "2025-01-16T00:00:00Z"},
                )
            )
        assert len(history) > 50

    def test_the_collars_go_on_and_what_is_granted_reaches_the_cloud(self, moved: Moved) -> None:
        assert eventually(lambda: boots(moved.flash) == dict.fromkeys(COLLARS, BOOTS + 1))
        fresh = f"SELECT DISTINCT collar_id, grant_id FROM epoch WHERE boot > {BOOTS}"
        assert eventually(lambda: bool(moved.cloud(fresh)))
        assert moved.cloud(fresh) == [(SHARED, "grant-407ebbd612f8")]
        assert moved.cloud("SELECT DISTINCT collar_id FROM message") == [(SHARED,)]
        assert moved.cloud("SELECT * FROM refused") == []
        stored = moved.cloud("SELECT collar_id, boot, seq FROM message")
        assert len(stored) == len(set(stored))
        settled = f"SELECT count(*) FROM message WHERE boot = {BOOTS}"
        assert eventually(lambda: moved.cloud(settled)[0][0] > 0)  # what 0.1 had left undecided


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """A data folder of 0.1 without a database, in which nothing runs."""
    make_old_house(tmp_path / "data", asleep=ASLEEP)
    return tmp_path / "data"


def refused(data_dir: Path) -> str:
    """What ``up`` says as it ends at once, over data of a newer version."""
    done = pawmesh("up", "--no-dashboard", "--port-base", 0, "--data-dir", data_dir)
    said = " ".join(done.stderr.split())
    assert done.returncode == 5, said
    assert "Update Pawmesh" in said
    assert "Traceback" not in said
    return said


class TestFromALaterRelease:
    @pytest.mark.parametrize("store", ["gateway/gateway.db", "fleet/fleet/flash.sqlite"])
    def test_a_newer_store_ends_up_before_anything_starts(self, quiet: Path, store: str) -> None:
        with closing(sqlite3.connect(quiet / store)) as db:
            db.execute("PRAGMA user_version = 99")
        said = refused(quiet)
        assert "version 99" in said
        assert str(quiet / store) in said
        assert not list((quiet / "logs").iterdir())

    def test_a_newer_database_ends_up(self, quiet: Path) -> None:
        with (
            Postgres(quiet / "database", free_ports(1)[0]).running() as url,
            psycopg.connect(url) as db,
        ):
            db.execute("INSERT INTO schema_migration VALUES ('9999_from_tomorrow.sql', 'x')")
        assert "9999_from_tomorrow.sql" in refused(quiet)

    def test_the_simulator_alone_refuses_a_newer_flash(self, quiet: Path) -> None:
        with closing(sqlite3.connect(quiet / "fleet/fleet/flash.sqlite")) as db:
            db.execute("PRAGMA user_version = 99")
        command = [sys.executable, "-m", "collar_sim", "--fleet-file", quiet / "fleet/fleet.json"]
        command += ["--data-dir", quiet / "fleet/fleet", "--broker", "mqtt://127.0.0.1:1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 5, done.stderr
        assert "version 99" in done.stderr


def test_the_old_home_is_that_of_the_first_release(empty_database: str) -> None:
    database.load(empty_database, HOUSE_0_1 / "cloud.dump")
    assert database.migrations_of(empty_database) == [
        "0001_create_identity.sql",
        "0002_create_consent.sql",
        "0003_create_telemetry.sql",
        "0004_create_rewards.sql",
    ]
