"""When a message is filed: at the instant that its collar names, as far as its clock can be.

A clock that the network or satellites set is believed. One that runs on its own (``rtc``) or was
never set (``unset``) is compared with ``uptime_s``, which no jump changes, where its boot has said
the time by a better clock, before, in the same list or later: a collar sends what is oldest first,
so who knows better often comes last. Nothing else bears a date out, and arrival least: a clock that
is ahead by two hours says now of what is two hours old. What nobody bears out stays at home, and is
filed so that live news passes for live, a slow clock's too, and a backlog as far apart as its
uptimes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from gateway.wire.messages import MAX_FUTURE_S, ActivityEpoch, ClockQuality, Message

OWN = frozenset({ClockQuality.RTC, ClockQuality.UNSET})
"""Clocks that nobody outside the collar has set."""
FUTURE = timedelta(seconds=MAX_FUTURE_S)
DRIFT = timedelta(seconds=60)  # a quartz of 20 ppm takes a month for it; a rounded stamp is no lie
MAX_BOOTS = 16  # remembered of a collar; a log that spans more is filed by its own word
MOVED = timedelta(seconds=1)  # the jitter of an honest clock: nothing to write down anew
TOGETHER = timedelta(seconds=5)  # of one sending, told one by one: the radio's delays are no pace
LONGEST = timedelta(days=366)  # no log reaches further back: a satellite's week zero, a forgery


class Basis(IntEnum):
    """How a message came to its date: the greater, the better it is known. Kept in the store."""

    BACKLOG = 0
    """By its arrival, of a collar that knows the time by now, and sends what it had kept."""
    ARRIVAL = 1
    """No later than it was received: of a collar that does not know the time."""
    CLAIM = 2
    """By a clock of its own that nothing bears out, or only that it says now as it arrives."""
    UPTIME = 3
    """Reckoned from when its boot began: the collar's own date is wrong."""
    CLOCK = 4
    """By the collar's clock, which somebody set, or its boot's told time bears out. Only these are
    ever shared."""


class Filed(NamedTuple):
    """An instant, and how far it can be trusted."""

    at: datetime
    basis: Basis


@dataclass(slots=True)
class Boot:
    """When a boot began, as far as that is known."""

    began_at: datetime | None = None
    """By a clock that somebody set."""
    kept_at: datetime | None = None
    """The same, as it was last written down."""
    latest_at: datetime | None = None
    """It cannot have begun later: something of so much uptime had been received."""
    heard_at: datetime | None = None
    """When something of it was received last."""
    since_at: datetime | None = None
    """When the first was received of what came together with that."""
    pace_at: datetime | None = None
    """When it would have begun, had the newest received then not waited."""
    before_at: datetime | None = None
    """The same, of the time before."""
    passed: timedelta = timedelta(0)
    """Between the two."""

    def pace(self, latest_at: datetime, received_at: datetime) -> None:
        """Learn from an uptime that it was received."""
        if self.since_at is None or abs(received_at - self.since_at) > TOGETHER:
            self.passed = received_at - (self.heard_at or received_at)
            self.since_at, self.before_at, self.pace_at = received_at, self.pace_at, None
        self.heard_at = received_at
        self.pace_at = min(self.pace_at or latest_at, latest_at)
        self.latest_at = min(self.latest_at or latest_at, latest_at)

    @property
    def keeps_pace(self) -> bool:
        """Its uptime goes on about as our clock does: it sends as it happens, and no backlog."""
        if self.pace_at is None or self.before_at is None:
            return False
        return abs(self.pace_at - self.before_at) <= min(self.passed / 2, DRIFT)

    def is_behind(self, message: Message) -> bool:
        """Whether the message's clock is slow: it happened just now, and says of long ago."""
        live_at = _after(self.pace_at, message.uptime_s) if self.keeps_pace else None
        return live_at is not None and live_at - message.observed_at > DRIFT


class Dating:
    """Knows, of each collar's boots, when they began."""

    def __init__(self) -> None:
        self._boots: dict[str, dict[int, Boot]] = {}
        self._learnt: dict[tuple[str, int], datetime] = {}

    def restore(self, kept: Iterable[tuple[str, int, datetime]]) -> None:
        """Know what was written down, and nothing else: collar, boot, and when it began."""
        self._boots, self._learnt = {}, {}
        for collar_id, boot, began_at in kept:
            if (known := self._boot(collar_id, boot)) is not None:
                known.began_at = known.kept_at = began_at

    def learnt(self) -> dict[tuple[str, int], datetime]:
        """When boots began, by collar and number, where that is to be written down; told once."""
        learnt, self._learnt = self._learnt, {}
        return learnt

    def hear(self, message: Message, received_at: datetime) -> None:
        """Learn from a message, before any of its list is filed."""
        if not message.uptime_s:
            return  # strangers that know no uptime say 0
        is_own = message.clock in OWN
        said_at = received_at if is_own else message.observed_at
        try:
            began_at = said_at - timedelta(seconds=message.uptime_s)
        except OverflowError:  # before the calendar begins: nobody's boot
            return
        if said_at > received_at + FUTURE or received_at - began_at > LONGEST:
            return
        boot = self._boot(message.collar_id, message.boot)
        if boot is None:
            return
        if is_own:  # an epoch is told when it is over
            period_s = message.period_s if isinstance(message, ActivityEpoch) else 0.0
            boot.pace(began_at - timedelta(seconds=period_s), received_at)
            return
        boot.began_at = began_at
        if boot.kept_at is None or abs(boot.kept_at - began_at) > MOVED:
            boot.kept_at = self._learnt[message.collar_id, message.boot] = began_at

    def file(
        self, message: Message, received_at: datetime, sent_at: datetime | None = None
    ) -> Filed:
        """The instant under which a message is kept; what it says itself is kept as well.

        Args:
            message: Whose collar was heard before, so far as it is to be believed.
            received_at: By the gateway's clock.
            sent_at: By the collar's, which may have been set since the message was written.
        """
        at = message.observed_at
        if message.clock not in OWN:
            return Filed(at, Basis.CLOCK)
        boot = Boot()
        if message.uptime_s:  # else it knows none, and nothing can be reckoned
            boot = self._boots.get(message.collar_id, {}).get(message.boot, boot)
        reckoned_at = _after(boot.began_at, message.uptime_s)
        if message.clock is ClockQuality.RTC:
            if reckoned_at is not None and abs(at - reckoned_at) <= DRIFT:
                if at <= received_at + FUTURE:
                    return Filed(at, Basis.CLOCK)
            elif abs(at - received_at) <= DRIFT:  # live, for all we know: nobody must miss it
                return Filed(at, Basis.CLAIM)
            if reckoned_at is None and at <= received_at and not boot.is_behind(message):
                return Filed(at, Basis.CLAIM)
        if reckoned_at is not None:
            return Filed(min(reckoned_at, received_at), Basis.UPTIME)
        if boot.keeps_pace or not message.uptime_s:
            at = _after(boot.pace_at, message.uptime_s) or received_at
            return Filed(min(at, received_at), Basis.ARRIVAL)
        latest_at = _after(boot.latest_at, message.uptime_s) or received_at
        is_set_now = sent_at is not None and abs(received_at - sent_at) <= DRIFT
        return Filed(min(latest_at, received_at), Basis.BACKLOG if is_set_now else Basis.ARRIVAL)

    def _boot(self, collar_id: str, number: int) -> Boot | None:
        """What is known of a boot; of so many only the newest are remembered."""
        boots = self._boots.setdefault(collar_id, {})
        boot = boots.get(number)
        if boot is None:
            if len(boots) == MAX_BOOTS:
                if number < min(boots):
                    return None
                del boots[min(boots)]
            boot = boots[number] = Boot()
        return boot


def _after(began_at: datetime | None, uptime_s: float) -> datetime | None:
    """So long after a boot began; None where nobody knows, or beyond the calendar.

    >>> from datetime import UTC
    >>> _after(datetime(2026, 5, 1, tzinfo=UTC), 90.0).isoformat()
    '2026-05-01T00:01:30+00:00'
    """
    if began_at is None:
        return None
    try:
        return began_at + timedelta(seconds=uptime_s)
    except OverflowError:
        return None
