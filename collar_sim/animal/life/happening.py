"""The incident of one animal's scenario: when it happens, and what of it befalls the collar."""

from dataclasses import dataclass

import numpy as np

from collar_sim.animal.life.scenario import KEPT_IN_S, POWER_CUT_S, Incident
from collar_sim.arrays import BoolArray

SUDDEN = {Incident.ESCAPE, Incident.SEIZURE}  # what comes over the animal, not over the collar


@dataclass(frozen=True)
class Happening:
    """What happens once, and when; minutes are whole ones since 1970."""

    incident: Incident | None = None
    """What; None in a scenario without one."""
    at_s: int | None = None
    """Second since 1970; None while nobody has chosen it."""

    def due(self, minute_index: int) -> tuple[Incident, int] | None:
        """What comes over the animal in a minute, and in which second of it, 0 to 59."""
        if self.at_s is None or self.incident is None or self.incident not in SUDDEN:
            return None
        second = self.at_s - minute_index * 60
        return (self.incident, second) if 0 <= second < 60 else None

    def is_near(self, minute_index: int) -> bool:
        """Whether it is about to come over the animal, which is not taken out before."""
        if self.at_s is None or self.incident not in SUDDEN:
            return False
        return 0 <= self.at_s - minute_index * 60 < KEPT_IN_S

    def collar(self, minute_index: int) -> tuple[BoolArray, BoolArray]:
        """In which seconds of a minute the collar is worn, and in which it has power."""
        always = np.ones(60, np.bool_)
        if self.at_s is None:
            return always, always
        since_s = minute_index * 60 + np.arange(60) - self.at_s
        if self.incident is Incident.COLLAR_FALLS:
            return since_s < 0, always
        if self.incident is Incident.POWER_CUT:
            return always, (since_s < 0) | (since_s >= POWER_CUT_S)
        return always, always
