"""Where a fleet's CPU time goes: by stage, in CPU seconds of this process."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum


class Stage(StrEnum):
    """What a simulated collar costs time for."""

    START = "start"
    """Imports, models, the first life of every collar."""
    ANIMAL = "animal"
    """What the animal does, and what the sensors see of it."""
    MODELS = "models"
    """Windows through the models, and what comes of them: epochs, events, fixes."""
    WRITING = "writing"
    """Messages encoded, hashed for their seals, signed."""
    FLASH = "flash"
    """The flash's commits."""
    CONNECTIONS = "connections"
    """All the rest: MQTT, timers, the event loop."""


class Stopwatch:
    """Sums CPU seconds by stage; its start ends the stage ``start``.

    Each thread times itself, and a stage contains no other. What no stage claimed is the
    connections': their work is in thousands of small pieces.

    >>> watch = Stopwatch()
    >>> with watch.timing(Stage.FLASH):
    ...     _ = sum(range(1000))
    >>> list(watch.shares())
    ['animal', 'models', 'writing', 'flash', 'connections']
    """

    def __init__(self) -> None:
        self._start_s = time.process_time()
        self._spent_s = dict.fromkeys((*Stage,), 0.0)
        self._spent_s[Stage.START] = self._start_s

    @contextmanager
    def timing(self, stage: Stage) -> Generator[None]:
        """The block belongs to a stage; it must not await."""
        began_s = time.thread_time()
        try:
            yield
        finally:
            self._spent_s[stage] += time.thread_time() - began_s

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each stage so far."""
        spent_s = dict(self._spent_s)
        spent_s[Stage.CONNECTIONS] = max(0.0, time.process_time() - sum(spent_s.values()))
        return {str(stage): round(seconds, 3) for stage, seconds in spent_s.items()}

    def shares(self) -> dict[str, float]:
        """The part of each stage in all of it but the start."""
        return shares_of(self.cpu_s())


def shares_of(cpu_s: dict[str, float]) -> dict[str, float]:
    """Each stage's part of the CPU time, the start left out.

    >>> shares_of({"start": 2.0, "animal": 3.0, "models": 1.0})
    {'animal': 0.75, 'models': 0.25}
    """
    running_s = {stage: seconds for stage, seconds in cpu_s.items() if stage != Stage.START}
    whole_s = sum(running_s.values()) or 1.0
    return {stage: round(seconds / whole_s, 3) for stage, seconds in running_s.items()}
