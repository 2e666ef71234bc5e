"""Rollups of one batch, summed here so that the database adds a few rows, not thousands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from cloud.ingest.check import StoredRow
from cloud.ingest.columns import OBSERVED_AT, OWN, PET_ID

_HOUR = timedelta(hours=1)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
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


def roll_up(epochs: Iterable[StoredRow]) -> dict[tuple[str, datetime], Hour]:
    """What the epochs add, by pet and hour."""
    hours: dict[tuple[str, datetime], Hour] = {}
    last_pet, begins, hour = "", _NEVER, Hour()
    for row in epochs:
        pet_id, at = row[PET_ID], row[OBSERVED_AT]
        if pet_id != last_pet or not begins <= at < begins + _HOUR:  # rows come in runs
            last_pet, begins = pet_id, at.replace(minute=0, second=0, microsecond=0)
            hour = hours.setdefault((pet_id, begins), Hour())
        _, seconds, odba_g, _, steps, anomaly, windows, windows_unsure, _, _ = row[OWN:]
        hour.epochs += 1
        hour.odba_sum_g += odba_g or 0.0
        hour.steps += steps or 0
        hour.windows += windows or 0
        hour.windows_unsure += windows_unsure or 0
        if anomaly and anomaly > hour.anomaly_max:
            hour.anomaly_max = anomaly
        if seconds:
            spent = hour.seconds
            for behaviour, duration_s in _seconds(seconds).items():
                spent[behaviour] = spent.get(behaviour, 0.0) + duration_s
    return hours
