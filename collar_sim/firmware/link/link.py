"""What the collars of a process share: the broker they look for, and one voice about its outages.

An outage is said once when it begins and once when it ends, not by each of thousands. Whoever gets
through tells those who wait for their next try; but where sessions break off as soon as they
begin, only once one has lasted.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from gateway.wire.session import BrokerUrl

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RECONNECT_S = 2.0  # mean wait before the next try, so that a fleet does not return as one
MAX_CONNECTING = 64  # handshakes at once, of all collars
WARN_EVERY_S = 60.0  # of refused messages: a gateway may refuse each of a flood


@dataclass
class Link:
    """Where the broker is, who has lost it, and counters of its use."""

    broker: BrokerUrl
    site: str
    transmissions: int = 0
    """Packets of messages that were sent, those sent again and those the radio lost included."""
    radio_lost: int = 0
    refused: int = 0
    """Messages that the gateway said it would not take."""
    connecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONNECTING))
    unreached: str = ""
    """Why no collar that tried ever was connected; empty once one was."""
    resting: set[asyncio.Event] = field(default_factory=set[asyncio.Event])
    """To be set when there is a broker again, of those who wait for their next try."""
    _away: set[str] = field(default_factory=set[str])
    _reached: bool = False
    _told_s: float | None = None
    _lasts: bool = True
    """Sessions last, as far as is known."""
    _warned_s: float | None = None

    def lost(self, collar_id: str, reason: str) -> None:
        """Note that a collar has no connection; said once per outage, not once per collar."""
        if not self._reached:
            self.unreached = reason
        if not self._away:
            log.warning("broker.lost", collar_id=collar_id, reason=reason)
        self._away.add(collar_id)

    def found(self, collar_id: str) -> None:
        """Note that a collar is connected; if sessions last, the others try too."""
        self._reached, self.unreached = True, ""
        if collar_id in self._away:
            self.let_go(collar_id)
            if self._lasts:
                self._tell()

    def lasted(self) -> None:
        """Note that a session has lasted: whoever waits may try again."""
        if not self._lasts:
            self._lasts = True
            self._tell()

    def broke_off(self) -> None:
        """Note that a session ended as soon as it had begun: that is no broker to hurry to."""
        self._lasts = False

    def let_go(self, collar_id: str) -> None:
        """Note that a collar is not away any more, or not looking for the broker."""
        if collar_id in self._away:
            self._away.discard(collar_id)
            if not self._away:
                log.info("broker.back", host=self.broker.host, port=self.broker.port)

    def _tell(self) -> None:
        """Wake those who wait for their next try: not each of thousands tells all others."""
        now_s = time.monotonic()
        if self._told_s is None or now_s - self._told_s >= RECONNECT_S:
            self._told_s = now_s
            for each in self.resting:
                each.set()

    def note_refused(self, collar_id: str, reasons: Sequence[str], now_s: float) -> None:
        """Count what the gateway refused of a collar; said once a minute at most, of all."""
        self.refused += len(reasons)
        if self._warned_s is None or now_s - self._warned_s >= WARN_EVERY_S:
            self._warned_s = now_s
            log.warning(
                "messages.refused",
                collar_id=collar_id,
                reasons=list(reasons[:3]),
                refused_so_far=self.refused,
            )
