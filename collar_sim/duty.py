"""In which seconds of a minute a collar runs: power cuts and crashes, and what dies with them.

What was in memory is lost: the samples of a minute that did not come to its end, a batch that was
not sealed. After a boot the first epoch is shorter; it begins with the boot.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from collar_sim.arrays import BoolArray
from collar_sim.firmware.minute import Draft
from gateway.wire.topics import Kind


@dataclass(frozen=True, slots=True)
class PowerChange:
    """A collar goes off, or boots."""

    release_at: datetime
    """When."""
    is_on: bool
    clock_is_set: bool = True
    """Whether its clock ran meanwhile."""


@dataclass(frozen=True)
class Span:
    """Seconds ``first..end-1`` of a minute in which a collar ran without a break."""

    first: int
    end: int
    is_boot: bool
    """It begins with a boot."""


@dataclass(frozen=True)
class Duty:
    """In which seconds of a minute a collar ran, and what was before."""

    on: BoolArray
    """Shape (60,)."""
    battery: BoolArray
    """Shape (60,), in which of them the battery was there."""
    was_on: bool = True
    had_battery: bool = True

    @cached_property
    def is_cut(self) -> bool:
        """Whether its power went, or came, or was away."""
        return not (self.was_on and self.on.all())

    @property
    def ends_on(self) -> bool:
        """Whether it runs as the minute is over."""
        return bool(self.on[-1])

    @cached_property
    def spans(self) -> list[Span]:
        """When it ran, in order."""
        if not self.is_cut:  # nearly always
            return [Span(0, len(self.on), is_boot=False)]
        before = np.concatenate([[False], self.on])
        edges = np.flatnonzero(before != np.concatenate([self.on, [False]])).tolist()
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [Span(a, b, is_boot=a > 0 or not self.was_on) for a, b in pairs]

    @property
    def since_s(self) -> int:
        """Second of its last boot, 0 where that was before: all that is older it has forgotten.

        60 where it did not run.
        """
        spans = self.spans
        return spans[-1].first if spans else len(self.on)

    @cached_property
    def remembered(self) -> BoolArray:
        """Shape (60,): the seconds in which it ran, since that boot."""
        return self.on & (np.arange(len(self.on)) >= self.since_s)

    def changes(self, start_at: datetime) -> list[PowerChange]:
        """What happened to it, in order; without its battery the clock stands still too."""
        before = np.concatenate([[self.was_on], self.on[:-1]])
        ran = np.concatenate([[self.had_battery], self.battery[:-1]])
        found: list[PowerChange] = []
        for second in np.flatnonzero(before != self.on).tolist():
            at, is_on = start_at + timedelta(seconds=second), bool(self.on[second])
            found.append(PowerChange(at, is_on, clock_is_set=bool(ran[second])))
        return found

    def lived(self, said: list[Draft], start_at: datetime) -> list[Draft]:
        """Of what a minute would have to say, what the collar lived to say."""
        return [draft for draft in said if self._lived(draft, start_at)] if self.is_cut else said

    def with_changes(self, lived: list[Draft], start_at: datetime) -> list[Draft | PowerChange]:
        """What was said, with what happened: at one instant a boot first, a power cut last."""
        if not self.is_cut:
            return [*lived]
        changes = self.changes(start_at)
        ups, downs = (
            [change for change in changes if change.is_on is is_on] for is_on in (True, False)
        )
        return sorted([*ups, *lived, *downs], key=lambda each: each.release_at)

    def _lived(self, draft: Draft, start_at: datetime) -> bool:
        at_s = int((draft.release_at - start_at).total_seconds())
        if draft.kind is not Kind.FIX:  # a fix is known as it is taken, the rest when it is over
            at_s -= 1
        return bool(self.on[min(59, max(0, at_s))])
