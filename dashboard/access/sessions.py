"""Signed-in browsers. A browser holds a random cookie; we keep its hash, and nothing of worth.

The cloud's token is sealed with a key that only the cookie gives, so a copy of this file (in a
backup, say) opens neither the page nor the cloud. Forgetting the row makes the token worthless.
"""

import hashlib
import os
import secrets
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from dashboard.access import kept

FILE = "sessions.json"
SESSIONS_KEPT = 64  # beyond, the oldest is over: a home has not so many browsers
COOKIE_CHARS = 64  # ours have 43; longer ones are not hashed
BROWSER_CHARS = 200


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed-in browser."""

    session: str
    """Names it on this dashboard; not secret."""
    email: str
    owner_id: str
    site: str
    """The home they were let into."""
    since: datetime
    expires_at: datetime
    browser: str
    """What the browser said it is."""
    token: str | None
    """For the cloud; ``None`` when it was away at sign-in."""


class _Row(BaseModel):
    email: str
    owner_id: str
    site: str
    since: AwareDatetime
    expires_at: AwareDatetime
    browser: str
    sealed: Annotated[str, Field(max_length=1_000)] | None


def cookie_name(port: int) -> str:
    """The cookie's name: browsers share cookies between the ports of a machine, homes do not."""
    return f"pawmesh_{port}"


class Sessions:
    """The signed-in browsers of this dashboard; may be used by many threads at once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self._opened: dict[str, Signed] = {}
        for session, fields in kept.read(self._path).items():
            try:
                self._rows[session] = _Row.model_validate(fields)
            except ValidationError:
                continue  # of another version: that browser signs in again

    def open(
        self,
        *,
        email: str,
        owner_id: str,
        site: str,
        token: str | None,
        expires_at: datetime,
        browser: str,
    ) -> str:
        """Begin a session and return the cookie for it.

        Raises:
            OSError: The state folder cannot be written to.
        """
        cookie = secrets.token_urlsafe(32)
        session = _hash(cookie, b"pawmesh-name").hex()
        row = _Row(
            email=email,
            owner_id=owner_id,
            site=site,
            since=datetime.now(UTC),
            expires_at=expires_at,
            browser=browser[:BROWSER_CHARS],
            sealed=None if token is None else _seal(cookie, token),
        )
        with self._lock:
            self._forget_expired()
            while len(self._rows) >= SESSIONS_KEPT:
                self._drop(min(self._rows, key=lambda each: self._rows[each].since))
            self._rows[session] = row
            self._write()
        return cookie

    def of(self, cookie: object) -> Signed | None:
        """Whose cookie that is, unless it is unknown or its time is over."""
        if (
            not isinstance(cookie, str)
            or not cookie
            or len(cookie) > COOKIE_CHARS
            or not cookie.isascii()
        ):
            return None
        session = _hash(cookie, b"pawmesh-name").hex()
        with self._lock:
            row = self._rows.get(session)
            if row is None or row.expires_at <= datetime.now(UTC):
                return None
            signed = self._opened.get(session)
            if signed is None:
                signed = self._opened[session] = Signed(
                    session=session,
                    email=row.email,
                    owner_id=row.owner_id,
                    site=row.site,
                    since=row.since,
                    expires_at=row.expires_at,
                    browser=row.browser,
                    token=None if row.sealed is None else _unseal(cookie, row.sealed),
                )
            return signed

    def of_owner(self, owner_id: str) -> list[tuple[str, datetime, str]]:
        """An owner's browsers, newest first: name of the session, since when, which browser."""
        now = datetime.now(UTC)
        with self._lock:
            found = [
                (session, row.since, row.browser)
                for session, row in self._rows.items()
                if row.owner_id == owner_id and row.expires_at > now
            ]
        return sorted(found, key=lambda each: each[1], reverse=True)

    def close(self, session: str) -> None:
        """End a session; one that is over already is fine."""
        with self._lock:
            if session in self._rows:
                self._drop(session)
                self._write()

    def close_others(self, signed: Signed) -> int:
        """End this owner's sessions in every other browser; returns how many there were."""
        with self._lock:
            others = [
                session
                for session, row in self._rows.items()
                if row.owner_id == signed.owner_id and session != signed.session
            ]
            for session in others:
                self._drop(session)
            if others:
                self._write()
        return len(others)

    def _forget_expired(self) -> None:
        now = datetime.now(UTC)
        for session in [each for each, row in self._rows.items() if row.expires_at <= now]:
            self._drop(session)

    def _drop(self, session: str) -> None:
        self._rows.pop(session, None)
        self._opened.pop(session, None)

    def _write(self) -> None:
        kept.write(self._path, {s: row.model_dump(mode="json") for s, row in self._rows.items()})


def _hash(cookie: str, purpose: bytes) -> bytes:
    """One of two unrelated values of a cookie; it is random enough to need no slow function."""
    return hashlib.blake2b(cookie.encode("ascii"), digest_size=32, person=purpose).digest()


def _seal(cookie: str, token: str) -> str:
    nonce = os.urandom(12)
    sealed = AESGCM(_hash(cookie, b"pawmesh-token")).encrypt(nonce, token.encode(), None)
    return b64encode(nonce + sealed).decode("ascii")


def _unseal(cookie: str, sealed: str) -> str | None:
    try:
        raw = b64decode(sealed, validate=True)
        key = AESGCM(_hash(cookie, b"pawmesh-token"))
        return key.decrypt(raw[:12], raw[12:], None).decode()
    except (InvalidTag, ValueError):
        return None  # as if the cloud had been away at sign-in
