"""A simulated population, recorded: some animals teach, some set thresholds, strangers judge."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from rich.progress import Progress

from cloud.training.dataset import Dataset, cut, joined
from collar_sim.animal import Animal, Scenario

SAMPLES = 100  # 4 s: two strides of the slowest walk of the largest dog, twice over
START_AT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)  # active, and rides are to be had
LONGITUDES = (-20.0, 20.0)  # an hour or so either way of local time
TUNE_SHARE = 0.25  # of the training animals: unseen by the fit, they set the thresholds
TUNE_HOP_S, FIT_HOP_S = 4, 2  # the fit may see overlapping windows; what judges may not


@dataclass(frozen=True)
class Cohort:
    """Whose recordings a training uses, all by seed and disjoint."""

    fit: Dataset
    tune: Dataset
    strangers: Dataset
    sick_strangers: Dataset
    """The same strangers in a bad week."""


def record(
    seed: int, animals: int, strangers: int, minutes: int, progress: Progress | None = None
) -> Cohort:
    """Recordings of a cohort; no animal is in two parts of it."""
    tuning = max(1, round(animals * TUNE_SHARE))
    plan = [
        (range(animals - tuning), Scenario.BUSY, FIT_HOP_S),
        (range(animals - tuning, animals), Scenario.BUSY, TUNE_HOP_S),
        (range(animals, animals + strangers), Scenario.BUSY, TUNE_HOP_S),
        (range(animals, animals + strangers), Scenario.SICK, TUNE_HOP_S),
    ]
    total = sum(len(numbers) for numbers, _, _ in plan)
    task = progress.add_task(f"{animals} + {strangers} animals", total=total) if progress else None
    parts: list[Dataset] = []
    for numbers, scenario, hop_s in plan:
        recordings: list[Dataset] = []
        for number in numbers:
            recordings.append(_recording(seed, number, scenario, minutes, hop_s))
            if progress is not None and task is not None:
                progress.advance(task)
        parts.append(joined(recordings))
    return Cohort(*parts)


def _recording(seed: int, number: int, scenario: Scenario, minutes: int, hop_s: int) -> Dataset:
    animal_seed = seed * 100_000 + number
    longitude = float(np.random.default_rng([animal_seed, 9]).uniform(*LONGITUDES))
    animal = Animal.draw(animal_seed, home=(48.0, longitude), scenario=scenario)
    lived = list(animal.minutes(START_AT, minutes))
    return cut(
        np.concatenate([minute.imu for minute in lived]),
        np.concatenate([minute.behaviour for minute in lived]),
        np.concatenate([minute.anomaly for minute in lived]),
        f"animal-{number:03d}",
        samples=SAMPLES,
        hop_s=hop_s,
    )
