"""Smooth curves along knots, at the sensor's rate: quadratic B-splines.

A curve lies between its knots rather than through them, and between two of them it needs no other
than the one before: a minute goes on from the last two knots of the minute before.
"""

import numpy as np

from collar_sim.arrays import FloatArray, Samples
from plugins.sdk import manifest

RATE_HZ = int(manifest.RATE_HZ)  # whole, so that a second is a row
SAMPLES = 60 * RATE_HZ


def spline(steps: int) -> Samples:
    """Weights of three knots at so many samples between two, shape (3, steps).

    >>> spline(2).tolist()
    [[0.125, 0.0], [0.75, 0.5], [0.125, 0.5]]
    """
    at = np.arange(1, steps + 1) / steps
    return np.stack([(1 - at) ** 2 / 2, 0.5 + at - at**2, at**2 / 2]).astype(np.float32)


def between(knots: FloatArray | Samples, weights: Samples) -> Samples:
    """A smooth curve along knots, shape (steps * (n - 2), c) from (n, c).

    Each of its columns lies together in memory, for all that follows is done by axis.

    Args:
        knots: Shape (n, c), evenly spaced.
        weights: Of `spline`.
    """
    rows = np.ascontiguousarray(knots.T, np.float32)
    spans = rows.shape[1] - 2
    steps = weights[:, :, None, None]
    curve = steps[0] * rows[:, :spans]
    curve += steps[1] * rows[:, 1:-1]
    curve += steps[2] * rows[:, 2:]
    return curve.transpose(1, 2, 0).reshape(len(rows), -1).T
