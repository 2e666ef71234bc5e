"""Named courses of events: what may befall an animal and its collar, and how often.

A scenario is declared, not programmed: rates, one lasting complaint, and one incident whose moment
whoever starts the animal chooses. Everything else of a life is the same in all of them, but that an
animal is not taken out in the hours before something comes over it, as far as they are still to be
lived when the moment is chosen: a live phase chooses it a minute ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collar_sim.animal.ethogram.anomaly import Anomaly
from collar_sim.animal.life.habits import Errand


class Scenario(StrEnum):
    """A named course of events."""

    CALM_DAY = "calm_day"
    """Nothing is wrong."""
    ESCAPE = "escape"
    """At an instant it runs away, and nobody catches it."""
    LAME_LEFT_FRONT = "lame_left_front"
    """It spares its left front leg, all the time."""
    ITCHY = "itchy"
    """It scratches many times as often as others, day and night."""
    SEIZURE_LIKE = "seizure_like"
    """At an instant it convulses; again some hours later, as fits in clusters do."""
    LOST_COLLAR = "lost_collar"
    """At an instant the collar falls off and stays where it fell."""
    POWER_CUT = "power_cut"
    """At an instant the collar is without power, for some minutes."""
    BUSY = "busy"
    """Healthy, and someone sees to it that all behaviours occur within hours: to learn from."""
    SICK = "sick"
    """Frequent episodes of everything that may be wrong, and a fever: to learn from."""


class Incident(StrEnum):
    """What happens once, at an instant."""

    ESCAPE = "escape"
    SEIZURE = "seizure"
    COLLAR_FALLS = "collar_falls"
    POWER_CUT = "power_cut"


@dataclass(frozen=True)
class Course:
    """How often something happens in a scenario."""

    errands_per_day: Mapping[Errand, float] = field(default_factory=dict[Errand, float])
    """Beside the meals at their hours."""
    episodes_per_day: Mapping[Anomaly, float] = field(default_factory=dict[Anomaly, float])
    lasting: Anomaly = Anomaly.NONE
    """What is wrong all the time."""
    fever_c: float = 0.0
    """Above its own temperature, in kelvin."""
    incident: Incident | None = None


OUTINGS = {  # asked around the clock, granted by day
    Errand.RIDE: 0.3,  # about one a week
    Errand.WALK_OUT: 1.7,  # one a day: Westgarth et al. 2019, doi:10.1038/s41598-019-41254-6
}
KEPT_IN_S = 2 * 3600  # before an escape or a fit: longer than a walk or a ride lasts
POWER_CUT_S = 600  # a battery pulled and put back, or a collar switched off by mistake
COURSES: Mapping[Scenario, Course] = {
    Scenario.CALM_DAY: Course(OUTINGS),
    Scenario.ESCAPE: Course(OUTINGS, incident=Incident.ESCAPE),
    Scenario.LAME_LEFT_FRONT: Course(OUTINGS, lasting=Anomaly.LIMP),
    Scenario.ITCHY: Course(OUTINGS, lasting=Anomaly.ITCH),
    Scenario.SEIZURE_LIKE: Course(
        OUTINGS,
        # two fits or more within a day are a cluster: Berendt 2015, doi:10.1186/s12917-015-0461-2
        episodes_per_day={Anomaly.SEIZURE: 3.0},
        incident=Incident.SEIZURE,
    ),
    Scenario.LOST_COLLAR: Course(OUTINGS, incident=Incident.COLLAR_FALLS),
    Scenario.POWER_CUT: Course(OUTINGS, incident=Incident.POWER_CUT),
    Scenario.BUSY: Course(
        {
            Errand.RIDE: 24.0,
            Errand.WALK_OUT: 12.0,
            Errand.MEAL: 40.0,
            Errand.WATER: 90.0,
            Errand.NAP: 45.0,
            Errand.GAME: 120.0,
            Errand.ITCH: 240.0,
        }
    ),
    Scenario.SICK: Course(
        {Errand.RIDE: 0.3, Errand.WALK_OUT: 8.0, Errand.WATER: 40.0, Errand.GAME: 30.0},
        episodes_per_day={  # a limp shows only while it walks, an itch only while it scratches
            Anomaly.LIMP: 70.0,
            Anomaly.TREMOR: 30.0,
            Anomaly.ITCH: 50.0,
            Anomaly.SEIZURE: 12.0,
        },
        fever_c=1.2,
    ),
}
