"""Routes of rewards."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cloud.api.dependencies import Db, Operator, Owner, ServicesDep
from cloud.rewards import emission, ledger
from cloud.rewards.ledger import Entry

router = APIRouter(prefix="/v1", tags=["rewards"])


class Wallet(BaseModel):
    """An owner's tokens, in micro-tokens."""

    account_id: str
    balance: int
    pending_units: int
    """Scored in periods that are not settled yet."""
    entries: list[Entry]
    """The newest first."""


class Settled(BaseModel):
    """Periods that were paid just now."""

    period_ids: list[int]


class Verified(BaseModel):
    """Whether every payment follows from the scores."""

    ok: bool
    findings: list[str]


@router.get("/wallet")
async def wallet(owner: Owner, db: Db, limit: Annotated[int, Query(ge=1, le=1_000)] = 50) -> Wallet:
    """The owner's balance and last ledger entries, with the reasons."""
    account_id = await ledger.account_of(db, owner)
    return Wallet(
        account_id=account_id,
        balance=await ledger.balance(db, account_id),
        pending_units=await ledger.pending_units(db, account_id),
        entries=await ledger.entries(db, account_id, limit),
    )


@router.post("/rewards/settle")
async def settle(_: Operator, services: ServicesDep, close_current: bool = False) -> Settled:
    """Pay all periods that have ended (operator)."""
    now = datetime.now(UTC)
    settled = await emission.settle(services.database, now, close_current=close_current)
    return Settled(period_ids=settled)


@router.get("/rewards/verify")
async def verify(_: Operator, db: Db) -> Verified:
    """Compute every payment again from the scores (operator)."""
    findings = await emission.verify(db)
    return Verified(ok=not findings, findings=findings)
