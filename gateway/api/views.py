"""What the API shows, read from the store."""

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pydantic import BaseModel

from gateway.api.power import PowerView, power
from gateway.corrections import corrected
from gateway.registry import Household
from gateway.store import from_us, to_us
from gateway.wire.codec import decode
from gateway.wire.errors import Rejected
from gateway.wire.messages import ActivityEpoch, Event, Fix
from gateway.wire.topics import Kind, Topic
from gateway.wire.uplink import EnrolledCollar

STALE_AFTER = timedelta(minutes=5)  # five missed epochs


class Place(BaseModel):
    """Where a pet was last seen, and how good that is."""

    lat_deg: float
    lon_deg: float
    accuracy_m: float
    source: str
    observed_at: datetime
    age_s: float


class Observation(BaseModel):
    """What a plugin last said of a pet."""

    plugin_id: str
    name: str
    label: str
    confidence: float
    observed_at: datetime


class PetView(BaseModel):
    """A pet now."""

    pet_id: str
    name: str
    species: str
    collar_id: str
    online: bool
    behaviour: str | None
    """What it mostly did in the last minute we know of; ``null`` before the first."""
    corrected: str | None
    """What it did then by its owner's word, if the owner said so."""
    behaviour_at: datetime | None
    """Beginning of that minute, or of whatever period the collar sums over."""
    behaviour_until: datetime | None
    """Its end: how fresh the behaviour is."""
    heard_at: datetime | None
    """When the newest of its epochs and fixes was received."""
    odba_g: float | None
    anomaly: float | None
    battery_pct: float | None
    power: PowerView | None
    """What its collar said of the battery and of where the energy went, once an hour."""
    stale: bool
    """Nothing was heard for five minutes."""
    place: Place | None
    observations: list[Observation]
    open_alerts: int


class HistoryEntry(BaseModel):
    """One message about a pet."""

    kind: str
    collar_id: str
    boot: int
    seq: int
    observed_at: datetime
    received_at: datetime
    fields: dict[str, Any]


class AlertView(BaseModel):
    """An alert and where it is in its life."""

    alert_id: int
    pet_id: str
    plugin_id: str
    key: str
    title: str
    severity: str
    confidence: float
    detail: dict[str, Any]
    observed_at: datetime
    raised_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    notified_at: datetime | None
    latency_ms: float | None


class RejectedView(BaseModel):
    """A refused message."""

    rejected_id: int
    received_at: datetime
    topic: str
    reason: str
    detail: str
    bytes: int


class OutboxView(BaseModel):
    """A message that may leave, or left."""

    outbox_id: int
    collar_id: str
    stream: str
    grant_id: str
    sealed: bool
    state: str
    reason: str | None
    queued_at: datetime
    leaves: list[str]


def pets(db: sqlite3.Connection, household: Household, now: datetime) -> list[PetView]:
    """Every pet of the home, as it is now."""
    worn: dict[str, list[EnrolledCollar]] = {}
    for collar in household.collars.values():
        worn.setdefault(collar.pet_id, []).append(collar)
    views = [_pet(db, household, collars, now) for collars in worn.values()]
    return sorted(views, key=lambda view: view.collar_id)


def history(
    db: sqlite3.Connection,
    household: Household,
    pet_id: str,
    kinds: list[Kind],
    since: datetime,
    until: datetime,
    limit: int,
) -> list[HistoryEntry]:
    """A pet's messages by time of observation, oldest first."""
    rows = db.execute(
        f"""SELECT * FROM (
              SELECT * FROM message WHERE pet_id = ? AND kind IN ({",".join("?" * len(kinds))})
                AND observed_us >= ? AND observed_us < ? ORDER BY observed_us DESC LIMIT ?
            ) ORDER BY observed_us""",
        (pet_id, *(kind.value for kind in kinds), to_us(since), to_us(until), limit),
    ).fetchall()
    return [
        HistoryEntry(
            kind=row["kind"],
            collar_id=row["collar_id"],
            boot=row["boot"],
            seq=row["seq"],
            observed_at=from_us(row["observed_us"]),
            received_at=from_us(row["received_us"]),
            fields=msgspec.to_builtins(_message(household, row)),
        )
        for row in rows
    ]


def alerts(
    db: sqlite3.Connection, pet_id: str | None, *, open_only: bool, limit: int
) -> list[AlertView]:
    """Alerts, newest first."""
    rows = db.execute(
        """SELECT * FROM alert WHERE (? IS NULL OR pet_id = ?) AND (NOT ? OR cleared_us IS NULL)
           ORDER BY id DESC LIMIT ?""",
        (pet_id, pet_id, open_only, limit),
    )
    return [
        AlertView(
            alert_id=row["id"],
            pet_id=row["pet_id"],
            plugin_id=row["plugin_id"],
            key=row["key"],
            title=row["title"],
            severity=row["severity"],
            confidence=row["confidence"],
            detail=json.loads(row["detail"]),
            observed_at=from_us(row["observed_us"]),
            raised_at=from_us(row["raised_us"]),
            cleared_at=_instant(row["cleared_us"]),
            acknowledged_at=_instant(row["acknowledged_us"]),
            notified_at=_instant(row["notified_us"]),
            latency_ms=row["latency_ms"],
        )
        for row in rows
    ]


def rejected(db: sqlite3.Connection, limit: int) -> list[RejectedView]:
    """Refused messages, newest first."""
    return [
        RejectedView(
            rejected_id=row["id"],
            received_at=from_us(row["received_us"]),
            **{name: row[name] for name in ("topic", "reason", "detail", "bytes")},
        )
        for row in db.execute("SELECT * FROM rejected ORDER BY id DESC LIMIT ?", (limit,))
    ]


def outbox(db: sqlite3.Connection, limit: int) -> list[OutboxView]:
    """What may leave the home or has left, newest first, and which parts of it."""
    return [
        OutboxView(
            outbox_id=row["id"],
            sealed=row["sealed_id"] is not None,
            queued_at=from_us(row["queued_us"]),
            leaves=sorted(msgspec.msgpack.decode(row["row"])["leaves"]),
            **{name: row[name] for name in ("collar_id", "stream", "grant_id", "state", "reason")},
        )
        for row in db.execute("SELECT * FROM outbox ORDER BY id DESC LIMIT ?", (limit,))
    ]


def _instant(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _pet(
    db: sqlite3.Connection, household: Household, collars: list[EnrolledCollar], now: datetime
) -> PetView:
    """A pet, by the collar that it was given last; it is online if any of its collars is."""
    collar = max(collars, key=lambda each: (each.assigned_at, each.collar_id))
    epoch, epoch_row = _last(db, household, collar.pet_id, Kind.EPOCH)
    fix, fix_row = _last(db, household, collar.pet_id, Kind.FIX)
    states = (
        db.execute("SELECT state FROM presence WHERE collar_id = ?", (each.collar_id,)).fetchone()
        for each in collars
    )
    heard_us = max((row["received_us"] for row in (epoch_row, fix_row) if row), default=0)
    view = PetView(
        pet_id=collar.pet_id,
        name=collar.pet_name,
        species=collar.species,
        collar_id=collar.collar_id,
        online=any(state is not None and state["state"] == "online" for state in states),
        behaviour=None,
        corrected=None,
        behaviour_at=None,
        behaviour_until=None,
        heard_at=from_us(heard_us) if heard_us else None,
        odba_g=None,
        anomaly=None,
        battery_pct=None,
        power=power(db, household, collar.pet_id),
        stale=now - from_us(heard_us) > STALE_AFTER,
        place=None,
        observations=_observations(db, collar.pet_id),
        open_alerts=db.execute(
            "SELECT count(*) FROM alert WHERE pet_id = ? AND cleared_us IS NULL", (collar.pet_id,)
        ).fetchone()[0],
    )
    if isinstance(epoch, ActivityEpoch):
        seconds = epoch.seconds
        view.behaviour = max(seconds, key=lambda name: seconds[name]) if seconds else None
        view.behaviour_at = epoch.observed_at
        view.behaviour_until = epoch.observed_at + timedelta(seconds=epoch.period_s)
        view.corrected = corrected(db, collar.pet_id, epoch.observed_at)
        view.odba_g, view.anomaly = epoch.odba_g, epoch.anomaly
        view.battery_pct = epoch.battery_pct
    if isinstance(fix, Fix):
        view.place = Place(
            lat_deg=fix.lat_deg,
            lon_deg=fix.lon_deg,
            accuracy_m=fix.accuracy_m,
            source=fix.source.value,
            observed_at=fix.observed_at,
            age_s=max(0.0, (now - fix.observed_at).total_seconds() + fix.age_s),
        )
    return view


def _last(
    db: sqlite3.Connection, household: Household, pet_id: str, kind: Kind
) -> tuple[object, sqlite3.Row | None]:
    row = db.execute(
        "SELECT * FROM message WHERE pet_id = ? AND kind = ? ORDER BY observed_us DESC LIMIT 1",
        (pet_id, kind.value),
    ).fetchone()
    if row is None:
        return None, None
    try:
        observed_at = from_us(row["observed_us"])  # its own clock may be wrong
        return msgspec.structs.replace(_message(household, row), observed_at=observed_at), row
    except Rejected:  # kept by a version that understood it: no reason to hide the other pets
        return None, row


def _message(household: Household, row: sqlite3.Row) -> ActivityEpoch | Fix | Event | Any:
    topic = Topic(household.registry.site, row["collar_id"], Kind(row["kind"]))
    return decode(topic, row["payload"], row["content_type"]).message


def _observations(db: sqlite3.Connection, pet_id: str) -> list[Observation]:
    return [
        Observation(
            observed_at=from_us(row["observed_us"]),
            **{name: row[name] for name in ("plugin_id", "name", "label", "confidence")},
        )
        for row in db.execute(
            "SELECT * FROM observation WHERE pet_id = ? ORDER BY plugin_id, name", (pet_id,)
        )
    ]
