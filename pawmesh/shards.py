"""Which members of a simulated fleet one process runs: every n-th, so that a fleet may grow.

A shard's collars have their flash in a folder of their own. How many parts a fleet has is therefore
settled at its first run, and read from the folder afterwards.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from collar_sim.assembly import MICRO_COLLARS
from pawmesh.errors import UsageError

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
COLLARS_PER_PROCESS = 1_250  # below it, one core makes their minutes in a few seconds


@dataclass(frozen=True, order=True)
class Shard:
    """The i-th of n parts of a fleet.

    >>> list(Shard(2, 3).members(8))
    [1, 4, 7]
    """

    index: int
    """From 1."""
    parts: int

    def __str__(self) -> str:
        return f"{self.index}/{self.parts}"

    @classmethod
    def parse(cls, text: str | None) -> "Shard":
        """The shard that a person wrote, such as ``2/3``; None is the whole fleet.

        Raises:
            UsageError: It is none.
        """
        match = _SHARD.fullmatch("1/1" if text is None else text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard {text}: write i/n, such as 2/4, with 1 <= i <= n")
        return cls(int(match[1]), int(match[2]))

    def members(self, collars: int) -> range:
        """Numbers of its members in a fleet of so many, from 0."""
        return range(self.index - 1, collars, self.parts)

    @property
    def micro_collars(self) -> int:
        """How many of its members run on the microcontroller's own interpreter.

        It is the whole fleet's first few: interpreters differ by a step of int8, and a fleet in
        parts shall say what it says as a whole.
        """
        return len(self.members(MICRO_COLLARS))

    def split(self, parts: int) -> list["Shard"]:
        """Its own parts, which are parts of the whole fleet too.

        >>> [str(each) for each in Shard(2, 3).split(2)]
        ['2/6', '5/6']
        """
        return [Shard(self.index + self.parts * k, self.parts * parts) for k in range(parts)]

    def name(self, fleet: str) -> str:
        """Of its file and folder.

        >>> Shard(1, 1).name("sim1"), Shard(2, 4).name("sim1")
        ('sim1', 'sim1-2of4')
        """
        return fleet if self.parts == 1 else f"{fleet}-{self.index}of{self.parts}"


WHOLE = Shard(1, 1)


def kept_parts(folder: Path, fleet: str) -> int | None:
    """Into how many parts a fleet was split when it began; None before its first run.

    Raises:
        UsageError: It began more than once, in different ways.
    """
    name = re.compile(rf"{re.escape(fleet)}(?:-\d+of(\d+))?\.json")
    found = {
        int(match[1] or 1)
        for path in folder.glob(f"{fleet}*.json")
        if (match := name.fullmatch(path.name))
    }
    if len(found) > 1:
        ways = " and ".join(map(str, sorted(found)))
        raise UsageError(f"{folder} holds the fleet {fleet} in {ways} parts: take another --seed")
    return found.pop() if found else None


def shards_of(
    folder: Path, fleet: str, shard: Shard, processes: int | None, collars: int
) -> list[Shard]:
    """The parts of a shard that run here, one a process.

    Args:
        folder: Of the fleets' files.
        fleet: Its name.
        shard: What of it runs on this machine.
        processes: How many were asked for; None: as many as suit it.
        collars: Of the whole fleet.

    Raises:
        UsageError: The fleet was begun in other parts.
    """
    kept = kept_parts(folder, fleet)
    if kept is None:
        count = len(shard.members(collars))
        return shard.split(processes or suitable_processes(count))
    if kept % shard.parts:
        raise UsageError(
            f"--shard {shard}: the fleet {fleet} was begun in {kept} parts. Leave it away, or take "
            "another --seed"
        )
    here = kept // shard.parts
    if processes not in (None, here):
        raise UsageError(
            f"--processes {processes}: the fleet {fleet} was begun with {here}, each with the "
            "flash of its own collars. Leave it away, or take another --seed"
        )
    return shard.split(here)


def suitable_processes(collars: int) -> int:
    """How many processes simulate so many collars here: at most one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, -(-collars // COLLARS_PER_PROCESS)))
