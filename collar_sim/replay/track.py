"""A recording of positions, read and checked whole."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from collar_sim.arrays import BoolArray, FloatArray
from collar_sim.firmware.minute import Draft
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.instants import (
    MISSING,
    MicroArray,
    read_instants,
    require_plausible,
    to_datetime,
    to_us,
)
from collar_sim.replay.source import Step
from collar_sim.replay.table import Table, TableFile
from gateway.wire.topics import Kind

TAG = "tag_id"
ACCURACY_M = 15.0  # of a pet tracker under open sky and at walls alike, where the file says nothing
METRES_PER_HDOP = 5.0  # one-sigma range error of a civil receiver
OUTLIER_ACCURACY_M = 500.0  # what marked outliers are sent with: the flag was the quality figure
MAX_ACCURACY_M = 100_000.0
FASTEST_MPS = 60.0  # beyond, the speed is the receiver's mistake and is left out
MOSTLY = 0.5
BATCH = 200

LATITUDE = r"(?:location[_ .-]?)?lat(?:itude)?(?:[_ ]?deg(?:rees)?)?"
LONGITUDE = r"(?:location[_ .-]?)?(?:lon|lng|long|longitude)(?:[_ ]?deg(?:rees)?)?"
INSTANT = r"t|time|timestamp|time_?stamp|date_?time|utc(?:_?time)?|observed_at|recorded_at"
HDOP = r"(?:gps[_ .-]?)?hdop"
ACCURACY = (
    r"(?:h|horizontal|gps|location|eobs[_:]?horizontal)?[_ .-]?accuracy(?:_estimate)?(?:_?m)?"
)
SPEED = r"(?:ground|gps)?[_ .-]?speed(?:_?mps)?"
VISIBLE = r"visible"
OUTLIER = r".*outlier.*"


class SpeedUnit(StrEnum):
    """Of a speed column."""

    MPS = "m/s"
    KMH = "km/h"
    MH = "m/h"


TO_MPS = {SpeedUnit.MPS: 1.0, SpeedUnit.KMH: 1 / 3.6, SpeedUnit.MH: 1 / 3600}


@dataclass(frozen=True, kw_only=True)
class TrackMapping:
    """What the user says about the file; None where nothing was said."""

    animal_column: str | None = None
    animal: str | None = None
    time_column: str | None = None
    lat_column: str | None = None
    lon_column: str | None = None
    accuracy_column: str | None = None
    speed_unit: SpeedUnit | None = None
    """None: metres per hour if no animal could be as fast as the numbers say, else m/s."""
    start_at: datetime | None = None
    """Where the first fix is moved to, if the logger's clock was wrong."""


@dataclass(frozen=True)
class Track:
    """What a recording of positions holds."""

    animals: dict[str, list[Step]]
    rows: int
    refused: dict[str, int]
    """Rows that are no fix of anybody, by reason."""
    outliers: int
    """Fixes that are marked as such, and sent with `OUTLIER_ACCURACY_M`."""
    columns: dict[str, object] = field(default_factory=dict[str, object])


class TrackSource:
    """The fixes of one animal."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    @property
    def steps(self) -> int:
        """See `Source.steps`."""
        return len(self._steps)

    @property
    def first_at(self) -> datetime:
        """See `Source.first_at`."""
        return self._steps[0].began_at

    @property
    def last_at(self) -> datetime:
        """See `Source.last_at`."""
        return self._steps[-1].began_at

    def batches(self, first: int) -> Iterator[list[Step]]:
        """See `Source.batches`."""
        for at in range(first, len(self._steps), BATCH):
            yield self._steps[at : at + BATCH]


def read_track(file: TableFile, mapping: TrackMapping, now: datetime | None = None) -> Track:
    """The recording, checked from end to end.

    Raises:
        RecordingError: It cannot be replayed as it is; says what to do.
    """
    named = {
        "animal": _animal_column(file, mapping),
        "time": _one(file, mapping.time_column, INSTANT, "--time-column", "the time"),
        "lat": _one(file, mapping.lat_column, LATITUDE, "--lat-column", "the latitude"),
        "lon": _one(file, mapping.lon_column, LONGITUDE, "--lon-column", "the longitude"),
        "accuracy": _perhaps(file, mapping.accuracy_column, ACCURACY, "--accuracy-column"),
        "hdop": _perhaps(file, None, HDOP, ""),
        "speed": _perhaps(file, None, SPEED, ""),
        "visible": _perhaps(file, None, VISIBLE, ""),
    }
    marks = [name for name in file.names if re.fullmatch(OUTLIER, name, re.IGNORECASE)]
    table = file.read(list(dict.fromkeys([*filter(None, named.values()), *marks])))
    instants = read_instants(table, str(named["time"]))
    lat, lon = table.numbers(str(named["lat"])), table.numbers(str(named["lon"]))
    _require_degrees(lat, lon, str(named["lat"]), str(named["lon"]))
    refused, good = _sorted_out(table, named, instants.us, lat, lon)
    if not good.any():
        reasons = ", ".join(f"{count} {name}" for name, count in refused.items() if count)
        raise RecordingError(f"{file.path.name} holds no usable fix: {reasons}")
    if instants.is_relative and mapping.start_at is None:
        raise RecordingError(
            f"column {named['time']} counts from a beginning of its own. Say when that was: "
            "--start-at 2024-05-01T08:00:00Z"
        )
    us = instants.us
    if mapping.start_at is not None:
        us = us + (to_us(mapping.start_at) - int(us[good].min()))
    require_plausible(us[good], str(named["time"]), now or datetime.now(UTC))
    outlier = np.zeros(table.rows, bool)
    for mark in marks:
        outlier |= _flags(table, mark)
    fields = _fields(table, named, lat, lon, outlier, mapping.speed_unit)
    animals = _by_animal(table, named["animal"], mapping.animal, us, good, fields, refused)
    return Track(animals, table.rows, refused, int((outlier & good).sum()), {**named})


def _animal_column(file: TableFile, mapping: TrackMapping) -> str | None:
    if mapping.animal is not None:
        return None
    option = "--animal-column (or say whose all rows are: --animal NAME)"
    return file.require(mapping.animal_column or TAG, option, "the animal")


def _perhaps(file: TableFile, named: str | None, pattern: str, option: str) -> str | None:
    if named is not None:
        return file.require(named, option, "the accuracy")
    fitting = [name for name in file.names if re.fullmatch(pattern, name, re.IGNORECASE)]
    return fitting[0] if fitting else None


def _one(file: TableFile, named: str | None, pattern: str, option: str, what: str) -> str:
    if named is not None:
        return file.require(named, option, what)
    fitting = [name for name in file.names if re.fullmatch(pattern, name, re.IGNORECASE)]
    if len(fitting) == 1:
        return fitting[0]
    state = f"several columns for {what}" if fitting else f"no column that is clearly {what}"
    raise RecordingError(
        f"{file.path.name} has {state}. It has: {', '.join(file.names[:40])}. "
        f"Name the right one with {option}"
    )


def _require_degrees(lat: FloatArray, lon: FloatArray, lat_name: str, lon_name: str) -> None:
    known = np.isfinite(lat) & np.isfinite(lon)
    if not known.any():
        raise RecordingError(f"columns {lat_name} and {lon_name} never hold both a number")
    wide = (np.abs(lat[known]) > 90).mean() > MOSTLY
    far = (np.abs(lon[known]) > 180).mean() > MOSTLY
    if wide and not far and (np.abs(lon[known]) <= 90).mean() > MOSTLY:
        raise RecordingError(
            f"column {lat_name} holds values beyond 90 degrees, {lon_name} does not: they are "
            f"swapped. Give --lat-column {lon_name} --lon-column {lat_name}"
        )
    if wide or far:
        name, values = (lat_name, lat) if wide else (lon_name, lon)
        usual = float(np.median(np.abs(values[known])))
        raise RecordingError(
            f"column {name} holds no degrees, but numbers such as {usual:.7g}. "
            "Positions must be WGS 84, in decimal degrees: convert them, or name other columns "
            "with --lat-column and --lon-column"
        )


def _sorted_out(
    table: Table,
    named: dict[str, str | None],
    us: MicroArray,
    lat: FloatArray,
    lon: FloatArray,
) -> tuple[dict[str, int], BoolArray]:
    good = np.ones(table.rows, bool)
    refused: dict[str, int] = {}

    def leave_out(reason: str, bad: BoolArray) -> None:
        nonlocal good
        refused[reason] = int((good & bad).sum())
        good &= ~bad

    if named["visible"] is not None:
        leave_out("not_visible", ~_flags(table, named["visible"], empty=True))
    leave_out("without_time", us == MISSING)
    leave_out("without_position", ~(np.isfinite(lat) & np.isfinite(lon)))
    with np.errstate(invalid="ignore"):
        leave_out("out_of_range", (np.abs(lat) > 90) | (np.abs(lon) > 180))
        leave_out("at_zero_zero", (np.abs(lat) < 1e-6) & (np.abs(lon) < 1e-6))
    return refused, good


def _flags(table: Table, name: str, *, empty: bool = False) -> BoolArray:
    """A column of yes and no, however written."""
    words = table.words(name)
    yes = [each.lower() in ("true", "t", "yes", "y", "1", "1.0") for each in words.words]
    return np.asarray([*yes, empty], bool)[words.codes]  # the code of an empty cell is -1


def _fields(
    table: Table,
    named: dict[str, str | None],
    lat: FloatArray,
    lon: FloatArray,
    outlier: BoolArray,
    unit: SpeedUnit | None,
) -> list[dict[str, Any]]:
    """Of each row, what its message would say; rows without a position too."""
    hdop = table.numbers(named["hdop"]) if named["hdop"] else np.full(table.rows, np.nan)
    accuracy = np.where(outlier, OUTLIER_ACCURACY_M, ACCURACY_M)
    accuracy = np.where(hdop > 0, hdop * METRES_PER_HDOP, accuracy)
    if named["accuracy"]:
        given = table.numbers(named["accuracy"])
        accuracy = np.where(given > 0, given, accuracy)
    accuracy = np.minimum(accuracy, MAX_ACCURACY_M)
    speed = np.full(table.rows, np.nan)
    if named["speed"]:
        speed = _in_mps(table.numbers(named["speed"]), unit)
    made: list[dict[str, Any]] = []
    for row in range(table.rows):
        fields: dict[str, Any] = {
            "lat_deg": round(float(lat[row]), 7),
            "lon_deg": round(float(lon[row]), 7),
            "accuracy_m": round(float(accuracy[row]), 1),
        }
        if 0 <= hdop[row] <= 100:
            fields["hdop"] = round(float(hdop[row]), 2)
        if 0 <= speed[row] <= FASTEST_MPS:
            fields["speed_mps"] = round(float(speed[row]), 3)
        made.append(fields)
    return made


def _in_mps(speed: FloatArray, unit: SpeedUnit | None) -> FloatArray:
    if unit is None:
        moving = speed[speed > 0]
        is_absurd = len(moving) > 0 and float(np.median(moving)) > FASTEST_MPS
        unit = SpeedUnit.MH if is_absurd else SpeedUnit.MPS
    return speed * TO_MPS[unit]


def _by_animal(
    table: Table,
    column: str | None,
    animal: str | None,
    us: MicroArray,
    good: BoolArray,
    fields: list[dict[str, Any]],
    refused: dict[str, int],
) -> dict[str, list[Step]]:
    names: list[str | None] = [animal] * table.rows
    if column is not None:
        words = table.words(column)
        named = [*words.words, None]
        names = [named[code] for code in words.codes.tolist()]
    animals: dict[str, list[Step]] = {}
    refused["without_animal"] = refused["repeated"] = 0
    seen: set[tuple[str, int, float, float]] = set()
    for row in np.argsort(us, kind="stable").tolist():
        if not good[row]:
            continue
        name, said = names[row], fields[row]
        if name is None:
            refused["without_animal"] += 1
            continue
        same = name, int(us[row]), said["lat_deg"], said["lon_deg"]
        if same in seen:
            refused["repeated"] += 1
            continue
        seen.add(same)
        at = to_datetime(int(us[row]))
        animals.setdefault(name, []).append(Step(at, [Draft(at, Kind.FIX, at, said)]))
    if not animals:
        raise RecordingError(f"column {column} names no animal in any usable row")
    return animals
