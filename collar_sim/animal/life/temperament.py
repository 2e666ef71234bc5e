"""How one animal differs from the average in what it does and when, for life.

Drawn apart from its build: a change of how animals are built changes no life.

Dogs that are playful are also curious and bold: one broad factor is behind these traits, and not
behind others (Svartberg & Forkman 2002, doi:10.1016/S0168-1591(02)00121-1, in 15,329 dogs). The
sizes of the correlations and spreads are by eye.
"""

from dataclasses import dataclass

import numpy as np

from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.life.habits import RHYTHMS

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
CHRONOTYPE_H = 0.7  # by eye
MEAL_SPREAD_H = 0.5  # from household to household, by eye
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
    chronotype_h: float = 0.0
    """How much later than average its day runs, in hours."""
    meal_hours: tuple[float, ...] = ()
    """Hours of its own day at which it is used to being fed."""


def draw_temperament(species: Species, rng: np.random.Generator) -> Temperament:
    """A temperament of the population; the median of each trait is 1."""
    logs = np.array(SPREADS) * (_MIX @ rng.standard_normal(len(SPREADS)))
    energy, boldness, playfulness, itchiness, drowsiness = np.exp(logs).tolist()
    usual = RHYTHMS[species].meal_hours
    chronotype, *habits = np.clip(rng.standard_normal(1 + len(usual)), -1.7, 1.7).tolist()
    return Temperament(
        energy,
        boldness,
        playfulness,
        itchiness,
        drowsiness,
        CHRONOTYPE_H * chronotype,
        tuple(hour + MEAL_SPREAD_H * habit for hour, habit in zip(usual, habits, strict=True)),
    )
