"""Signed models from the cloud: fetched once, checked, and kept until no collar waits for them."""

import sqlite3
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

import msgspec
import structlog

from gateway.deliveries.ledger import OPEN
from gateway.errors import CloudRefused
from gateway.store import Store, to_us
from gateway.wire.uplink import ModelPackage

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RETRY_S = 5.0  # after the first refusal; then twice as long each time
MAX_RETRY_S = 300.0


class Releases(Protocol):
    """Where signed models come from."""

    async def release(self, sha256: str) -> ModelPackage:
        """The model of that digest."""
        ...


class Packages:
    """Fetches what deliveries wait for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def fetch(self, cloud: Releases) -> bool:
        """Fetch one missing model; returns whether it is here now.

        Raises:
            CloudUnreachable: The cloud does not answer at all.
        """
        now = datetime.now(UTC)
        wanted = await self._store.read(lambda db: _missing(db, now))
        if wanted is None:
            return False
        try:
            package = await cloud.release(wanted["sha256"])
            why = _misfit(package, wanted)
        except CloudRefused as error:
            package, why = None, f"the cloud does not give this model: {error}"
        if package is None or why:
            log.warning("model.not_fetched", sha256=wanted["sha256"], why=why)
            await self._store.write(lambda db: _put_off(db, wanted["sha256"], why, now))
            return False
        body = msgspec.msgpack.encode(package)
        size = package.release.size
        await self._store.write(lambda db: _keep(db, wanted["sha256"], body, size))
        log.info("model.fetched", package=package.release.ref, bytes=size)
        return True


def kept_package(db: sqlite3.Connection, digest: str) -> ModelPackage | None:
    """The model of that digest, if it is here."""
    row = db.execute("SELECT body FROM package WHERE sha256 = ?", (digest,)).fetchone()
    if row is None or row["body"] is None:
        return None
    return msgspec.msgpack.decode(row["body"], type=ModelPackage)


def _missing(db: sqlite3.Connection, now: datetime) -> sqlite3.Row | None:
    return db.execute(
        f"""SELECT d.slot, d.package, d.version, d.sha256 FROM delivery d
            LEFT JOIN package p USING (sha256)
            WHERE d.state IN {OPEN} AND p.body IS NULL AND coalesce(p.retry_us, 0) <= ?
            ORDER BY d.id LIMIT 1""",
        (to_us(now),),
    ).fetchone()


def _misfit(package: ModelPackage, wanted: sqlite3.Row) -> str:
    """What is wrong with a package from the cloud; nothing, if it is what was asked for."""
    release, model = package.release, package.model
    said = (release.slot, release.package, release.version, release.sha256)
    asked = (wanted["slot"], wanted["package"], wanted["version"], wanted["sha256"])
    if said != asked:
        return f"the cloud gave {release.ref} for slot {release.slot} instead"
    if len(model) != release.size:
        return f"the cloud gave {len(model)} bytes, the release says {release.size}"
    if sha256(model).hexdigest() != release.sha256:
        return "the cloud gave other bytes than the release names"
    return ""


def _put_off(db: sqlite3.Connection, digest: str, why: str, now: datetime) -> None:
    row = db.execute("SELECT tries FROM package WHERE sha256 = ?", (digest,)).fetchone()
    tries = row["tries"] if row else 0
    wait = timedelta(seconds=min(RETRY_S * 2 ** min(tries, 10), MAX_RETRY_S))
    db.execute(
        """INSERT INTO package (sha256, tries, retry_us, why) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET tries = excluded.tries, retry_us = excluded.retry_us,
                                     why = excluded.why""",
        (digest, tries + 1, to_us(now + wait), why[:300]),
    )


def _keep(db: sqlite3.Connection, digest: str, body: bytes, size: int) -> None:
    db.execute(
        """INSERT INTO package (sha256, body, size) VALUES (?, ?, ?)
           ON CONFLICT DO UPDATE SET body = excluded.body, size = excluded.size,
                                     tries = 0, retry_us = 0, why = ''""",
        (digest, body, size),
    )
    db.execute(  # models that no collar waits for any more
        f"""UPDATE package SET body = NULL WHERE sha256 != ? AND sha256 NOT IN
            (SELECT sha256 FROM delivery WHERE state IN {OPEN})""",
        (digest,),
    )
