"""When the samples of one session were taken: its rate, its gaps, what its clock got wrong.

Loggers stamp in three ways. *Fine* stamps belong to each sample; a hole of up to `MAX_MISSING`
samples in them is filled. *Coarse* stamps repeat, because the clock shows whole seconds or because
samples arrive in packets; they place the stretch, and the number of samples between its ends gives
the rate. *No* stamps: the rate is what the user says it is.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from collar_sim.replay.instants import MicroArray

IndexArray = NDArray[np.intp]

MAX_MISSING = 3  # samples in a row that are interpolated: 0.2 s at 16 Hz, below half a stride
COARSE_SHARE = 0.1  # of steps that are nothing beside the usual one: these are not jitter
COARSE_STEP = 0.25
GAP_STEPS = 2.5  # of a coarse clock
HOLE = 1.75  # sample periods from which a step has room for one more
SURE = 0.01  # relative error of a rate measured by a coarse clock that is good enough
BLOCK_STEPS, BLOCK_US = 20, 10_000_000  # over which the rate must hold still
UNEVEN = 1.25  # fastest block to slowest; crystals and packets stay far below


@dataclass(frozen=True)
class Timing:
    """Of one session's rows."""

    order: IndexArray
    """The rows to use, in the order of time."""
    pieces: list[slice]
    """Unbroken runs of ``order``."""
    starts_us: list[int]
    """When each of them began."""
    rate_hz: float | None
    """Measured; None where there is too little to measure."""
    holes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Position in ``order`` after which so many samples are missing."""
    gaps: int = 0
    duplicates: int = 0
    reordered: int = 0
    set_back: int = 0
    """How often the clock jumped back by more than a gap."""
    uneven_hz: tuple[float, float] | None = None
    """The slowest and the fastest block, where they are too far apart for one rate."""


def time_session(us: MicroArray, hint_hz: float | None) -> Timing:
    """The timing of a session's rows.

    Args:
        us: Their instants in the order of the file.
        hint_hz: The rate as the user knows it.
    """
    count = len(us)
    if count < 2:
        return Timing(np.arange(count), [slice(0, count)], us.tolist(), None)
    steps = np.diff(us)
    forward = steps[steps > 0]
    if not len(forward):  # one instant for all: it places the session, no more
        return Timing(np.arange(count), [slice(0, count)], [int(us.min())], None)
    usual_us = float(np.median(forward))
    is_coarse = float((np.abs(steps) < COARSE_STEP * usual_us).mean()) > COARSE_SHARE
    if is_coarse:
        floor_us = 0.0 if hint_hz is None else (MAX_MISSING + 1.5) * 1e6 / hint_hz
        gap_us = max(GAP_STEPS * usual_us, floor_us)
    else:
        gap_us = (MAX_MISSING + 1.5) * usual_us
    return _cut(us, steps, usual_us, gap_us, is_coarse)


def _cut(
    us: MicroArray, steps: MicroArray, usual_us: float, gap_us: float, is_coarse: bool
) -> Timing:
    back = np.flatnonzero(steps < -gap_us) + 1
    parts = np.split(np.arange(len(us)), back)
    order: list[IndexArray] = []
    pieces: list[slice] = []
    duplicates = reordered = gaps = at = 0
    for part in parts:
        stamps = us[part]
        reordered += int((np.diff(stamps) < 0).sum())
        rows = part[np.argsort(stamps, kind="stable")]
        if not is_coarse:
            fresh = np.diff(us[rows], prepend=us[rows[0]] - 1) > 0
            duplicates += int((~fresh).sum())
            rows = rows[fresh]
        breaks = np.flatnonzero(np.diff(us[rows]) > gap_us) + 1
        gaps += len(breaks)
        edges = [0, *breaks.tolist(), len(rows)]
        pieces += [slice(at + a, at + b) for a, b in pairwise(edges)]
        order.append(rows)
        at += len(rows)
    rows = np.concatenate(order)
    stamps = us[rows]
    rate_hz = _rate(stamps, pieces, usual_us, is_coarse)
    holes = [] if is_coarse or rate_hz is None else _holes(stamps, pieces, rate_hz)
    return Timing(
        order=rows,
        pieces=pieces,
        starts_us=[int(stamps[piece.start]) for piece in pieces],
        rate_hz=rate_hz,
        holes=holes,
        gaps=gaps,
        duplicates=duplicates,
        reordered=reordered,
        set_back=len(back),
        uneven_hz=_uneven(stamps, pieces, max(BLOCK_US, BLOCK_STEPS * usual_us)),
    )


def _rate(
    stamps: MicroArray, pieces: list[slice], usual_us: float, is_coarse: bool
) -> float | None:
    """Samples a second, from the clock's steps or, if it is coarse, from the pieces' lengths."""
    if not is_coarse:
        inside = np.concatenate([np.diff(stamps[piece]) for piece in pieces])
        if not len(inside):
            return None
        return _refined(inside, 1e6 / usual_us)
    samples = sum(piece.stop - piece.start - 1 for piece in pieces)
    span_us = sum(int(stamps[piece.stop - 1] - stamps[piece.start]) for piece in pieces)
    if span_us <= 0 or usual_us * len(pieces) > SURE * span_us:
        return None
    return samples * 1e6 / span_us


def _refined(inside: MicroArray, rough_hz: float) -> float:
    """The mean rate with the holes filled: what a drifting crystal shows only in the long run."""
    slots = np.maximum(1.0, np.where(inside * rough_hz >= HOLE * 1e6, inside * rough_hz / 1e6, 1.0))
    return float(np.rint(slots).sum() * 1e6 / inside.sum())


def _holes(stamps: MicroArray, pieces: list[slice], rate_hz: float) -> list[tuple[int, int]]:
    holes: list[tuple[int, int]] = []
    for piece in pieces:
        periods = np.diff(stamps[piece]) * (rate_hz / 1e6)
        for index in np.flatnonzero(periods >= HOLE).tolist():
            missing = round(float(periods[index])) - 1
            holes.append((piece.start + index, min(MAX_MISSING, missing)))
    return holes


def _uneven(stamps: MicroArray, pieces: list[slice], block_us: float) -> tuple[float, float] | None:
    rates: list[float] = []
    for piece in pieces:
        held = stamps[piece]
        blocks = int((held[-1] - held[0]) // block_us)
        if blocks:
            edges = held[0] + np.arange(blocks + 1) * block_us
            rates += (np.diff(np.searchsorted(held, edges)) * (1e6 / block_us)).tolist()
    if len(rates) < 2 or max(rates) <= UNEVEN * min(rates):
        return None
    low, high = (float(each) for each in np.percentile(rates, (5, 95)))  # one bad block is a bad
    return (low, high) if high > UNEVEN * low else None  # moment, not another rate
