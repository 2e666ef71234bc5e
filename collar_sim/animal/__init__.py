"""What the animal does, with ground truth: behaviour, gait, IMU, movement, GNSS, radio loss."""

from collar_sim.animal.animal import Animal, AnimalMinute, Scenario
from collar_sim.animal.anomaly import Anomaly
from collar_sim.animal.gnss import GnssMinute, Measurement
from collar_sim.animal.profile import Profile, Species
from collar_sim.animal.radio import Radio
from collar_sim.animal.wear import Wear

__all__ = [
    "Animal",
    "AnimalMinute",
    "Anomaly",
    "GnssMinute",
    "Measurement",
    "Profile",
    "Radio",
    "Scenario",
    "Species",
    "Wear",
]
