"""Leaves to columns: what a row becomes in its time table.

Leaves were sent by firmware of any version: unknown ones are left aside, absent ones have the
wire's default unless they are hidden, and ill-typed ones refuse the row.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from cloud.ingest.refusal import Refusal, Refused
from gateway.wire.grants import COARSE_LEAF, Grant
from gateway.wire.messages import Choice, FixSource
from gateway.wire.scalars import Name, Seconds, Share
from gateway.wire.topics import Kind
from gateway.wire.uplink import Row

COMMON = (
    *("pet_id", "observed_at", "received_at", "collar_id", "boot", "seq", "grant_id", "sealed"),
    "clock",
)
"""Columns that all time tables begin with; the columns of the kind follow, then the digest."""

PET_ID, OBSERVED_AT, SEQ, OWN, DIGEST = 0, 1, 5, len(COMMON), -1  # places in a stored row

CellIndex = Annotated[int, Meta(ge=-180_000, le=180_000)]
Cell = Annotated[list[CellIndex], Meta(min_length=2, max_length=2)]

_isfinite = math.isfinite
_json = msgspec.json.Encoder().encode


class EpochLeaves(Struct, gc=False):
    """What an epoch's columns are made of."""

    seconds: (
        Annotated[
            dict[Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,23}$")], Seconds], Meta(max_length=32)
        ]
        | None
    ) = None
    period_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    odba_g: Annotated[float, Meta(ge=0, le=64)] = 0.0
    vedba_g: Annotated[float, Meta(ge=0, le=64)] = 0.0
    steps: Annotated[int, Meta(ge=0, le=100_000)] = 0
    anomaly: Share = 0.0
    windows: Annotated[int, Meta(ge=0, le=100_000)] = 0
    windows_unsure: Annotated[int, Meta(ge=0, le=100_000)] = 0
    battery_pct: Annotated[float, Meta(ge=0, le=100)] | None = None


class FixLeaves(Struct, gc=False):
    """What a fix's columns are made of."""

    lat_deg: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon_deg: Annotated[float, Meta(ge=-180, le=180)] | None = None
    position_100m: Cell | None = None
    position_1km: Cell | None = None
    position_10km: Cell | None = None
    accuracy_m: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    source: FixSource = FixSource.GNSS
    age_s: Seconds = 0.0
    hdop: Annotated[float, Meta(ge=0, le=100)] | None = None
    speed_mps: Annotated[float, Meta(ge=0, le=200)] | None = None


class EventLeaves(Struct, gc=False):
    """What an event's columns are made of."""

    name: Name | None = None
    confidence: Share | None = None
    duration_s: Seconds = 0.0
    package: Name | None = None


class WindowLeaves(Struct, gc=False):
    """What a raw window's columns are made of."""

    rate_hz: Annotated[float, Meta(gt=0, le=1000)] | None = None
    acc_g_per_lsb: Annotated[float, Meta(gt=0, le=1)] | None = None
    gyr_dps_per_lsb: Annotated[float, Meta(gt=0, le=100)] | None = None
    samples: Annotated[bytes, Meta(min_length=12, max_length=12_000)] | None = None
    label: Annotated[str, Meta(max_length=48)] | None = None
    confidence: Share | None = None
    choice: Choice | None = None


def _epoch(row: Row, _: Grant) -> tuple[Any, ...]:
    leaves = msgspec.convert(row.leaves, EpochLeaves)
    seconds, hidden = leaves.seconds, row.hidden
    total_s = 0.0 if seconds is None else sum(seconds.values())
    if not math.isfinite(total_s) or total_s > leaves.period_s * 1.05 + 1.0:
        raise Refused(Refusal.INVALID, "seconds: more than the period")
    if leaves.windows_unsure > leaves.windows and "windows" not in hidden:
        raise Refused(Refusal.INVALID, "windows_unsure: more than windows")
    _require(seconds, "seconds", hidden)
    _finite(
        leaves.period_s + leaves.odba_g + leaves.vedba_g + leaves.anomaly,
        leaves.battery_pct,
    )
    return (
        leaves.period_s,
        None if seconds is None else _json(seconds).decode(),
        leaves.odba_g,
        leaves.vedba_g,
        leaves.steps,
        leaves.anomaly,
        leaves.windows,
        leaves.windows_unsure,
        leaves.battery_pct,
    )


def _fix(row: Row, grant: Grant) -> tuple[Any, ...]:
    leaves = msgspec.convert(row.leaves, FixLeaves)
    _finite(leaves.lat_deg, leaves.lon_deg, leaves.accuracy_m, leaves.hdop, leaves.speed_mps)
    _finite(leaves.age_s)
    coarse = COARSE_LEAF.get(grant.precision)
    cell: list[int] | None = None if coarse is None else getattr(leaves, coarse)
    if coarse is None:
        _require(leaves.lat_deg, "lat_deg", row.hidden)
        _require(leaves.lon_deg, "lon_deg", row.hidden)
    elif cell is None:
        raise Refused(Refusal.INVALID, f"{coarse}: missing")
    return (
        grant.precision.value,
        leaves.lat_deg,
        leaves.lon_deg,
        cell and cell[0],
        cell and cell[1],
        leaves.accuracy_m,
        leaves.source.value,
        leaves.age_s,
        leaves.hdop,
        leaves.speed_mps,
    )


def _event(row: Row, _: Grant) -> tuple[Any, ...]:
    leaves = msgspec.convert(row.leaves, EventLeaves)
    _finite(leaves.confidence, leaves.duration_s)
    _require(leaves.name, "name", row.hidden)
    _clean(leaves.name, leaves.package)
    return (leaves.name, leaves.confidence, leaves.duration_s, leaves.package)


def _window(row: Row, _: Grant) -> tuple[Any, ...]:
    leaves = msgspec.convert(row.leaves, WindowLeaves)
    _finite(leaves.rate_hz, leaves.acc_g_per_lsb, leaves.gyr_dps_per_lsb, leaves.confidence)
    _require(leaves.samples, "samples", row.hidden)
    _clean(leaves.label)
    if leaves.samples is not None and len(leaves.samples) % 12:
        raise Refused(Refusal.INVALID, "samples: no multiple of 12 bytes")
    return (
        leaves.rate_hz,
        leaves.acc_g_per_lsb,
        leaves.gyr_dps_per_lsb,
        leaves.samples,
        leaves.label,
        leaves.confidence,
        leaves.choice and leaves.choice.value,
    )


COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.EPOCH: (
        *("period_s", "seconds", "odba_g", "vedba_g", "steps", "anomaly", "windows"),
        *("windows_unsure", "battery_pct"),
    ),
    Kind.FIX: (
        *("precision_", "lat_deg", "lon_deg", "cell_lat", "cell_lon", "accuracy_m", "source"),
        *("age_s", "hdop", "speed_mps"),
    ),
    Kind.EVENT: ("name", "confidence", "duration_s", "package"),
    Kind.WINDOW: (
        *("rate_hz", "acc_g_per_lsb", "gyr_dps_per_lsb", "samples", "label", "confidence"),
        "choice",
    ),
}
"""Columns of a kind's own, in the order of ``values``; most are named for their leaf."""

_NO_LEAVES = frozenset({"precision_", "cell_lat", "cell_lon"})  # so nothing can hide them

_READERS: Mapping[Kind, Callable[[Row, Grant], tuple[Any, ...]]] = {
    Kind.EPOCH: _epoch,
    Kind.FIX: _fix,
    Kind.EVENT: _event,
    Kind.WINDOW: _window,
}


def values(row: Row, grant: Grant) -> tuple[Any, ...]:
    """The row's values in the order of ``COLUMNS[row.kind]``; null where a leaf is hidden.

    Raises:
        Refused: A leaf is missing, ill-typed or out of range.
    """
    try:
        found = _READERS[row.kind](row, grant)
    except msgspec.ValidationError as error:
        raise Refused(Refusal.INVALID, str(error)) from None
    if row.hidden:
        hidden = row.hidden.keys() - _NO_LEAVES
        return tuple(
            None if name in hidden else value
            for name, value in zip(COLUMNS[row.kind], found, strict=True)
        )
    return found


def _require(value: object, name: str, hidden: Mapping[str, bytes]) -> None:
    if value is None and name not in hidden:
        raise Refused(Refusal.INVALID, f"{name}: missing")


def _finite(*numbers: float | None) -> None:
    for number in numbers:
        if number is not None and not _isfinite(number):
            raise Refused(Refusal.INVALID, "not a finite number")


def _clean(*texts: str | None) -> None:
    for text in texts:
        if text is not None and "\0" in text:  # which PostgreSQL cannot store
            raise Refused(Refusal.INVALID, "a text holds a null character")
