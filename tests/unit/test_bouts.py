"""Bouts of scratching and drinking, as a collar counts them."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collar_sim.firmware.sensing.bouts import BRIDGED_S, MIN_BOUT_S, Runs, count
from plugins.sdk.behaviours import Behaviour

REST, SCRATCH, DRINK = Behaviour.REST, Behaviour.SCRATCH, Behaviour.DRINK
pieces = st.lists(st.tuples(st.sampled_from([REST, SCRATCH, DRINK]), st.integers(1, 20)))


def bouts(said: Sequence[Behaviour], behaviour: Behaviour) -> int:
    """By the definition, over a whole recording at once."""
    at = [n for n, each in enumerate(said) if each is behaviour]
    found, held = 0, 0
    for n, second in enumerate(at):
        follows = n > 0 and second - at[n - 1] <= BRIDGED_S + 1
        held = held + 1 if follows else 1
        found += held == MIN_BOUT_S[behaviour]
    return found


@given(pieces, st.integers(1, 70))
def test_bouts_are_the_same_wherever_the_minutes_end(
    parts: list[tuple[Behaviour, int]], length_s: int
) -> None:
    said = [each for each, seconds in parts for _ in range(seconds)]
    runs: Runs = {}
    found = {SCRATCH: 0, DRINK: 0}
    for at in range(0, len(said), length_s):
        counts, runs = count(runs, said[at : at + length_s])
        runs = msgspec.msgpack.decode(msgspec.msgpack.encode(runs), type=Runs)  # through a reboot
        for behaviour in found:
            found[behaviour] += counts.get(f"{behaviour}_bouts", 0)
    assert found == {each: bouts(said, each) for each in found}


def test_a_break_is_part_of_a_bout_and_a_long_one_ends_it() -> None:
    short = [SCRATCH] * 2 + [REST] * BRIDGED_S + [SCRATCH] * 2
    assert count({}, short)[0] == {"scratch_bouts": 1}
    long = [SCRATCH] * 2 + [REST] * (BRIDGED_S + 1) + [SCRATCH] * 2
    assert count({}, long)[0] == {}
    both = [DRINK] * 9 + [REST] * (BRIDGED_S + 1) + [DRINK] * 9 + [SCRATCH] * 9
    assert count({}, both)[0] == {"drink_bouts": 2, "scratch_bouts": 1}
