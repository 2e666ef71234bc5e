"""The arrays that signals and truth are made of."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
"""Of what is computed; what a sensor measures and a model sees is `plugins.sdk.arrays`'."""
BoolArray = NDArray[np.bool_]
Samples = NDArray[np.float32]
"""Of the IMU, shape (n, 6): g, then deg/s (degrees before they are differentiated)."""
