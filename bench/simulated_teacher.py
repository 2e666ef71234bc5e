"""What the shipped model would say of a minute: it knows simulated animals, and no recorded dog.

One or two dogs teach what their own walk and run are; ten behaviours of many simulated animals
teach what holds for all. The shipped model sees single windows. So that it can be asked of minutes
that never were (`cloud.training.teacher.carriers`), windows are drawn for it from what a minute is
known by, the mean and standard deviation of each descriptor, as if these were independent and
normal, and its log-probabilities of them are averaged as those of real windows are.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plugins
from bench.forests import FLOOR
from collar_sim.firmware.models.classifier import LiteRtClassifier
from pawmesh.models.made import model_of
from plugins.sdk.features import NEAR_LIMIT, standardised
from plugins.sdk.manifest import Standard
from plugins.sdk.package import Package

FloatArray = NDArray[np.float32]

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

    def says(self, minutes: FloatArray, labels: list[str], rng: np.random.Generator) -> FloatArray:
        """Probability of each of these labels, as if there were no others.

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
        return _shares(total / DRAWS)


def agreed(real: FloatArray, simulated: FloatArray) -> FloatArray:
    """What both teachers say together: their geometric mean, as `COUNTS` weighs, made to sum to 1.

    >>> agreed(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])).round(2).tolist()
    [[0.75, 0.25]]
    """
    logs = (1.0 - COUNTS) * np.log(np.maximum(real, FLOOR))
    return _shares(logs + COUNTS * np.log(np.maximum(simulated, FLOOR)))


def _shares(logs: NDArray[Any]) -> FloatArray:
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
