"""Slow wandering: first-order Gauss-Markov processes, a minute at a time."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SECONDS = 60


class Drift:
    """A Gauss-Markov process of unit variance in steps of one second.

    A minute is one matrix product, and its last value is all that the next minute needs.

    >>> drift = Drift(tau_s=30.0)
    >>> drift.minute(np.zeros(1), np.zeros((60, 1))).shape
    (60, 1)
    """

    def __init__(self, tau_s: float) -> None:
        decay = np.exp(-1.0 / tau_s)
        lag = np.subtract.outer(np.arange(SECONDS), np.arange(SECONDS))
        kernel = np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0)
        self._kernel = kernel * np.sqrt(1.0 - decay**2)
        self._memory = decay ** np.arange(1, SECONDS + 1)[:, None]

    def minute(self, last: FloatArray, noise: FloatArray) -> FloatArray:
        """The next 60 values.

        Args:
            last: Shape (c,), the value before this minute.
            noise: Shape (60, c), standard normal.
        """
        return self._memory * last + self._kernel @ noise
