"""New ids."""

import secrets


def new_id(prefix: str) -> str:
    """A slug that was never used and cannot be guessed, such as ``pet-4f0c2a9be1d7``."""
    return f"{prefix}-{secrets.token_hex(6)}"
