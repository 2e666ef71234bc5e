"""A motion recording, read and checked whole: what each animal's collar measured."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from collar_sim.replay import units
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.instants import read_instants, require_plausible
from collar_sim.replay.mapping import Columns, MotionMapping
from collar_sim.replay.rates import Measured, rates_of
from collar_sim.replay.sessions import Flaws, groups_of, timings_of
from collar_sim.replay.stretches import Stretch, stretches_of
from collar_sim.replay.table import Table, TableFile, Words
from plugins.sdk.arrays import FloatArray

MOST = 0.5  # of a column's rows; with more than that missing it is not what was meant


@dataclass(frozen=True)
class Motion:
    """What a motion recording holds."""

    animals: dict[str, list[Stretch]]
    words: list[str]
    """Of the label column; empty without one."""
    sessions: int
    rows: int
    rates_hz: dict[str, float]
    """Of each session."""
    flaws: Flaws
    columns: dict[str, object]
    """Which column was taken for what."""


def read_motion(file: TableFile, mapping: MotionMapping, now: datetime | None = None) -> Motion:
    """The recording, checked from end to end.

    Raises:
        RecordingError: It cannot be replayed as it is; says what to do.
    """
    chosen = Columns(file, mapping)
    table = file.read(chosen.needed)
    flaws = Flaws()
    imu = _imu(table, chosen, mapping, flaws)
    animals = _animals(table, chosen, mapping)
    sessions = table.words(chosen.session) if chosen.session else _one_word(table.rows, "")
    labels = table.words(chosen.label) if chosen.label else _one_word(table.rows, None)
    instants = read_instants(table, chosen.time) if chosen.time else None
    groups = groups_of(animals, sessions, instants, flaws)
    timings = timings_of(groups, instants, mapping, chosen.time)
    rates = rates_of(
        [Measured(g.name, t.rate_hz, t.uneven_hz) for g, t in zip(groups, timings, strict=True)],
        mapping.rate_hz,
        chosen.time,
    )
    units.require_acceleration(imu[:, :3], chosen.acc, mapping.acc_unit)
    for group in groups:
        units.require_same(imu[group.rows, :3], chosen.acc, mapping.acc_unit, group.name)
    units.require_rotation(imu, chosen.gyr, mapping.gyr_unit)
    found: dict[str, list[Stretch]] = {}
    for group, timing, rate_hz in zip(groups, timings, rates, strict=True):
        flaws.duplicates += timing.duplicates
        flaws.reordered += timing.reordered
        flaws.clock_set_back += timing.set_back
        made = stretches_of(group, timing, rate_hz, imu, labels, flaws)
        flaws.gaps += max(0, len(made) - 1)
        found.setdefault(group.animal, []).extend(made)
    for stretches in found.values():
        stretches.sort(key=lambda each: each.start_us)
    spans = [each for stretches in found.values() for each in stretches]
    if not spans:
        raise RecordingError(f"{file.path} holds no stretch of samples without a gap")
    ends = [s.start_us + round(len(s.imu) / s.rate_hz * 1e6) for s in spans]
    require_plausible(
        np.array([min(s.start_us for s in spans), max(ends)]),
        chosen.time or "--start-at",
        now or datetime.now(UTC),
    )
    return Motion(
        animals=found,
        words=labels.words,
        sessions=len(groups),
        rows=table.rows,
        rates_hz={g.name: round(r, 3) for g, r in zip(groups, rates, strict=True)},
        flaws=flaws,
        columns=chosen.described(),
    )


def _imu(table: Table, chosen: Columns, mapping: MotionMapping, flaws: Flaws) -> FloatArray:
    factors = [units.TO_G[mapping.acc_unit]] * 3 + [units.TO_DPS[mapping.gyr_unit]] * 3
    imu = np.empty((table.rows, 6), np.float32)
    for index, (name, factor) in enumerate(zip(chosen.acc + chosen.gyr, factors, strict=True)):
        with np.errstate(over="ignore"):  # beyond float32 it is no measurement: infinite
            imu[:, index] = table.numbers(name) * factor
        missing = int((~np.isfinite(imu[:, index])).sum())
        if missing > MOST * table.rows:
            raise RecordingError(
                f"column {name} holds no number in {missing} of {table.rows} rows. Name another "
                f"column with --{'acc' if index < 3 else 'gyr'}-columns, or leave these rows out"
            )
        if missing:
            flaws.not_finite_in[name] = missing
    bad = ~np.isfinite(imu).all(axis=1)
    flaws.not_finite = int(bad.sum())
    imu[bad] = np.nan
    if bad.all():
        raise RecordingError(
            f"{table.path.name} has no row in which all of {', '.join(chosen.acc + chosen.gyr)} "
            "hold a number"
        )
    return imu


def _animals(table: Table, chosen: Columns, mapping: MotionMapping) -> Words:
    if chosen.animal is None:
        return _one_word(table.rows, mapping.animal)
    animals = table.words(chosen.animal)
    if not animals.words or (animals.codes < 0).all():
        raise RecordingError(f"column {chosen.animal} names no animal in any row")
    if len(animals.words) > max(50, table.rows // 100):
        raise RecordingError(
            f"column {chosen.animal} names {len(animals.words)} animals in {table.rows} rows: that "
            "is no animal. Name another column with --animal-column"
        )
    return animals


def _one_word(rows: int, word: str | None) -> Words:
    code = -1 if word is None else 0
    return Words(np.full(rows, code, np.int32), [] if word is None else [word])
