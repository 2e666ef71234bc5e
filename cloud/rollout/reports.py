"""What gateways report of deliveries: the last change of each collar counts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from cloud.db import Connection, load_queries
from gateway.wire.uplink import DeliveryReport

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # a clock that was never set; what is stored is read


@dataclass(frozen=True, slots=True)
class TakenReports:
    """What became of the reports."""

    taken: int
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """By collar: ``unknown_collar`` (not of this site) or ``unknown_rollout`` (not for it)."""


async def take_reports(
    connection: Connection, site_id: str, reports: list[DeliveryReport], now: datetime
) -> TakenReports:
    """Keep what a gateway says of its own collars; said again, it changes nothing.

    Args:
        connection: A transaction.
        site_id: Whose gateway signed them.
        reports: One that is wrong holds up no other.
        now: When they were received: no clock may claim a later instant and have the last word.
    """
    values = {"site_id": site_id, "collar_ids": [each.collar_id for each in reports]}
    found = await (await connection.execute(SQL["known_collars"], values)).fetchall()
    ours = {collar_id for (collar_id,) in found}
    mine = [each for each in reports if each.collar_id in ours]
    pairs = {
        "rollout_ids": [each.rollout for each in mine],
        "collar_ids": [each.collar_id for each in mine],
    }
    reached = set(await (await connection.execute(SQL["rollouts_reaching"], pairs)).fetchall())
    changes = {
        "states": [each.state.value for each in mine],
        "reasons": [each.reason and each.reason.value for each in mine],
        "details": [each.detail.replace("\0", " ") for each in mine],
        "changed": [min(max(each.changed_at, EARLIEST), now) for each in mine],
    }
    await connection.execute(SQL["take_reports"], pairs | changes)
    refused = {
        each.collar_id: "unknown_rollout" if each.collar_id in ours else "unknown_collar"
        for each in reports
        if (each.rollout, each.collar_id) not in reached
    }
    if refused:
        log.warning("reports.refused", site_id=site_id, reasons=sorted(set(refused.values())))
    return TakenReports(len(reports) - _unreached(reports, reached), refused)


def _unreached(reports: list[DeliveryReport], reached: set[tuple[str, ...]]) -> int:
    return sum((each.rollout, each.collar_id) not in reached for each in reports)
