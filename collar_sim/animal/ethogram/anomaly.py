"""When something is wrong with the animal, as ground truth: a limp, a tremor, an itch, a fit.

The first three are episodes of minutes (or of a life) that show in some behaviours only. A fit is
made of bouts of its own (`fit`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    SEIZURE = "seizure"
    """A generalised fit: stiff, then jerking, lying on its side."""
    ITCH = "itch"
    """Scratching far more than it takes to be clean."""


class Leg(StrEnum):
    """Which leg hurts."""

    LEFT_FRONT = "left_front"
    RIGHT_FRONT = "right_front"
    LEFT_HIND = "left_hind"
    RIGHT_HIND = "right_hind"


class Phase(StrEnum):
    """How far a fit is; empty when there is none."""

    NONE = ""
    TONIC = "tonic"
    CLONIC = "clonic"


SHOWS_IN: dict[Anomaly, frozenset[Behaviour]] = {
    Anomaly.NONE: frozenset(),
    Anomaly.LIMP: frozenset({Behaviour.WALK, Behaviour.RUN}),
    Anomaly.TREMOR: frozenset({Behaviour.REST}),
    Anomaly.SEIZURE: frozenset(),  # it has bouts of its own
    Anomaly.ITCH: frozenset({Behaviour.SCRATCH}),
}
TREMOR_HZ = (8.0, 12.0)
CLONIC_HZ = (2.0, 4.0)  # by eye: a few jerks a second
SEVERITY = (0.5, 1.2)
LASTING_SEVERITY = (0.7, 1.2)
EPISODE_MIN, EPISODE_SPREAD = 6.0, 0.5  # median, and spread of the logarithm: by eye
ITCH_MIN = 12.0  # an itch comes and goes more slowly


@dataclass(frozen=True)
class Episode:
    """An anomaly that lasts some minutes; it shows only in the behaviours of `SHOWS_IN`."""

    kind: Anomaly = Anomaly.NONE
    left_min: int = 0
    severity: float = 0.0
    """0.5 (slight) to 1.2."""
    rhythm_hz: float = 0.0
    """Of a tremor, or of the jerks of a fit."""
    side: Leg = Leg.LEFT_FRONT
    """Which leg a limp spares."""
    phase: Phase = Phase.NONE
    """Of a fit."""

    def shown_in(self, behaviour: Behaviour) -> "Episode":
        """What an observer of this behaviour would see of it."""
        return self if behaviour in SHOWS_IN[self.kind] else HEALTHY


HEALTHY = Episode()


def draw_episode(kind: Anomaly, rng: np.random.Generator) -> Episode:
    """A new episode of this kind."""
    median_min = ITCH_MIN if kind is Anomaly.ITCH else EPISODE_MIN
    minutes = max(2, round(median_min * rng.lognormal(0.0, EPISODE_SPREAD)))
    severity = float(rng.uniform(*SEVERITY))
    rhythm = CLONIC_HZ if kind is Anomaly.SEIZURE else TREMOR_HZ
    leg = list(Leg)[int(rng.integers(len(Leg)))]
    return Episode(kind, minutes, severity, float(rng.uniform(*rhythm)), leg)


def lasting_episode(kind: Anomaly, rng: np.random.Generator) -> Episode:
    """The complaint that an animal has all the time; a limp is of the left front leg.

    >>> lasting_episode(Anomaly.LIMP, np.random.default_rng(1)).side
    <Leg.LEFT_FRONT: 'left_front'>
    """
    if kind is Anomaly.NONE:
        return HEALTHY
    return Episode(kind, severity=float(rng.uniform(*LASTING_SEVERITY)))


def next_episode(
    last: Episode, rates_per_day: Mapping[Anomaly, float], rng: np.random.Generator
) -> Episode:
    """The episode of the next minute; a fit is said in the minute that it begins in.

    Args:
        last: Of the minute before.
        rates_per_day: Episodes of each kind per day without one.
        rng: Of this minute and stream.
    """
    if last.left_min > 1 and last.kind is not Anomaly.SEIZURE:
        return replace(last, left_min=last.left_min - 1)
    point = rng.random() * 1440.0
    for kind, rate in rates_per_day.items():
        point -= rate
        if point < 0:
            return draw_episode(kind, rng)
    return HEALTHY
