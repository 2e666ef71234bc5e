"""A simulated population, recorded: some animals teach, some set thresholds, strangers judge."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from rich.progress import Progress

from cloud.training.dataset import Dataset, cut, joined
from collar_sim.animal import Animal, Scenario, Wear

START_AT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)  # active, and rides are to be had
LONGITUDES = (-20.0, 20.0)  # an hour or so either way of local time
TUNE_SHARE = 0.25  # of the training animals: unseen by the fit, they set the thresholds
TUNE_HOP_S, FIT_HOP_S = 4, 2  # the fit may see overlapping windows; what judges may not


@dataclass(frozen=True)
class Cohort:
    """Whose recordings a training uses, all by seed and disjoint."""

    fit: Dataset
    """Busy days of collars: what the activity model learns from."""
    fit_also: Dataset
    """For the anomaly model: the same animals in bad weeks, and on harnesses."""
    tune: Dataset
    strangers: Dataset
    sick_strangers: Dataset
    """The same strangers in a bad week."""


@dataclass(frozen=True)
class Roster:
    """The numbers of a cohort's animals."""

    fit: range
    tune: range
    strangers: range

    @classmethod
    def of(cls, animals: int, strangers: int) -> "Roster":
        """So many that teach or tune, and others that judge."""
        tuning = max(1, round(animals * TUNE_SHARE))
        first = animals - tuning
        return cls(range(first), range(first, animals), range(animals, animals + strangers))


def record(
    seed: int, roster: Roster, minutes: int, ill_min: int, progress: Progress | None = None
) -> Cohort:
    """Recordings of a cohort; no animal is in two parts of it.

    Args:
        seed: Of the population.
        roster: Who has which part.
        minutes: Of each animal.
        ill_min: Of each stranger in its bad week.
        progress: Is told of each animal.
    """
    collar, harness = Wear.COLLAR, Wear.HARNESS
    busy, sick, lame = Scenario.BUSY, Scenario.SICK, Scenario.LAME_LEFT_FRONT
    plan = [
        [(roster.fit, busy, collar, minutes, FIT_HOP_S)],
        [
            (roster.fit, sick, collar, minutes, TUNE_HOP_S),
            (roster.fit, lame, collar, minutes, TUNE_HOP_S),
            (roster.fit, sick, harness, minutes, TUNE_HOP_S),
            (roster.fit, busy, harness, minutes // 2, TUNE_HOP_S),
        ],
        [(roster.tune, busy, collar, minutes, TUNE_HOP_S)],
        [(roster.strangers, busy, collar, minutes, TUNE_HOP_S)],
        [(roster.strangers, sick, collar, ill_min, TUNE_HOP_S)],
    ]
    total = sum(len(numbers) for part in plan for numbers, *_ in part)
    task = progress.add_task("recordings", total=total) if progress else None
    parts: list[Dataset] = []
    for part in plan:
        recordings: list[Dataset] = []
        for numbers, scenario, wear, lasting, hop_s in part:
            for number in numbers:
                animal = drawn(seed, number, scenario, wear)
                recordings.append(_recording(animal, name_of(number), lasting, hop_s))
                if progress is not None and task is not None:
                    progress.advance(task)
        parts.append(joined(recordings))
    return Cohort(*parts)


def drawn(seed: int, number: int, scenario: Scenario, wear: Wear = Wear.COLLAR) -> Animal:
    """One animal of the population: the same individual whatever befalls it."""
    animal_seed = seed * 100_000 + number
    longitude = float(np.random.default_rng([animal_seed, 9]).uniform(*LONGITUDES))
    return Animal.draw(animal_seed, home=(48.0, longitude), scenario=scenario, wear=wear)


def name_of(number: int) -> str:
    """How datasets and cards call an animal.

    >>> name_of(7)
    'animal-007'
    """
    return f"animal-{number:03d}"


def names_of(numbers: Iterable[int]) -> list[str]:
    """How datasets and cards call some animals."""
    return [name_of(number) for number in numbers]


def _recording(animal: Animal, name: str, minutes: int, hop_s: int) -> Dataset:
    lived = list(animal.minutes(START_AT, minutes))
    return cut(
        np.concatenate([minute.imu for minute in lived]),
        np.concatenate([minute.behaviour for minute in lived]),
        np.concatenate([minute.anomaly for minute in lived]),
        name,
        hop_s=hop_s,
    )
