"""Alerts: what the owner must know, with a life of its own: raised, acknowledged, cleared."""

import json
import sqlite3
from datetime import datetime, timedelta

from msgspec import Struct

from gateway.metrics import ALERT_LATENCY, ALERTS
from gateway.store import to_us
from gateway.wire.scalars import Instant
from plugins.sdk import Finding, FindingState

LIVE_WITHIN = timedelta(seconds=120)  # older news is history: kept, but nobody is disturbed


class Alert(Struct, frozen=True, kw_only=True):
    """An alert as it leaves for the owner, on ``pawmesh/v1/{site}/alert``."""

    alert_id: int
    pet_id: str
    pet_name: str
    plugin_id: str
    key: str
    title: str
    severity: str
    confidence: float
    observed_at: Instant
    raised_at: Instant
    detail: dict[str, float | int | str]


def apply_finding(
    db: sqlite3.Connection,
    plugin_id: str,
    pet_id: str,
    pet_name: str,
    finding: Finding,
    now: datetime,
) -> Alert | None:
    """Raise, update or clear; returns the alert if it is new."""
    open_alert = (plugin_id, pet_id, finding.key)
    if finding.state is FindingState.CLEARED:
        db.execute(
            """UPDATE alert SET cleared_us = max(?, observed_us)
               WHERE plugin_id = ? AND pet_id = ? AND key = ? AND cleared_us IS NULL""",
            (to_us(finding.observed_at), *open_alert),
        )
        return None
    detail = json.dumps(finding.detail)
    updated = db.execute(
        """UPDATE alert SET title = ?, severity = ?, confidence = ?, detail = ?
           WHERE plugin_id = ? AND pet_id = ? AND key = ? AND cleared_us IS NULL""",
        (finding.title, finding.severity.value, finding.confidence, detail, *open_alert),
    )
    if updated.rowcount:
        return None
    inserted = db.execute(
        """INSERT INTO alert (plugin_id, pet_id, key, title, severity, confidence, detail,
                              observed_us, raised_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            *open_alert,
            finding.title,
            finding.severity.value,
            finding.confidence,
            detail,
            to_us(finding.observed_at),
            to_us(now),
        ),
    )
    ALERTS.labels(plugin_id, finding.severity.value).inc()
    return Alert(
        alert_id=inserted.lastrowid or 0,
        pet_id=pet_id,
        pet_name=pet_name,
        plugin_id=plugin_id,
        key=finding.key,
        title=finding.title,
        severity=finding.severity.value,
        confidence=finding.confidence,
        observed_at=finding.observed_at,
        raised_at=now,
        detail=finding.detail,
    )


def is_live(observed_at: datetime, received_at: datetime) -> bool:
    """Whether news is fresh enough to disturb someone."""
    return received_at - observed_at <= LIVE_WITHIN


def note_notified(
    db: sqlite3.Connection, alert_id: int, received_at: datetime, now: datetime
) -> None:
    """The alert has left for the owner."""
    latency = now - received_at
    ALERT_LATENCY.observe(latency.total_seconds())
    db.execute(
        "UPDATE alert SET notified_us = ?, latency_ms = ? WHERE id = ?",
        (to_us(now), latency.total_seconds() * 1e3, alert_id),
    )


def acknowledge(db: sqlite3.Connection, alert_id: int, now: datetime) -> bool:
    """The owner has seen it; returns whether there is such an alert."""
    updated = db.execute(
        "UPDATE alert SET acknowledged_us = coalesce(acknowledged_us, ?) WHERE id = ?",
        (to_us(now), alert_id),
    )
    return updated.rowcount == 1
