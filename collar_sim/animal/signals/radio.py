"""Which transmissions get through: losses come in bursts, and more of them far from home.

Gilbert-Elliott in continuous time: the link is good or bad, stays so for a while, and loses few or
most transmissions meanwhile. A retry one second later meets the same weather; one ten minutes later
does not (Elliott 1963, doi:10.1002/j.1538-7305.1963.tb00955.x). At home the collar speaks by WiFi,
elsewhere by cellular radio: that one loses more, and is bad for longer, as long as it takes to walk
past a building.
"""

import math
from dataclasses import dataclass

import numpy as np

LOSS_GOOD = 0.005
LOSS_BAD = 0.7
MEAN_LOSS = 0.02
STREAM = 5  # of random numbers, beside those of the animal
WIFI_BAD_S = 25.0  # mean length of a bad time; this and the next two by eye
CELLULAR_BAD_S = 60.0
CELLULAR_WORSE = 2.0  # times the loss at home
MOST_BAD = 0.9  # share of the time


@dataclass(frozen=True)
class Weather:
    """How a link changes between its two states."""

    bad_share: float
    """Of all time."""
    per_s: float
    """How fast what it was is forgotten: the sum of both rates."""

    @classmethod
    def losing(cls, mean_loss: float, bad_s: float) -> "Weather":
        """A link that loses this share in the long run, with bad times of this mean length.

        Loss is ``bad_share * LOSS_BAD + (1 - bad_share) * LOSS_GOOD``; below `LOSS_GOOD` the link
        is never bad.

        >>> round(Weather.losing(0.02, 25.0).bad_share, 4)
        0.0216
        """
        bad_share = min(MOST_BAD, max(0.0, (mean_loss - LOSS_GOOD) / (LOSS_BAD - LOSS_GOOD)))
        return cls(bad_share, 1.0 / (bad_s * (1.0 - bad_share)))


class Bearer:
    """One way of speaking to the gateway."""

    def __init__(self, weather: Weather, rng: np.random.Generator) -> None:
        self._weather = weather
        self._rng = rng
        self._bad = bool(rng.random() < weather.bad_share)
        self._last_s: float | None = None

    def delivers(self, at_s: float) -> bool:
        """See `Radio.delivers`."""
        elapsed_s = 0.0 if self._last_s is None else max(0.0, at_s - self._last_s)
        self._last_s = at_s
        share, was = self._weather.bad_share, 1.0 if self._bad else 0.0
        # two-state Markov process: memory fades with the sum of both rates
        chance = share + (was - share) * math.exp(-self._weather.per_s * elapsed_s)
        change, loss = self._rng.random(2)
        self._bad = bool(change < chance)
        return bool(loss >= (LOSS_BAD if self._bad else LOSS_GOOD))


class Radio:
    """The links of one collar; outcomes depend on the seed, the place and the times asked about."""

    def __init__(self, seed: int, mean_loss: float = MEAN_LOSS) -> None:
        """Of a collar that loses this share of its transmissions at home, in the long run."""
        self.is_home = True
        """Whether the home's WiFi is there; set in its second, by whoever releases what is said."""
        self._wifi = Bearer(
            Weather.losing(mean_loss, WIFI_BAD_S), np.random.default_rng([seed, 0, STREAM])
        )
        self._cellular = Bearer(
            Weather.losing(CELLULAR_WORSE * mean_loss, CELLULAR_BAD_S),
            np.random.default_rng([seed, 1, STREAM]),
        )

    def delivers(self, at_s: float) -> bool:
        """Whether a transmission at this time gets through.

        Args:
            at_s: Seconds on any clock that does not run backwards.
        """
        return (self._wifi if self.is_home else self._cellular).delivers(at_s)
