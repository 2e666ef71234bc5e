"""The last day as stretches of one behaviour, with the owner's words over the collar's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dashboard.answers import Correction, Epoch

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=90)  # a gap shorter than that is no gap: epochs are a minute each
BLOCK = timedelta(minutes=10)  # what is told apart in the picture of a day
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


def blocks_of(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches as a picture of a whole day can show them: what ten minutes mostly were.

    An animal changes what it does every other minute; drawn so, a day would be a bar code. The
    owner's words stay as they were said.
    """
    shares: dict[datetime, dict[str, float]] = {}
    spans: dict[datetime, tuple[datetime, datetime]] = {}
    for begin, piece in _by_block(each for each in stretches if not each.corrected):
        seconds = shares.setdefault(begin, {})
        seconds[piece.behaviour] = seconds.get(piece.behaviour, 0.0) + piece.seconds
        first, last = spans.get(begin, (piece.begins_at, piece.ends_at))
        spans[begin] = min(first, piece.begins_at), max(last, piece.ends_at)
    mostly = [
        Stretch(*spans[begin], max(seconds, key=lambda name: seconds[name]))
        for begin, seconds in sorted(shares.items())
    ]
    said = [each for each in stretches if each.corrected]
    pieces = [piece for block in mostly for piece in _without(block, said)]
    found: list[Stretch] = []
    for piece in sorted([*pieces, *said], key=lambda each: each.begins_at):
        if found and not piece.corrected and _goes_on(found[-1], piece):
            found[-1] = replace(found[-1], ends_at=piece.ends_at)
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


def _by_block(stretches: Iterable[Stretch]) -> Iterable[tuple[datetime, Stretch]]:
    """The stretches cut at the clock's round ten minutes, with the block that each is in."""
    for stretch in stretches:
        at = stretch.begins_at
        while at < stretch.ends_at:
            begin = EPOCH + (at - EPOCH) // BLOCK * BLOCK
            end = min(stretch.ends_at, begin + BLOCK)
            yield begin, replace(stretch, begins_at=at, ends_at=end)
            at = end


def _without(stretch: Stretch, said: Sequence[Stretch]) -> list[Stretch]:
    """The parts of a stretch that the owner said nothing about."""
    parts = [stretch]
    for each in said:
        left: list[Stretch] = []
        for part in parts:
            if each.ends_at <= part.begins_at or part.ends_at <= each.begins_at:
                left.append(part)
                continue
            if part.begins_at < each.begins_at:
                left.append(replace(part, ends_at=each.begins_at))
            if each.ends_at < part.ends_at:
                left.append(replace(part, begins_at=each.ends_at))
        parts = left
    return parts
