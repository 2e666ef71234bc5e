"""What is worth a message of its own: the moments in a minute at which a model saw something."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.firmware.sensing.epochs import WINDOW_S

ANOMALY_WINDOWS = 4  # in one minute; single windows are knocks against a door, or a jump
EXCESS_LIMIT = 8.0  # logarithm; beyond, one is as certain as the other
SCRATCH_S = 8.0  # one bout; shorter ones every dog has all day, epochs count them


@dataclass(frozen=True)
class Sighting:
    """Something seen: after how many seconds of the minute it was certain, and how certain."""

    name: str
    at_s: float
    confidence: float
    duration_s: float
    """How long it had lasted by then."""


def standing(scores: NDArray[np.float32]) -> float:
    """The anomaly score of a period: what its `ANOMALY_WINDOWS` most unusual windows all reach.

    >>> standing(np.array([0.25, 0.125, 0.875, 0.75, 1.0])), standing(np.array([1.0]))
    (0.25, 0.0)
    """
    if len(scores) < ANOMALY_WINDOWS:
        return 0.0  # too short to be sure of anything
    return float(np.sort(scores)[-ANOMALY_WINDOWS])


def excess(scores: NDArray[np.float32]) -> float:
    """How far a minute lies above the model's threshold, as a logarithm; below it, negative.

    >>> round(excess(np.array([0.9, 0.1, 0.8, 0.9, 0.5], np.float32)), 6)
    0.0
    """
    score = standing(scores)
    edge = 1.0 / (1.0 + np.exp(EXCESS_LIMIT))
    score = min(max(score, edge), 1.0 - edge)
    return float(np.log(score / (1.0 - score)))


def anomaly(scores: NDArray[np.float32], offset: float = 0.0) -> Sighting | None:
    """The moment at which enough windows of a minute were abnormal, if there is one.

    Args:
        scores: Of the minute's windows in order; 0.5 is the threshold.
        offset: By how much they must exceed it, as `excess` measures.

    >>> anomaly(np.array([0.1, 0.6, 0.1, 0.8, 0.7, 0.7]))
    Sighting(name='anomaly', at_s=24.0, confidence=0.7, duration_s=16.0)
    >>> anomaly(np.array([0.1, 0.6, 0.1, 0.8, 0.7, 0.7]), offset=1.0)
    """
    above = np.flatnonzero(scores > 1.0 / (1.0 + np.exp(-offset)))
    if len(above) < ANOMALY_WINDOWS:
        return None
    seen = above[:ANOMALY_WINDOWS]
    return Sighting(
        "anomaly",
        (int(seen[-1]) + 1) * WINDOW_S,
        _share(scores[seen]),
        ANOMALY_WINDOWS * WINDOW_S,
    )


def scratch(
    is_scratch: NDArray[np.bool_], best: NDArray[np.float32], *, bout_s: float = SCRATCH_S
) -> Sighting | None:
    """The moment at which a minute's first bout of scratching had lasted ``bout_s``, if any.

    Args:
        is_scratch: Of each window in order.
        best: The model's probability of its label.
        bout_s: How long a bout must be.

    >>> scratch(np.array([0, 1, 1, 1], bool), np.array([0.5, 0.9, 0.7, 0.9]))
    Sighting(name='scratch', at_s=12.0, confidence=0.8, duration_s=8.0)
    """
    need = max(1, round(bout_s / WINDOW_S))
    run = 0
    for index, one in enumerate(is_scratch.tolist()):
        run = run + 1 if one else 0
        if run == need:
            seen = best[index + 1 - need : index + 1]
            return Sighting("scratch", (index + 1) * WINDOW_S, _share(seen), need * WINDOW_S)
    return None


def _share(values: NDArray[np.float32]) -> float:
    return round(min(1.0, float(values.mean())), 3)
