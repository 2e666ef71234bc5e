"""The real process: starts, refuses, dies, comes back; nothing is stored twice."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from psycopg import sql

from gateway.wire.uplink import (
    CONTENT_TYPE,
    UplinkBatch,
    UplinkReceipt,
    pack_body,
    sign_request,
    unpack_body,
)
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from tests.patience import PATIENCE_S
from tests.system.cloud_kit import Home, open_cloud, settings_for

ROUNDS = int(os.environ.get("SOAK", "5"))
ROWS = "SELECT count(*) FROM message"
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
WAITING = f"SELECT count(*) {OURS} AND wait_event_type = 'Lock'"
BUSY = f"SELECT count(*) {OURS} AND state NOT IN ('idle')"


class Service:
    """``python -m cloud`` as a child process."""

    def __init__(self, database: str, folder: Path, **more: str) -> None:
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "cloud.log"
        self._environment = {
            **os.environ,
            "CLOUD_DATABASE_URL": database,
            "CLOUD_PORT": str(self.port),
            "CLOUD_OPERATOR_TOKEN_FILE": str(folder / "operator.token"),
            "CLOUD_INGEST_WORKERS": "1",
            **more,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloud"], env=self._environment, stdout=log, stderr=log
            )
        return self.process

    def answers(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/healthz").status_code == 200
        return False

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(database: str, folder: Path, **more: str) -> Iterator[Service]:
    service = Service(database, folder, **more)
    try:
        service.start()
        eventually(service.answers)
        yield service
    finally:
        service.kill()


def one(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


def send(service: Service, home: Home, batch: UplinkBatch) -> UplinkReceipt | None:
    """The receipt, or nothing when the service died under it."""
    body = pack_body(batch)
    headers = sign_request(home.key, home.site, "POST", "/v1/uplink", body, datetime.now(UTC))
    headers["content-type"] = CONTENT_TYPE
    with suppress(httpx2.TransportError):
        response = httpx2.post(
            f"{service.url}/v1/uplink", content=body, headers=headers, timeout=PATIENCE_S
        )
        assert response.status_code == 200, response.text
        return unpack_body(response.content, UplinkReceipt)
    return None


async def household(database: str, folder: Path, collars: int) -> tuple[Home, list[Any]]:
    """A home in the database, made by a cloud that ends before the one under test starts."""
    async with open_cloud(settings_for(database, folder)) as cloud:
        home = await cloud.home()
        devices = await home.enrol(collars)
        return home, [(each, await home.grant(each.pet_id)) for each in devices]


def sent_and_killed(service: Service, home: Home, batch: UplinkBatch, url: str, at: str) -> None:
    """Send a batch and SIGKILL the service while its transaction waits for table ``at``.

    With ``at`` empty the transaction commits first, and only the receipt is lost.
    """
    service.start()
    eventually(service.answers)
    process = service.process
    assert process is not None
    with (
        ThreadPoolExecutor(1) as sender,
        psycopg.connect(url, autocommit=True) as watch,
        psycopg.connect(url, autocommit=True) as holder,
    ):
        with holder.transaction():
            held = sql.Identifier(at or "score")
            holder.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(held))
            receipt = sender.submit(send, service, home, batch)
            eventually(lambda: one(watch, WAITING) == 1)
            children = psutil.Process(process.pid).children(recursive=True)
            before = one(watch, ROWS)
            process.send_signal(signal.SIGKILL if at else signal.SIGSTOP)
            if at:  # the workers notice, and die before they could commit
                psutil.wait_procs(children, timeout=PATIENCE_S)
        if not at:
            eventually(lambda: one(watch, ROWS) > before)
            process.kill()
        process.wait()
        psutil.wait_procs(children, timeout=PATIENCE_S)
        assert not any(child.is_running() for child in children), "a worker outlives us"
        eventually(lambda: one(watch, BUSY) == 0)
        assert receipt.result() is None


@pytest.mark.parametrize("at", ["message", "epoch", "activity_hour", "score", ""])
def test_sigkill_in_mid_ingest_then_replay_stores_nothing_twice(
    database: str, tmp_path: Path, at: str
) -> None:
    home, devices = asyncio.run(household(database, tmp_path, 5))
    service = Service(database, tmp_path)
    batches = [
        home.batch(*(device.epochs(grant, first=n * 100) for device, grant in devices))
        for n in range(max(1, ROUNDS // 5))
    ]
    try:
        for n, batch in enumerate(batches):
            sent_and_killed(service, home, batch, database, at)
            with psycopg.connect(database) as db:
                assert one(db, ROWS) == (0 if at else (n + 1) * 5 * 64)
        service.start()
        eventually(service.answers)
        receipts = [send(service, home, batch) for batch in batches]
    finally:
        service.kill()
    for receipt in receipts:
        assert receipt is not None
        taken = (receipt.accepted, receipt.duplicates, receipt.refused)
        assert taken == ((5 * 64, 0, []) if at else (0, 5 * 64, []))
    total = len(batches) * 5 * 64
    with psycopg.connect(database) as db:
        counts = db.execute(
            "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM epoch),"
            " (SELECT count(DISTINCT (collar_id, boot, seq)) FROM epoch),"
            " (SELECT sum(epochs) FROM activity_hour), (SELECT sum(rows_new) FROM score)"
        ).fetchone()
    assert counts == (total,) * 5


def test_a_database_outage_is_a_problem_and_then_over(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "database", free_ports(1)[0])
    url = server.start()
    try:
        with running(url, tmp_path, CLOUD_POOL_TIMEOUT_S="3") as service:
            home, [(device, grant)] = asyncio.run(household(url, tmp_path, 1))
            first = send(service, home, home.batch(device.epochs(grant)))
            assert first is not None
            assert first.accepted == 64
            server.stop()
            for method, path in (("GET", "/healthz"), ("GET", "/v1/pets"), ("POST", "/v1/uplink")):
                response = httpx2.request(
                    method,
                    service.url + path,
                    headers={**home.headers, "pawmesh-site": "x"},
                    timeout=PATIENCE_S,
                )
                assert response.status_code == 503, response.text
                assert response.headers["content-type"] == "application/problem+json"
                assert response.headers["retry-after"] == "1"
                assert "127.0.0.1" not in response.text
            server.start()
            eventually(service.answers)
            second = send(service, home, home.batch(device.epochs(grant, first=100)))
            assert second is not None
            assert second.accepted == 64
    finally:
        server.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(
    database: str, tmp_path: Path, number: signal.Signals
) -> None:
    with running(database, tmp_path) as service:
        process = service.process
        assert process is not None
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in service.log.read_text()


def test_a_newer_database_is_exit_code_5(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO schema_migration (name, checksum) VALUES ('9999_x.sql', '')")
    service = Service(database, tmp_path)
    assert service.start().wait(PATIENCE_S) == 5
    assert "9999_x" in service.log.read_text()


def test_wrong_settings_are_exit_code_2(tmp_path: Path) -> None:
    service = Service("", tmp_path, CLOUD_PORT="-1")
    assert service.start().wait(PATIENCE_S) == 2


def test_a_port_in_use_is_exit_code_4(database: str, tmp_path: Path) -> None:
    with running(database, tmp_path) as first:
        second = Service(database, tmp_path, CLOUD_PORT=str(first.port))
        assert second.start().wait(PATIENCE_S) == 4
