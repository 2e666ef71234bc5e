"""What interrupts an animal: meals at habitual hours, walks, rides, games, an itch.

Whoever it lives with asks by chance, so often a day, and only where and when it makes sense.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from collar_sim.animal.ethogram.anomaly import Anomaly, Episode
from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.life.habits import (
    HUNGRY_AFTER_MIN,
    MEAL_CHANCE,
    MEAL_WITHIN_H,
    RIDE_HOURS,
    WALK_HOURS,
    Errand,
)
from collar_sim.animal.life.scenario import OUTINGS
from collar_sim.arrays import FloatArray

ITCH_PER_MIN = 0.15  # how often an itch of severity 1 interrupts whatever there is, by eye


@dataclass(frozen=True)
class Now:
    """What this minute means for every choice made in it."""

    minute_index: int
    hour: float
    """Local, 0 to 24."""
    level: float
    """How active the animal is, 0 to 1."""
    episode: Episode
    """What is wrong with it."""
    afield: bool = False
    """It is out with its owner."""
    kept_in: bool = False
    """Nobody takes it out."""

    @property
    def lameness(self) -> float:
        """0 when no leg hurts."""
        return self.episode.severity if self.episode.kind is Anomaly.LIMP else 0.0


class Household:
    """Who asks an animal to do something."""

    def __init__(
        self,
        species: Species,
        meal_hours: tuple[float, ...],
        errands_per_day: Mapping[Errand, float],
    ) -> None:
        """Of an animal that is fed at these local hours and asked so often to do something else."""
        self._species = species
        self._meal_hours = meal_hours
        self._chances = {errand: rate / 1440.0 for errand, rate in errands_per_day.items()}

    def asks(self, now: Now, fed_min: int, points: FloatArray) -> Errand | None:
        """The errand that begins in this minute, if any.

        Args:
            now: The minute.
            fed_min: Minute of the last meal, since 1970.
            points: Uniform, shape (1 + number of errands,): the first is the meal's at its hour.
        """
        hungry = now.minute_index - fed_min > HUNGRY_AFTER_MIN and any(
            (now.hour - meal_h) % 24.0 < MEAL_WITHIN_H for meal_h in self._meal_hours
        )
        errand = Errand.MEAL if hungry and points[0] < MEAL_CHANCE else None
        for asked, point in zip(Errand, points[1:].tolist(), strict=True):
            if point < self._chance(asked, now) and errand is None:
                errand = asked
        return errand if errand is not None and self._is_granted(errand, now) else None

    def _is_granted(self, errand: Errand, now: Now) -> bool:
        """Whether this is the place and hour for it."""
        if now.afield:
            return errand is Errand.ITCH
        if now.kept_in and errand in OUTINGS:
            return False
        if errand is Errand.WALK_OUT:
            return self._species is Species.DOG and WALK_HOURS[0] <= now.hour < WALK_HOURS[1]
        return errand is not Errand.RIDE or RIDE_HOURS[0] <= now.hour < RIDE_HOURS[1]

    def _chance(self, errand: Errand, now: Now) -> float:
        """Per minute."""
        chance = self._chances.get(errand, 0.0)
        if errand is Errand.ITCH and now.episode.kind is Anomaly.ITCH:
            chance += ITCH_PER_MIN * now.episode.severity
        return chance
