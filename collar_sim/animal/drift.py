"""What changes slowly, a minute at a time: wandering about zero, and settling to what holds now."""

import math

import numpy as np

from collar_sim.arrays import FloatArray

SECONDS = 60


class Drift:
    """A Gauss-Markov process of unit variance in steps of one second.

    A minute is one matrix product, and its last value is all that the next minute needs.

    >>> drift = Drift(tau_s=30.0)
    >>> drift.minute(np.zeros(1), np.zeros((60, 1))).shape
    (60, 1)
    """

    def __init__(self, tau_s: float) -> None:
        decay = math.exp(-1.0 / tau_s)
        kernel, self._memory = _kernel(decay)
        self._kernel = kernel * math.sqrt(1.0 - decay**2)

    def minute(self, last: FloatArray, noise: FloatArray) -> FloatArray:
        """The next 60 values.

        Args:
            last: Shape (c,), the value before this minute.
            noise: Shape (60, c), standard normal.
        """
        return self._memory * last + self._kernel @ noise


class Settling:
    """A lag of first order in steps of one second: what follows something else, and is late.

    >>> Settling(tau_s=8.0).minute(np.zeros(1), np.ones((60, 1)))[-1].round(2)
    array([1.])
    """

    def __init__(self, tau_s: float) -> None:
        decay = math.exp(-1.0 / tau_s)
        kernel, self._memory = _kernel(decay)
        self._kernel = kernel * (1.0 - decay)

    def minute(self, last: FloatArray, towards: FloatArray) -> FloatArray:
        """The next 60 values.

        Args:
            last: Shape (c,), the value before this minute.
            towards: Shape (60, c), what it would settle to.
        """
        return self._memory * last + self._kernel @ towards


def _kernel(decay: float) -> tuple[FloatArray, FloatArray]:
    """What seconds add to later ones, shape (60, 60); what is left of the last minute, (60, 1)."""
    lag = np.subtract.outer(np.arange(SECONDS), np.arange(SECONDS))
    kernel = np.where(lag >= 0, decay ** np.maximum(lag, 0), 0.0)
    return kernel, decay ** np.arange(1.0, SECONDS + 1.0)[:, None]
