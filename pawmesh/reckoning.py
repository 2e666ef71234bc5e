"""Counts what a run did, from the simulator's own record and both stores, trusting none of them."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import psycopg

from gateway.wire.grants import STREAM_OF
from gateway.wire.topics import Kind

Key = tuple[str, int, int]
TIME_TABLES = ("epoch", "fix", "event", "raw_window")


@dataclass
class Reckoning:
    """What was found; each list names the messages that are wrong."""

    published: int = 0
    acknowledged: int = 0
    stored_gateway: int = 0
    stored_cloud: int = 0
    rejected: int = 0
    owed: list[Key] = field(default_factory=list[Key])
    acknowledged_not_stored: list[Key] = field(default_factory=list[Key])
    other_content: list[Key] = field(default_factory=list[Key])
    granted_not_in_cloud: list[Key] = field(default_factory=list[Key])
    ungranted_in_cloud: list[Key] = field(default_factory=list[Key])
    duplicates: int = 0
    withheld: int = 0
    synced: int = 0
    sealed_cloud: int = 0
    observations: int = 0
    alerts: int = 0
    alert_ms: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def lost(self) -> int:
        """Messages that are not where they must be, each counted once."""
        places = (
            *(self.owed, self.acknowledged_not_stored),
            *(self.other_content, self.granted_not_in_cloud),
        )
        return len(set[Key]().union(*places))


def reckon(
    fleet_dir: Path, gateway_db: Path, database_url: str, granted: set[tuple[str, str]]
) -> Reckoning:
    """Compare what was published with what is stored.

    Args:
        fleet_dir: The simulator's data folder, with its record and the collars' flash.
        gateway_db: The gateway's store.
        database_url: The cloud's database.
        granted: Pairs of collar id and stream that the owners allowed during the whole run.
    """
    published, found = _published(fleet_dir), Reckoning()
    found.published = len(published)
    found.owed = _owed(fleet_dir)
    _look_into_gateway(gateway_db, published, found)
    expected = {
        key
        for key, (kind, _) in published.items()
        if (stream := STREAM_OF.get(Kind(kind))) and (key[0], stream.value) in granted
    }
    _look_into_cloud(database_url, published, expected, found)
    return found


def _published(fleet_dir: Path) -> dict[Key, tuple[str, bytes]]:
    with _open(fleet_dir / "published.sqlite") as db:
        rows = db.execute("SELECT collar_id, boot, seq, kind, digest FROM published")
        return {(row[0], row[1], row[2]): (row[3], bytes(row[4])) for row in rows}


def _owed(fleet_dir: Path) -> list[Key]:
    with _open(fleet_dir / "flash.sqlite") as db:
        return db.execute(
            "SELECT collar_id, log.boot, seq FROM log JOIN collar USING (number)"
        ).fetchall()


def _look_into_gateway(
    path: Path, published: dict[Key, tuple[str, bytes]], found: Reckoning
) -> None:
    with _open(path) as db:
        ids = {key[0] for key in published}
        held = {
            (row[0], row[1], row[2]): bytes(row[3])
            for row in db.execute("SELECT collar_id, boot, seq, digest FROM message")
            if row[0] in ids
        }
        acked = {
            row[0]: (row[1], row[2])
            for row in db.execute("SELECT collar_id, acked_boot, acked_seq FROM contiguity")
            if row[1] is not None
        }
        acknowledged = [key for key in published if key[1:] <= acked.get(key[0], (-1, -1))]
        found.stored_gateway, found.acknowledged = len(held), len(acknowledged)
        found.acknowledged_not_stored = [key for key in acknowledged if key not in held]
        found.other_content = [
            key for key, digest in held.items() if published.get(key, ("", b""))[1] != digest
        ]
        counters = dict(db.execute("SELECT name, value FROM counter").fetchall())
        found.rejected = counters.get("rejected", 0)
        found.withheld, found.synced = counters.get("withheld", 0), counters.get("synced", 0)
        found.observations = db.execute("SELECT count(*) FROM observation").fetchone()[0]
        found.alerts = db.execute("SELECT count(*) FROM alert").fetchone()[0]
        found.alert_ms = percentiles(
            [row[0] for row in db.execute("SELECT latency_ms FROM alert WHERE latency_ms NOTNULL")]
        )


def _look_into_cloud(
    url: str, published: dict[Key, tuple[str, bytes]], expected: set[Key], found: Reckoning
) -> None:
    ids = sorted({key[0] for key in published})
    with psycopg.connect(url) as db:
        stored: set[Key] = set(
            db.execute(
                "SELECT collar_id, boot, seq FROM message WHERE collar_id = ANY(%s)", (ids,)
            ).fetchall()
        )
        rows: list[tuple[Any, ...]] = []
        for table in TIME_TABLES:
            rows += db.execute(
                f"SELECT collar_id, boot, seq, sealed FROM {table} WHERE collar_id = ANY(%s)",  # pyright: ignore[reportArgumentType] - one of ours
                (ids,),
            ).fetchall()
    keys = [row[:3] for row in rows]
    found.stored_cloud = len(stored)
    found.sealed_cloud = sum(row[3] for row in rows)
    found.duplicates = len(keys) - len(set(keys))
    found.granted_not_in_cloud = sorted(expected - (stored & set(keys)))
    found.ungranted_in_cloud = sorted((stored | set(keys)) - expected)


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 99th percentile, and of how many.

    >>> percentiles([1.0, 3.0])
    {'p50': 2.0, 'p99': 3.0, 'n': 2}
    """
    if not values:
        return {"p50": 0.0, "p99": 0.0, "n": 0}
    if len(values) == 1:
        return {"p50": values[0], "p99": values[0], "n": 1}
    cuts = quantiles(values, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 1),
        "p99": round(min(cuts[98], max(values)), 1),
        "n": len(values),
    }


def _open(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))
