"""Takes one batch from its bytes to its receipt, in a worker that does nothing else."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from cloud.errors import Busy, DatabaseUnavailable, Invalid, NotAllowed
from cloud.ingest.check import check
from cloud.ingest.facts import Facts, facts_for
from cloud.ingest.store import FactsChanged, Stored, store
from cloud.rewards.scoring import Terms
from gateway.wire.errors import Rejected
from gateway.wire.uplink import (
    MAX_ROWS,
    RefusedRow,
    UplinkBatch,
    UplinkReceipt,
    pack_body,
    unpack_body,
)

ATTEMPTS = 3
MAX_SEQ = 2**53 - 1  # the wire's Counter


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    receipt: bytes
    """A packed ``UplinkReceipt``."""
    outcomes: Counter[str]
    """Rows by ``accepted``, ``duplicate`` or the reason they were refused for."""


class Taker:
    """Checks and stores one batch at a time over a connection of its own.

    Args:
        url: A migrated database.
        timeout_s: How long a connection may take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: psycopg.Connection[Any] | None = None

    def take(self, site_id: str, body: bytes, terms: Terms) -> Taken:
        """Check and store a batch.

        Args:
            site_id: Whose gateway signed the body.
            body: A packed ``UplinkBatch``.
            terms: On which scores are paid.

        Raises:
            Invalid: The body is no batch, or too large a one.
            NotAllowed: The batch is of another site.
            Busy: The registry changed under every attempt.
            DatabaseUnavailable: There is no connection, or it was lost.
        """
        batch = unpack(body)
        if batch.site != site_id:
            raise NotAllowed("the batch is of another site than its signature")
        for _ in range(ATTEMPTS):
            facts = self._facts(batch)
            now = datetime.now(UTC)
            checked = check(batch, facts, now)
            try:
                with self._transaction() as connection:
                    return _told(store(connection, batch, checked, facts, terms, now))
            except FactsChanged:
                continue
        raise Busy("the site's registry kept changing")

    def close(self) -> None:
        """End the connection; another batch would open it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _facts(self, batch: UplinkBatch) -> Facts:
        was_open = self._connection is not None
        try:
            with self._transaction() as connection:
                return facts_for(connection, batch)
        except DatabaseUnavailable:
            if not was_open:
                raise
        with self._transaction() as connection:  # the old connection may have died long ago
            return facts_for(connection, batch)

    @contextmanager
    def _transaction(self) -> Generator[psycopg.Connection[Any]]:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=max(2, round(self._timeout_s))
                )
            with self._connection.transaction():
                yield self._connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise DatabaseUnavailable(str(error)) from error


def unpack(body: bytes) -> UplinkBatch:
    """The batch in a body, within the limits.

    Raises:
        Invalid: It is none, or too large.
    """
    try:
        batch = unpack_body(body, UplinkBatch)
    except Rejected as error:
        raise Invalid(str(error)) from None
    rows = sum(len(group.rows) for group in batch.groups)
    if max(rows, len(batch.groups)) > MAX_ROWS:
        raise Invalid(f"{rows} rows in {len(batch.groups)} groups; the limit is {MAX_ROWS}")
    if not all(0 <= row.seq <= MAX_SEQ for group in batch.groups for row in group.rows):
        raise Invalid("seq: out of range")
    if batch.last_id < batch.first_id:
        raise Invalid("last_id: before first_id")
    return batch


def _told(stored: Stored) -> Taken:
    refused = [
        RefusedRow(collar_id=row.collar_id, boot=row.boot, seq=row.seq, reason=row.reason.value)
        for row in stored.refused
    ]
    receipt = UplinkReceipt(
        cursor=stored.cursor,
        accepted=stored.accepted,
        duplicates=stored.duplicates,
        refused=refused,
    )
    outcomes = Counter(row.reason for row in refused)
    outcomes.update({"accepted": stored.accepted, "duplicate": stored.duplicates})
    return Taken(pack_body(receipt), outcomes)
