"""Gateway ingest beside a bare consumer of the same client that settles after the same commit.

Both consume the same prepared messages over QoS 1 from the same embedded broker, in batches of the
same size, and commit to SQLite with ``synchronous=FULL`` before PUBACK. The bare one stores topic
and payload; the gateway also validates, sorts out duplicates and conflicts, keeps contiguity and
publishes its own acknowledgements. Rates are per CPU-second of the consuming process; plugins run
in processes of their own and are not counted.
"""

import asyncio
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import Figure, run
from gateway.ingest import BATCH_LIMIT, LINGER_S, Ingest
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.wire.codec import MSGPACK, encode
from gateway.wire.messages import ActivityEpoch, Birth
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind, Topic, site_filter
from gateway.wire.uplink import EnrolledCollar, Registry
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports

COLLARS = 50
MESSAGES = 30_000
ROUNDS = 5
BAR = 0.6
IN_FLIGHT = 2_000

Consumer = Callable[[str, Path, Any], Coroutine[Any, Any, float]]
"""Of a broker, with a folder of its own; it puts a word into the queue once it has subscribed, and
returns the CPU seconds that it took."""


def measure() -> list[Figure]:
    """Gateway ingest, messages per CPU-second, beside a bare durable consumer."""
    ratios: list[float] = []
    rates: dict[str, list[float]] = {"bare": [], "gateway": []}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS):
            order = (("bare", _bare), ("gateway", _gateway))
            measured: dict[str, float] = {}
            for name, consume in order if round_ % 2 == 0 else reversed(order):
                place = Path(folder) / f"{name}-{round_}"
                place.mkdir()
                with Broker(place / "broker", free_ports(1)[0]).running() as url:
                    measured[name] = _measure_one(consume, url, place)
                rates[name].append(measured[name])
            ratios.append(measured["gateway"] / measured["bare"])
    ratio = median(ratios)
    return [
        Figure(
            name="gateway_ingest",
            value=median(rates["gateway"]),
            unit="messages/CPU-s, durable and acknowledged",
            baseline=median(rates["bare"]),
            ratio=ratio,
            bar=BAR,
            passed=ratio >= BAR,
            n=ROUNDS * MESSAGES,
            notes=f"median of {ROUNDS} alternating rounds, {COLLARS} collars; "
            f"ratios {', '.join(f'{each:.2f}' for each in sorted(ratios))}",
        )
    ]


def _measure_one(consume: Consumer, url: str, place: Path) -> float:
    """Messages per CPU-second of a consumer in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    consumer = context.Process(target=_consume, args=(consume, url, place, answers))
    consumer.start()
    answers.get(timeout=60)  # subscribed
    asyncio.run(_publish(url))
    cpu_s = answers.get(timeout=300)
    consumer.join()
    return MESSAGES / cpu_s


def _consume(consume: Consumer, url: str, place: Path, answers: Any) -> None:
    answers.put(asyncio.run(consume(url, place, answers)))


async def _publish(url: str) -> None:
    begin = datetime.now(UTC) - timedelta(days=1)
    async with connect(BrokerUrl.parse(url), "load") as session:
        for index in range(MESSAGES):
            collar, seq = divmod(index, MESSAGES // COLLARS)
            collar_id, at = f"c{collar}", begin + timedelta(minutes=seq)
            key: dict[str, Any] = {"collar_id": collar_id, "boot": 1, "seq": seq, "observed_at": at}
            if seq == 0:
                kind, message = Kind.BIRTH, Birth(**key, hardware="bench", firmware="1.0")
            else:
                kind = Kind.EPOCH
                message = ActivityEpoch(
                    **key,
                    seconds={"rest": 41.0, "walk": 15.0, "unsure": 4.0},
                    odba_g=0.12,
                    vedba_g=0.09,
                    steps=31,
                    anomaly=0.11,
                    windows=15,
                    windows_unsure=1,
                    battery_pct=81.5,
                )
            topic = str(Topic("home", collar_id, kind))
            session.publish(topic, encode(message), content_type=MSGPACK, sent_at=at)
            if index % IN_FLIGHT == IN_FLIGHT - 1:
                await session.drained()
        await session.drained()


async def _bare(url: str, place: Path, answers: Any) -> float:
    db = sqlite3.connect(place / "bare.db", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, topic TEXT, payload BLOB)")

    def commit(rows: list[tuple[str, bytes]]) -> None:
        db.execute("BEGIN")
        db.executemany("INSERT INTO message VALUES (NULL, ?, ?)", rows)
        db.execute("COMMIT")

    seen = 0
    async with connect(BrokerUrl.parse(url), "bare") as session:
        await session.subscribe(site_filter("home"))
        answers.put("ready")
        began = time.process_time()
        async for batch in session.batches(BATCH_LIMIT, LINGER_S):
            await asyncio.to_thread(commit, [(each.topic, each.payload) for each in batch])
            for each in batch:
                each.settle()
            seen += len(batch)
            if seen >= MESSAGES:
                break
        return time.process_time() - began


async def _gateway(url: str, place: Path, answers: Any) -> float:
    now = datetime.now(UTC)
    household = Household("home")
    collars = [
        EnrolledCollar(
            collar_id=f"c{each}",
            pet_id=f"p{each}",
            pet_name=f"Pet {each}",
            assigned_at=now - timedelta(days=2),
        )
        for each in range(COLLARS)
    ]
    registry = Registry(site="home", version=1, collars=collars, grants=[])
    async with Store.open(place / "gateway.db") as store:
        await store.write(lambda db: save_registry(db, registry))
        await store.read(household.load)
        ingest = Ingest(store, household, lambda: None)
        seen = 0
        async with connect(BrokerUrl.parse(url), "gateway") as session:
            await session.subscribe(site_filter("home"))
            answers.put("ready")
            began = time.process_time()
            async for batch in session.batches(BATCH_LIMIT, LINGER_S):
                await ingest.take(session, batch)
                seen += sum(not each.topic.endswith("/ack") for each in batch)
                if seen >= MESSAGES:
                    break
            cpu_s = time.process_time() - began
        stored = await store.read(lambda db: db.execute("SELECT count(*) FROM message").fetchone())
        if stored[0] != MESSAGES:
            raise RuntimeError(f"{stored[0]} of {MESSAGES} messages stored")
        return cpu_s


if __name__ == "__main__":
    sys.exit(run(measure))
