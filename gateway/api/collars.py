"""The route of collars: what their model slots hold, and what is on its way to them."""

import sqlite3
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.api.dependencies import HouseholdDep, StoreDep
from gateway.desired import wanted_windows
from gateway.registry import Household
from gateway.slots import held_slots
from gateway.store import from_us
from gateway.wire.messages import MODEL_CHUNK_BYTES, ModelState
from gateway.wire.release import ModelRefusal

router = APIRouter(prefix="/collars")


class SlotView(BaseModel):
    """What a slot of a collar holds."""

    slot: str
    package: str
    version: str
    sha256: str
    since: datetime
    """When the collar first said so."""


class DeliveryView(BaseModel):
    """Where a model stands on its way to a collar."""

    rollout: str
    slot: str
    package: str
    version: str
    state: ModelState
    reason: ModelRefusal | None
    detail: str
    """With ``refused``, or while there is something to wait for: why, in a sentence."""
    next_chunk: int
    chunks: int
    """How many the model is cut into; 0 while it is not here."""
    changed_at: datetime


class CollarView(BaseModel):
    """A collar of the home."""

    collar_id: str
    pet_id: str
    online: bool
    slots: list[SlotView]
    delivery: DeliveryView | None
    """The one that is not over, else the last."""
    windows_per_hour: int
    """Raw windows that it shall send, by the grants of now."""


@router.get("")
async def collars(store: StoreDep, household: HouseholdDep) -> list[CollarView]:
    """Every collar: its models, the one on its way, and how many raw windows it is asked for."""
    return await store.read(lambda db: collar_views(db, household, datetime.now(UTC)))


def collar_views(db: sqlite3.Connection, household: Household, now: datetime) -> list[CollarView]:
    """Every collar of the home, by id."""
    online = {
        row["collar_id"]
        for row in db.execute("SELECT collar_id FROM presence WHERE state = 'online'")
    }
    return [
        CollarView(
            collar_id=collar_id,
            pet_id=collar.pet_id,
            online=collar_id in online,
            slots=[
                SlotView(
                    slot=held.slot,
                    package=held.package,
                    version=held.version,
                    sha256=held.sha256,
                    since=held.since,
                )
                for held in held_slots(db, collar_id).values()
            ],
            delivery=_delivery(db, collar_id),
            windows_per_hour=wanted_windows(household, collar_id, now),
        )
        for collar_id, collar in sorted(household.collars.items())
    ]


def _delivery(db: sqlite3.Connection, collar_id: str) -> DeliveryView | None:
    row = db.execute(
        """SELECT d.*, p.size, p.why, p.body IS NULL AS is_missing
           FROM delivery d LEFT JOIN package p USING (sha256) WHERE d.collar_id = ?
           ORDER BY d.state IN ('pending', 'receiving') DESC, d.changed_us DESC LIMIT 1""",
        (collar_id,),
    ).fetchone()
    if row is None:
        return None
    state = ModelState(row["state"])
    chunks = -(-(row["size"] or 0) // MODEL_CHUNK_BYTES)
    waits = state is ModelState.PENDING and row["is_missing"]
    return DeliveryView(
        rollout=row["rollout"],
        slot=row["slot"],
        package=row["package"],
        version=row["version"],
        state=state,
        reason=ModelRefusal(row["reason"]) if row["reason"] else None,
        detail=(row["why"] or "") if waits else row["detail"],
        next_chunk=chunks if state is ModelState.INSTALLED else row["next_chunk"],
        chunks=chunks,
        changed_at=from_us(row["changed_us"]),
    )
