"""The sessions of a recording: whose they are, and when each of their samples was taken."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from collar_sim.replay.errors import RecordingError
from collar_sim.replay.instants import MISSING, UNITS_US, Instants, MicroArray, in_unit, to_us
from collar_sim.replay.mapping import RATE_HZ, MotionMapping
from collar_sim.replay.table import Words
from collar_sim.replay.timing import Timing, time_session

BETWEEN_US = 60_000_000  # from one session to the next where no clock tells


@dataclass
class Flaws:
    """What was found and dealt with, in samples unless the name says otherwise."""

    not_finite: int = 0
    not_finite_in: dict[str, int] = field(default_factory=dict[str, int])
    """By column that has some."""
    interpolated: int = 0
    without_time: int = 0
    without_animal: int = 0
    duplicates: int = 0
    reordered: int = 0
    gaps: int = 0
    """Pieces beyond one per session, because time or values were missing."""
    clock_set_back: int = 0
    """Times that a clock jumped back."""


@dataclass(frozen=True)
class Group:
    """The rows of one session of one animal."""

    animal: str
    name: str
    rows: NDArray[np.intp]


def groups_of(
    animals: Words, sessions: Words, instants: Instants | None, flaws: Flaws
) -> list[Group]:
    """The rows of each session of each animal, in the order of the file.

    Args:
        animals: Of each row.
        sessions: Of each row; rows without one are a session together.
        instants: Of each row; None where no clock ran.
        flaws: Told about rows that belong nowhere.

    Raises:
        RecordingError: All do.
    """
    known = animals.codes >= 0
    flaws.without_animal = int((~known).sum())
    if instants is not None:
        flaws.without_time = int((known & (instants.us == MISSING)).sum())
        known &= instants.us != MISSING
    rows = np.flatnonzero(known)
    if not len(rows):
        raise RecordingError("no row has both an animal and an instant")
    keys = animals.codes[rows].astype(np.int64) * (len(sessions.words) + 1) + sessions.codes[rows]
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    groups: list[Group] = []
    for part in np.split(rows[order], edges):
        animal = animals.words[animals.codes[part[0]]]
        code = int(sessions.codes[part[0]])
        session = sessions.words[code] if code >= 0 else ""
        groups.append(Group(animal, session or animal, part))
    groups.sort(key=lambda each: int(each.rows[0]))  # as the file has them
    return groups


def timings_of(
    groups: list[Group],
    instants: Instants | None,
    mapping: MotionMapping,
    column: str | None,
) -> list[Timing]:
    """When the samples of each session were taken.

    Args:
        groups: The sessions.
        instants: Of each row; None where no clock ran, then sessions follow each other.
        mapping: Rate and beginning, as the user knows them.
        column: The time column, for the message.

    Raises:
        RecordingError: Its clock counts from a zero that nobody named.
    """
    if instants is None:
        return _counted(groups, mapping)
    us = instants.us
    if instants.is_relative and instants.raw is not None:
        if mapping.start_at is None:
            raise RecordingError(
                f"column {column} counts from a beginning of its own. Say when that was: "
                "--start-at 2024-05-01T08:00:00Z"
            )
        us = _in_best_unit(instants.raw, groups, mapping.rate_hz)
    timings = [time_session(us[group.rows], mapping.rate_hz) for group in groups]
    starts = [min(timing.starts_us) for timing in timings]
    if mapping.start_at is None:
        return timings
    first_us = to_us(mapping.start_at)
    offsets = [first_us - min(starts)] * len(groups)
    if instants.is_relative and _overlap(groups, timings, mapping.rate_hz or RATE_HZ):
        at_us = first_us
        for index, timing in enumerate(timings):
            offsets[index] = at_us - starts[index]
            length_us = max(timing.starts_us) - starts[index]
            last = timing.pieces[-1]
            hz = timing.rate_hz or mapping.rate_hz or RATE_HZ
            at_us += length_us + round((last.stop - last.start) / hz * 1e6) + BETWEEN_US
    for timing, offset in zip(timings, offsets, strict=True):
        timing.starts_us[:] = [start + offset for start in timing.starts_us]
    return timings


def _counted(groups: list[Group], mapping: MotionMapping) -> list[Timing]:
    """Without stamps: sessions one after the other, in the order of the file."""
    if mapping.rate_hz is None:
        raise RecordingError(
            "--rate-hz auto needs a time column; name it with --time-column, or give the rate"
        )
    at_us = to_us(mapping.start_at or datetime.now(UTC) - timedelta(days=1))
    timings: list[Timing] = []
    for group in groups:
        count = len(group.rows)
        timings.append(Timing(np.arange(count), [slice(0, count)], [at_us], None))
        at_us += round(count / mapping.rate_hz * 1e6) + BETWEEN_US
    return timings


def _in_best_unit(
    raw: NDArray[np.float64], groups: list[Group], rate_hz: float | None
) -> MicroArray:
    """Numbers counted from zero, in the unit that makes their rate the likeliest."""
    steps = np.concatenate([np.diff(raw[group.rows]) for group in groups])
    forward = steps[steps > 0]
    if not len(forward):
        return in_unit(raw, UNITS_US[0])
    spans = sum(float(np.ptp(raw[group.rows])) for group in groups)
    mean_step = spans / max(1, sum(len(group.rows) - 1 for group in groups))
    wanted_us = 1e6 / (rate_hz or 50.0)
    unit_us = min(UNITS_US, key=lambda each: abs(np.log(mean_step * each / wanted_us)))
    return in_unit(raw, unit_us)


def _overlap(groups: list[Group], timings: list[Timing], rate_hz: float) -> bool:
    spans: dict[str, list[tuple[int, int]]] = {}
    for group, timing in zip(groups, timings, strict=True):
        length_us = round(len(group.rows) / (timing.rate_hz or rate_hz) * 1e6)
        begin = min(timing.starts_us)
        spans.setdefault(group.animal, []).append((begin, begin + length_us))
    for held in spans.values():
        held.sort()
        if any(after[0] < before[1] for before, after in pairwise(held)):
            return True
    return False
