"""When something is wrong with the animal: episodes of limping or trembling, as ground truth."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from plugins.sdk.behaviours import Behaviour


class Anomaly(StrEnum):
    """What is wrong; empty when nothing is."""

    NONE = ""
    LIMP = "limp"
    """One leg is spared: the head nods once a stride."""
    TREMOR = "tremor"
    """Shaking at 8-12 Hz while at rest."""


SHOWS_IN: dict[Anomaly, frozenset[Behaviour]] = {
    Anomaly.NONE: frozenset(),
    Anomaly.LIMP: frozenset({Behaviour.WALK, Behaviour.RUN}),
    Anomaly.TREMOR: frozenset({Behaviour.REST}),
}
TREMOR_HZ = (8.0, 12.0)


@dataclass(frozen=True)
class Episode:
    """An anomaly that lasts some minutes; it shows only in the behaviours of `SHOWS_IN`."""

    kind: Anomaly = Anomaly.NONE
    left_min: int = 0
    severity: float = 0.0
    """0.5 (slight) to 1.2."""
    rhythm_hz: float = 0.0

    def shows_in(self, behaviour: Behaviour) -> Anomaly:
        """What an observer of this behaviour would see."""
        return self.kind if behaviour in SHOWS_IN[self.kind] else Anomaly.NONE


HEALTHY = Episode()


def next_episode(last: Episode, rate_per_day: float, rng: np.random.Generator) -> Episode:
    """The episode of the next minute.

    Args:
        last: Of the minute before.
        rate_per_day: Episodes per day without one.
        rng: Of this minute and stream.
    """
    if last.left_min > 1:
        return Episode(last.kind, last.left_min - 1, last.severity, last.rhythm_hz)
    if rng.random() >= rate_per_day / 1440.0:
        return HEALTHY
    kind = Anomaly.LIMP if rng.random() < 0.5 else Anomaly.TREMOR
    minutes = max(2, round(6.0 * rng.lognormal(0.0, 0.5)))
    return Episode(kind, minutes, float(rng.uniform(0.5, 1.2)), float(rng.uniform(*TREMOR_HZ)))
