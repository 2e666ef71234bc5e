"""The last day as stretches of one behaviour, with the owner's words over the collar's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dashboard.answers import Correction, Epoch

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=90)  # a gap shorter than that is no gap: epochs are a minute each
VOUCHED = HOUR  # of one correction: no one can vouch for more at once, and no gateway takes more


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a pet mostly did one thing."""

    begins_at: datetime
    ends_at: datetime
    behaviour: str
    corrected: bool = False
    """It is the owner's word."""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.ends_at - self.begins_at).total_seconds()


def stretches_of(
    epochs: Iterable[Epoch], corrections: Sequence[Correction], since: datetime, until: datetime
) -> list[Stretch]:
    """The stretches between two instants, oldest first; they never overlap.

    Of an epoch the behaviour that took most of it counts. Of corrections over the same time, what
    was said last.
    """
    newest_first = sorted(corrections, key=lambda each: each.said_at, reverse=True)
    found: list[Stretch] = []
    for epoch in sorted(epochs, key=lambda each: each.observed_at):
        if not any(seconds > 0 for seconds in epoch.seconds.values()):
            continue
        begin = max(since, epoch.observed_at, found[-1].ends_at if found else since)
        end = min(until, epoch.observed_at + timedelta(seconds=epoch.period_s))
        if begin >= end:
            continue
        behaviour = max(epoch.seconds, key=lambda name: epoch.seconds[name])
        for piece in _cut(Stretch(begin, end, behaviour), newest_first):
            last = found[-1] if found else None
            if last is not None and _goes_on(last, piece):
                found[-1] = replace(last, ends_at=piece.ends_at)
            else:
                found.append(piece)
    return found


def around(stretch: Stretch, at: datetime) -> tuple[datetime, datetime]:
    """The part of a stretch that one correction can be about: all, or the hour around ``at``."""
    if stretch.ends_at - stretch.begins_at <= VOUCHED:
        return stretch.begins_at, stretch.ends_at
    begin = min(max(at - VOUCHED / 2, stretch.begins_at), stretch.ends_at - VOUCHED)
    return begin, begin + VOUCHED


def totals(stretches: Iterable[Stretch]) -> dict[str, float]:
    """Seconds per behaviour, the longest first."""
    seconds: dict[str, float] = {}
    for stretch in stretches:
        seconds[stretch.behaviour] = seconds.get(stretch.behaviour, 0.0) + stretch.seconds
    return dict(sorted(seconds.items(), key=lambda each: -each[1]))


def _goes_on(last: Stretch, piece: Stretch) -> bool:
    same = (last.behaviour, last.corrected) == (piece.behaviour, piece.corrected)
    return same and piece.begins_at - last.ends_at <= MOMENT


def _cut(stretch: Stretch, newest_first: Sequence[Correction]) -> list[Stretch]:
    """The stretch where nothing was said of it, and between, what was said."""
    for index, said in enumerate(newest_first):
        begin = max(said.start_at, stretch.begins_at)
        end = min(said.end_at, stretch.ends_at)
        if begin >= end:
            continue
        older = newest_first[index + 1 :]
        parts: list[Stretch] = []
        if stretch.begins_at < begin:
            parts += _cut(replace(stretch, ends_at=begin), older)
        parts.append(Stretch(begin, end, said.behaviour, corrected=True))
        if end < stretch.ends_at:
            parts += _cut(replace(stretch, begins_at=end), older)
        return parts
    return [stretch]
