"""Turns the new rows of a batch into scores, kept without pet or collar."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from cloud.db import Connection, load_queries
from cloud.ingest.check import CheckedGroup
from cloud.ingest.proof import group_digest
from cloud.rewards.score import GroupFacts, score
from gateway.wire.topics import Kind

SQL = load_queries(__file__)
STALE = timedelta(days=1)


async def add_scores(
    connection: Connection,
    period_id: int,
    account_id: str,
    groups: Sequence[CheckedGroup],
    now: datetime,
) -> None:
    """Score each group and add the scores to a period.

    Args:
        connection: In the transaction that stores the rows.
        period_id: An open one.
        account_id: Whose tokens they will be.
        groups: With new rows only.
        now: When they were received.
    """
    scores = [score(facts_of(group, now)) for group in groups]
    values = {
        "period_id": period_id,
        "account_id": account_id,
        "digests": [
            group.root or group_digest(row.digest for row in group.rows) for group in groups
        ],
        "rows": [each.rows for each in scores],
        "quality": [each.quality_ppm for each in scores],
        "novelty": [each.novelty_ppm for each in scores],
        "units": [each.units for each in scores],
        "reasons": [",".join(each.reasons) for each in scores],
    }
    await connection.execute(SQL["add_scores"], values)


def facts_of(group: CheckedGroup, now: datetime) -> GroupFacts:
    """What the score of a group depends on."""
    oldest = now - STALE
    streams: Counter[str] = Counter()
    stale = windows = unsure = partial = 0
    for row in group.rows:
        kind = row.kind
        if kind is Kind.FIX:
            precision = row.values[0]
            streams[f"fix_{precision}"] += 1
            partial += row.hidden and precision == "exact"
        else:
            streams[kind.value] += 1
            partial += row.hidden
        if kind is Kind.EPOCH:
            windows += row.values[6] or 0
            unsure += row.values[7] or 0
        stale += row.observed_at < oldest
    return GroupFacts(
        sealed=group.sealed,
        units_by_stream=streams,
        stale=stale,
        duplicates=group.duplicates,
        windows=windows,
        windows_unsure=unsure,
        partial=partial,
    )
