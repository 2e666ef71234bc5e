"""Up to where a collar's messages are held without a gap: what may be acknowledged to it.

Keys are ordered ``(boot, seq)``. Within a boot each ``seq`` follows the one before; a boot follows
another when its birth (``seq`` 0) names a ``previous`` key that is held, or none. What a collar
declares gone (``Status.gaps``, ``Status.log_start``) is not waited for.
"""

from collections import deque
from collections.abc import Iterable

from gateway.wire.messages import Gap, Key

MAX_GIVEN_UP = 1_024  # runs remembered, in case something of them was on its way
MOST_LOST = 2**40  # a collar that claims more is wrong, and its count must fit the store
MAX_AHEAD = 50_000  # keys remembered beyond a gap; the collar sends the others again


class Contiguity:
    """One collar's run of held messages. ``next`` is the first key not yet held."""

    def __init__(
        self, next_key: Key | None = None, acked: Key | None = None, lost: int = 0
    ) -> None:
        self.next = next_key
        self.acked = acked
        self.lost = lost
        self.knows_all = True
        """Whether every held key from ``next`` on is remembered here."""
        self._ahead: set[Key] = set()
        self._births: dict[int, Key | None] = {}
        """Boots whose first message is ahead, and the key that each of them follows."""
        self._gaps: dict[int, list[Gap]] = {}
        """What the collar said will never come, by boot."""
        self._given_up: deque[tuple[Key, Key]] = deque(maxlen=MAX_GIVEN_UP)
        """First and last key of what was counted as lost since this was made."""

    def is_new(self, key: Key) -> bool:
        """Whether ``key`` is certainly not held; of an old key one has to look it up."""
        return (self.next is None or key >= self.next) and key not in self._ahead

    def hold(self, key: Key, previous: Key | None = None) -> None:
        """``key`` is safe: stored, or refused for good. ``previous`` is what its birth names."""
        if self.next is not None and key < self.next:
            return
        if key.seq == 0:
            self._births[key.boot] = previous
        elif len(self._ahead) >= MAX_AHEAD and key != self.next:
            self.knows_all = False
            return
        self._ahead.add(key)
        self._advance()

    def found(self, key: Key) -> None:
        """A message that was given up came after all: it was on its way when that was said."""
        self.lost -= any(first <= key <= last for first, last in self._given_up)

    def declare(self, gaps: Iterable[Gap]) -> None:
        """These messages will never come; said anew each time, all that are still to be passed."""
        self._gaps = {}
        for gap in gaps:
            if self.next is None or gap.last >= self.next:
                self._gaps.setdefault(gap.boot, []).append(gap)
                if gap.first_seq == 0:
                    self._births.setdefault(gap.boot, gap.previous)
        self._advance()

    def start_at(self, log_start: Key) -> None:
        """Nothing before ``log_start`` will come any more."""
        if self.next is None or self.next < log_start:
            self._pass_to(log_start)
            self._advance()

    def _advance(self) -> None:
        while True:
            if self.next in self._ahead:
                self._ahead.discard(self.next)
                self.acked = self.next
                self.next = Key(self.next.boot, self.next.seq + 1)
            elif self.next is not None and (gap := self._gap_at(self.next)) is not None:
                self._pass_to(Key(gap.boot, gap.last_seq + 1))
            elif self._births and (following := self._following_boot()) is not None:
                self._go_to(Key(following, 0))
            else:
                return

    def _pass_to(self, key: Key) -> None:
        """Give up what is missing before a key; of what lies in other boots nobody knows."""
        passed = {each for each in self._ahead if each < key}
        if self.next is not None and self.next.boot == key.boot:
            missing = key.seq - self.next.seq - sum(each >= self.next for each in passed)
            self.lost = min(MOST_LOST, self.lost + missing)
            self._given_up.append((self.next, Key(key.boot, key.seq - 1)))
        if passed:
            self.acked = max(passed)
        self._go_to(key)

    def _gap_at(self, key: Key) -> Gap | None:
        gaps = self._gaps.get(key.boot, ())
        return next((gap for gap in gaps if gap.first <= key <= gap.last), None)

    def _following_boot(self) -> int | None:
        """The next boot of which it is known that nothing is owed from before it."""
        here = -1 if self.next is None else self.next.boot
        follow = (
            boot
            for boot, previous in self._births.items()
            if boot > here
            and (previous is None or (self.next is not None and previous < self.next))
        )
        return min(follow, default=None)

    def _go_to(self, key: Key) -> None:
        self.next = key
        self._ahead = {each for each in self._ahead if each >= key}
        self._births = {boot: known for boot, known in self._births.items() if boot > key.boot}
        self._gaps = {boot: gaps for boot, gaps in self._gaps.items() if boot >= key.boot}
