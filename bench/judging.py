"""Macro-F1 of what was said of windows, and how far it rests on which sessions there were.

Labels are per session, so windows of one session are one observation rather than hundreds: the
intervals come from drawing whole sessions anew, of each label as many as there are (Efron's
bootstrap, stratified).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.training.dataset import Text
from collar_sim.arrays import FloatArray

IntArray = NDArray[np.int64]

DRAWS = 1_000
WITHIN = (0.05, 0.95)


@dataclass(frozen=True)
class Answers:
    """What a model said of one animal's windows."""

    truth: Text
    said: Text
    """``unsure`` where it abstained."""
    sessions: Text

    @property
    def coverage(self) -> float:
        """Share of the windows that it decided."""
        return float(np.mean(self.said != "unsure"))


@dataclass(frozen=True)
class Tally:
    """Hits, true and said windows by session and label; of several runs."""

    counts: IntArray
    """Shape (runs, 3, sessions, labels)."""
    strata: list[IntArray]
    """Of each label, the sessions that show it most."""

    def per_class(self) -> FloatArray:
        """F1 of each label, the mean of the runs."""
        return _f1(self.counts.sum(axis=2)).mean(axis=0)

    def macro(self) -> float:
        """Macro-F1, the mean of the runs."""
        return float(self.per_class().mean())

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """Macro-F1 of `DRAWS` draws of sessions; the same draws for the same generator."""
        return np.array([self._draw(rng) for _ in range(DRAWS)])

    def _draw(self, rng: np.random.Generator) -> float:
        rows = np.concatenate([rng.choice(part, len(part)) for part in self.strata])
        return float(_f1(self.counts[:, :, rows].sum(axis=2)).mean())


def tally(runs: Sequence[Answers], labels: list[str]) -> Tally:
    """The counts of some runs on the same windows.

    Windows whose true label is none of these are left out; saying another label is a miss.

    Args:
        runs: One per seed.
        labels: That count.

    >>> words = np.array(["walk", "walk", "rest"])
    >>> run = Answers(words, np.array(["walk", "rest", "rest"]), np.array(["a", "b", "c"]))
    >>> round(tally([run], ["rest", "walk"]).macro(), 3)
    0.667
    """
    sessions = np.unique(runs[0].sessions)
    counts = np.zeros((len(runs), 3, len(sessions), len(labels)), np.int64)
    for run, answers in enumerate(runs):
        judged = np.isin(answers.truth, labels)
        where = np.searchsorted(sessions, answers.sessions)
        for k, label in enumerate(labels):
            true, said = answers.truth == label, (answers.said == label) & judged
            for row, mask in enumerate((true & said, true, said)):
                np.add.at(counts[run, row, :, k], where[mask], 1)
    most = counts[0, 1].argmax(axis=1)
    shown = counts[0, 1].sum(axis=1) > 0
    strata = [np.flatnonzero((most == k) & shown) for k in range(len(labels))]
    return Tally(counts, [part for part in strata if len(part)])


def interval(draws: FloatArray) -> list[float]:
    """What 90 of 100 draws lie within."""
    return [round(float(edge), 4) for edge in np.quantile(draws, WITHIN)]


def majority(truth: Text, labels: list[str]) -> float:
    """Macro-F1 of always saying the commonest label.

    >>> majority(np.array(["walk", "walk", "rest"]), ["rest", "walk"])
    0.4
    """
    judged = truth[np.isin(truth, labels)]
    share = max(float(np.mean(judged == label)) for label in labels)
    return 2.0 * share / (1.0 + share) / len(labels)


def _f1(counts: IntArray) -> FloatArray:
    """Shape (runs, labels) of counts (runs, 3, labels)."""
    return 2.0 * counts[:, 0] / np.maximum(1, counts[:, 1] + counts[:, 2])
