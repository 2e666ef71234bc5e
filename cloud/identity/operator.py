"""The operator's token: made at the first start, kept in a file only its owner can read."""

import hashlib
import os
import secrets
from pathlib import Path


def operator_token_hash(file: Path) -> bytes:
    """SHA-256 of the operator's token, which is written to ``file`` when it is not there yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        token = file.read_text().strip()
        if len(token) < 32:
            raise ValueError(f"{file} holds no token of 32 characters or more; delete it") from None
    else:
        token = secrets.token_urlsafe(32)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(token + "\n")
    return hashlib.sha256(token.encode()).digest()
