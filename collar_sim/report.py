"""What a run of a fleet came to, in numbers that can be compared with what arrived."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, structs

from collar_sim.stages import shares_of


class Report(Struct, kw_only=True):
    """Counts over the whole life of the data folder; times, windows and refusals of this run."""

    collars: int
    published: int
    """Distinct messages written to flash."""
    by_kind: dict[str, int]
    transmissions: int
    """Of messages, repetitions included."""
    radio_lost: int
    """Transmissions that never reached the broker."""
    overwritten: int
    """Messages lost because a flash was full."""
    dropped: dict[str, int]
    """The same by kind."""
    acked: int
    """Messages that the gateway said it has."""
    owed: int
    """Messages still in flash."""
    off: int
    """Collars without power at the end."""
    too_large: int
    """Messages that were never written: beyond what brokers take."""
    boots: int
    """The highest boot counter."""
    seconds: float
    """Of wall time, of this run."""
    windows: int
    """That this run put through the models."""
    windows_per_s: float
    simulated_until: datetime
    is_live: bool
    """The present was reached."""
    refused: dict[str, str]
    """Collars that did not run, or broke, and why."""
    refused_models: dict[str, str]
    """Slots left empty, and models over the air that were not installed, and why."""
    updated: int
    """Collars that run a model which came over the air."""
    windows_sent: int
    """Raw windows written to flash, because a grant asks for them."""
    real_time_factor: float = 0.0
    """Simulated seconds per second of the live phase; below the speed asked for, it lagged."""
    lag_s: float = 0.0
    """Wall seconds that messages were late at the end of the live phase."""
    max_lag_s: float = 0.0
    """The same at its worst, once the fleet had fallen in step."""
    cpu_s: dict[str, float] = {}
    """CPU seconds by stage."""
    cpu_share: dict[str, float] = {}
    """The stages' parts of all CPU time but the start's."""
    rss_mb: float = 0.0
    """Memory at the end, of all processes together."""
    messages_refused: int = 0
    """Refusals that this run was told of: acknowledged, since sending again changes nothing."""
    unreached: str = ""
    """Why no collar ever had a session with the broker; empty if one had."""
    processes: int = 1
    died: dict[str, str] = {}
    """Processes that ended before their time, by the part of the fleet they ran, and how."""


SUMMED = (
    *("collars", "published", "transmissions", "radio_lost", "overwritten", "acked", "owed"),
    *("off", "too_large", "windows", "windows_per_s", "updated", "windows_sent", "rss_mb"),
    *("processes", "messages_refused"),
)
HIGHEST = ("boots", "seconds", "lag_s", "max_lag_s")
LOWEST = ("simulated_until", "is_live", "real_time_factor")  # a fleet is as far as its last part


def merged(parts: Sequence[Report]) -> Report:
    """The report of a fleet whose parts ran in processes of their own.

    Raises:
        ValueError: There are none.
    """
    if not parts:
        raise ValueError("no reports to merge")
    both = structs.asdict(parts[0])
    lived = [each for each in parts if not each.died] or parts  # the dead are far behind
    for name in SUMMED:
        both[name] = sum(getattr(each, name) for each in parts)
    for name in HIGHEST:
        both[name] = max(getattr(each, name) for each in lived)
    for name in LOWEST:
        both[name] = min(getattr(each, name) for each in lived)
    for name in ("by_kind", "dropped", "cpu_s"):
        totals: Counter[str] = Counter()
        for each in parts:
            totals.update(getattr(each, name))
        both[name] = {key: round(value, 3) for key, value in totals.items()}
    for name in ("refused", "refused_models", "died"):
        both[name] = {key: why for each in parts for key, why in getattr(each, name).items()}
    everywhere = all(each.unreached for each in parts)
    both["unreached"] = parts[0].unreached if everywhere else ""
    both["cpu_share"] = shares_of(both["cpu_s"])
    return Report(**both)
