"""Up to where a collar's messages are held without a gap: what may be acknowledged to it.

Keys are ordered ``(boot, seq)``. Within a boot each ``seq`` follows the one before; a boot follows
another when its birth (``seq`` 0) names a ``previous`` key that is held, or none. What a collar
declares gone (``Status.log_start``) is not waited for.
"""

from gateway.wire.messages import Key

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

    def start_at(self, log_start: Key) -> None:
        """Nothing before ``log_start`` will come any more."""
        if self.next is not None and self.next >= log_start:
            return
        if self.next is not None and self.next.boot == log_start.boot:
            held = sum(1 for key in self._ahead if self.next <= key < log_start)
            self.lost += log_start.seq - self.next.seq - held
        passed = {key for key in self._ahead if key < log_start}
        if passed:
            self.acked = max(passed)
        self._go_to(log_start)
        self._advance()

    def _advance(self) -> None:
        while True:
            if self.next in self._ahead:
                self._ahead.discard(self.next)
                self.acked = self.next
                self.next = Key(self.next.boot, self.next.seq + 1)
                continue
            if not self._births or (following := self._following_boot()) is None:
                return
            self._go_to(Key(following, 0))

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
