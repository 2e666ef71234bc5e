"""What handlers ask for: a transaction, and who is asking."""

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, Field, StringConstraints
from starlette.datastructures import State

from cloud.api.state import Services
from cloud.db import Connection
from cloud.errors import NotAllowed, NotSignedIn
from cloud.identity.sessions import owner_of_session
from gateway.wire.topics import ID_PATTERN

Slug = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Text = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=48, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
When = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC)),
]
"""An instant to be stored: in UTC, too, Python's calendar has it, so it can be read again."""
KeyHex = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]

_bearer = HTTPBearer(auto_error=False, description="A session token, or the operator's token.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: an owner, or the operator, who sees every household."""

    owner_id: str | None


def get_services(request: Request) -> Services:
    """What the application was started with."""
    state: State = request.app.state
    return state.services


async def get_transaction(
    services: Annotated[Services, Depends(get_services)],
) -> AsyncGenerator[Connection]:
    """A transaction that is committed before the answer leaves."""
    async with services.database.transaction() as connection:
        yield connection


ServicesDep = Annotated[Services, Depends(get_services)]
Db = Annotated[Connection, Depends(get_transaction, scope="function")]


async def get_caller(
    services: ServicesDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Whoever the bearer token belongs to."""
    if credentials is None:
        raise NotSignedIn("no bearer token")
    token = credentials.credentials.encode()
    if compare_digest(hashlib.sha256(token).digest(), services.operator_token_hash):
        return Caller(None)
    async with services.database.transaction() as connection:
        owner_id = await owner_of_session(connection, token, datetime.now(UTC))
    if owner_id is None:
        raise NotSignedIn("the token is unknown or has expired")
    return Caller(owner_id)


async def get_owner(caller: Annotated[Caller, Depends(get_caller)]) -> str:
    """The owner who asks; what is theirs alone is closed to the operator too."""
    if caller.owner_id is None:
        raise NotAllowed("only an owner can do this")
    return caller.owner_id


async def require_operator(caller: Annotated[Caller, Depends(get_caller)]) -> None:
    """Refuse everyone but the operator."""
    if caller.owner_id is not None:
        raise NotAllowed("only the operator can do this")


CallerDep = Annotated[Caller, Depends(get_caller)]
Owner = Annotated[str, Depends(get_owner)]
Operator = Annotated[None, Depends(require_operator)]
