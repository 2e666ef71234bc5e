"""How well a classifier tells the windows of two sides apart, and by which features.

Extremely randomised trees (Geurts et al. 2006, doi:10.1007/s10994-006-6226-1) learn some groups of
each side, and judge others: a group is a session, or an animal, and windows of one are alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score

from cloud.training.dataset import Text
from collar_sim.arrays import FloatArray

MOST = 100  # windows of one group: none of them decides alone
TREES = 150
TRIED, NAMED = 20, 5  # features: so many are shuffled, so many are told


@dataclass(frozen=True)
class Side:
    """Windows of one side, as features."""

    features: FloatArray
    """Shape (n, features)."""
    groups: Text
    """Session or animal of each."""

    def capped(self, rng: np.random.Generator) -> "Side":
        """At most `MOST` of each group."""
        kept = np.concatenate(
            [
                rng.permutation(np.flatnonzero(self.groups == group))[:MOST]
                for group in np.unique(self.groups)
            ]
        )
        return Side(self.features[kept], self.groups[kept])

    def folds(self, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """The fold of each window; a group is in one."""
        order = rng.permutation(np.unique(self.groups))
        return np.array([int(np.flatnonzero(order == g)[0]) % count for g in self.groups])

    def in_parts(self, count: int) -> "Side":
        """All of it in so many parts, in the order of time."""
        parts = np.array_split(np.arange(len(self.groups)), count)
        names = np.repeat([f"part {k}" for k in range(count)], [len(part) for part in parts])
        return Side(self.features, names)

    def singles(self, count: int, least: int, most: int) -> "list[Side]":
        """Some groups apart: the first few that have enough windows, each cut to a number."""
        found: list[Side] = []
        for group in np.unique(self.groups):
            at = np.flatnonzero(self.groups == group)[:most]
            if len(at) >= least and len(found) < count:
                found.append(Side(self.features[at], self.groups[at]))
        return found


@dataclass(frozen=True)
class Told:
    """How well two sides are told apart."""

    auc: float
    lowest: float
    highest: float
    """Of the folds."""
    giveaways: list[tuple[str, float]]
    """Features by what shuffling them takes from the AUC, the first few."""


def tell_apart(one: Side, other: Side, names: list[str], folds: int, *, why: bool) -> Told:
    """Mean area under the ROC over folds of groups.

    Args:
        one: Called 0.
        other: Called 1.
        names: Of the features.
        folds: At most as many as either side has groups.
        why: Also find which features it rests on.
    """
    rng = np.random.default_rng(0)
    one, other = one.capped(rng), other.capped(rng)
    x = np.concatenate([one.features, other.features])
    y = np.repeat([0, 1], [len(one.features), len(other.features)])
    fold = np.concatenate([one.folds(folds, rng), other.folds(folds, rng)])
    aucs: list[float] = []
    giveaways: list[tuple[str, float]] = []
    for held in range(folds):
        test = fold == held
        trees = _grown(x[~test], y[~test])
        aucs.append(_auc(trees, x[test], y[test]))
        if why and held == 0:
            giveaways = _giveaways(trees, x[test], y[test], names, rng)
    return Told(float(np.mean(aucs)), min(aucs), max(aucs), giveaways)


def _grown(x: FloatArray, y: NDArray[np.intp]) -> Any:
    share: Any = 0.3  # scikit-learn takes a share, its published types know only words
    trees = ExtraTreesClassifier(
        TREES, min_samples_leaf=3, max_features=share, class_weight="balanced", random_state=0
    )
    return trees.fit(x, y)


def _auc(trees: Any, x: FloatArray, y: NDArray[np.intp]) -> float:
    return float(roc_auc_score(y, trees.predict_proba(x)[:, 1]))


def _giveaways(
    trees: Any, x: FloatArray, y: NDArray[np.intp], names: list[str], rng: np.random.Generator
) -> list[tuple[str, float]]:
    """What shuffling a feature takes from the AUC, of those that take most."""
    auc, lost = _auc(trees, x, y), np.zeros(len(names))
    for column in np.argsort(-trees.feature_importances_)[:TRIED]:
        shuffled = x.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        lost[column] = auc - _auc(trees, shuffled, y)
    return [(names[i], float(lost[i])) for i in np.argsort(-lost)[:NAMED] if lost[i] > 0]
