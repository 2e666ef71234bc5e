"""The key that releases are signed with: made at the first start, in a file only we can read.

Collars learn its public half when they are enrolled and believe no other, so the file belongs into
a backup: with another key they would have to be enrolled again.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.errors import KeyFileUnusable
from gateway.wire.release import key_id


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """A key pair; ``str`` and ``repr`` show the public half alone."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """Ed25519, raw: what a collar is enrolled with."""
        return self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """Its short name, as releases carry it."""
        return key_id(self.public)

    def __repr__(self) -> str:
        return f"ReleaseKey({self.key_id})"

    @classmethod
    def kept(cls, file: Path) -> Self:
        """The key in ``file``, made when there is none: then whole, or not at all.

        Raises:
            KeyFileUnusable: The file holds something else, or cannot be read or made.
        """
        try:
            if not file.exists():
                _make(file)
            raw = bytes.fromhex(file.read_text("ascii").strip())
            return cls(Ed25519PrivateKey.from_private_bytes(raw))
        except OSError as error:
            raise KeyFileUnusable(f"{file}: {error.strerror}") from error
        except ValueError as error:
            raise KeyFileUnusable(f"{file} holds no key of 64 hexadecimal digits") from error


def _make(file: Path) -> None:
    """Write a key of our own, unless another process was quicker: the first one counts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        os.link(fresh, file)  # unlike a rename, it replaces nothing
    except FileExistsError:
        return
    finally:
        fresh.unlink(missing_ok=True)
