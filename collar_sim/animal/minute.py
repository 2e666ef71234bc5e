"""What an animal hands out: what its sensors would say of a minute, and what really happened."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.life.body import BodyMinute
from collar_sim.animal.place.ground import GroundArray
from collar_sim.animal.signals.gnss import GnssMinute
from collar_sim.arrays import FloatArray, Samples


@dataclass(frozen=True)
class AnimalMinute:
    """One minute of one animal. Arrays of truth hold one value per second."""

    start_at: datetime
    imu: Samples
    """Shape (1500, 6) at 25 Hz: g, then deg/s, on the wire's int16 grid."""
    gnss: GnssMinute
    """What the receiver would report at each second."""
    behaviour: NDArray[np.str_]
    anomaly: NDArray[np.str_]
    """``limp``, ``tremor``, ``seizure``, ``itch`` or empty."""
    speed_mps: FloatArray
    gait_hz: FloatArray
    """Strides per second; 0 when it does not travel."""
    lat_deg: FloatArray
    """Of the animal, wherever its collar is."""
    lon_deg: FloatArray
    body: BodyMinute
    worn: NDArray[np.bool_]
    """False from when the collar fell off."""
    powered: NDArray[np.bool_]
    """False while the collar is without power."""
    at_home_wifi: NDArray[np.bool_]
    """Whether the collar hears the home's access point."""
    ground: GroundArray
    """Truth: what the animal is on, as `ground.Ground`."""
