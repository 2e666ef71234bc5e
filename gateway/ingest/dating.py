"""When a message is filed: at the instant that its collar names, as far as its clock can be.

A clock that the network or satellites set is believed. One that runs on its own (``rtc``) or was
never set (``unset``) is not, where this boot has said the time by a better clock before: then the
message is dated by its uptime, which no jump changes. Else an unset one is filed as it is received,
and nothing is filed in the future.
"""

from datetime import datetime, timedelta

from gateway.wire.messages import ClockQuality, Message

OWN = frozenset({ClockQuality.RTC, ClockQuality.UNSET})
"""Clocks that nobody outside the collar has set."""


class Dating:
    """Knows, of each collar, when its present boot began."""

    def __init__(self) -> None:
        self._booted: dict[str, tuple[int, datetime]] = {}

    def filed_at(self, message: Message, received_at: datetime) -> datetime:
        """The instant under which a message is kept; what it says itself is kept as well."""
        at, uptime = message.observed_at, timedelta(seconds=message.uptime_s)
        if message.clock not in OWN:
            if uptime:  # strangers that know none say 0
                self._booted[message.collar_id] = message.boot, at - uptime
            return at
        boot, booted_at = self._booted.get(message.collar_id, (None, received_at))
        if uptime and boot == message.boot:
            at = booted_at + uptime
        elif message.clock is ClockQuality.UNSET:
            at = received_at
        return min(at, received_at)
