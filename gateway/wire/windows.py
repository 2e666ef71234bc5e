"""Packed windows: bulk samples travel as one int16 array with its scales in the message."""

import numpy as np
from numpy.typing import NDArray

from gateway.wire.messages import Window
from plugins.sdk.arrays import FloatArray

ACC_G_PER_LSB = 1 / 4096  # +-8 g over int16
GYR_DPS_PER_LSB = 1 / 16.4  # +-2000 deg/s over int16


def pack(window: FloatArray) -> bytes:
    """A window as int16 little-endian; beyond full scale it clips, as the sensor does.

    Args:
        window: Shape (n, 6): acceleration in g, rotation in deg/s.

    >>> len(pack(np.zeros((100, 6), np.float32)))
    1200
    """
    scaled = np.asarray(window, np.float64) / _scale(ACC_G_PER_LSB, GYR_DPS_PER_LSB)
    return np.clip(np.rint(scaled), -32768, 32767).astype("<i2").tobytes()


def unpack(message: Window) -> FloatArray:
    """The window's samples, shape (n, 6): g and deg/s."""
    raw = np.frombuffer(message.samples, "<i2").reshape(-1, 6)
    return (raw * _scale(message.acc_g_per_lsb, message.gyr_dps_per_lsb)).astype(np.float32)


def _scale(acc: float, gyr: float) -> NDArray[np.float64]:
    return np.array([acc] * 3 + [gyr] * 3)
