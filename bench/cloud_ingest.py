"""Cloud ingest beside a bare staged COPY of the same rows, in one run against one PostgreSQL.

Product: signed, compressed batches of sealed epochs in at the HTTP application, receipts out:
signature, unpacking, grants, every leaf hashed, every seal verified, COPY, deduplication, epoch
table, rollups, scores, cursor, commit. Sites send at the same time, each one batch after the other,
as gateways do, so one batch is proven while another is in the database. Bare: the decoded rows by
binary COPY into a temporary table, then INSERT ... ON CONFLICT DO NOTHING into a table with the
columns and indexes of ``epoch`` and a unique key, by one connection, which proves nothing.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg
import structlog
from psycopg import sql

from bench.report import Figure, run
from cloud.db import migrate
from cloud.ingest.check import check
from cloud.ingest.columns import DIGEST
from cloud.ingest.facts import facts_for
from cloud.settings import cpus
from gateway.wire.topics import Kind
from gateway.wire.uplink import UplinkBatch, pack_body
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from tests.system.cloud_kit import Cloud, Home, open_cloud, settings_for

ROUNDS = 5
SITES = 4
WORKERS = 1 + cpus()  # the service's default
BATCHES = 4  # of each site in a round
GROUPS = 31  # of 64 epochs: 1,984 rows a batch
EPOCHS = 64
BAR = 0.8

BARE_TABLE = """
CREATE TABLE bare_epoch (LIKE epoch INCLUDING INDEXES);
CREATE UNIQUE INDEX ON bare_epoch (collar_id, boot, seq);
"""
COLUMNS = (
    "pet_id, observed_at, received_at, collar_id, boot, seq, grant_id, sealed, clock, period_s,"
    " seconds, odba_g, vedba_g, steps, anomaly, windows, windows_unsure, battery_pct"
)
STAGE = (
    f"CREATE TEMP TABLE IF NOT EXISTS staged_bare ON COMMIT DELETE ROWS AS"
    f" SELECT {COLUMNS.replace('seconds', 'seconds::text')} FROM epoch WITH NO DATA"
)
STORE = (
    f"INSERT INTO bare_epoch (stored_at, {COLUMNS})"
    f" SELECT now(), {COLUMNS.replace('seconds', 'seconds::jsonb')} FROM staged_bare"
    " ON CONFLICT DO NOTHING"
)
TYPES = (
    *("text", "timestamptz", "timestamptz", "text", "int8", "int8", "text", "bool", "text"),
    *("float4", "text", "float4", "float4", "int4", "float4", "int4", "int4", "float4"),
)


def measure() -> Sequence[Figure]:
    """Cloud ingest, rows per second, beside a bare staged COPY of the same rows."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        given = os.environ.get("BENCH_DATABASE_URL")
        server = given or stack.enter_context(Postgres(folder / "db", free_ports(1)[0]).running())
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                return asyncio.run(_measure(server.rpartition("/")[0] + "/" + name, folder))
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _measure(url: str, folder: Path) -> Sequence[Figure]:
    migrate(url)
    ratios: list[float] = []
    rates: dict[str, list[float]] = {"bare": [], "cloud": []}
    async with open_cloud(settings_for(url, folder, ingest_workers=WORKERS)) as cloud:
        homes = [await _home(cloud) for _ in range(SITES)]
        with psycopg.connect(url, autocommit=True) as bare:
            bare.execute(BARE_TABLE)
            for round_ in range(ROUNDS + 1):
                sent = [(home, _batches(home, devices, round_)) for home, devices in homes]
                bodies = [(home, [pack_body(batch) for batch in each]) for home, each in sent]
                rows = [_decoded(cloud, batch) for _, each in sent for batch in each]
                count = sum(map(len, rows))
                took: dict[str, float] = {}
                for name in ("bare", "cloud") if round_ % 2 else ("cloud", "bare"):
                    began = time.perf_counter()
                    if name == "bare":
                        await asyncio.to_thread(_copy, bare, rows)
                    else:
                        await _send(bodies)
                    took[name] = time.perf_counter() - began
                if round_:  # the first warms caches and plans
                    ratios.append(took["bare"] / took["cloud"])
                    for name, seconds in took.items():
                        rates[name].append(count / seconds)
            _compare(bare)
    return [
        Figure(
            name="cloud_ingest",
            value=median(rates["cloud"]),
            unit="rows/s",
            baseline=median(rates["bare"]),
            ratio=median(ratios),
            bar=BAR,
            passed=median(ratios) >= BAR,
            n=ROUNDS,
            notes=(
                f"{WORKERS} workers on {cpus()} cores, {SITES} sites at once, {BATCHES} batches"
                f" each of {GROUPS} seals over {EPOCHS} epochs, every leaf hashed and every seal"
                f" verified; ratios {', '.join(f'{ratio:.2f}' for ratio in ratios)};"
                " the bare COPY is one sequential connection, which proves nothing"
            ),
        )
    ]


async def _home(cloud: Cloud) -> tuple[Home, list[tuple[Any, str]]]:
    home = await cloud.home()
    devices = await home.enrol(GROUPS)
    return home, [(device, await home.grant(device.pet_id)) for device in devices]


def _batches(home: Home, devices: list[tuple[Any, str]], round_: int) -> list[UplinkBatch]:
    return [
        home.batch(
            *(
                device.epochs(grant, EPOCHS, first=(round_ * BATCHES + n) * (EPOCHS + 1))
                for device, grant in devices
            )
        )
        for n in range(BATCHES)
    ]


def _decoded(cloud: Cloud, batch: UplinkBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch as the bare COPY is handed them."""
    with psycopg.connect(cloud.settings.database_url.get_secret_value()) as connection:
        checked = check(batch, facts_for(connection, batch), batch.sent_at)
    return [row[:DIGEST] for group in checked.groups for row in group.rows[Kind.EPOCH]]


def _copy(connection: psycopg.Connection, batches: list[list[tuple[Any, ...]]]) -> None:
    for rows in batches:
        with connection.transaction():
            connection.execute(STAGE)
            with connection.cursor().copy("COPY staged_bare FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(TYPES)
                for row in rows:
                    copy.write_row(row)
            connection.execute(STORE)


async def _send(bodies: list[tuple[Home, list[bytes]]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for home, each in bodies:
            tasks.create_task(_send_site(home, each))


async def _send_site(home: Home, bodies: list[bytes]) -> None:
    for body in bodies:
        response = await home.signed("POST", "/v1/uplink", body)
        if response.status_code != 200:
            raise RuntimeError(response.text)


def _compare(connection: psycopg.Connection) -> None:
    """Both tables must hold the same rows, or the comparison is of nothing."""
    differing = connection.execute(
        "SELECT count(*) FROM (SELECT collar_id, boot, seq, steps FROM epoch"
        " EXCEPT SELECT collar_id, boot, seq, steps FROM bare_epoch) AS d"
    ).fetchone()
    if differing != (0,):
        raise RuntimeError(f"{differing} rows differ")


if __name__ == "__main__":
    sys.exit(run(measure))
