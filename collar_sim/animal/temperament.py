"""How one animal differs from the average in what it likes to do, for life.

Dogs that are playful are also curious and bold: one broad factor is behind these traits, and not
behind others (Svartberg & Forkman 2002, doi:10.1016/S0168-1591(02)00121-1, in 15,329 dogs). The
sizes of the correlations and spreads are by eye.
"""

from dataclasses import dataclass

import numpy as np

SPREADS = (0.25, 0.25, 0.40, 0.35, 0.20)  # of the logarithm, in the order of the fields
CORRELATIONS = np.array(
    [
        # energy, boldness, playfulness, itchiness, drowsiness
        [1.0, 0.3, 0.5, 0.0, -0.5],
        [0.3, 1.0, 0.5, 0.0, -0.1],
        [0.5, 0.5, 1.0, 0.0, -0.3],
        [0.0, 0.0, 0.0, 1.0, -0.1],
        [-0.5, -0.1, -0.3, -0.1, 1.0],
    ]
)
_MIX = np.linalg.cholesky(CORRELATIONS)


@dataclass(frozen=True)
class Temperament:
    """Traits of an individual, each beside the average animal (1)."""

    energy: float = 1.0
    """How active at any hour."""
    boldness: float = 1.0
    """How much it explores."""
    playfulness: float = 1.0
    """How often it plays and runs."""
    itchiness: float = 1.0
    """How often it scratches, though nothing is wrong."""
    drowsiness: float = 1.0
    """How readily it falls asleep."""


def draw_temperament(rng: np.random.Generator) -> Temperament:
    """A temperament of the population; the median of each trait is 1."""
    traits = np.exp(np.array(SPREADS) * (_MIX @ rng.standard_normal(len(SPREADS))))
    return Temperament(*traits.tolist())
