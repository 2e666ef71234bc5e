"""A forest that teaches the activity model: what it says of windows, and of others near them.

A small network that learns from labels directly fits the animals it sees and fails on the next:
beyond its examples it is as sure as among them. Extremely randomised trees (Geurts et al. 2006,
doi:10.1007/s10994-006-6226-1) with large leaves are not. They do not fit a collar, but a network
can be taught what they say (model compression: Bucila et al. 2006, doi:10.1145/1150402.1150464).
It must be asked of places where no example lies, or the network learns the examples again: so
examples are mixed in pairs, exchange some of their descriptors and get noise, and the forest's
answers to these are what the network learns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from plugins.sdk.arrays import FloatArray

Targets = NDArray[np.uint8]

TREES = 100
MIN_LEAF = 20  # windows: they overlap, so it takes many to be more than one moment
FEATURES = 0.3  # share of the descriptors that a split may choose from, if nobody says
BALANCE = 0.8  # 1: all labels count alike, however few windows say so; 0: each window does
MIXED_SHARE = 0.5  # of the carriers lie between two examples
MAX_SWAPPED = 0.15  # share of the descriptors that come from somewhere else, at most
NOISE = 0.15  # standard deviations


@dataclass(frozen=True)
class Teacher:
    """What was learned from labelled examples."""

    forest: Any
    """Of scikit-learn."""
    labels: int

    @classmethod
    def of(
        cls,
        inputs: FloatArray,
        targets: Targets,
        weight: FloatArray,
        labels: int,
        seed: int,
        features: float = FEATURES,
    ) -> "Teacher":
        """A forest of these examples.

        Args:
            inputs: Shape (n, descriptors), standardised.
            targets: The number of the label of each.
            weight: Of each.
            labels: How many there are; some may have no example.
            seed: Of the trees.
            features: The share of the inputs that a split may choose from.
        """
        share: Any = features  # scikit-learn takes a share, its published types know only words
        forest = ExtraTreesClassifier(
            TREES, min_samples_leaf=MIN_LEAF, max_features=share, random_state=seed
        )
        return cls(forest.fit(inputs, targets, sample_weight=weight), labels)

    def says(self, inputs: FloatArray) -> FloatArray:
        """Probability of each label, shape (n, labels); 0 of one without examples."""
        made = np.zeros((len(inputs), self.labels), np.float32)
        made[:, self.forest.classes_.astype(int)] = self.forest.predict_proba(inputs)
        return made


def balance(targets: Targets, animals: NDArray[np.str_]) -> FloatArray:
    """The weight of each example, 1 on average.

    Labels count by the number of their examples to the power of 1 - `BALANCE`; of a label, animals
    by the square root of the number of theirs: ten times as many windows of one are not ten times
    as much to learn from.
    """
    weight = np.zeros(len(targets), np.float32)
    for target in np.unique(targets):
        rows = np.flatnonzero(targets == target)
        _, whose, counts = np.unique(animals[rows], return_inverse=True, return_counts=True)
        each = 1.0 / np.sqrt(counts[whose])
        weight[rows] = each / each.sum() * len(rows) ** (1.0 - BALANCE)
    return weight / weight.mean(dtype=np.float32)


def carriers(
    inputs: FloatArray,
    weight: FloatArray,
    count: int,
    limit: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Inputs among and around examples.

    Args:
        inputs: The examples, shape (n, descriptors), standardised.
        weight: By which half of them are drawn; the other half evenly.
        count: How many to make.
        limit: In standard deviations, what no input exceeds.
        rng: What is drawn.
    """
    share = weight / weight.sum(dtype=np.float64) / 2 + 0.5 / len(inputs)
    share = share / share.sum(dtype=np.float64)
    one, other = (rng.choice(len(inputs), count, p=share) for _ in range(2))
    mixed = rng.random(count) < MIXED_SHARE
    part = np.where(mixed, rng.beta(0.5, 0.5, count), 1.0).astype(np.float32)[:, None]
    made = part * inputs[one] + (1.0 - part) * inputs[other]
    strange = rng.random(made.shape, np.float32) < MAX_SWAPPED * rng.random((count, 1), np.float32)
    made = np.where(strange, inputs[rng.integers(0, len(inputs), count)], made)
    made += NOISE * rng.standard_normal(made.shape, np.float32)
    return np.clip(made, -limit, limit)
