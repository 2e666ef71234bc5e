"""When a collar comes into the reach of its home's WiFi, and when it leaves it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Move:
    """From here on it speaks by the home's WiFi, or by cellular radio."""

    release_at: datetime
    """When. Minutes are made ahead of the clock: until then its radio does not know."""
    is_home: bool


def moves(start_at: datetime, at_home: Iterable[bool], was_home: bool | None) -> list[Move]:
    """Comings and goings of a minute, in order.

    Args:
        start_at: When it began.
        at_home: Of each second, whether the home's WiFi is heard.
        was_home: Whether it was in the second before; None: nobody knows.

    >>> [(move.release_at.second, move.is_home)
    ...  for move in moves(datetime(2026, 1, 1), [True] * 20 + [False] * 40, was_home=True)]
    [(20, False)]
    """
    found: list[Move] = []
    for second, is_home in enumerate(at_home):
        if is_home is not was_home:
            found.append(Move(start_at + timedelta(seconds=second), is_home))
            was_home = is_home
    return found
