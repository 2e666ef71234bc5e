"""Routes of corrections: an owner's word on what a pet did, and taking it back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import AwareDatetime, BaseModel

from gateway import corrections
from gateway.api.dependencies import HouseholdDep, Limit, OwnPet, Slug, StoreDep
from gateway.corrections import Correction
from gateway.wire.codec import EARLIEST
from gateway.wire.messages import MAX_FUTURE_S
from gateway.wire.uplink import MAX_LABEL_S
from plugins.sdk.behaviours import Behaviour

DEFAULT_SPAN = timedelta(days=1)
LATEST = timedelta(seconds=MAX_FUTURE_S)  # an epoch that we took may end as far ahead of us

router = APIRouter(prefix="/pets/{pet_id}/corrections")


class CorrectionBody(BaseModel):
    """What the pet did from when to when."""

    start_at: AwareDatetime
    end_at: AwareDatetime
    behaviour: Behaviour
    """Any but ``unsure``: an owner who is unsure says nothing."""


class Said(BaseModel):
    """A correction that is kept."""

    correction_id: str
    shared: bool
    """Whether it leaves the home."""
    why: str
    """Under which grant, or what for it does not."""


class CorrectionView(Said):
    """A correction, and what became of it."""

    pet_id: str
    start_at: datetime
    end_at: datetime
    behaviour: Behaviour
    said_at: datetime
    state: Literal["home", "queued", "shared", "refused"]


@router.post("", status_code=201)
async def correct(
    request: Request, store: StoreDep, household: HouseholdDep, pet_id: OwnPet, body: CorrectionBody
) -> Said:
    """Say what a pet did, an hour of it at most; of overlapping ones the last said counts."""
    now = datetime.now(UTC)
    if problem := _problem_of(body, now):
        raise HTTPException(422, problem)
    said = await store.write(
        lambda db: corrections.say(
            db,
            household,
            pet_id=pet_id,
            start_at=body.start_at,
            end_at=body.end_at,
            behaviour=body.behaviour,
            now=now,
        )
    )
    _wake_sync(request)
    return Said(correction_id=said.correction_id, shared=said.is_shared, why=said.why)


@router.get("")
async def corrections_of(
    store: StoreDep,
    pet_id: OwnPet,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Limit = 200,
) -> list[CorrectionView]:
    """What the owner said of the last day, or of the time asked for; the last said first."""
    upto = until or datetime.now(UTC) + LATEST
    start = since or max(upto, EARLIEST + DEFAULT_SPAN) - DEFAULT_SPAN
    found = await store.read(lambda db: corrections.corrections(db, pet_id, start, upto, limit))
    return [_view(each) for each in found]


@router.delete("/{correction_id}", status_code=204)
async def take_back(request: Request, store: StoreDep, pet_id: OwnPet, correction_id: Slug) -> None:
    """Take a correction back, at the cloud too if it may have it."""
    if not await store.write(lambda db: corrections.forget(db, pet_id, correction_id)):
        raise HTTPException(404, f"no correction {correction_id} of {pet_id}")
    _wake_sync(request)


def _problem_of(body: CorrectionBody, now: datetime) -> str:
    span_s = (body.end_at - body.start_at).total_seconds()
    if not 0 < span_s <= MAX_LABEL_S:
        return f"end_at: it is {span_s:g} s after start_at; more than 0 and at most {MAX_LABEL_S:g}"
    if body.start_at > now or body.end_at > now + LATEST:
        return "end_at: this has not happened yet"
    if body.start_at < EARLIEST:
        return "start_at: before 1970"
    if body.behaviour is Behaviour.UNSURE:
        return "behaviour: an owner who is unsure says nothing"
    return ""


def _view(correction: Correction) -> CorrectionView:
    return CorrectionView(
        correction_id=correction.correction_id,
        shared=correction.is_shared,
        why=correction.why,
        pet_id=correction.pet_id,
        start_at=correction.start_at,
        end_at=correction.end_at,
        behaviour=correction.behaviour,
        said_at=correction.said_at,
        state="queued" if correction.state == "sending" else correction.state,  # type: ignore[arg-type]
    )


def _wake_sync(request: Request) -> None:
    wake: Callable[[], None] = request.app.state.wake_sync
    wake()
