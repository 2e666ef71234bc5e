"""What of a collar's log is to be sent now, and what again: without radio, broker or clock.

Three things are repaired. A transmission that the radio loses gets no PUBACK: that message alone
is sent again after `PUBACK_TIMEOUT_S`. A lost connection, or broker: from the oldest message still
owed, as soon as there is a broker again. A broker that forgot what it had acknowledged, or a
gateway that died before its commit: when the gateway's own acknowledgement makes no progress
for `ACK_TIMEOUT_S`, the oldest message knocks, ever more patiently, and once that is acknowledged
everything owed is sent again (go-back-N); and what is not owed any longer is said again, so that a
gateway that knows of no gaps passes one each time.

A gateway is believed only as far as it can have heard since we booted: whoever declares in a
collar's name that messages are gone makes the gateway pass them, but no collar forgets what never
left its antenna. What an earlier boot sent is sent again, since nobody knows any more.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from collar_sim.firmware.collar import Collar
from gateway.wire.messages import Key

WINDOW = 200  # messages sent and not acknowledged: below any broker's in-flight limit
PUBACK_TIMEOUT_S = 1.0  # ten times a slow mobile round trip
ACK_TIMEOUT_S = 10.0  # a gateway commits in 50 ms; one that is slower is busy, not deaf
MAX_ACK_TIMEOUT_S = 60.0
SILENT_S = 3.0  # a gateway that speaks after that, and acknowledges nothing, is back from somewhere
ANNOUNCE_S = 1.0  # a full flash moves its start with each message; say so this often at most


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be sent now."""

    positions: list[int]
    """Of messages in flash, oldest first."""
    status: bool
    """Where the log begins, and what is missing in it, is to be said again."""


class Resend:
    """Of one collar, through its sessions and boots. Times are seconds of one steady clock."""

    def __init__(self, collar: Collar, now_s: float) -> None:
        """Of a collar that has no session yet."""
        self._collar = collar
        self._cursor = 0
        """Up to this position everything was sent in this session."""
        self._repeats: deque[tuple[float, int]] = deque()
        """When to send again what the radio lost."""
        self._acked = 0
        """Messages acknowledged when we last looked."""
        self._progress_s = self._heard_s = now_s
        self._patience_s = ACK_TIMEOUT_S
        self._is_answered = False
        """It was gone back for a gateway that spoke again, without any progress since."""
        self._acked_at_knock: int | None = None
        """How much was acknowledged when nobody answered any more."""
        self._announced = (0, now_s)
        self._boot = collar.flash.boot
        self._highest: Key | None = None
        """Of all that was sent since this boot."""
        self._unheard: set[int] = set()
        """What of it the radio lost each time."""

    def connected(self, now_s: float) -> None:
        """There is a new session: begin with the oldest message that is owed."""
        self._heard_s = now_s
        if self._boot != self._collar.flash.boot:
            self._boot, self._highest = self._collar.flash.boot, None
            self._unheard.clear()
        self._progressed(now_s)
        self.go_back(now_s)

    def go_back(self, now_s: float) -> None:
        """Send everything again that is owed."""
        self._cursor, self._progress_s = self._collar.flash.first, now_s
        self._acked_at_knock = None
        self._repeats.clear()

    def announced(self, now_s: float) -> None:
        """The status was just said."""
        self._announced = (self._collar.flash.overwritten, now_s)

    def sent(self, positions: Iterable[int]) -> None:
        """These went out."""
        for position in positions:
            self._note(position)
            self._unheard.discard(position)

    def lost(self, positions: Iterable[int], now_s: float) -> None:
        """These did not: the radio lost them."""
        for position in positions:
            if self._note(position):
                self._unheard.add(position)
            self._repeats.append((now_s + PUBACK_TIMEOUT_S, position))

    def acknowledged(self, key: Key | None, now_s: float) -> bool:
        """Forget what the gateway has; returns whether there may be more to send."""
        flash = self._collar.flash
        silent_s, self._heard_s = now_s - self._heard_s, now_s
        heard = None if key is None else self._credible(key)
        if heard is not None and flash.prune(heard):
            return True
        if silent_s >= SILENT_S and self._cursor > flash.first and not self._is_answered:
            self._is_answered = True  # once: one that speaks and takes nothing is not away
            self.go_back(now_s)  # a gateway that was away lacks what was sent meanwhile
            return True
        return False

    def due(self, now_s: float) -> Due:
        """What is to be sent now; it counts as sent then, until it is said to be `lost`."""
        flash, positions = self._collar.flash, set[int]()
        self._look(now_s)
        knocks = now_s - self._progress_s >= self._patience_s
        if knocks:
            self._acked_at_knock, self._progress_s = flash.acked, now_s
            self._patience_s = min(2 * self._patience_s, MAX_ACK_TIMEOUT_S)
            positions.add(flash.first)
        while self._repeats and self._repeats[0][0] <= now_s:
            positions.add(self._repeats.popleft()[1])
        if self._cursor < self._collar.sendable:
            until = min(self._collar.sendable, flash.behind(WINDOW))
            positions.update(range(self._cursor, until))
            self._cursor = max(self._cursor, until)
        has_dropped = flash.overwritten != self._announced[0]
        return Due(
            sorted(each for each in positions if each in flash),
            status=knocks or (has_dropped and now_s - self._announced[1] >= ANNOUNCE_S),
        )

    def rest_s(self, now_s: float) -> float | None:
        """In how many seconds to look again, if nothing happens before; None: not at all."""
        due_s: list[float] = []
        if self._repeats:
            due_s.append(self._repeats[0][0])
        flash = self._collar.flash
        if self._cursor > flash.first:
            due_s.append(self._progress_s + self._patience_s)
        if flash.overwritten != self._announced[0]:
            due_s.append(self._announced[1] + ANNOUNCE_S)
        return max(0.0, min(due_s) - now_s) if due_s else None

    def _look(self, now_s: float) -> None:
        """See how far the gateway is."""
        flash = self._collar.flash
        if flash.acked != self._acked:
            self._progressed(now_s)
        elif self._cursor <= flash.first:  # none is owed
            self._progress_s = now_s
        elif any(position == flash.first for _, position in self._repeats):
            self._progress_s = now_s  # the gateway cannot have it yet: that is the radio's doing
        self._cursor = max(self._cursor, flash.first)
        if self._acked_at_knock not in (None, flash.acked):  # somebody listens
            self.go_back(now_s)

    def _progressed(self, now_s: float) -> None:
        """Be as patient as at first."""
        self._acked, self._progress_s = self._collar.flash.acked, now_s
        self._patience_s, self._is_answered = ACK_TIMEOUT_S, False

    def _note(self, position: int) -> bool:
        """Whether a message is sent for the first time."""
        key = self._collar.flash[position].key
        if self._highest is not None and key <= self._highest:
            return False
        self._highest = key
        return True

    def _credible(self, key: Key) -> Key | None:
        """The last message up to ``key`` of which all before it can have been heard, if any.

        A part is believed, and not all or nothing: a gateway may hold more of an earlier boot than
        we may send without an acknowledgement.
        """
        flash = self._collar.flash
        if self._highest is None or flash.last is None or key > flash.last:  # of another life
            return None
        self._unheard = {position for position in self._unheard if position in flash}
        heard = min(key, self._highest)
        if not self._unheard or heard < flash[position := min(self._unheard)].key:
            return heard
        kept = (each for each in range(position - 1, flash.first - 1, -1) if each in flash)
        return next((flash[each].key for each in kept), None)
