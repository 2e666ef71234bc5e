"""What a collar says of its battery, for its pet's page."""

import sqlite3
from collections import Counter
from datetime import datetime, timedelta

from pydantic import BaseModel

from gateway.registry import Household
from gateway.store.store import from_us
from gateway.wire.codec import decode
from gateway.wire.errors import Rejected
from gateway.wire.messages import Power
from gateway.wire.topics import Kind, Topic

SPAN = timedelta(days=1)
MAX_REPORTS = 100  # a collar says one an hour; of who says more, the last ones are enough
MAX_PARTS = 32  # twice what one report may name
OTHER = "other"


class PowerView(BaseModel):
    """The battery as its collar last reported it, and where a day's energy went."""

    observed_at: datetime
    """As it was filed: what a clock that nobody set said of it is not shown."""
    battery_pct: float
    days_left: float | None
    """At the consumption of late; ``null`` while the collar cannot tell."""
    charging: bool
    span_s: float
    """What ``joules`` are summed over: the reports of a day, as far as there are any."""
    joules: dict[str, float]
    """Energy by part of the collar, the largest first; beyond 32, the rest is ``other``."""


def power(db: sqlite3.Connection, household: Household, pet_id: str) -> PowerView | None:
    """What a pet's collar last reported, and the day before it; None: it never did."""
    rows = db.execute(
        """SELECT collar_id, observed_us, payload, content_type FROM message
           WHERE pet_id = :pet AND kind = 'power' AND observed_us > :span + (
             SELECT max(observed_us) FROM message WHERE pet_id = :pet AND kind = 'power')
           ORDER BY observed_us DESC LIMIT :most""",
        {"pet": pet_id, "span": -int(SPAN.total_seconds() * 1e6), "most": MAX_REPORTS},
    ).fetchall()
    reports = [(from_us(row["observed_us"]), _report(household, row)) for row in rows]
    known = [(filed_at, report) for filed_at, report in reports if report is not None]
    if not known:
        return None
    filed_at, last = known[0]
    joules = Counter[str]()
    for _, report in known:
        joules.update(report.joules)
    return PowerView(
        observed_at=filed_at,
        battery_pct=last.battery_pct,
        days_left=last.days_left,
        charging=last.charging,
        span_s=sum(report.period_s for _, report in known),
        joules=_largest(joules),
    )


def _largest(joules: Counter[str]) -> dict[str, float]:
    parts = joules.most_common()
    largest: dict[str, float] = dict(parts[:MAX_PARTS])
    if rest := parts[MAX_PARTS:]:
        largest[OTHER] = largest.get(OTHER, 0.0) + sum(each for _, each in rest)
    return {part: round(each, 3) for part, each in largest.items()}


def _report(household: Household, row: sqlite3.Row) -> Power | None:
    topic = Topic(household.registry.site, row["collar_id"], Kind.POWER)
    try:
        message = decode(topic, row["payload"], row["content_type"]).message
    except Rejected:  # kept by a version that understood it
        return None
    return message if isinstance(message, Power) else None
