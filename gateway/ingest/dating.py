"""When a message is filed: at the instant that its collar names, as far as its clock can be.

A clock that the network or satellites set is believed. One that runs on its own (``rtc``) or was
never set (``unset``) is not, where this boot has said the time by a better clock before: then the
message is dated by its uptime, which no jump changes, where the two are further apart than `DRIFT`.
Else an unset one is filed as it is received, and nothing is filed in the future.
"""

from datetime import datetime, timedelta

from gateway.wire.messages import MAX_FUTURE_S, ClockQuality, Message

OWN = frozenset({ClockQuality.RTC, ClockQuality.UNSET})
"""Clocks that nobody outside the collar has set."""
FUTURE = timedelta(seconds=MAX_FUTURE_S)
DRIFT = timedelta(seconds=60)  # a quartz of 20 ppm takes a month for it; a rounded stamp is no lie


class Dating:
    """Knows, of each collar, when its present boot began."""

    def __init__(self) -> None:
        self._booted: dict[str, tuple[int, datetime]] = {}

    def filed_at(self, message: Message, received_at: datetime) -> datetime:
        """The instant under which a message is kept; what it says itself is kept as well."""
        at = message.observed_at
        if message.clock not in OWN:
            self._learn(message, received_at)
            return at
        reckoned_at = self._by_uptime(message, received_at)
        if reckoned_at is not None:
            at = at if abs(at - reckoned_at) <= DRIFT else reckoned_at
        elif message.clock is ClockQuality.UNSET:
            at = received_at
        return min(at, received_at)

    def _learn(self, message: Message, received_at: datetime) -> None:
        if not message.uptime_s or message.observed_at > received_at + FUTURE:
            return  # strangers that know no uptime say 0; what is ahead of us will be refused
        try:
            booted_at = message.observed_at - timedelta(seconds=message.uptime_s)
        except OverflowError:  # before the calendar begins: nobody's boot
            return
        self._booted[message.collar_id] = message.boot, booted_at

    def _by_uptime(self, message: Message, received_at: datetime) -> datetime | None:
        boot, booted_at = self._booted.get(message.collar_id, (None, received_at))
        if not message.uptime_s or boot != message.boot:
            return None
        try:
            return booted_at + timedelta(seconds=message.uptime_s)
        except OverflowError:  # after the calendar ends
            return None
