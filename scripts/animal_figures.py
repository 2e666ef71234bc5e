"""Print the tables of "Behaviour", "Scenarios" and "Body" in ``docs/reference/animal.md``.

Some minutes of CPU.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from collar_sim.animal import Animal, AnimalMinute, Scenario, Species
from plugins.sdk.behaviours import Behaviour

START_AT = datetime(2026, 5, 1, tzinfo=UTC)
HOME = (48.14, 0.0)
ANIMALS, DAYS = 60, 2
RATES = ("heart_bpm", "breath_rpm", "temperature_c")


@dataclass
class Life:
    """What one animal did and how its body fared, a day on average."""

    species: Species
    seconds: Counter[str] = field(default_factory=Counter[str])
    bouts: Counter[str] = field(default_factory=Counter[str])
    wrong_s: Counter[str] = field(default_factory=Counter[str])
    sums: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By rate and behaviour, over its seconds."""
    most: Counter[str] = field(default_factory=Counter[str])

    def add(self, minutes: Iterable[AnimalMinute]) -> "Life":
        """Count these minutes."""
        last = ""
        for minute in minutes:
            words = minute.behaviour
            self.seconds.update(words.tolist())
            self.wrong_s.update(minute.anomaly.tolist())
            changes = np.concatenate([[last], words[:-1]]) != words
            self.bouts.update(words[changes].tolist())
            last = str(words[-1])
            for rate in RATES:
                values = getattr(minute.body, rate)
                self.most[rate] = max(self.most[rate], float(values.max()))
                for word in set(words.tolist()):
                    self.sums[rate, word] += float(values[words == word].sum())
        return self


def lives(scenario: Scenario, animals: int = ANIMALS, days: int = DAYS) -> list[Life]:
    """Some animals' days."""
    drawn = [Animal.draw(seed, home=HOME, scenario=scenario) for seed in range(animals)]
    return [Life(each.profile.species).add(each.minutes(START_AT, days * 1440)) for each in drawn]


def budget(lived: list[Life]) -> None:
    """Minutes and bouts of each behaviour a day: mean, and the middle 80 % of animals."""
    for species in Species:
        alike = [each for each in lived if each.species is species]
        print(f"\n{species}: {len(alike)} animals, {DAYS} days each\n")
        print("| behaviour | min a day | 10-90 % of animals | bouts a day |\n|---|---|---|---|")
        for behaviour in Behaviour:
            minutes = [each.seconds[behaviour] / 60 / DAYS for each in alike]
            bouts = np.mean([each.bouts[behaviour] / DAYS for each in alike])
            low, high = np.quantile(minutes, (0.1, 0.9))
            if max(minutes):
                mean = np.mean(minutes)
                print(f"| {behaviour} | {mean:.1f} | {low:.0f}-{high:.0f} | {bouts:.1f} |")


def rates(lived: list[Life]) -> None:
    """Mean heart, breath and temperature by behaviour; spread over animals."""
    words = (Behaviour.SLEEP, Behaviour.REST, Behaviour.WALK, Behaviour.RUN)
    print("\n| | " + " | ".join(words) + " | highest |\n|" + "---|" * (len(words) + 2))
    for species in Species:
        alike = [each for each in lived if each.species is species]
        for rate in RATES:
            cells = []
            for word in words:
                means = [each.sums[rate, word] / each.seconds[word] for each in alike]
                cells.append(f"{np.mean(means):.1f} ± {np.std(means):.1f}")
            most = np.mean([each.most[rate] for each in alike])
            print(f"| {species}, {rate} | " + " | ".join(cells) + f" | {most:.1f} |")


def scenarios() -> None:
    """What differs from a calm day, over all animals."""
    print("\n| scenario | wrong, min a day | walk + run | rest | sleep | scratch bouts |")
    print("|" + "---|" * 6)
    for scenario in Scenario:
        lived = lives(scenario, animals=12, days=1)
        wrong = Counter[str]()
        for each in lived:
            wrong.update({k: v / 60 / len(lived) for k, v in each.wrong_s.items() if k})
        said = ", ".join(f"{kind} {minutes:.1f}" for kind, minutes in sorted(wrong.items()))
        walked, rested, slept = (
            np.mean([sum(each.seconds[word] for word in words) / 60 for each in lived])
            for words in (("walk", "run"), ("rest",), ("sleep",))
        )
        scratched = np.mean([each.bouts["scratch"] for each in lived])
        print(
            f"| {scenario} | {said or 'nothing'} | {walked:.0f} | {rested:.0f} | {slept:.0f} "
            f"| {scratched:.0f} |"
        )


if __name__ == "__main__":
    calm = lives(Scenario.CALM_DAY)
    budget(calm)
    rates(calm)
    scenarios()
