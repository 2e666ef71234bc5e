"""Stretches: the samples of one animal without a gap, with what few were missing filled in."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from collar_sim.replay.sessions import Flaws, Group
from collar_sim.replay.table import Words
from collar_sim.replay.timing import MAX_MISSING, Timing
from plugins.sdk.arrays import FloatArray


@dataclass(frozen=True)
class Stretch:
    """Samples of one animal without a gap."""

    session: str
    start_us: int
    rate_hz: float
    imu: FloatArray
    """Shape (n, 6): g, then deg/s, at the recording's rate."""
    labels: NDArray[np.int32]
    """Each sample's index into the recording's words, or -1."""


def stretches_of(
    group: Group,
    timing: Timing,
    rate_hz: float,
    imu: FloatArray,
    labels: Words,
    flaws: Flaws,
) -> list[Stretch]:
    """A session cut where samples are missing, with short holes filled in.

    Args:
        group: Its rows.
        timing: When they were taken.
        rate_hz: Its rate.
        imu: Of all rows of the file, shape (rows, 6); NaN where nothing was measured.
        labels: Of all rows.
        flaws: Told what was interpolated.
    """
    made: list[Stretch] = []
    rows = group.rows[timing.order]
    for piece, start_us in zip(timing.pieces, timing.starts_us, strict=True):
        part, codes = imu[rows[piece]], labels.codes[rows[piece]]
        counts = np.ones(len(part), np.intp)
        for position, missing in timing.holes:
            if piece.start <= position < piece.stop:
                counts[position - piece.start] += missing
        if counts.max() > 1:  # room for what is missing, filled below
            codes = np.repeat(codes, counts)
            spread = np.full((len(codes), 6), np.nan, np.float32)
            spread[np.cumsum(counts) - counts] = part
            part = spread
        made += _filled(group.name, start_us, rate_hz, part, codes, flaws)
    return made


def _filled(
    session: str,
    start_us: int,
    rate_hz: float,
    imu: FloatArray,
    labels: NDArray[np.int32],
    flaws: Flaws,
) -> list[Stretch]:
    """Cut where many samples are missing, and fill in where few are."""
    bad = np.isnan(imu[:, 0])
    if not bad.any():
        return [Stretch(session, start_us, rate_hz, imu, labels)]
    edges = np.flatnonzero(np.diff(bad, prepend=not bad[0], append=not bad[-1]))
    runs = [(a, b, bool(bad[a])) for a, b in pairwise(edges.tolist())]
    keep: list[tuple[int, int]] = []
    begin: int | None = None
    for index, (first, stop, is_bad) in enumerate(runs):
        at_end = index in (0, len(runs) - 1)
        if is_bad and (at_end or stop - first > MAX_MISSING):
            if begin is not None:
                keep.append((begin, first))
            begin = None
        elif not is_bad and begin is None:
            begin = first
    if begin is not None:
        keep.append((begin, len(imu)))
    made: list[Stretch] = []
    for first, stop in keep:
        part, gone = imu[first:stop].copy(), bad[first:stop]
        at = np.arange(stop - first)
        for axis in range(6):
            part[gone, axis] = np.interp(at[gone], at[~gone], part[~gone, axis])
        flaws.interpolated += int(gone.sum())
        shifted_us = start_us + round(first / rate_hz * 1e6)
        made.append(Stretch(session, shifted_us, rate_hz, part, labels[first:stop]))
    return made
