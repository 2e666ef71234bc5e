"""Up to where a collar's messages are held without a gap: what may be acknowledged to it.

Keys are ordered ``(boot, seq)``. Within a boot each ``seq`` follows the one before; a boot follows
another when its birth (``seq`` 0) names a ``previous`` key that is held, or none. What a collar
declares gone (``Status.gaps``, ``Status.log_start``) is not waited for; but nothing is passed over
except on the way to a message that is held. So what a status claims of the future does nothing
until the future comes, and the next status takes it back.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from operator import attrgetter, itemgetter

from gateway.wire.messages import Gap, Key

MAX_AHEAD = 50_000  # keys remembered beyond a gap; the collar sends the others again
MAX_BOOTS_AHEAD = 256  # the same of births, each of which is looked at more often
MAX_GAP = 10_000_000  # messages: one a second for four months; who claims more is wrong
MAX_GIVEN_UP = 1_024  # runs remembered, in case something of them was on its way
MAX_LOST = 2**40  # a count beyond belief, whose sum over all collars still fits the store
BEFORE_ALL = Key(-1, 0)  # of a boot that no collar has


class Contiguity:
    """One collar's run of held messages. ``next`` is the first key not yet held or passed over."""

    def __init__(self, next_key: Key = BEFORE_ALL, acked: Key | None = None, lost: int = 0) -> None:
        self.next = next_key
        self.acked = acked
        self.lost = min(lost, MAX_LOST)
        """Messages of the boots we know that were passed over."""
        self._ahead: list[Key] = []
        """A heap of the held keys from ``next`` on."""
        self._known: set[Key] = set()
        """The same keys."""
        self._highest = BEFORE_ALL
        """The last of them; where there are none it lies before ``next``."""
        self._forgotten = BEFORE_ALL
        """The last held key that there was no room for."""
        self._births: dict[int, Key | None] = {}
        """Boots whose first message is ahead, and the key that each of them follows."""
        self._gaps: deque[Gap] = deque()
        """What the collar said will never come, in order."""
        self._lost_births: dict[int, Key | None] = {}
        """Boots whose first message is in a gap, and the key that each of them follows."""
        self._log_start = BEFORE_ALL
        """Nothing before it will come either."""
        self._given_up: list[tuple[Key, Key]] = []
        """First and last key of what was counted as lost since this was made, in order."""

    @property
    def knows_all(self) -> bool:
        """Whether every held key from ``next`` on is remembered here."""
        return self._forgotten < self.next

    def is_new(self, key: Key) -> bool:
        """Whether ``key`` is certainly not held; of an old key one has to look it up."""
        return key >= self.next and key not in self._known

    def hold(self, key: Key, previous: Key | None = None) -> None:
        """``key`` is safe: stored, or refused for good. ``previous`` is what its birth names."""
        if key < self.next:
            return
        if key == self.next and not self._ahead:  # all is well: nothing to remember of it
            self._pass(key)
            return
        if key not in self._known:
            if not self._has_room(key, previous):
                self._forgotten = max(self._forgotten, key)
                return
            self._highest = max(self._highest, key)
            self._known.add(key)
            heappush(self._ahead, key)
        if key.seq == 0:
            self._births[key.boot] = previous
        self._advance()

    def found(self, key: Key) -> None:
        """A message that was given up came after all: it was on its way when that was said."""
        at = bisect_right(self._given_up, key, key=itemgetter(0)) - 1
        if at >= 0 and key <= self._given_up[at][1]:
            self.lost -= 1

    def declare(self, gaps: Iterable[Gap]) -> None:
        """These messages will never come; said anew each time, all that are still to be passed."""
        owed = [gap for gap in gaps if gap.last >= self.next and _is_credible(gap)]
        self._gaps = deque(sorted(owed, key=attrgetter("first")))
        self._lost_births = {gap.boot: gap.previous for gap in owed if gap.first_seq == 0}
        self._advance()

    def start_at(self, log_start: Key) -> None:
        """Nothing before ``log_start`` will come any more; the last word counts."""
        self._log_start = log_start
        self._advance()

    def _has_room(self, key: Key, previous: Key | None) -> bool:
        """What closes the gap always has room, or what is behind it would stay for ever."""
        if key == self.next:
            return True
        if key.seq == 0:
            return len(self._births) < MAX_BOOTS_AHEAD or self._is_over(previous)
        return len(self._ahead) < MAX_AHEAD

    def _advance(self) -> None:
        while self._ahead:  # each turn takes a key, passes a gap or changes the boot: one sweep
            if self._ahead[0] == self.next:
                self._pass(self._take())
            elif (gap := self._gap_here()) is not None:
                self._give_up(Key(gap.boot, gap.last_seq + 1))
            elif (boot := self._following_boot()) is not None:
                self._go_to(Key(boot, 0))
            elif self.next < self._log_start:
                self._give_up(self._log_start)
            else:
                return

    def _pass(self, key: Key) -> None:
        self.acked, self.next = key, Key(key.boot, key.seq + 1)

    def _take(self) -> Key:
        key = heappop(self._ahead)
        self._known.discard(key)
        self._births.pop(key.boot, None)
        return key

    def _gap_here(self) -> Gap | None:
        """What is declared gone from ``next`` on."""
        while self._gaps and self._gaps[0].last < self.next:
            self._gaps.popleft()
        return self._gaps[0] if self._gaps and self._gaps[0].first <= self.next else None

    def _give_up(self, until: Key) -> None:
        """Pass over what is missing before a key; of what lies in other boots nobody knows."""
        key = min(until, self._ahead[0])
        if self.next.boot == key.boot:
            self.lost = min(self.lost + key.seq - self.next.seq, MAX_LOST)
            self._given_up.append((self.next, Key(key.boot, key.seq - 1)))
            del self._given_up[:-MAX_GIVEN_UP]
        self.next = key

    def _is_over(self, previous: Key | None) -> bool:
        """Whether all up to the key that a birth names is held, or passed over."""
        return previous is None or previous < self.next

    def _following_boot(self) -> int | None:
        """The next boot of which it is known that nothing is owed from before it."""
        if not self._births and not self._lost_births:
            return None
        follow = (
            boot
            for births in (self._births, self._lost_births)
            for boot, previous in births.items()
            if self.next.boot < boot <= self._highest.boot and self._is_over(previous)
        )
        return min(follow, default=None)

    def _go_to(self, key: Key) -> None:
        self.next = key
        while self._ahead and self._ahead[0] < key:  # of boots that were left behind
            self._take()


def _is_credible(gap: Gap) -> bool:
    return gap.last_seq - gap.first_seq < MAX_GAP
