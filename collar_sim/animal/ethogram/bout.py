"""One stretch of one behaviour, and the part of it that lies in a minute."""

from dataclasses import dataclass

from collar_sim.animal.ethogram.anomaly import HEALTHY, Episode, Phase
from collar_sim.animal.ethogram.ride import Ride
from plugins.sdk.behaviours import Behaviour


@dataclass(frozen=True)
class Bout:
    """One stretch of one behaviour, as the animal does it this time."""

    behaviour: Behaviour
    rhythm_hz: float
    froude: float = 0.0
    """0 when it does not go at a gait."""
    speed_mps: float = 0.0
    pitch_deg: float = 0.0
    """Of what the unit sits on: neck or trunk."""
    lean_deg: float = 0.0
    away: bool = False
    """Straight away from home: an escape."""
    leaving: bool = False
    """It leaves home with its owner, for a walk."""
    ride: Ride | None = None
    fit: Episode = HEALTHY
    """The fit that this bout is a phase of."""

    @property
    def in_fit(self) -> bool:
        """Whether it is a phase of a fit."""
        return self.fit.phase is not Phase.NONE

    @property
    def gait_hz(self) -> float:
        """Strides per second; 0 when it does not go at a gait."""
        return self.rhythm_hz if self.froude > 0 else 0.0


@dataclass(frozen=True)
class Segment:
    """The part of a bout that lies in one minute."""

    start_s: int
    end_s: int
    bout: Bout
    gone_s: int = 0
    """How long the bout had lasted at the segment's start; counted in rides only."""
    episode: Episode = HEALTHY
    """What is wrong and shows in this bout."""
