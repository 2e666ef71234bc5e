"""Rollups of one batch, summed here so that the database adds a few rows, not thousands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from cloud.ingest.check import CheckedRow
from gateway.wire.topics import Kind

_seconds = msgspec.json.Decoder(dict[str, float]).decode


@dataclass(slots=True)
class Hour:
    """What one hour gained."""

    epochs: int = 0
    odba_sum_g: float = 0.0
    steps: int = 0
    windows: int = 0
    windows_unsure: int = 0
    anomaly_max: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def roll_up(rows: Iterable[CheckedRow]) -> dict[tuple[str, datetime], Hour]:
    """What the epochs among the rows add, by pet and hour."""
    hours: dict[tuple[str, datetime], Hour] = {}
    for row in rows:
        if row.kind is not Kind.EPOCH:
            continue
        key = (row.pet_id, row.observed_at.replace(minute=0, second=0, microsecond=0))
        hour = hours.get(key)
        if hour is None:
            hour = hours[key] = Hour()
        _, seconds, odba_g, _, steps, anomaly, windows, windows_unsure, _ = row.values
        hour.epochs += 1
        hour.odba_sum_g += odba_g or 0.0
        hour.steps += steps or 0
        hour.windows += windows or 0
        hour.windows_unsure += windows_unsure or 0
        if anomaly and anomaly > hour.anomaly_max:
            hour.anomaly_max = anomaly
        if seconds:
            for behaviour, duration_s in _seconds(seconds).items():
                hour.seconds[behaviour] = hour.seconds.get(behaviour, 0.0) + duration_s
    return hours
