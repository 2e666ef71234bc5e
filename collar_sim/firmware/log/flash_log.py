"""One collar's log: every message still owed to the gateway, within a budget of bytes.

A message leaves by the gateway's acknowledgement. When the log is full, the oldest of the least
important kind goes first: raw windows, then what comes each minute, then what others need to be
understood or proven, and alerts last. What went is counted by kind, and declared as gaps.

A seal outlives what it proves, and then proves nothing: the gateway files the rest of its batch as
unsealed. It is kept all the same, since it ends the gateway's wait for it.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice, pairwise

from collar_sim.firmware.log.gaps import Gaps
from gateway.wire.codec import salvage_previous
from gateway.wire.messages import MAX_GAPS, Key
from gateway.wire.topics import Kind

WAIT_SHARE, WAIT_SHARE_WITH_WINDOWS = 3 / 4, 3 / 8  # full so far, a writer that can wait does
WINDOWS_SHARE = 1 / 2  # full so far, windows are left out: an outage must not cost the day's record
RANKS = {Kind.WINDOW: 0, Kind.SEAL: 2, Kind.SLOTS: 2, Kind.BIRTH: 2, Kind.EVENT: 3}
"""How long a kind is kept in a full log: the lowest goes first."""
EACH_MINUTE = 1
"""The rank of all other kinds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message in flash."""

    key: Key
    kind: Kind
    payload: bytes

    @property
    def is_json(self) -> bool:
        """Whether it was written to be packed with others; else it is MessagePack."""
        return self.payload[:1] == b"{"

    @property
    def rank(self) -> int:
        """See `RANKS`."""
        return RANKS.get(self.kind, EACH_MINUTE)


class FlashLog:
    """One collar's part of the flash. Positions count its messages since this process started."""

    def __init__(self, number: int, collar_id: str, boot: int, budget_bytes: int) -> None:
        self.number = number
        self.collar_id = collar_id
        self.boot = boot
        self.budget_bytes = budget_bytes
        self.next_seq = 0
        self.last: Key | None = None
        """The last message ever written."""
        self.acked_key: Key | None = None
        self.acked = 0
        """Messages that the gateway said it has, in all boots."""
        self.overwritten = 0
        """Messages lost because the flash was full, in all boots."""
        self.dropped: Counter[str] = Counter()
        """The same by kind, as far as it was counted so."""
        self.gaps = Gaps()
        """Lost messages that the gateway is not known to have passed over."""
        self.size_bytes = 0
        self.first = 0
        """Position of the oldest message kept."""
        self.end = 0
        """Position of the next message to be written."""
        self.committed = 0
        """Up to here messages are safe from a power cut, so they may be sent."""
        self.gone: Key | None = None
        """Everything up to this key may leave the file at the next commit."""
        self.removed: list[Key] = []
        """And these, which a full log let go of."""
        self.progress_s = time.monotonic()
        """When the gateway last acknowledged something new."""
        self.holds_windows = False
        """Raw windows are among what is written: much, and the first to be left out."""
        self._entries: dict[int, Entry] = {}
        self._by_rank: list[deque[int]] = [deque() for _ in range(max(RANKS.values()) + 1)]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, position: int) -> Entry:
        return self._entries[position]

    def __contains__(self, position: int) -> bool:
        """Whether what stood there is still kept."""
        return position in self._entries

    @property
    def start(self) -> Key | None:
        """The oldest message that is safe here."""
        return self._entries[self.first].key if self.first < self.committed else None

    @property
    def is_nearly_full(self) -> bool:
        """Whether a writer that can wait should."""
        share = WAIT_SHARE_WITH_WINDOWS if self.holds_windows else WAIT_SHARE
        return self.size_bytes > self.budget_bytes * share

    @property
    def has_room_for_windows(self) -> bool:
        """Whether a window may take some of what is left."""
        return self.size_bytes <= self.budget_bytes * WINDOWS_SHARE

    def behind(self, count: int) -> int:
        """The position behind the first so many messages kept."""
        if len(self._entries) == self.end - self.first:
            return min(self.first + count, self.end)
        return next(islice(self._entries, count, None), self.end)

    def put(self, entry: Entry) -> None:
        """Append a message; `trim` makes room for it."""
        self.size_bytes += len(entry.payload)
        self._entries[self.end] = entry
        self._by_rank[entry.rank].append(self.end)
        self.end += 1
        if entry.key.boot == self.boot:
            self.next_seq = entry.key.seq + 1
        self.last = entry.key

    def trim(self) -> None:
        """Let go of the least important until the rest fits, and the gaps are few enough."""
        while self.size_bytes > self.budget_bytes and len(self) > 1:
            self._drop(self._least())
        while len(self.gaps) > MAX_GAPS:
            self._close_a_gap()

    def prune(self, key: Key) -> int:
        """Forget what the gateway has, everything up to ``key``; returns how many that were.

        A key that was never written is not believed: it would let go of what the gateway, which
        then remembers another life of this collar, does not have.
        """
        if self.last is None or key > self.last:
            return 0
        count = 0
        while self.first < self.committed and self._entries[self.first].key <= key:
            self.gone = self._take(self.first).key
            count += 1
        if self.acked_key is None or key > self.acked_key:
            self.acked_key = key
            self.gaps.forget(key)
        self.acked += count
        if count:
            self.progress_s = time.monotonic()
        return count

    def _least(self) -> int:
        """Position of the oldest message of the least important kind; there is one."""
        for positions in self._by_rank:
            while positions:
                if (position := positions.popleft()) in self._entries:
                    return position
        raise LookupError("the log is empty")

    def pass_over(self, kind: Kind) -> None:
        """Let go of the oldest messages as long as they are of this kind: nobody takes them.

        Only once something was written after them, whose key then says where the log begins.
        """
        while len(self) > 1 and self._entries[self.first].kind is kind:
            if next(islice(self._entries, 1, None)) >= self.committed:
                return
            self._drop(self.first)

    def _drop(self, position: int) -> None:
        entry = self._take(position)
        self.removed.append(entry.key)
        self.overwritten += 1
        self.dropped[entry.kind.value] += 1
        is_birth = entry.kind is Kind.BIRTH and not entry.key.seq
        self.gaps.add(entry.key, salvage_previous(entry.payload) if is_birth else None)

    def _take(self, position: int) -> Entry:
        entry = self._entries.pop(position)
        self.size_bytes -= len(entry.payload)
        while self.first < self.end and self.first not in self._entries:
            self.first += 1
        return entry

    def _close_a_gap(self) -> None:
        """Let go of what lies between two gaps, of least importance and size; they become one.

        Where each gap is in a boot of its own, of all that is older than the second one: then
        `start` lies beyond the first, and says the same.
        """
        gaps = list(self.gaps)
        runs = self._runs_before([gap.first for gap in gaps])
        between = [
            run
            for run, (before, after) in zip(runs[1:], pairwise(gaps), strict=True)
            if before.boot == after.boot
        ]
        if between:
            self._drop_all(min(between, key=self._worth))
        else:
            self._drop_all(runs[0] + runs[1])
            self.gaps.forget(Key(gaps[1].boot, 0))

    def _drop_all(self, positions: list[int]) -> None:
        for position in positions:
            self._drop(position)

    def _runs_before(self, keys: list[Key]) -> list[list[int]]:
        """Positions of what lies before each of these keys, and behind the one before it.

        Their order is that of the entries, so that one walk is enough.
        """
        runs: list[list[int]] = [[] for _ in keys]
        n = 0
        for position, entry in self._entries.items():
            while keys[n] < entry.key:
                n += 1
                if n == len(keys):
                    return runs
            runs[n].append(position)
        return runs

    def _worth(self, positions: list[int]) -> tuple[int, int]:
        entries = [self._entries[position] for position in positions]
        return max(entry.rank for entry in entries), sum(len(entry.payload) for entry in entries)
