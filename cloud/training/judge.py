"""How good a model is on animals it has never met."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from cloud.training.dataset import Dataset
from plugins.sdk.arrays import FloatArray

Metrics = dict[str, object]

SCORE_FLOOR = 1e-3  # how far below an int8 step it lies says nothing
FACTOR_WITHIN = (0.5, 3.0)  # of logits
OFFSET_WITHIN = (-2.0, 2.0)  # that animals which tune lack a label makes it no worse than rare


def threshold_for_coverage(scores: FloatArray, coverage: float) -> float:
    """The best score under which to abstain, so that this share of windows is still decided.

    >>> threshold_for_coverage(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32), 0.5)
    0.9
    """
    best = np.sort(scores.max(axis=1))
    return round(float(best[int((1.0 - coverage) * len(best))]), 4)


def calibration(
    scores: FloatArray, targets: NDArray[np.integer[Any]]
) -> tuple[float, NDArray[np.float64]]:
    """A factor of the logits and an offset of each label, by which the truth is most likely.

    The factor makes scores as sure as they are right; the offsets undo that a training counted rare
    labels for more than they are, so that what is doubtful goes to the label that is frequent.

    Args:
        scores: Shape (n, labels), n > 0: probabilities, on animals that the fit did not see.
        targets: The number of the true label of each.

    Source: temperature, Guo et al. 2017, arXiv:1706.04599; with a bias for each label, Alexandari
    et al. 2020, arXiv:1901.06852.

    >>> scores = np.array([[0.75, 0.25], [0.25, 0.75]] * 10, np.float32)
    >>> factor, offsets = calibration(scores, np.array([0, 1] * 9 + [1, 0]))  # 9 in 10 are right
    >>> round(factor, 2), abs(offsets[0] - offsets[1]).round(2).item()
    (2.0, 0.0)
    """
    logs = np.log(np.maximum(scores, SCORE_FLOOR), dtype=np.float64)
    count, labels = logs.shape
    true = np.arange(count), targets.astype(np.intp)

    def missed(asked: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        said = asked[0] * logs + asked[1:]
        share = np.exp(said - said.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        loss = -float(np.mean(np.log(share[true])))
        share[true] -= 1.0
        return loss, np.concatenate([[np.mean(share * logs) * labels], share.mean(axis=0)])

    start = np.concatenate([[1.0], np.zeros(labels)])
    bounds = [FACTOR_WITHIN, *[OFFSET_WITHIN] * labels]
    found: Any = minimize(missed, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]


def activity_metrics(
    data: Dataset,
    labels: list[str],
    scores: FloatArray,
    abstain_below: float = 0.0,
    least: int = 0,
) -> Metrics:
    """Macro-F1, per class and per animal; and what abstaining buys.

    F1 counts every window. Coverage is the share that the model decides, and ``covered_accuracy``
    how often it is right there.

    Args:
        data: What was recorded.
        labels: In the order of the scores.
        scores: Shape (n, labels).
        abstain_below: Best score under which the model does not decide.
        least: Windows that a label must have to count in macro-F1, on the whole and again for each
            animal: the only two of a kind would decide a small trial. 0: one that was merely
            guessed counts too. Macro-F1 is None where no label has so many.
    """
    names = np.array(labels)
    guess = names[np.argmax(scores, axis=1)]
    sure = scores.max(axis=1) >= abstain_below
    right = guess == data.labels
    return {
        "windows": len(data),
        "macro_f1": _macro(data.labels, guess, labels, least),
        "accuracy": _share(right),
        "coverage": _share(sure),
        "covered_accuracy": _share(right[sure]),
        "per_class": _per_class(data.labels, guess, labels),
        "per_animal": {
            str(animal): {
                "macro_f1": _macro(data.labels[mine], guess[mine], labels, least),
                "coverage": _share(sure[mine]),
                "per_class": _per_class(data.labels[mine], guess[mine], labels),
            }
            for animal in np.unique(data.animals)
            for mine in [data.animals == animal]
        },
    }


def confusion(
    truth: NDArray[np.str_], guess: NDArray[np.str_], words: list[str]
) -> list[list[int]]:
    """How often each word was taken for each: one row per true word, in the order of ``words``.

    >>> confusion(np.array(["walk", "walk", "run"]), np.array(["walk", "run", "run"]),
    ...           ["walk", "run"])
    [[1, 1], [0, 1]]
    """
    return [[int(np.sum((truth == is_) & (guess == said))) for said in words] for is_ in words]


def risk_coverage(best: FloatArray, right: NDArray[np.bool_], points: int = 20) -> list[Metrics]:
    """What abstaining buys: the share that is wrong of what is decided, by how much that is.

    Args:
        best: Best score of each window.
        right: Whether that label is the true one.
        points: Coverages, evenly spaced up to 1.

    Source: El-Yaniv and Wiener 2010, J. Mach. Learn. Res. 11:1605.

    >>> curve = risk_coverage(np.array([0.9, 0.8, 0.6, 0.5], np.float32),
    ...                       np.array([True, True, True, False]), points=2)
    >>> [(point["coverage"], point["risk"]) for point in curve]
    [(0.5, 0.0), (1.0, 0.25)]
    """
    order = np.argsort(-best, kind="stable")
    wrong = np.cumsum(~right[order])
    curve: list[Metrics] = []
    for point in range(1, points + 1):
        kept = max(1, round(len(best) * point / points))
        curve.append(
            {
                "coverage": round(kept / len(best), 4),
                "risk": round(float(wrong[kept - 1]) / kept, 4),
                "threshold": round(float(best[order[kept - 1]]), 4),
            }
        )
    return curve


def calibration_error(best: FloatArray, right: NDArray[np.bool_], bins: int = 15) -> float:
    """By how much the best score differs from the share that is right, on average.

    Source: expected calibration error, Guo et al. 2017, arXiv:1706.04599, with bins of equal width.

    >>> calibration_error(np.array([0.8, 0.8, 0.8, 0.8, 0.8], np.float32),
    ...                   np.array([True, True, True, True, False]))
    0.0
    """
    place = np.minimum((best * bins).astype(int), bins - 1)
    gaps = [
        abs(float(best[mine].sum()) - float(right[mine].sum()))
        for mine in (place == k for k in range(bins))
    ]
    return round(sum(gaps) / len(best), 4)


def anomaly_metrics(data: Dataset, errors: FloatArray, threshold: float) -> Metrics:
    """Area under the ROC curve, and recall and false alarms at the threshold."""
    wrong = data.anomalies != ""
    over = errors > threshold
    return {
        "windows": len(data),
        "anomalous": int(wrong.sum()),
        "auc": _auc(wrong, errors),
        "recall": _share(over[wrong]),
        "false_alarms": _share(over[~wrong]),
        "per_kind": {
            str(kind): {"auc": _auc(mine[mine | ~wrong], errors[mine | ~wrong]), "recall": recall}
            for kind in np.unique(data.anomalies[wrong])
            for mine in [data.anomalies == kind]
            for recall in [_share(over[mine])]
        },
        "per_animal": {
            str(animal): {
                "auc": _auc(wrong[mine], errors[mine]),
                "recall": _share(over[mine & wrong]),
                "false_alarms": _share(over[mine & ~wrong]),
            }
            for animal in np.unique(data.animals)
            for mine in [data.animals == animal]
        },
    }


def _macro(
    truth: NDArray[np.str_], guess: NDArray[np.str_], labels: list[str], least: int
) -> float | None:
    scores = [
        f1
        for label, f1 in _per_class(truth, guess, labels).items()
        if int(np.sum(truth == label)) >= least
    ]
    return round(float(np.mean(scores)), 4) if scores else None


def _per_class(
    truth: NDArray[np.str_], guess: NDArray[np.str_], labels: list[str]
) -> dict[str, float]:
    """F1 of each label that occurs or was guessed; one that did neither is not counted against."""
    return {
        label: round(2.0 * int(np.sum(hits)) / seen, 4)
        for label in labels
        for is_, said in [(truth == label, guess == label)]
        for hits, seen in [(is_ & said, int(is_.sum() + said.sum()))]
        if seen
    }


def _share(hits: NDArray[np.bool_]) -> float | None:
    return None if len(hits) == 0 else round(float(np.mean(hits)), 4)


def _auc(wrong: NDArray[np.bool_], errors: FloatArray) -> float | None:
    """None when there is nothing to tell apart."""
    both = bool(wrong.any()) and not bool(wrong.all())
    return round(float(roc_auc_score(wrong, errors)), 4) if both else None
