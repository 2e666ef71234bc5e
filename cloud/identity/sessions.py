"""Signing in: a password becomes an opaque token, of which only the hash is kept."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from cloud.db import Connection, Database, load_queries
from cloud.errors import DatabaseUnavailable, NotSignedIn
from cloud.identity.ids import new_id

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)
FORGET_EVERY_S = 3600.0
_hasher = PasswordHasher()  # argon2id with the parameters of RFC 9106's low-memory choice
_nobody = _hasher.hash(secrets.token_urlsafe())  # an unknown email costs the same time
_hashing = asyncio.Semaphore(2)  # each takes 64 MiB


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in owner."""

    token: str
    owner_id: str
    expires_at: datetime


async def add_owner(connection: Connection, email: str, password: str) -> str:
    """Create an owner with an account for tokens, and return the id."""
    owner_id = new_id("owner")
    async with _hashing:
        password_hash = await asyncio.to_thread(_hasher.hash, password)
    await connection.execute(
        SQL["add_owner"], {"owner_id": owner_id, "email": email, "password_hash": password_hash}
    )
    await connection.execute(
        SQL["add_account"], {"account_id": new_id("account"), "owner_id": owner_id}
    )
    log.info("owner.created", owner_id=owner_id)
    return owner_id


async def sign_in(database: Database, email: str, password: str, ttl_s: int) -> Session:
    """Open a session.

    Args:
        database: No connection is held while the password is hashed.
        email: In any case.
        password: As typed.
        ttl_s: How long the session lasts.

    Raises:
        NotSignedIn: Email or password is wrong; which one is not said.
    """
    async with database.transaction() as connection:
        cursor = await connection.execute(SQL["password_of"], {"email": email})
        found = await cursor.fetchone()
    owner_id, known_hash = found or ("", _nobody)
    async with _hashing:
        right = await asyncio.to_thread(_verify, known_hash, password)
    if not (found and right):
        raise NotSignedIn("email or password is wrong")
    token = secrets.token_urlsafe(32)
    session = Session(token, owner_id, datetime.now(UTC) + timedelta(seconds=ttl_s))
    values = {
        "token_hash": _hash(token.encode()),
        "owner_id": owner_id,
        "expires_at": session.expires_at,
    }
    async with database.transaction() as connection:
        await connection.execute(SQL["add_session"], values)
    return session


async def owner_of_session(connection: Connection, token: bytes, now: datetime) -> str | None:
    """The owner the token belongs to, unless it is unknown or has expired."""
    values = {"token_hash": _hash(token), "now": now}
    row = await (await connection.execute(SQL["owner_of_session"], values)).fetchone()
    return row[0] if row else None


async def sign_out(connection: Connection, token: bytes) -> None:
    """End the session of this token."""
    await connection.execute(SQL["end_session"], {"token_hash": _hash(token)})


async def forget_expired(database: Database) -> None:
    """Delete sessions that are over, for ever."""
    while True:
        try:
            async with database.transaction() as connection:
                await connection.execute(SQL["forget_expired"], {"now": datetime.now(UTC)})
        except DatabaseUnavailable:
            pass  # the database itself has said so; there is time
        await asyncio.sleep(FORGET_EVERY_S)


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _verify(known_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(known_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
