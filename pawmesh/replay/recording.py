"""A recording's file, checked whole, as sources for collars and facts for the report."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import plugins
from collar_sim.assembly import MICRO_COLLARS
from collar_sim.firmware.models.classifier import micro_available
from collar_sim.firmware.models.slots import Engine, ModelSlots
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.motion import Motion, read_motion
from collar_sim.replay.source import MotionSource, Source, windows_in
from collar_sim.replay.table import TableFile
from collar_sim.replay.track import Track, TrackMapping, TrackSource, read_track


@dataclass(frozen=True)
class Recorded:
    """A recording that was checked, ready to be played."""

    sources: dict[str, Source]
    words: list[str]
    facts: dict[str, Any]
    """For the report."""
    slots: dict[str, ModelSlots] = field(default_factory=dict[str, ModelSlots])
    notices: list[str] = field(default_factory=list[str])
    """What was dealt with, and its owner should know."""

    @property
    def first_at(self) -> datetime:
        """When it begins."""
        return min(source.first_at for source in self.sources.values())


def read(path: Path, mapping: MotionMapping | TrackMapping) -> Recorded:
    """The recording, checked whole, with a source for each animal.

    Raises:
        RecordingError: It cannot be replayed.
    """
    file = TableFile.open(path)
    if isinstance(mapping, TrackMapping):
        return _track(read_track(file, mapping))
    return _motion(read_motion(file, mapping))


def _motion(motion: Motion) -> Recorded:
    slots = _engines(list(motion.animals))
    sources: dict[str, Source] = {}
    short: list[int] = []
    unused_s = 0.0
    for animal, stretches in motion.animals.items():
        for stretch in stretches:
            held = windows_in(stretch)
            if held:
                unused_s += len(stretch.imu) / stretch.rate_hz - held * 4.0
            else:
                short.append(len(stretch.imu))
        if any(map(windows_in, stretches)):
            sources[animal] = MotionSource(stretches, motion.words, slots[animal])
    if not sources:
        raise RecordingError(
            f"none of its {len(short)} stretches lasts one window of 4 s: "
            f"{motion.rows} samples at {max(motion.rates_hz.values()):g} Hz. Record longer, or "
            f"correct --rate-hz, --session-column or --time-column (now {motion.columns['time']})"
        )
    rates = sorted(motion.rates_hz.values())
    return Recorded(
        sources,
        motion.words,
        {
            "kind": "motion",
            "rows": motion.rows,
            "sessions": motion.sessions,
            "columns": motion.columns,
            "rate_hz": {"slowest": rates[0], "fastest": rates[-1]},
            "flaws": asdict(motion.flaws),
            "skipped": {
                "stretches": len(short),
                "samples": sum(short),
                "reason": "shorter than one window of 4 s",
            },
            "unused_s": round(unused_s, 1),
            "outliers": 0,
            "refused_rows": {},
        },
        slots,
        _notices(motion, len(short)),
    )


def _notices(motion: Motion, short: int) -> list[str]:
    flaws, time_column = motion.flaws, motion.columns["time"]
    said = [
        f"column {name}: {count} values are no finite numbers; up to 3 in a row are interpolated, "
        "more are cut out"
        for name, count in flaws.not_finite_in.items()
    ]
    for count, what in (
        (flaws.without_animal, f"rows name no animal in column {motion.columns['animal']}"),
        (flaws.without_time, f"rows have no instant in column {time_column}"),
        (flaws.duplicates, f"rows repeat an instant of column {time_column}; the first one counts"),
        (flaws.reordered, f"rows were not in the order of column {time_column}; they are now"),
        (flaws.clock_set_back, f"times the clock in column {time_column} jumps back: cut there"),
        (flaws.gaps, "gaps: cut there, nothing is made up in between"),
        (flaws.interpolated, "samples were missing singly and are interpolated"),
        (short, "stretches are shorter than one window of 4 s and left out"),
    ):
        if count:
            said.append(f"{count} {what}")
    if not motion.words:
        said.append("there is no label column (--label-column): nothing will be scored")
    return said


def _track(track: Track) -> Recorded:
    return Recorded(
        {animal: TrackSource(steps) for animal, steps in track.animals.items()},
        [],
        {
            "kind": "positions",
            "rows": track.rows,
            "sessions": len(track.animals),
            "columns": track.columns,
            "outliers": track.outliers,
            "refused_rows": track.refused,
        },
        notices=[
            f"{count} rows are left out: {reason.replace('_', ' ')}"
            for reason, count in track.refused.items()
            if count
        ],
    )


def _engines(animals: list[str]) -> dict[str, ModelSlots]:
    """The shipped models of each animal's collar, on the interpreters that a fleet would use."""
    folder = Path(plugins.__path__[0])
    micro = MICRO_COLLARS if micro_available() else 0
    many = ModelSlots.load(folder, Engine.LITERT) if len(animals) > micro else None
    return {
        animal: many
        if many is not None and index >= micro
        else ModelSlots.load(folder, Engine.MICRO)
        for index, animal in enumerate(animals)
    }
