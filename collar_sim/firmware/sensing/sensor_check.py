"""Whether the motion sensor can be believed: what it says of itself, second by second.

A broken wire, a brown-out of the sensor or a hung bus give no number at all, or the same number
for ever. A living sensor never repeats itself: its noise moves the last bits, also on an animal
that sleeps, and on a collar that lies in the grass.
"""

from datetime import datetime, timedelta

import numpy as np

from collar_sim.arrays import BoolArray
from collar_sim.firmware.sensing.epochs import RATE_HZ
from plugins.sdk.arrays import FloatArray

WHOLE_AGAIN = timedelta(seconds=30)
"""Without a fault, so that a loose contact is one fault and not a hundred."""
SAID_AGAIN = timedelta(hours=23)
"""While it is broken, so that who looks at one day always finds it."""
ACCELERATION = slice(0, 3)
"""Axes that are watched for being stuck: their noise is some steps of their grid, so that 25 equal
samples are rarer than one in 10^9. The gyroscope's noise is below its step: at rest it repeats."""


def sound_seconds(imu: FloatArray) -> BoolArray:
    """Which seconds of a stretch can be believed.

    Args:
        imu: Shape (samples, 6) at 25 Hz, whole seconds: g, then deg/s.

    Returns:
        Shape (seconds,): False where a sample is no number, or an axis of acceleration did not
        move by one step of its grid in the whole second.

    >>> imu = np.random.default_rng(1).normal(0.0, 0.01, (75, 6)).astype(np.float32)
    >>> imu[30, 4], imu[50:75, 2] = np.nan, 0.98
    >>> sound_seconds(imu).tolist()
    [True, False, False]
    """
    seconds = imu.reshape(-1, RATE_HZ, 6)
    acc = seconds[:, :, ACCELERATION]
    stuck = _still(acc[:, ::8])  # four samples clear nearly all of them
    if stuck.any():
        stuck = _still(acc)
    with np.errstate(invalid="ignore"):
        if np.isfinite(imu.sum()):  # no reading is so large that a sum of them is not
            return ~stuck
    return np.isfinite(seconds).all(axis=(1, 2)) & ~stuck


def _still(acc: FloatArray) -> BoolArray:
    return (acc[:, 1:] == acc[:, :1]).all(axis=1).any(axis=1)


def without(imu: FloatArray, sound: BoolArray) -> FloatArray:
    """The samples with the other seconds made still, for what must see no nonsense.

    They repeat the last sample that could be believed, or the first that can; a stretch without
    any is at rest on its back.

    Args:
        imu: Shape (samples, 6).
        sound: Shape (seconds,), as `sound_seconds` gives them.

    >>> imu = np.arange(450, dtype=np.float32).reshape(75, 6)
    >>> without(imu, np.array([True, False, True]))[[24, 25, 49, 50], 0].tolist()
    [144.0, 144.0, 144.0, 300.0]
    """
    if sound.all():
        return imu
    still = imu.copy()
    seconds = still.reshape(-1, RATE_HZ, 6)
    good = np.flatnonzero(sound)
    if not len(good):
        still[:] = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        return still
    for second in np.flatnonzero(~sound):
        before = good[good < second]
        seconds[second] = seconds[before[-1], -1] if len(before) else seconds[good[0], 0]
    return still


class SensorWatch:
    """Notices that the sensor broke, once a day that it still is, and once that it is whole."""

    def __init__(self) -> None:
        self._broke_at: datetime | None = None
        self._said_at: datetime | None = None
        self._last_at: datetime | None = None

    def minute(
        self, sound: BoolArray, sampled: BoolArray, start_at: datetime
    ) -> list[tuple[datetime, float]]:
        """When something is to be said, and how long the fault lasted: 0 as long as it does.

        Args:
            sound: Shape (60,), as `sound_seconds` gives them.
            sampled: Shape (60,), the seconds in which there was anything to be believed.
            start_at: Of the minute.
        """
        if self._broke_at is None and (sound | ~sampled).all():
            return []
        said: list[tuple[datetime, float]] = []
        for second in np.flatnonzero(sampled).tolist():
            at = start_at + timedelta(seconds=second)
            end_at = at + timedelta(seconds=1)
            if not sound[second]:
                self._broke_at = self._broke_at or at
                if self._said_at is None or end_at - self._said_at >= SAID_AGAIN:
                    self._said_at = end_at
                    said.append((end_at, 0.0))
                self._last_at = end_at
                continue
            broke_at, last_at = self._broke_at, self._last_at
            if broke_at and last_at and end_at - last_at >= WHOLE_AGAIN:
                said.append((end_at, (last_at - broke_at).total_seconds()))
                self._broke_at = self._said_at = self._last_at = None
        return said
