"""What a collar remembers of its pet, and what it therefore finds worth saying of a minute.

An anomaly model compares with many animals. A pet that always moves a little otherwise, or wears
its collar otherwise, would be reported each day; so a collar also knows how unusual its own pet
usually is, at each liveliness, and asks for more where that is a lot. It never asks for less than
the model's own threshold. Itching shows in no single bout, only in how much there is in an hour.
"""

from bisect import bisect_left
from dataclasses import replace

import numpy as np
from msgspec import Struct, structs

from collar_sim.firmware.minute import Seen
from collar_sim.firmware.sensing.bouts import Runs, count
from collar_sim.firmware.sensing.events import ANOMALY_WINDOWS, Sighting, anomaly, excess
from plugins.sdk.behaviours import Behaviour

LIVELY_G = (0.02, 0.08, 0.25)
"""Mean VeDBA of a minute that parts still, quiet, brisk and violent ones: by eye, where the
simulated animals' and the recorded dogs' minutes are few."""
HEADROOM = 2.0  # logarithm: how far below the threshold the usual minutes of a pet must lie
LEARN_MIN = 10.0  # minutes of a liveliness by which a pet is believed as much as the population
FORGET_MIN = 1440.0  # of a liveliness: it follows a pet over days, not over an episode
REPEAT_MIN = 15  # of the same event: it is being looked at, or it was no news the first time
ITCH_MIN = 60.0  # over which scratching is summed, the latest counting most
ITCH_S = 90.0
"""Of scratching in that time. Simulated healthy animals stay below 50 s even after a walk, itchy
ones hover about 150 s."""
ITCH_REPEAT_MIN = 720


class Usual(Struct, frozen=True, array_like=True):
    """How unusual a pet's minutes of one liveliness are, as the model sees it."""

    minutes: float = 0.0
    mean: float = -HEADROOM
    """Logarithm of the error over the threshold, as `events.excess`."""

    @property
    def offset(self) -> float:
        """What this pet's minutes must exceed the threshold by."""
        return max(0.0, self.mean + HEADROOM)

    def updated(self, excess_: float) -> "Usual":
        """With one more minute."""
        minutes = min(self.minutes + 1.0, FORGET_MIN)
        mean = self.mean + (excess_ - self.mean) / (minutes + LEARN_MIN)
        return Usual(minutes, mean)


class Memory(Struct, frozen=True, array_like=True):
    """All that is carried into the next minute; a collar that restarts without it starts anew."""

    runs: Runs = {}
    """Bouts that may go on."""
    scratched_s: float = 0.0
    """Lately."""
    model: str | None = None
    """Whose scores `usual` is of."""
    usual: tuple[Usual, ...] = (Usual(),) * (len(LIVELY_G) + 1)
    quiet_min: dict[str, int] = {}
    """For how long an event is not said again, by its name."""

    def interrupted(self) -> "Memory":
        """After a time in which nothing was seen: no bout goes on."""
        return structs.replace(self, runs={})


def considered(memory: Memory, seen: Seen) -> tuple[Seen, Memory]:
    """A minute with its bouts and events, and what to remember of it.

    Args:
        memory: Up to the minute before.
        seen: What the models made of the minute.
    """
    bouts, runs = count(memory.runs, seen.each_second)
    scratch_s = seen.each_second.count(Behaviour.SCRATCH)
    kept = float(np.exp(-len(seen.each_second) / 60.0 / ITCH_MIN))
    scratched_s = memory.scratched_s * kept + scratch_s
    model = seen.packages["anomaly"]
    usual = memory.usual if model == memory.model else Memory().usual
    level = bisect_left(LIVELY_G, seen.epoch["vedba_g"])
    odd = np.array(seen.odd, np.float32)
    found = [anomaly(odd, usual[level].offset), *seen.sightings]
    if scratch_s and scratched_s > ITCH_S:
        sure = min(1.0, scratched_s / (2.0 * ITCH_S))
        found.append(Sighting("itch", float(len(seen.each_second)), round(sure, 3), scratched_s))
    if len(odd) >= ANOMALY_WINDOWS and all(seen.heard):  # of few windows the oddest are less odd
        learned = usual[level].updated(excess(odd))
        usual = (*usual[:level], learned, *usual[level + 1 :])
    quiet = {name: left - 1 for name, left in memory.quiet_min.items() if left > 1}
    said = [each for each in found if each is not None and each.name not in quiet]
    for each in said:
        quiet[each.name] = ITCH_REPEAT_MIN if each.name == "itch" else REPEAT_MIN
    return (
        replace(seen, epoch={**seen.epoch, **bouts}, sightings=said),
        Memory(runs, scratched_s, model, usual, quiet),
    )
