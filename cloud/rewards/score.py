"""Scores what a group of rows is worth: a pure function, so that anyone can compute it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PPM = 1_000_000
UNSURE_OFTEN = 0.3  # share of windows the model abstained on, from which it is worth a reason
STALE_NOVELTY_PPM = 500_000  # history is worth half of what tells of now
DENSE_ROWS = 60  # rows under one seal from which a group counts as complete


class Reason(StrEnum):
    """Why a group scored as it did. The value is part of the contract: owners read it."""

    SEALED = "sealed"
    """The collar's signature proves the rows."""
    UNSEALED = "unsealed"
    """No signature proves the rows: they are stored and earn nothing."""
    FRESH = "fresh"
    """Observed within a day of their receipt."""
    STALE_HISTORY = "stale_history"
    """Some were observed more than a day before their receipt; these earn half."""
    DUPLICATE = "duplicate"
    """Some were held already; these earn nothing."""
    ABSTAINED_OFTEN = "abstained_often"
    """The model could not tell in many windows."""
    COARSE_POSITION = "coarse_position"
    """Positions were shared rounded; they earn less."""
    PARTIAL = "partial"
    """Some fields were withheld."""
    COMPLETE = "complete"
    """An hour or more without a gap under one seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """What the score depends on; counts are of rows that are new."""

    sealed: bool
    units_by_stream: Mapping[str, int]
    """Rows by what they are worth: a key of ``UNITS`` each."""
    stale: int
    """Rows observed more than a day before their receipt."""
    duplicates: int
    """Rows that were held already."""
    windows: int
    windows_unsure: int
    partial: int
    """Rows of which fields were withheld, rounded positions apart."""


UNITS: Mapping[str, int] = {
    "epoch": 1_000,
    "fix_exact": 300,
    "fix_100m": 200,
    "fix_1km": 100,
    "fix_10km": 50,
    "event": 200,
    "window": 2_000,
}
"""What one perfect, fresh, sealed row is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a group is worth, and why."""

    rows: int
    quality_ppm: int
    novelty_ppm: int
    units: int
    reasons: tuple[Reason, ...]


def score(facts: GroupFacts) -> Score:
    """The score of a group of new rows.

    Quality falls with the share of windows the model abstained on and with withheld fields;
    novelty falls with age. All in integers, so that every machine gets the same.

    >>> score(GroupFacts(sealed=True, units_by_stream={"epoch": 60}, stale=0, duplicates=0,
    ...                  windows=3600, windows_unsure=360, partial=0)).units
    54000
    """
    rows = sum(facts.units_by_stream.values())
    worth = sum(UNITS[stream] * count for stream, count in facts.units_by_stream.items())
    unsure_ppm = PPM * facts.windows_unsure // facts.windows if facts.windows else 0
    unsure_ppm = min(unsure_ppm, PPM)
    partial_ppm = PPM * facts.partial // rows if rows else 0
    quality_ppm = (PPM - unsure_ppm) * (2 * PPM - partial_ppm) // (2 * PPM)
    stale_ppm = PPM * facts.stale // rows if rows else 0
    novelty_ppm = PPM - stale_ppm * (PPM - STALE_NOVELTY_PPM) // PPM if rows else 0
    units = worth * quality_ppm * novelty_ppm // PPM**2 if facts.sealed else 0
    return Score(
        rows=rows,
        quality_ppm=quality_ppm,
        novelty_ppm=novelty_ppm,
        units=units,
        reasons=_reasons(facts, rows, unsure_ppm),
    )


def _reasons(facts: GroupFacts, rows: int, unsure_ppm: int) -> tuple[Reason, ...]:
    holds = {
        Reason.SEALED: facts.sealed,
        Reason.UNSEALED: not facts.sealed,
        Reason.FRESH: rows > 0 and facts.stale == 0,
        Reason.STALE_HISTORY: facts.stale > 0,
        Reason.DUPLICATE: facts.duplicates > 0,
        Reason.ABSTAINED_OFTEN: unsure_ppm >= UNSURE_OFTEN * PPM,
        Reason.COARSE_POSITION: any(
            facts.units_by_stream.get(stream, 0) for stream in ("fix_100m", "fix_1km", "fix_10km")
        ),
        Reason.PARTIAL: facts.partial > 0,
        Reason.COMPLETE: facts.sealed and facts.units_by_stream.get("epoch", 0) >= DENSE_ROWS,
    }
    return tuple(reason for reason, held in holds.items() if held)
