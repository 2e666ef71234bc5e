"""What the user says about a motion file, and which column is therefore what."""

from dataclasses import dataclass, field
from datetime import datetime

from collar_sim.replay import axes
from collar_sim.replay.table import TableFile
from collar_sim.replay.units import AccUnit, GyrUnit

DOG, SESSION, TIME, LABEL, RATE_HZ = "dog", "session", "t", "activity", 16.4


@dataclass(frozen=True, kw_only=True)
class MotionMapping:
    """What the user says about the file; None where nothing was said."""

    animal_column: str | None = None
    animal: str | None = None
    """All rows are of one animal, of this name."""
    label_column: str | None = None
    session_column: str | None = None
    time_column: str | None = None
    start_at: datetime | None = None
    rate_hz: float | None = RATE_HZ
    """None: each session's own, by its time column."""
    acc_unit: AccUnit = AccUnit.MPS2
    gyr_unit: GyrUnit = GyrUnit.DPS
    acc_columns: list[str] = field(default_factory=list[str])
    gyr_columns: list[str] = field(default_factory=list[str])


class Columns:
    """Which column is what."""

    def __init__(self, file: TableFile, mapping: MotionMapping) -> None:
        self.acc = axes.acceleration(file, mapping.acc_columns)
        self.gyr = axes.rotation(file, mapping.gyr_columns)
        self.animal = None
        if mapping.animal is None:
            name = mapping.animal_column or DOG
            self.animal = file.require(
                name, "--animal-column (or say whose all rows are: --animal NAME)", "the animal"
            )
        self.session = _optional(file, mapping.session_column, SESSION, "--session-column")
        self.label = _optional(file, mapping.label_column, LABEL, "--label-column")
        self.time = _optional(file, mapping.time_column, TIME, "--time-column")
        if self.time is None and mapping.start_at is None:
            file.require(
                TIME,
                "--time-column; without one, say when the recording began, and its rate: "
                "--start-at 2024-05-01T08:00:00Z --rate-hz 50",
                "the time",
            )

    @property
    def needed(self) -> list[str]:
        """Columns to read."""
        single = (self.animal, self.session, self.label, self.time)
        return list(dict.fromkeys([*self.acc, *self.gyr, *filter(None, single)]))

    def described(self) -> dict[str, object]:
        """For the report."""
        return {
            "animal": self.animal,
            "session": self.session,
            "label": self.label,
            "time": self.time,
            "acc": self.acc,
            "gyr": self.gyr,
        }


def _optional(file: TableFile, named: str | None, usual: str, option: str) -> str | None:
    if named is not None:
        return file.require(named, option, option.removeprefix("--").replace("-", " "))
    return usual if usual in file.names else None
