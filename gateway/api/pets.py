"""What the owner looks at: pets, their days, and alerts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import AwareDatetime

from gateway.alerts import acknowledge
from gateway.api import views
from gateway.api.dependencies import HouseholdDep, Limit, OwnPet, StoreDep
from gateway.wire.codec import EARLIEST
from gateway.wire.topics import ID_PATTERN, Kind

SHOWN_KINDS = (Kind.EPOCH, Kind.FIX, Kind.EVENT)  # what a pet did; others only when asked for
ASKED_KINDS = frozenset({*SHOWN_KINDS, Kind.POWER})
DEFAULT_SPAN = timedelta(days=1)

router = APIRouter()


@router.get("/pets")
async def pets(store: StoreDep, household: HouseholdDep) -> list[views.PetView]:
    """Every pet of the home: what it does, where it is, and how fresh that is."""
    return await store.read(lambda db: views.pets(db, household, datetime.now(UTC)))


@router.get("/pets/{pet_id}/history")
async def history(
    store: StoreDep,
    household: HouseholdDep,
    pet_id: OwnPet,
    kind: Annotated[list[Kind] | None, Query()] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Limit = 2_000,
) -> list[views.HistoryEntry]:
    """A pet's epochs, fixes and events of the last day, or of the time asked for.

    With ``kind=power`` also what its collar said of its battery.
    """
    kinds = [each for each in kind or SHOWN_KINDS if each in ASKED_KINDS]
    upto = until or datetime.now(UTC) + timedelta(seconds=1)
    start = since or max(upto, EARLIEST + DEFAULT_SPAN) - DEFAULT_SPAN
    return await store.read(
        lambda db: views.history(db, household, pet_id, kinds, start, upto, limit)
    )


@router.get("/alerts")
async def alerts(
    store: StoreDep,
    pet_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    *,
    open_only: bool = False,
    limit: Limit = 200,
) -> list[views.AlertView]:
    """Alerts, newest first."""
    return await store.read(lambda db: views.alerts(db, pet_id, open_only=open_only, limit=limit))


@router.post("/alerts/{alert_id}/acknowledge", status_code=204)
async def acknowledge_alert(
    store: StoreDep, alert_id: Annotated[int, Path(ge=1, lt=2**63)]
) -> None:
    """The owner has seen this alert."""
    known = await store.write(lambda db: acknowledge(db, alert_id, datetime.now(UTC)))
    if not known:
        raise HTTPException(404, f"no alert {alert_id}")
