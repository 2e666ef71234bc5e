"""What the animal does, with ground truth: behaviour, gait, IMU, body, movement, GNSS, radio."""

from collar_sim.animal.animal import Animal
from collar_sim.animal.anomaly import Anomaly
from collar_sim.animal.body import BodyMinute
from collar_sim.animal.gnss import GnssMinute, Measurement
from collar_sim.animal.minute import AnimalMinute
from collar_sim.animal.profile import Profile, Species
from collar_sim.animal.radio import Radio
from collar_sim.animal.scenario import Incident, Scenario
from collar_sim.animal.wear import Wear

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
