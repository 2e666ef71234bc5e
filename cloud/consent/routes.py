"""Routes of consent; an owner's alone."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.dependencies import Db, Owner, Slug, Text, When
from cloud.consent import grants
from cloud.identity.ids import new_id
from gateway.wire.grants import Grant, Precision, Stream

router = APIRouter(prefix="/v1/grants", tags=["consent"])


class NewGrant(BaseModel):
    """The same permission for one or more pets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pet_ids: Annotated[list[Slug], Field(min_length=1, max_length=5_000)]
    stream: Stream
    purpose: Text
    recipient: Text
    precision: Precision = Precision.EXACT
    """For the position stream; exact for all others."""
    valid_from: When | None = None
    expires_at: When | None = None


class GrantOut(BaseModel):
    """A permission."""

    grant_id: str
    pet_id: str
    stream: Stream
    purpose: str
    recipient: str
    precision: Precision
    valid_from: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None


@router.get("")
async def list_grants(owner: Owner, db: Db, pet_id: Slug | None = None) -> list[GrantOut]:
    """The owner's grants, withdrawn and expired ones too, the newest first."""
    return [_out(grant) for grant in await grants.list_grants(db, owner, pet_id)]


@router.post("", status_code=201)
async def give(new: NewGrant, owner: Owner, db: Db) -> list[GrantOut]:
    """Allow something, for each of the pets named."""
    now = datetime.now(UTC)
    given = [
        Grant(
            grant_id=new_id("grant"),
            pet_id=pet_id,
            stream=new.stream,
            purpose=new.purpose,
            recipient=new.recipient,
            precision=new.precision,
            valid_from=new.valid_from or now,
            expires_at=new.expires_at,
        )
        for pet_id in dict.fromkeys(new.pet_ids)
    ]
    await grants.give(db, owner, given)
    return [_out(grant) for grant in given]


@router.delete("/{grant_id}", status_code=204)
async def withdraw(grant_id: Slug, owner: Owner, db: Db) -> None:
    """Withdraw a grant: nothing that rests on it is taken from now on."""
    await grants.withdraw(db, owner, grant_id, datetime.now(UTC))


def _out(grant: Grant) -> GrantOut:
    return GrantOut.model_validate(msgspec.structs.asdict(grant))
