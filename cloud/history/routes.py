"""Routes of history; an owner's alone."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from psycopg.rows import dict_row
from pydantic import AwareDatetime, BaseModel

from cloud.api.dependencies import Db, Owner, Slug
from cloud.db import Connection, load_queries
from cloud.identity.households import Pet, own_pet

SQL = load_queries(__file__)
DEFAULT_SPAN = timedelta(hours=24)

router = APIRouter(prefix="/v1/pets", tags=["history"])


class PetState(BaseModel):
    """A pet and the last that is known of it; null where nothing was granted."""

    pet: Pet
    epoch: dict[str, Any] | None
    fix: dict[str, Any] | None
    event: dict[str, Any] | None


class History(BaseModel):
    """What a pet did in a span of time, the newest first."""

    pet_id: str
    since: datetime
    until: datetime
    hours: list[dict[str, Any]]
    fixes: list[dict[str, Any]]
    events: list[dict[str, Any]]
    raw_windows: int
    """How many windows of raw motion a grant let out."""


@router.get("/{pet_id}")
async def pet_state(pet_id: Slug, owner: Owner, db: Db) -> PetState:
    """A pet and its last state."""
    pet = await own_pet(db, owner, pet_id)
    values = {"pet_id": pet_id}
    epoch = await _rows(db, "last_epoch", values)
    fix = await _rows(db, "last_fix", values)
    event = await _rows(db, "last_event", values)
    return PetState(pet=pet, epoch=_first(epoch), fix=_first(fix), event=_first(event))


@router.get("/{pet_id}/history")
async def pet_history(
    pet_id: Slug,
    owner: Owner,
    db: Db,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> History:
    """Activity by the hour, positions and events; the last 24 hours when no span is given."""
    await own_pet(db, owner, pet_id)
    until = until or datetime.now(UTC)
    since = since or max(until, datetime.min.replace(tzinfo=UTC) + DEFAULT_SPAN) - DEFAULT_SPAN
    values = {"pet_id": pet_id, "since": since, "until": until, "limit": limit}
    return History(
        pet_id=pet_id,
        since=since,
        until=until,
        hours=await _rows(db, "hours", values),
        fixes=await _rows(db, "fixes", values),
        events=await _rows(db, "events", values),
        raw_windows=(await _rows(db, "raw_windows", values))[0]["windows"],
    )


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


async def _rows(connection: Connection, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[query], values)
        return await cursor.fetchall()
