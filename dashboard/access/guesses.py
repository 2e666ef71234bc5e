"""Slows down whoever tries passwords: after a few wrong ones, each next try has to wait longer."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

FREE = 5  # wrong ones in a row that cost nothing: people mistype
FIRST_WAIT_S, LONGEST_WAIT_S = 15.0, 900.0
FREE_FOR_ALL = 60  # over everyone: someone guesses under many names
LONGEST_FOR_ALL_S = 30.0  # slow for who guesses, bearable for an owner meanwhile
FORGIVEN_AFTER_S = 3_600.0
NAMES_KEPT = 2_000
EVERYONE = ""


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    free_at: float = 0.0
    last_at: float = 0.0


class Guesses:
    """How often each name was tried; in memory only, bounded, for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def admit(self, name: str, now: float) -> float:
        """Begin a try: 0 when it may go ahead, else how many seconds to wait.

        It counts as wrong until ``right`` is told, so tries at once do not slip through.

        Args:
            name: Of the one who tries.
            now: Of a monotonic clock, in seconds.
        """
        with self._lock:
            wait_s = max(self._wait_s(name, now), self._wait_s(EVERYONE, now))
            if wait_s <= 0:
                self._count(name, now, FREE, LONGEST_WAIT_S)
                self._count(EVERYONE, now, FREE_FOR_ALL, LONGEST_FOR_ALL_S)
            return wait_s

    def right(self, name: str) -> None:
        """The last try was right; all is forgiven."""
        with self._lock:
            self._tries.pop(name, None)
            self._undo(EVERYONE)

    def undecided(self, name: str) -> None:
        """Nobody could say whether the last try was right."""
        with self._lock:
            self._undo(name)
            self._undo(EVERYONE)

    def _wait_s(self, name: str, now: float) -> float:
        tries = self._tries.get(name)
        return 0.0 if tries is None else max(0.0, tries.free_at - now)

    def _count(self, name: str, now: float, free: int, longest_s: float) -> None:
        tries = self._tries.get(name)
        if tries is None or now - tries.last_at > FORGIVEN_AFTER_S:
            tries = self._tries[name] = _Tries()
        tries.wrong += 1
        tries.last_at = now
        if tries.wrong >= free:
            longer = 2.0 ** min(20, tries.wrong - free)
            tries.free_at = now + min(longest_s, FIRST_WAIT_S * longer)
        self._tries.move_to_end(name)
        while len(self._tries) > NAMES_KEPT:
            oldest = next(each for each in self._tries if each != EVERYONE)
            del self._tries[oldest]

    def _undo(self, name: str) -> None:
        tries = self._tries.get(name)
        if tries is not None:
            tries.wrong = max(0, tries.wrong - 1)
            tries.free_at = 0.0
