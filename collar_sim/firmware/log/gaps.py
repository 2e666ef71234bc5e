"""What a full flash had to let go of: runs of messages that will never come, until acknowledged.

A gateway acknowledges what it holds without a gap; told of a run that is gone, it passes over it
and counts it, instead of waiting for ever.
"""

from collections.abc import Iterable, Iterator

from gateway.wire.messages import Gap, Key


class Gaps:
    """Runs of keys that are gone, in the order of their keys; runs of a boot that touch are one."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._gaps = list(gaps)

    def __len__(self) -> int:
        return len(self._gaps)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._gaps)

    def add(self, key: Key, previous: Key | None = None) -> None:
        """A message is gone; ``previous`` is what it named, if it was a birth.

        >>> gaps = Gaps()
        >>> for seq in (4, 6, 5):
        ...     gaps.add(Key(1, seq))
        >>> [(gap.first_seq, gap.last_seq) for gap in gaps]
        [(4, 6)]
        """
        at = len(self._gaps)
        while at and self._gaps[at - 1].first > key:
            at -= 1
        self._gaps.insert(
            at, Gap(boot=key.boot, first_seq=key.seq, last_seq=key.seq, previous=previous)
        )
        for left in (at, at - 1):
            if 0 <= left < len(self._gaps) - 1 and _touch(*self._gaps[left : left + 2]):
                self._gaps[left : left + 2] = [_joined(*self._gaps[left : left + 2])]

    def forget(self, acked: Key) -> None:
        """The gateway is beyond these."""
        self._gaps = [gap for gap in self._gaps if gap.last > acked]


def _touch(before: Gap, after: Gap) -> bool:
    return before.boot == after.boot and before.last_seq + 1 == after.first_seq


def _joined(before: Gap, after: Gap) -> Gap:
    return Gap(
        boot=before.boot,
        first_seq=before.first_seq,
        last_seq=after.last_seq,
        previous=before.previous,
    )
