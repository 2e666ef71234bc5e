"""Why a row is refused. The value is part of the contract: gateways and people read it."""

from enum import StrEnum


class Refusal(StrEnum):
    """One word per reason."""

    UNKNOWN_COLLAR = "unknown_collar"
    """The collar is not enrolled at the site that sent the row."""
    NOT_GRANTED = "not_granted"
    """No active grant of the pet that wore the collar then covers this stream and these leaves."""
    WRONG_SEAL = "wrong_seal"
    """The seal does not prove the rows it came with."""
    INVALID = "invalid"
    """A leaf is missing, ill-typed or out of range; the detail names it."""
    FUTURE_DATED = "future_dated"
    """Observed or received later than now."""
    CONFLICT = "conflict"
    """The key is held with other content."""


class Refused(Exception):
    """A row is not taken; ``reason`` in one word, ``detail`` in a sentence."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
