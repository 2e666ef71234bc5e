"""The last day: minutes per behaviour for each of its hours, in the owner's time zone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from dashboard.answers import Epoch
from dashboard.words import DOINGS

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour, by the clock on the wall."""

    begins_at: datetime
    minutes: dict[str, float] = field(default_factory=dict[str, float])


def hours_of(epochs: Iterable[Epoch], now: datetime, zone: tzinfo) -> list[Hour]:
    """The last 24 hours and the one that runs, oldest first; an epoch across two counts in both."""
    current = _begin(now, zone)
    hours = {begin: Hour(begin) for begin in (current - HOUR * back for back in range(24, -1, -1))}
    for epoch in epochs:
        begin = epoch.observed_at.astimezone(UTC)
        end = begin + timedelta(seconds=epoch.period_s)
        while begin < end:
            hour_begins = _begin(begin, zone)
            upto = min(end, hour_begins + HOUR)
            share = (upto - begin).total_seconds() / epoch.period_s
            hour = hours.get(hour_begins)
            if hour is not None:
                for behaviour, seconds in epoch.seconds.items():
                    so_far = hour.minutes.get(behaviour, 0.0)
                    hour.minutes[behaviour] = so_far + seconds * share / 60
            begin = upto
    return list(hours.values())


def behaviours_in(hours: Iterable[Hour]) -> list[str]:
    """The behaviours that occurred, in the order in which they are stacked."""
    seen = {behaviour for hour in hours for behaviour, m in hour.minutes.items() if m > 0}
    known = [behaviour for behaviour in DOINGS if behaviour in seen]
    return known + sorted(seen.difference(known))


def _begin(at: datetime, zone: tzinfo) -> datetime:
    """The beginning of the wall clock's hour, in UTC: zones can be half an hour apart."""
    local = at.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at.astimezone(UTC) - past
