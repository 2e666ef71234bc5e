"""Units of motion, and whether the numbers can be what the user says they are.

Gravity is always there: the median of |acceleration| of an animal is near 1 g whatever it does.
Rotation has no such mark; a moving animal turns its collar by hundreds of degrees a second.
"""

import math
from enum import StrEnum

import numpy as np

from collar_sim.replay.errors import RecordingError
from plugins.sdk.arrays import FloatArray

STANDARD_G = 9.80665
AT_REST_G = (0.6, 1.6)  # median of |a|: below 1 on a clipped axis, above in a gallop
MOVES_G = 0.3  # 99th percentile of what |a| differs from its median by
MIN_TURN_DPS = 25.0  # of a moving animal, 99.9th percentile; real ones reach 200 to 1,500
MAX_TURN_DPS = 4_500.0  # twice what collar gyroscopes measure


class AccUnit(StrEnum):
    """Of acceleration."""

    MPS2 = "m/s2"
    G = "g"


class GyrUnit(StrEnum):
    """Of rotation."""

    DPS = "deg/s"
    RADPS = "rad/s"


TO_G = {AccUnit.MPS2: 1.0 / STANDARD_G, AccUnit.G: 1.0}
TO_DPS = {GyrUnit.DPS: 1.0, GyrUnit.RADPS: math.degrees(1.0)}


def require_acceleration(acc_g: FloatArray, columns: list[str], unit: AccUnit) -> None:
    """See that gravity is there.

    Args:
        acc_g: Shape (n, 3), as converted from ``unit``; NaN where nothing was measured.
        columns: Their names.
        unit: What the user said.

    Raises:
        RecordingError: It is not; says which unit would fit.
    """
    median_g = float(np.nanmedian(_size(acc_g)))
    if _is_gravity(median_g):
        return
    names, recorded = ", ".join(columns), median_g / TO_G[unit]
    other = AccUnit.G if unit is AccUnit.MPS2 else AccUnit.MPS2
    if _is_gravity(recorded * TO_G[other]):
        raise RecordingError(
            f"{names}: the median of |acceleration| is {recorded:.3g}, which is gravity in "
            f"{other.value}, not in {unit.value}. Give --acc-unit {other.value}"
        )
    raise RecordingError(
        f"{names}: the median of |acceleration| is {recorded:.3g}, which is gravity neither in "
        "m/s2 (9.8) nor in g (1). Raw counts must be scaled before; acceleration without gravity "
        "cannot be replayed. Name other columns with --acc-columns"
    )


def require_same(acc_g: FloatArray, columns: list[str], unit: AccUnit, session: str) -> None:
    """See that one session is in the same unit as the whole file.

    Raises:
        RecordingError: It is in the other one.
    """
    size = _size(acc_g)
    if not np.isfinite(size).any():
        return
    median_g = float(np.nanmedian(size))
    other = AccUnit.G if unit is AccUnit.MPS2 else AccUnit.MPS2
    if not _is_gravity(median_g) and _is_gravity(median_g / TO_G[unit] * TO_G[other]):
        raise RecordingError(
            f"{', '.join(columns)}: session {session} is in {other.value}, the file as a whole in "
            f"{unit.value}. Bring them to one unit, or replay them as two files"
        )


def require_rotation(imu: FloatArray, columns: list[str], unit: GyrUnit) -> None:
    """See that the animal turns as animals do.

    Args:
        imu: Shape (n, 6), as converted from ``unit``.
        columns: Of the rotation.
        unit: What the user said.

    Raises:
        RecordingError: It turns too slowly for how it moves, or too fast for any gyroscope.
    """
    acc_g = _size(imu[:, :3])
    moves_g = float(np.nanpercentile(np.abs(acc_g - np.nanmedian(acc_g)), 99))
    turn_dps = float(np.nanpercentile(_size(imu[:, 3:]), 99.9))
    names, recorded = ", ".join(columns), turn_dps / TO_DPS[unit]
    if unit is GyrUnit.DPS and moves_g > MOVES_G and turn_dps < MIN_TURN_DPS:
        if turn_dps == 0.0:
            raise RecordingError(
                f"{names}: all 0, though the animal moves: there was no gyroscope, and the models "
                "need one. Name other columns with --gyr-columns"
            )
        raise RecordingError(
            f"{names}: the animal moves, but hardly ever turns faster than {recorded:.3g} deg/s: "
            "that looks like rad/s. Give --gyr-unit rad/s"
        )
    if turn_dps > MAX_TURN_DPS:
        remedy = (
            "that looks like deg/s. Give --gyr-unit deg/s"
            if unit is GyrUnit.RADPS
            else "no gyroscope measures that. Raw counts must be scaled before"
        )
        raise RecordingError(f"{names}: rotation reaches {recorded:.4g} {unit.value}: {remedy}")


def _size(vectors: FloatArray) -> FloatArray:
    return np.sqrt(np.einsum("ni,ni->n", vectors, vectors))


def _is_gravity(median_g: float) -> bool:
    return AT_REST_G[0] <= median_g <= AT_REST_G[1]
