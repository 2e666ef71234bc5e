"""Which transmissions get through: losses come in bursts.

Gilbert-Elliott in continuous time: the link is good or bad, stays so for a while, and loses few or
most transmissions meanwhile. A retry one second later meets the same weather; one ten minutes later
does not (Elliott 1963, doi:10.1002/j.1538-7305.1963.tb00955.x).
"""

import math

import numpy as np

GOOD_S = 600.0  # mean time in each state
BAD_S = 25.0
LOSS_GOOD = 0.005
LOSS_BAD = 0.7


class Radio:
    """The link of one collar; its outcomes depend on the seed and the times asked about."""

    def __init__(
        self, seed: int, *, good_s: float = GOOD_S, bad_s: float = BAD_S, stream: int = 0
    ) -> None:
        self._rng = np.random.default_rng([seed, stream, 5])
        self._rate = 1.0 / good_s + 1.0 / bad_s
        self._bad_share = bad_s / (good_s + bad_s)
        self._bad = bool(self._rng.random() < self._bad_share)
        self._last_s: float | None = None

    def delivers(self, at_s: float) -> bool:
        """Whether a transmission at this time gets through.

        Args:
            at_s: Seconds on any clock that does not run backwards.
        """
        elapsed_s = 0.0 if self._last_s is None else max(0.0, at_s - self._last_s)
        self._last_s = at_s
        was = 1.0 if self._bad else 0.0
        # two-state Markov process: memory fades with the sum of both rates
        chance = self._bad_share + (was - self._bad_share) * math.exp(-self._rate * elapsed_s)
        change, loss = self._rng.random(2)
        self._bad = bool(change < chance)
        return bool(loss >= (LOSS_BAD if self._bad else LOSS_GOOD))
