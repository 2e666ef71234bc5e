"""Which columns hold the motion: named by the user, or recognised by common spellings."""

import re

from collar_sim.replay.errors import RecordingError
from collar_sim.replay.table import TableFile

AXES = "xyz"
ACC = r"(?:a|acc|accel|accelero|accelerometer|acceleration|linear_?acceleration|lacc)"
GYR = r"(?:g|w|gyr|gyro|gyroscope|angular_?(?:velocity|rate|speed)|rot|rotation_?rate|omega)"
TAIL = r"(?:[_ ]?\(?(?:g|m/?s\^?2|m_?s_?2|mps2|ms-2|dps|deg/?_?s|rad/?_?s|degs|rads)\)?)?"
SIDE = r"(?:collar|neck|an|imu|sensor)"


def acceleration(file: TableFile, named: list[str]) -> list[str]:
    """The columns of acceleration, x, y, z."""
    return _axes(file, named, ACC, "--acc-columns", "acceleration", "acc_x,acc_y,acc_z")


def rotation(file: TableFile, named: list[str]) -> list[str]:
    """The columns of rotation, x, y, z; the models cannot do without."""
    return _axes(file, named, GYR, "--gyr-columns", "rotation (gyroscope)", "gyr_x,gyr_y,gyr_z")


def recognised(names: list[str], stem: str) -> list[str]:
    """Of these names, one for each axis, if exactly one fits each; else none.

    >>> recognised(["t", "acc_x_g", "acc_y_g", "acc_z_g", "AccT"], ACC)
    ['acc_x_g', 'acc_y_g', 'acc_z_g']
    >>> recognised(["GyroX", "GyroY", "GyroZ", "gx"], GYR)
    []
    """
    found: list[str] = []
    for axis in AXES:
        pattern = re.compile(rf"(?:{SIDE}[_ .-])?{stem}[_ .-]?{axis}{TAIL}", re.IGNORECASE)
        fitting = [name for name in names if pattern.fullmatch(name)]
        if len(fitting) != 1:
            return []
        found += fitting
    return found


def _axes(
    file: TableFile, named: list[str], stem: str, option: str, what: str, example: str
) -> list[str]:
    if named:
        if len(named) != 3 or len(set(named)) != 3:
            raise RecordingError(f"{option} needs three columns, as {example}")
        return [file.require(name, option, what) for name in named]
    found = recognised(file.names, stem)
    if found:
        return found
    raise RecordingError(
        f"{file.path.name} has no columns that are clearly {what} in x, y and z. "
        f"It has: {', '.join(file.names[:40])}. Name them with {option} {example}"
    )
