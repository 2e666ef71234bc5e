"""Which raw windows a collar sends when a grant asks for some: the hard ones, and fair draws.

A model learns most from what it was least sure of, and can be judged only by windows that were
drawn by lot. So every other window is of the one kind, and the draw comes first, over all windows.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from collar_sim.arrays import BoolArray
from collar_sim.firmware.minute import Draft, Seen
from collar_sim.firmware.sensing.epochs import RATE_HZ, WINDOW_S, WINDOW_SAMPLES
from gateway.wire.messages import Choice
from gateway.wire.topics import Kind
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack
from plugins.sdk.arrays import FloatArray


def chosen(
    confidence: Sequence[float],
    per_hour: int,
    minute: int,
    collar_id: str,
    sound: BoolArray | None = None,
) -> dict[int, Choice]:
    """Indices of the windows of a minute that are sent, and why.

    Args:
        confidence: The model's best score of each window.
        per_hour: How many are asked for; what is no whole number a minute evens out.
        minute: Since 1970.
        collar_id: With the minute, decides the lot: the same minute again gives the same windows.
        sound: Of each second, whether the sensor can be believed; a window that holds another is
            not sent, nor one drawn in its place.

    >>> sorted(chosen([0.9, 0.2, 0.8], 120, 0, "c1").values())
    [<Choice.RANDOM: 'random'>, <Choice.UNCERTAIN: 'uncertain'>]
    """
    usable = set(range(len(confidence)))
    if sound is not None:
        usable = set(np.flatnonzero(sound.reshape(len(confidence), -1).all(axis=1)).tolist())
    numbers = range(minute * per_hour // 60, (minute + 1) * per_hour // 60)
    drawn = min(sum(number % 2 for number in numbers), len(confidence))
    lot = random.Random(f"{collar_id} {minute}").sample(range(len(confidence)), drawn)
    picked = dict.fromkeys(lot, Choice.RANDOM)
    others = sorted(usable - set(lot), key=lambda k: confidence[k])
    picked |= dict.fromkeys(others[: len(numbers) - drawn], Choice.UNCERTAIN)
    return {k: why for k, why in sorted(picked.items()) if k in usable}


def window_drafts(
    start_at: datetime,
    imu: FloatArray,
    seen: Seen,
    per_hour: int,
    collar_id: str,
    sound: BoolArray | None = None,
) -> list[Draft]:
    """Messages with a minute's raw windows, if any are asked for.

    Args:
        start_at: When the minute began.
        imu: Its samples, shape (samples, 6): g and deg/s.
        seen: What the models made of it.
        per_hour: See `chosen`.
        collar_id: See `chosen`.
        sound: See `chosen`.
    """
    if not per_hour:
        return []
    minute = int(start_at.timestamp()) // 60
    end_at = start_at + timedelta(seconds=len(imu) / RATE_HZ)
    windows = np.asarray(imu).reshape(-1, WINDOW_SAMPLES, 6)
    said: list[Draft] = []
    for k, choice in chosen(seen.confidence, per_hour, minute, collar_id, sound).items():
        fields: dict[str, Any] = {
            "rate_hz": float(RATE_HZ),
            "acc_g_per_lsb": ACC_G_PER_LSB,
            "gyr_dps_per_lsb": GYR_DPS_PER_LSB,
            "samples": pack(windows[k]),
            "label": str(seen.said[k]),
            "confidence": round(min(1.0, max(0.0, seen.confidence[k])), 4),
            "choice": choice,
        }
        at = start_at + timedelta(seconds=k * WINDOW_S)
        said.append(Draft(end_at, Kind.WINDOW, at, fields))
    return said
