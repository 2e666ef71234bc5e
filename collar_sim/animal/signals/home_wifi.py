"""Where the home's access point is heard, second by second.

Log-distance path loss with shadowing that changes slowly (Rappaport, Wireless Communications,
ch. 4): the loss rises by 28 dB for each ten times the distance, as ITU-R P.1238 gives for homes at
2.4 GHz, and by the outer wall for who is outside. A collar hears worse than a phone: its antenna is
small and lies against a body.
"""

import numpy as np

from collar_sim.animal.drift import Drift
from collar_sim.animal.place.ground import Ground, Neighbourhood
from collar_sim.animal.place.movement import Track
from collar_sim.arrays import BoolArray

SENT_DBM = 20.0  # the legal limit in Europe, antenna included
LOSS_1M_DB = 40.0  # free space at 2.44 GHz
DB_PER_DECADE = 28.0
WALL_DB = 10.0  # brick and a window, by eye
BODY_DB = 10.0  # small antenna on a neck, by eye
SHADOW_DB = 4.0  # by eye; ITU-R P.1238 gives 8 dB between rooms
SHADOW_TAU_S = 20.0
HEARD_DBM = -85.0  # what a small chip needs to stay connected, by eye

_shadow = Drift(SHADOW_TAU_S)


def heard(
    here: Neighbourhood, track: Track, shadow: float, rng: np.random.Generator
) -> tuple[BoolArray, float]:
    """In which seconds of a minute the access point is heard, and the shadowing to carry on.

    Args:
        here: Where the home is.
        track: Of the collar itself.
        shadow: From the minute before, of unit variance.
        rng: Of this minute and stream.
    """
    shadows = _shadow.minute(np.array([shadow]), rng.standard_normal((60, 1)))[:, 0]
    away_m = np.hypot(track.along_m - here.access_point[0], track.across_m - here.access_point[1])
    loss_db = LOSS_1M_DB + DB_PER_DECADE * np.log10(np.maximum(1.0, away_m)) + BODY_DB
    loss_db += WALL_DB * (track.ground != Ground.HOUSE)
    return SENT_DBM - loss_db + SHADOW_DB * shadows > HEARD_DBM, float(shadows[-1])
