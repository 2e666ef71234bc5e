"""Knows again who signed in here before, for the days when the cloud is away.

Of a password only an scrypt hash with its own salt is kept, at home, mode 0600.
"""

import hashlib
import hmac
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from dashboard.access import kept

FILE = "owners.json"
# OWASP's second choice of scrypt: 32 MiB, about a quarter of a second
COST_N, COST_R, COST_P = 2**15, 8, 3
MAX_MEMORY = 64 * 2**20
OWNERS_KEPT = 32
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Known(BaseModel):
    """An owner whom the cloud once confirmed here."""

    owner_id: str
    site: str
    """This home's, which was theirs."""
    salt: Hex32
    hash: Hex32
    confirmed_at: AwareDatetime


class Verifier:
    """The owners known here; may be used by many threads at once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        for email, fields in kept.read(self._path).items():
            try:
                self._known[email] = Known.model_validate(fields)
            except ValidationError:
                continue  # of another version: the cloud confirms them again

    @property
    def sites(self) -> set[str]:
        """Homes that this dashboard has belonged to."""
        with self._lock:
            return {known.site for known in self._known.values()}

    def remember(self, email: str, password: str, owner_id: str, site: str) -> None:
        """Keep what the cloud confirmed just now.

        Raises:
            OSError: The state folder cannot be written to.
        """
        salt = os.urandom(32)
        known = Known(
            owner_id=owner_id,
            site=site,
            salt=salt.hex(),
            hash=_scrypt(password, salt).hex(),
            confirmed_at=datetime.now(UTC),
        )
        with self._lock:
            self._known[email.casefold()] = known
            while len(self._known) > OWNERS_KEPT:
                del self._known[min(self._known, key=lambda e: self._known[e].confirmed_at)]
            self._write()

    def forget(self, email: str) -> None:
        """The cloud says that this owner has no part in this home."""
        with self._lock:
            if self._known.pop(email.casefold(), None) is not None:
                self._write()

    def recognise(self, email: str, password: str) -> Known | None:
        """The owner, if this is the password that the cloud last confirmed here.

        An unknown email takes as long as a wrong password.
        """
        with self._lock:
            known = self._known.get(email.casefold())
        salt = bytes.fromhex(known.salt) if known else bytes(32)
        given = _scrypt(password, salt)
        right = hmac.compare_digest(given, bytes.fromhex(known.hash) if known else bytes(32))
        return known if right else None

    def _write(self) -> None:
        kept.write(self._path, {e: row.model_dump(mode="json") for e, row in self._known.items()})


def _scrypt(password: str, salt: bytes) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(raw, salt=salt, n=COST_N, r=COST_R, p=COST_P, maxmem=MAX_MEMORY, dklen=32)
