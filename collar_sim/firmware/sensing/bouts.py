"""Bouts of scratching and drinking, counted from what each second was said to be.

A bout is a run of one behaviour with its short breaks: a dog looks up from its bowl, or shifts the
leg that scratches. It is counted once, in the minute in which it has lasted long enough, wherever
the minutes end; so a collar carries the run that is not over yet.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plugins.sdk.behaviours import Behaviour

BRIDGED_S = 6
"""Longest break within a bout; by eye: between bouts of scratching lie minutes (``animal.habits``),
and a behaviour is known on a grid of two seconds."""
MIN_BOUT_S = {Behaviour.SCRATCH: 4, Behaviour.DRINK: 4}
"""Of the behaviour itself, breaks left out: one window's worth. Shorter ones are missed, and a
single mistaken window is no bout."""


class Run(Struct, frozen=True, array_like=True):
    """A bout that may go on."""

    held_s: int = 0
    """Of the behaviour so far."""
    gap_s: int = 0
    """Since its last second of it."""


Runs = dict[Behaviour, Run]
"""Those that may go on into the next minute, by behaviour."""


def count(runs: Mapping[Behaviour, Run], said: Sequence[Behaviour]) -> tuple[dict[str, int], Runs]:
    """How many bouts became certain, by the epoch's field; and what may go on.

    Args:
        runs: From the minute before; empty after a gap.
        said: The behaviour of each second.

    >>> count({}, [Behaviour.REST] * 57 + [Behaviour.SCRATCH] * 3)
    ({}, {<Behaviour.SCRATCH: 'scratch'>: Run(held_s=3, gap_s=0)})
    >>> count({Behaviour.SCRATCH: Run(3)}, [Behaviour.SCRATCH] * 9 + [Behaviour.REST] * 51)
    ({'scratch_bouts': 1}, {})
    """
    counts: dict[str, int] = {}
    going: Runs = {}
    for behaviour, least_s in MIN_BOUT_S.items():
        run = runs.get(behaviour)
        if run is None and behaviour not in said:
            continue
        bouts, run = _follow(run or Run(), behaviour, least_s, said)
        if bouts:
            counts[f"{behaviour}_bouts"] = bouts
        if run.held_s:
            going[behaviour] = run
    return counts, going


def _follow(
    run: Run, behaviour: Behaviour, least_s: int, said: Sequence[Behaviour]
) -> tuple[int, Run]:
    held_s, gap_s, bouts = run.held_s, run.gap_s, 0
    for each in said:
        if each is behaviour:
            held_s, gap_s = held_s + 1, 0
            bouts += held_s == least_s
        elif held_s:
            gap_s += 1
            if gap_s > BRIDGED_S:
                held_s = gap_s = 0
    return bouts, Run(held_s, gap_s)
