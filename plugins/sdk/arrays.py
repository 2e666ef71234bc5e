"""The arrays that samples, windows and what models say of them are made of."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
"""As a sensor and a microcontroller have them; places and movement take twice as much."""
