"""What the labels of a recording mean in the platform's words, and how well the models met them.

Windows are tallied by the recording's own words, so that a recording that was replayed once can be
scored again with another map.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from collar_sim.replay.errors import RecordingError
from plugins.sdk.behaviours import Behaviour

Tally = dict[str, dict[str, int]]
"""Of the windows with each of the recording's words, what the models said how often."""

KNOWN = {each.value: each for each in Behaviour if each is not Behaviour.UNSURE} | {
    "run_jog": Behaviour.RUN,
    "car": Behaviour.VEHICLE,
    "leisure": Behaviour.REST,
}
CHOICE = ", ".join(each.value for each in Behaviour if each is not Behaviour.UNSURE)


class Scores(Struct, kw_only=True):
    """How well the models met the labels. Windows on which they abstained count as wrong."""

    labels: list[str]
    """Behaviours that occur in the labels."""
    confusion: dict[str, dict[str, int]]
    """Windows by true behaviour, then by what was said, ``unsure`` included."""
    confusion_by_animal: dict[str, dict[str, dict[str, int]]]
    macro_f1: dict[str, float]
    """Of each animal, over the behaviours that its labels hold."""
    f1: dict[str, dict[str, float]]
    accuracy: dict[str, float]
    majority: dict[str, dict[str, float | str]]
    """What always saying the animal's commonest behaviour would reach."""
    coverage: float | None
    """Share of all windows, labelled or not, that the models decided."""
    coverage_by_animal: dict[str, float]
    support: dict[str, dict[str, int]]
    """Windows by animal and true behaviour."""
    unscored: int
    """Windows without a label, between two labels, or with a label that is left out."""


def parse_map(text: str) -> dict[str, Behaviour | None]:
    """The map a user wrote; a word without a behaviour is left out of the scores.

    Raises:
        RecordingError: It is none.

    >>> parse_map("trot=run,car=")["trot"]
    <Behaviour.RUN: 'run'>
    """
    found: dict[str, Behaviour | None] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        word, equals, name = (each.strip() for each in pair.partition("="))
        if not equals or not word:
            raise RecordingError(f"--label-map: {pair!r} is no word=behaviour")
        if name and (name not in KNOWN or KNOWN[name].value != name):
            raise RecordingError(f"--label-map: {name!r} is no behaviour. There are: {CHOICE}")
        found[word] = Behaviour(name) if name else None
    return found


def resolve(
    words: Iterable[str], given: Mapping[str, Behaviour | None]
) -> dict[str, Behaviour | None]:
    """What each word of a recording means.

    Raises:
        RecordingError: Some are unknown; says how to map them.
    """
    lower = {word.lower(): behaviour for word, behaviour in given.items()}
    meant: dict[str, Behaviour | None] = {}
    unknown: list[str] = []
    for word in words:
        if word in given:
            meant[word] = given[word]
        elif word.lower() in lower:
            meant[word] = lower[word.lower()]
        elif word.lower() in KNOWN:
            meant[word] = KNOWN[word.lower()]
        else:
            unknown.append(word)
    if unknown:
        example = ",".join(f"{word}=walk" for word in unknown[:2])
        raise RecordingError(
            f"the labels {', '.join(map(repr, unknown[:20]))} are none of the platform's. Map each "
            f"to one of {CHOICE}: --label-map {example} (or {unknown[0]}= to leave it out)"
        )
    return meant


def score(tallies: Mapping[str, Tally], meant: Mapping[str, Behaviour | None]) -> Scores:
    """The scores of each animal.

    Args:
        tallies: By animal; the empty word holds windows without a label.
        meant: Of each word.
    """
    confusions: dict[str, dict[str, dict[str, int]]] = {}
    decided: dict[str, tuple[int, int]] = {}
    unscored = 0
    for animal, tally in tallies.items():
        rows = confusions.setdefault(animal, {})
        total = unsure = 0
        for word, said in tally.items():
            total += sum(said.values())
            unsure += said.get(Behaviour.UNSURE.value, 0)
            behaviour = meant.get(word)
            if behaviour is None:
                unscored += sum(said.values())
                continue
            row = rows.setdefault(behaviour.value, {})
            for name, count in said.items():
                row[name] = row.get(name, 0) + count
        decided[animal] = total, total - unsure
    scored = {
        animal: {each.value: rows[each.value] for each in Behaviour if each.value in rows}
        for animal, rows in confusions.items()
        if rows
    }
    windows = sum(total for total, _ in decided.values())
    f1 = {animal: {name: _f1(rows, name) for name in rows} for animal, rows in scored.items()}
    support = {
        animal: {name: sum(row.values()) for name, row in rows.items()}
        for animal, rows in scored.items()
    }
    return Scores(
        labels=[each.value for each in Behaviour if any(each in rows for rows in scored.values())],
        confusion=_summed(scored.values()),
        confusion_by_animal=scored,
        macro_f1={animal: _mean(each.values()) for animal, each in f1.items()},
        f1={a: {name: round(value, 4) for name, value in each.items()} for a, each in f1.items()},
        accuracy={
            animal: round(
                sum(row.get(name, 0) for name, row in rows.items()) / sum(support[animal].values()),
                4,
            )
            for animal, rows in scored.items()
        },
        majority={animal: _majority(held) for animal, held in support.items()},
        coverage=round(sum(d for _, d in decided.values()) / windows, 4) if windows else None,
        coverage_by_animal={a: round(d / t, 4) for a, (t, d) in decided.items() if t},
        support=support,
        unscored=unscored,
    )


def _f1(rows: Mapping[str, Mapping[str, int]], name: str) -> float:
    hit = rows[name].get(name, 0)
    true = sum(rows[name].values())
    said = sum(row.get(name, 0) for row in rows.values())
    return 2 * hit / (true + said)


def _majority(support: Mapping[str, int]) -> dict[str, float | str]:
    name = max(support, key=lambda each: support[each])
    share = support[name] / sum(support.values())
    f1 = 2 * share / (1 + share)
    return {
        "behaviour": name,
        "accuracy": round(share, 4),
        "macro_f1": round(f1 / len(support), 4),
    }


def _summed(confusions: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for rows in confusions:
        for name, row in rows.items():
            into = total.setdefault(name, {})
            for said, count in row.items():
                into[said] = into.get(said, 0) + count
    return total


def _mean(values: Iterable[float]) -> float:
    held = list(values)
    return round(sum(held) / len(held), 4)
