"""Days of simulated animals through the collar's whole firmware, beside what was true."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cloud.training.dataset import Text
from collar_sim.animal import Scenario, Wear
from collar_sim.firmware.minute import look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.sensing.bouts import MIN_BOUT_S, Runs, count
from collar_sim.firmware.sensing.events import excess
from collar_sim.firmware.sensing.usual import Memory, considered
from pawmesh.models.cohort import START_AT, drawn, name_of
from plugins.sdk.behaviours import Behaviour

DAY_MIN = 1440
SHOWN_S = 20  # of a minute: what counts as a minute in which something was wrong
BOUTS = tuple(f"{behaviour}_bouts" for behaviour in MIN_BOUT_S)


@dataclass
class Day:
    """Some time of one animal: what was true, and what its collar made of it."""

    animal: str
    behaviour: list[Text] = field(default_factory=list[Text])
    """True of each second, by the minute."""
    said: list[Text] = field(default_factory=list[Text])
    """What the collar took each second for."""
    anomaly: list[Text] = field(default_factory=list[Text])
    """True of each second, by the minute."""
    excess: list[float] = field(default_factory=list[float])
    """Of each minute, as `events.excess`."""
    events: list[str] = field(default_factory=list[str])
    bouts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BOUTS, 0))
    true_bouts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BOUTS, 0))

    @property
    def days(self) -> float:
        """How long it was."""
        return len(self.excess) / DAY_MIN

    def shows(self, kind: str) -> NDArray[np.bool_]:
        """In which minutes this was wrong with it for long enough."""
        return (np.array(self.anomaly) == kind).sum(axis=1) >= SHOWN_S


def live(
    slots: ModelSlots,
    seed: int,
    numbers: Sequence[int],
    scenario: Scenario,
    minutes: int,
    wear: Wear = Wear.COLLAR,
) -> list[Day]:
    """Some animals of the population, each with a collar that runs these models."""
    animals = [drawn(seed, number, scenario, wear) for number in numbers]
    days = [Day(name_of(number)) for number in numbers]
    memories = [Memory()] * len(animals)
    runs: list[Runs] = [{}] * len(animals)
    for n in range(minutes):
        start_at = START_AT + timedelta(minutes=n)
        lived = [animal.minute(start_at) for animal in animals]
        for k, (day, minute, seen) in enumerate(zip(days, lived, look(slots, lived), strict=True)):
            made, memories[k] = considered(memories[k], seen)
            day.behaviour.append(minute.behaviour)
            day.said.append(np.array([str(word) for word in made.each_second]))
            day.anomaly.append(minute.anomaly)
            day.excess.append(excess(np.array(seen.odd, np.float32)))
            day.events += [each.name for each in made.sightings]
            true, runs[k] = count(runs[k], [Behaviour(word) for word in minute.behaviour.tolist()])
            for name in BOUTS:
                day.bouts[name] += made.epoch.get(name, 0)
                day.true_bouts[name] += true.get(name, 0)
    return days


def seconds_metrics(days: Iterable[Day], labels: Sequence[str]) -> dict[str, Any]:
    """F1 of each behaviour by the second, and bouts a day as counted and as they were."""
    held = list(days)
    truth = np.concatenate([np.concatenate(day.behaviour) for day in held])
    said = np.concatenate([np.concatenate(day.said) for day in held])
    f1 = {
        label: round(2.0 * float(hits) / float(seen), 4)
        for label in labels
        for is_, took in [(truth == label, said == label)]
        for hits, seen in [((is_ & took).sum(), is_.sum() + took.sum())]
        if seen
    }
    lasted = sum(day.days for day in held)
    return {
        "days": round(lasted, 2),
        "macro_f1": round(float(np.mean(list(f1.values()))), 4),
        "coverage": round(float(np.mean(said != Behaviour.UNSURE)), 4),
        "per_class": f1,
        "hours_a_day": {
            label: {
                "true": round(float((truth == label).sum()) / 3600.0 / lasted, 3),
                "said": round(float((said == label).sum()) / 3600.0 / lasted, 3),
            }
            for label in labels
        },
        "bouts_a_day": {
            name: {
                "true": round(sum(day.true_bouts[name] for day in held) / lasted, 2),
                "said": round(sum(day.bouts[name] for day in held) / lasted, 2),
                "worst_animal_off_by": round(
                    max(abs(day.bouts[name] - day.true_bouts[name]) / day.days for day in held), 2
                ),
            }
            for name in BOUTS
        },
    }


def alarms_a_day(days: Iterable[Day], name: str = "anomaly") -> dict[str, Any]:
    """How often the collars said so, whatever was true."""
    held = list(days)
    each = {day.animal: round(day.events.count(name) / day.days, 2) for day in held}
    said = sum(day.events.count(name) for day in held)
    return {
        "pet_days": round(sum(day.days for day in held), 2),
        "said": said,
        "a_day": round(said / sum(day.days for day in held), 3),
        "per_animal": each,
    }


def minutes_metrics(sick: Iterable[Day], calm: Iterable[Day]) -> dict[str, Any]:
    """By kind: how well minutes that show it stand out from those of calm days.

    Returns:
        Per kind the minutes, the area under the ROC curve of their `excess`, and the share above
        the model's threshold.
    """
    ill = list(sick)
    usual = np.concatenate([day.excess for day in calm])
    found: dict[str, Any] = {}
    for kind in sorted(
        {str(word) for day in ill for row in day.anomaly for word in np.unique(row)}
    ):
        if not kind:
            continue
        above = np.concatenate([np.array(day.excess)[day.shows(kind)] for day in ill])
        if not len(above):
            continue
        wrong = np.concatenate([np.ones(len(above)), np.zeros(len(usual))])
        area = roc_auc_score(wrong, np.concatenate([above, usual]))
        found[kind] = {
            "minutes": len(above),
            "auc": round(float(area), 4),
            "recall": round(float(np.mean(above > 0.0)), 4),
        }
    return found
