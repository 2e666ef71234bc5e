"""Files that only their owner reads: tokens, keys, passwords."""

import os
from collections.abc import Callable
from pathlib import Path


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in ``path``; made when there is none, and then there whole or not at all.

    An empty file, as a death while it was written once left it, holds no secret: the empty text
    would be a token that everyone knows.
    """
    if path.exists() and (held := path.read_text().strip()):
        return held
    secret = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, secret)
    return secret


def write_private(path: Path, text: str) -> None:
    """Replace a file's text; nobody but its owner can read it, not even for a moment."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
