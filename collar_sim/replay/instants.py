"""A recording's instants, however they were written: dates, ISO text, or numbers since something.

Numbers are read as seconds, milliseconds, microseconds or nanoseconds since 1970 where that gives
a date between 1990 and the present, else as counted from the recording's own beginning; then
somebody must say when that was.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collar_sim.arrays import FloatArray
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.table import Table, plain_column

MicroArray = NDArray[np.int64]

UNITS_US = (1e6, 1e3, 1.0, 1e-3)  # s, ms, us, ns
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # no logger is older; below lie wrong units
MISSING = np.iinfo(np.int64).min
MOST_US = 2.0**62  # either side of zero, and 146,000 years: beyond, differences leave an int64


@dataclass(frozen=True)
class Instants:
    """One per row."""

    us: MicroArray
    """Microseconds since 1970, or since the recording's own zero; `MISSING` where there is none."""
    is_relative: bool = False
    """Counted from a zero of its own, in ``raw`` units that are not known yet."""
    raw: FloatArray | None = None


def read_instants(table: Table, name: str, option: str = "--time-column") -> Instants:
    """The column's instants; dates without a zone are taken as UTC.

    Raises:
        RecordingError: It holds none.
    """
    arrow, column = plain_column(table.columns[name], name)
    kind = arrow.types
    if kind.is_string(column.type) or kind.is_large_string(column.type):
        column = _from_text(arrow, column, name, option)
    if kind.is_timestamp(column.type) or kind.is_date(column.type):
        try:
            us = column.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64())
        except arrow.ArrowException as error:
            raise RecordingError(f"column {name} holds no instants: {error}") from None
        known = np.asarray(us.fill_null(MISSING).to_numpy(), np.int64)
        known = np.where(np.abs(known) <= MOST_US, known, MISSING)
        return _checked(Instants(known), name)
    if kind.is_duration(column.type):
        column = column.cast(arrow.int64())
        table = Table(table.path, table.rows, {name: column})
    return _checked(_from_numbers(table.numbers(name)), name)


def in_unit(raw: FloatArray, unit_us: float) -> MicroArray:
    """Numbers of a unit, in microseconds."""
    with np.errstate(over="ignore"):
        values = raw * unit_us
    values = np.where(np.abs(values) <= MOST_US, values, np.nan)
    whole = np.rint(np.nan_to_num(values, nan=0.0)).astype(np.int64)
    return np.where(np.isnan(values), MISSING, whole)


def require_plausible(us: MicroArray, name: str, now: datetime) -> None:
    """See that the gateway will believe these instants.

    Raises:
        RecordingError: They begin before any collar was made, or end ahead of us.
    """
    try:
        first, last = to_datetime(int(us.min())), to_datetime(int(us.max()))
    except OverflowError:
        raise RecordingError(
            f"column {name} reaches beyond every calendar, so it is damaged or no column of "
            "instants. Name another one with --time-column, or give the beginning with --start-at"
        ) from None
    if first < EARLIEST:
        raise RecordingError(
            f"column {name} goes back to {first:%Y-%m-%d}, before there were collars. Leave these "
            "rows out or, if the logger's clock was not set, give the beginning with --start-at"
        )
    if last > now:
        raise RecordingError(
            f"column {name} reaches into the future ({last:%Y-%m-%d %H:%M:%S}Z): the gateway would "
            "refuse that. If the logger's clock was wrong, give the beginning with --start-at"
        )


def to_us(at: datetime) -> int:
    """An instant in microseconds since 1970."""
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def to_datetime(us: int) -> datetime:
    """Microseconds since 1970 as an instant.

    >>> to_datetime(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _from_text(arrow: Any, column: Any, name: str, option: str) -> Any:
    for kind in (arrow.float64(), arrow.timestamp("us"), arrow.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except (arrow.ArrowException, NotImplementedError):
            continue
    example = next((each for each in column.to_pylist() if each), "nothing")
    raise RecordingError(
        f"column {name} holds {str(example)[:40]!r}, which is no instant: write ISO 8601 "
        f"(2024-05-01 08:00:00) or seconds since 1970, or name another column with {option}"
    )


def _from_numbers(raw: FloatArray) -> Instants:
    middle = float(np.nanmedian(raw))
    low, high = to_us(EARLIEST), to_us(datetime.now(UTC) + timedelta(days=366))
    for unit_us in UNITS_US:
        if low <= middle * unit_us <= high:
            return Instants(in_unit(raw, unit_us))
    return Instants(in_unit(raw, 1.0), is_relative=True, raw=raw)


def _checked(instants: Instants, name: str) -> Instants:
    if (instants.us == MISSING).all():
        raise RecordingError(f"column {name} holds no instant in any row. Name another column")
    return instants
