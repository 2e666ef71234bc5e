"""Takes one batch from its bytes to its receipt."""

import asyncio
from datetime import UTC, datetime

import structlog

from cloud.db import Database
from cloud.errors import Busy, Invalid, NotAllowed
from cloud.ingest.check import check
from cloud.ingest.facts import facts_for
from cloud.ingest.store import FactsChanged, Stored, store
from cloud.metrics import ROWS
from cloud.rewards.emission import Terms
from gateway.wire.errors import Rejected
from gateway.wire.uplink import MAX_ROWS, UplinkBatch, UplinkReceipt, unpack_body

log: structlog.stdlib.BoundLogger = structlog.get_logger()

ATTEMPTS = 3
MAX_SEQ = 2**53 - 1  # the wire's Counter


async def take(database: Database, site_id: str, body: bytes, terms: Terms) -> UplinkReceipt:
    """Check and store a batch.

    Args:
        database: Where to.
        site_id: Whose gateway signed the body.
        body: A packed ``UplinkBatch``.
        terms: On which scores are paid.

    Raises:
        Invalid: The body is no batch, or too large a one.
        NotAllowed: The batch is of another site.
        Busy: The registry changed under every attempt.
    """
    batch = await asyncio.to_thread(_unpack, body)
    if batch.site != site_id:
        raise NotAllowed("the batch is of another site than its signature")
    for _ in range(ATTEMPTS):
        async with database.transaction() as connection:
            facts = await facts_for(connection, batch)
        now = datetime.now(UTC)
        checked = await asyncio.to_thread(check, batch, facts, now)
        try:
            async with database.transaction() as connection:
                stored = await store(connection, batch, checked, facts, terms, now)
        except FactsChanged:
            continue
        _tell(batch, stored)
        return stored.receipt()
    raise Busy("the site's registry kept changing")


def _unpack(body: bytes) -> UplinkBatch:
    try:
        batch = unpack_body(body, UplinkBatch)
    except Rejected as error:
        raise Invalid(str(error)) from error
    rows = sum(len(group.rows) for group in batch.groups)
    if max(rows, len(batch.groups)) > MAX_ROWS:
        raise Invalid(f"{rows} rows in {len(batch.groups)} groups; the limit is {MAX_ROWS}")
    if not all(0 <= row.seq <= MAX_SEQ for group in batch.groups for row in group.rows):
        raise Invalid("seq: out of range")
    if batch.last_id < batch.first_id:
        raise Invalid("last_id: before first_id")
    return batch


def _tell(batch: UplinkBatch, stored: Stored) -> None:
    ROWS.labels("accepted").inc(stored.accepted)
    ROWS.labels("duplicate").inc(stored.duplicates)
    for row in stored.refused:
        ROWS.labels(row.reason.value).inc()
    if stored.refused:
        first = stored.refused[0]
        log.warning(
            "rows.refused", site_id=batch.site, rows=len(stored.refused), reason=first.reason.value
        )
