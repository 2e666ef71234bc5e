"""Labelled motion recordings as benches judge models on: by animal, session and unbroken stretch.

Reading, units, gaps and rates are the replay's own, so a bench sees what a replay would.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud.training.dataset import Text
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.labels import resolve
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.motion import read_motion
from collar_sim.replay.table import TableFile
from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour

FOLDER_VARIABLE = "PAWMESH_RECORDINGS"
USUAL_FOLDER = Path("../shared/data")


@dataclass(frozen=True)
class Recording:
    """Samples of one session without a gap, all of them under one label."""

    animal: str
    session: str
    label: str
    rate_hz: float
    imu: FloatArray
    """Shape (n, 6): g, then deg/s, at the recording's own rate."""


@dataclass(frozen=True)
class Windows:
    """Equally long pieces of recordings, those of a session in the order of time."""

    samples: FloatArray
    """Shape (n, samples, 6)."""
    labels: Text
    animals: Text
    sessions: Text
    """Whose and which: two animals' sessions may have one name."""

    def __len__(self) -> int:
        return len(self.samples)

    def where(self, mask: NDArray[np.bool_]) -> "Windows":
        """Those that a mask selects."""
        return Windows(
            self.samples[mask], self.labels[mask], self.animals[mask], self.sessions[mask]
        )


def folder() -> Path:
    """Where recordings lie: ``PAWMESH_RECORDINGS``, or beside the checkout."""
    return Path(os.environ.get(FOLDER_VARIABLE) or USUAL_FOLDER)


def read(
    path: Path, mapping: MotionMapping, label_map: Mapping[str, Behaviour | None]
) -> list[Recording]:
    """The labelled stretches of a file, sessions in the order of time.

    Args:
        path: Parquet or CSV.
        mapping: Which column is what, in which unit.
        label_map: What the recording's words mean, where they are not the platform's own.

    Raises:
        RecordingError: It cannot be read as it is, or has no labels; says what to do.
    """
    motion = read_motion(TableFile.open(path), mapping)
    if not motion.words:
        raise RecordingError(f"{path.name} has no labels; name their column with --label-column")
    meant = resolve(motion.words, label_map)
    found: list[Recording] = []
    for animal, stretches in motion.animals.items():
        for stretch in stretches:
            edges = np.flatnonzero(np.diff(stretch.labels)) + 1
            parts = zip(np.split(stretch.labels, edges), np.split(stretch.imu, edges), strict=True)
            for codes, imu in parts:
                behaviour = meant[motion.words[codes[0]]] if codes[0] >= 0 else None
                if behaviour is not None:
                    found.append(
                        Recording(animal, stretch.session, behaviour.value, stretch.rate_hz, imu)
                    )
    return found


def windows_of(
    recordings: list[Recording],
    samples: int,
    hop: int,
    resample: Callable[[FloatArray, float], FloatArray] | None = None,
) -> Windows:
    """Recordings cut into windows, sessions unmixed.

    Args:
        recordings: As `read` gives them.
        samples: Of a window.
        hop: Samples from the start of one to the start of the next.
        resample: From samples and their rate to those that are cut; None keeps them.

    Raises:
        RecordingError: None is as long as one window.
    """
    cut: list[FloatArray] = []
    names: list[tuple[str, str, str]] = []
    for each in sorted(recordings, key=lambda one: (one.animal, one.session)):
        imu = each.imu if resample is None else resample(each.imu, each.rate_hz)
        starts = np.arange(0, len(imu) - samples + 1, hop)
        cut.append(imu[starts[:, None] + np.arange(samples)])
        session = f"{each.animal}/{each.session}"
        names += [(each.label, each.animal, session)] * len(starts)
    if not names:
        raise RecordingError(f"no labelled stretch is as long as {samples} samples")
    labels, animals, sessions = np.array(names).T
    return Windows(np.concatenate(cut), labels, animals, sessions)
