"""What the animal does, with ground truth.

`Animal` makes it minute by minute. ``ethogram`` has the words for what animals do, ``individual``
what this one is like, ``life`` how its days go, ``place`` where it is, and ``signals`` what of all
that reaches a collar.
"""

from collar_sim.animal.animal import Animal
from collar_sim.animal.ethogram.anomaly import Anomaly
from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.individual.wear import Wear
from collar_sim.animal.life.body import BodyMinute
from collar_sim.animal.life.scenario import Incident, Scenario
from collar_sim.animal.minute import AnimalMinute
from collar_sim.animal.signals.gnss import GnssMinute, Measurement
from collar_sim.animal.signals.radio import Radio

__all__ = [
    "Animal",
    "AnimalMinute",
    "Anomaly",
    "BodyMinute",
    "GnssMinute",
    "Incident",
    "Measurement",
    "Profile",
    "Radio",
    "Scenario",
    "Species",
    "Wear",
]
