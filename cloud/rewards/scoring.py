"""Turns the new rows of a batch into scores, kept without pet or collar.

Runs in the transaction that stores the rows, in an ingest worker.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from cloud.db import load_queries
from cloud.errors import Busy
from cloud.ingest.check import CheckedGroup
from cloud.ingest.columns import DIGEST, OBSERVED_AT, OWN, SEQ
from cloud.ingest.proof import group_digest
from cloud.rewards.score import GroupFacts, score
from gateway.wire.topics import Kind

SQL = load_queries(__file__)
STALE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a period is paid; a period keeps those it began with."""

    period_s: int
    budget: int
    """Micro-tokens at most."""
    rate_per_unit: int
    """Micro-tokens for one unit, as long as the budget lasts."""


def add_scores(
    connection: Connection[Any],
    account_id: str,
    groups: Sequence[CheckedGroup],
    terms: Terms,
    now: datetime,
) -> None:
    """Score each group, in the period that is running.

    Args:
        connection: In the transaction that stores the rows.
        account_id: Whose tokens they will be.
        groups: With new rows only.
        terms: For a period that begins now.
        now: When they were received.

    Raises:
        Busy: Periods changed under us.
    """
    scores = [score(facts_of(group, now)) for group in groups]
    values = {
        "period_id": _open_period(connection, terms, now),
        "account_id": account_id,
        "digests": [
            group.root or group_digest(row[DIGEST] for rows in group.rows.values() for row in rows)
            for group in groups
        ],
        "rows": [each.rows for each in scores],
        "quality": [each.quality_ppm for each in scores],
        "novelty": [each.novelty_ppm for each in scores],
        "units": [each.units for each in scores],
        "reasons": [",".join(each.reasons) for each in scores],
    }
    connection.execute(SQL["add_scores"], values)


def facts_of(group: CheckedGroup, now: datetime) -> GroupFacts:
    """What the score of a group depends on."""
    oldest = now - STALE
    streams: Counter[str] = Counter()
    for kind, rows in group.rows.items():
        if kind is Kind.FIX:
            streams.update(f"fix_{row[OWN]}" for row in rows)
        else:
            streams[kind.value] += len(rows)
    epochs = group.rows.get(Kind.EPOCH, ())
    return GroupFacts(
        sealed=group.sealed,
        units_by_stream=streams,
        stale=sum(row[OBSERVED_AT] < oldest for rows in group.rows.values() for row in rows),
        duplicates=group.duplicates,
        windows=sum(row[OWN + 6] or 0 for row in epochs),
        windows_unsure=sum(row[OWN + 7] or 0 for row in epochs),
        partial=sum(row[SEQ] in group.partial for rows in group.rows.values() for row in rows),
    )


def _open_period(connection: Connection[Any], terms: Terms, now: datetime) -> int:
    """The running period, which stays open until the transaction ends; begun if need be."""
    floor = datetime.fromtimestamp(now.timestamp() // terms.period_s * terms.period_s, UTC)
    for _ in range(3):
        row = connection.execute(SQL["current_period"], {"now": now}).fetchone()
        if row is not None:
            return row[0]
        values = {
            "now": now,
            "floor": floor,
            "ceiling": floor + timedelta(seconds=terms.period_s),
            "budget": terms.budget,
            "rate_per_unit": terms.rate_per_unit,
        }
        connection.execute(SQL["begin_period"], values)
    raise Busy("the emission period is being closed")
