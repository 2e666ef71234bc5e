"""What the shipped model would say of a minute: it knows simulated animals, and no recorded dog.

One or two dogs teach what their own walk and run are; ten behaviours of many simulated animals
teach what holds for all. The shipped model sees single windows. So that it can be asked of minutes
that never were (`cloud.training.teacher.carriers`), windows are drawn for it from what a minute is
known by, the mean and standard deviation of each descriptor, as if these were independent and
normal, and its log-probabilities of them are averaged as those of real windows are.

How often it says a label, and how surely, was set for the days of simulated animals. What counts
here is where it says so more than elsewhere: its logarithms are taken from their mean over the
examples that teach, and in units of their spread there.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plugins
from bench.forests import FLOOR
from collar_sim.firmware.models.classifier import LiteRtClassifier
from pawmesh.models.made import model_of
from plugins.sdk.arrays import FloatArray
from plugins.sdk.features import NEAR_LIMIT, standardised
from plugins.sdk.manifest import Standard
from plugins.sdk.package import Package

DRAWS = 8  # windows for a minute; one word of eight agrees with that of the real 30 in 91 %
COUNTS = 0.5  # as much as the forest of real dogs


class SimulatedTeacher:
    """The shipped model, many minutes at once."""

    def __init__(self, package: Package) -> None:
        """Of the activity package."""
        model = model_of(package)
        assert model.standard is not None, "the activity model sees descriptors"
        self._standard: Standard = model.standard
        self._labels = [label.value for label in model.labels]
        self._engine = LiteRtClassifier(package)

    @classmethod
    def shipped(cls) -> "SimulatedTeacher":
        """Of the package in this checkout."""
        return cls(Package.load(Path(plugins.__path__[0]) / "activity"))

    def logs(self, minutes: FloatArray, labels: list[str], rng: np.random.Generator) -> FloatArray:
        """Log-probability of each of these labels, as if there were no others.

        Args:
            minutes: Shape (n, 142): mean, then standard deviation of each descriptor.
            labels: That are learned, of the ten behaviours.
            rng: Draws windows.
        """
        mean, spread = np.split(minutes, 2, axis=1)
        columns = [self._labels.index(label) for label in labels]
        total = np.zeros((len(minutes), len(labels)), np.float32)
        for _ in range(DRAWS):
            window = mean + np.maximum(spread, 0.0) * rng.standard_normal(mean.shape, np.float32)
            seen = standardised(window, self._standard.mean, self._standard.std, NEAR_LIMIT)
            total += np.log(np.maximum(self._engine.run(seen)[:, columns], FLOOR))
        return np.log(_shares(total / DRAWS))


def agreed(real: FloatArray, simulated_logs: FloatArray, examples: int) -> FloatArray:
    """What both teachers say together: their geometric mean, as `COUNTS` weighs, summing to 1.

    Args:
        real: Probabilities, shape (n, labels).
        simulated_logs: Of `SimulatedTeacher.logs`, same shape.
        examples: So many of the first rows are examples.

    >>> even, leaning = np.full((2, 2), 0.5), np.log([[0.9, 0.1], [0.8, 0.2]])
    >>> [f"{first:.2f}" for first, _ in agreed(even, leaning, examples=2)]  # it always leans
    ['0.69', '0.31']
    """
    moved = simulated_logs - simulated_logs[:examples].mean(axis=0)
    moved = moved / max(float(moved[:examples].std()), FLOOR)
    return _shares((1.0 - COUNTS) * np.log(np.maximum(real, FLOOR)) + COUNTS * moved)


def _shares(logs: NDArray[Any]) -> FloatArray:
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
