"""Write the numbers and pictures of the model cards in ``docs/reference/models``.

What stands between ``<!-- part: NAME -->`` and ``<!-- end -->`` comes from the ``card.json`` that
training wrote beside each model; the rest is prose. Run it after ``make models``.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import plots

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference" / "models"
PACKAGES = ("activity", "anomaly")
MARKED = re.compile(r"(<!-- part: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Card = Mapping[str, Any]


def render(package: str) -> dict[Path, str]:
    """The files of one package's card, as they should be."""
    card = json.loads((ROOT / "plugins" / package / "card.json").read_text("utf-8"))
    page = FOLDER / f"{package}.md"
    parts = PARTS[package]
    text = MARKED.sub(lambda m: m[1] + parts[m[2]](card) + m[3], page.read_text("utf-8"))
    return {page: text} | {
        FOLDER / f"{package}-{name}.svg": draw(card) for name, draw in PICTURES[package].items()
    }


def facts(card: Card) -> str:
    """What the model is, costs and comes from."""
    training, judged = card["training"], card["judged_on"]
    versions = ", ".join(f"{name} {held}" for name, held in training["versions"].items())
    return _table(
        ["", ""],
        [
            ["package", f"`{card['id']}`"],
            ["learned from", f"{training['data']}: {len(training['fit_animals'])} animals"],
            ["thresholds by", f"{len(training['tune_animals'])} others"],
            ["judged on", f"{len(judged['animals'])} strangers, by {judged['interpreter']}"],
            ["seed, machine", f"{training['seed']}, {training['machine']}; {versions}"],
            ["flash", f"{card['flash_bytes']:,} B of 16,384"],
            ["arena", f"{card['arena_bytes']:,} B of 8,192"],
            ["multiplications a window", f"{card['macs']:,}"],
            ["digest of the training data", f"`{training['fit_digest'][:16]}…`"],
        ],
    )


def windows(card: Card) -> str:
    """The activity model by the window."""
    int8 = card["int8"]
    each = [one["macro_f1"] for one in int8["per_animal"].values()]
    return _table(
        ["by the window, busy days", ""],
        [
            ["macro-F1, int8", int8["macro_f1"]],
            ["macro-F1, floats", card["float"]["macro_f1"]],
            ["worst and best stranger", f"{min(each)}, {max(each)}"],
            ["abstains below a score of", card["abstain_below"]],
            ["decides", _share(int8["coverage"])],
            ["is right in, of those", _share(int8["covered_accuracy"])],
            ["expected calibration error", _share(card["calibration_error"])],
        ],
    )


def classes(card: Card) -> str:
    """F1 of each behaviour, by the window and by the second."""
    days, int8 = card["days"], card["int8"]
    columns = [int8["per_class"], days["busy"]["per_class"], days["calm"]["per_class"]]
    return _table(
        ["F1", "windows, busy days", "seconds, busy days", "seconds, calm days"],
        [
            [name, *(column.get(name, "–") for column in columns)]
            for name in card["confusion"]["labels"]
        ]
        + [["**mean**", *(held["macro_f1"] for held in (int8, days["busy"], days["calm"]))]],
    )


def risk(card: Card) -> str:
    """What abstaining buys."""
    return _table(
        ["decided", "of those wrong", "by a score of at least"],
        [
            [_share(point["coverage"]), _share(point["risk"]), point["threshold"]]
            for point in card["risk_coverage"][3::4]
        ],
    )


def hours(card: Card) -> str:
    """A calm day by the behaviour."""
    calm = card["days"]["calm"]
    return _table(
        ["hours of a calm day", "true", "said"],
        [[name, held["true"], held["said"]] for name, held in calm["hours_a_day"].items()]
        + [["unsure", "–", round(24 * (1 - calm["coverage"]), 3)]],
    )


def bouts(card: Card) -> str:
    """Bouts as they were and as they were counted."""
    return _table(
        ["bouts a day", "true", "said", "worst animal off by"],
        [
            [f"{name.removesuffix('_bouts')}, {kind} days", *held.values()]
            for kind in ("calm", "busy")
            for name, held in card["days"][kind]["bouts_a_day"].items()
        ],
    )


def kinds(card: Card) -> str:
    """The anomaly model by what was wrong."""
    by_window, by_minute = card["int8"]["per_kind"], card["days"]["per_kind"]
    none = {"minutes": 0, "auc": "–", "recall": 0.0}
    return _table(
        ["kind", "AUC, windows", "above, windows", "minutes", "AUC, minutes", "above, minutes"],
        [
            [
                kind,
                held["auc"],
                _share(held["recall"]),
                by_minute.get(kind, none)["minutes"],
                by_minute.get(kind, none)["auc"],
                _share(by_minute.get(kind, none)["recall"]),
            ]
            for kind, held in by_window.items()
        ],
    )


def alarms(card: Card) -> str:
    """What collars said of strangers, by the day."""
    days = card["days"]
    rows = (
        ("calm days", "anomaly", "alarms_calm"),
        ("days of the lame", "anomaly", "alarms_lame"),
        ("calm days", "itch", "itch_calm"),
        ("days of the itchy", "itch", "itch_itchy"),
    )
    return _table(
        ["strangers", "event", "pet-days", "said", "a day", "animals of which it was said"],
        [
            [
                what,
                f"`{event}`",
                days[key]["pet_days"],
                days[key]["said"],
                days[key]["a_day"],
                f"{sum(map(bool, days[key]['per_animal'].values()))} of "
                f"{len(days[key]['per_animal'])}",
            ]
            for what, event, key in rows
        ],
    )


def behaviours(card: Card) -> str:
    """Healthy windows above the threshold."""
    return _table(
        ["healthy windows of busy days", "above the threshold"],
        [[name, _share(held)] for name, held in card["false_alarms_by_behaviour"].items()],
    )


def _areas(card: Card) -> dict[str, float]:
    by_window, by_minute = card["int8"]["per_kind"], card["days"]["per_kind"]
    return {
        f"{kind}, {unit}": held[kind]["auc"]
        for kind in by_window
        for unit, held in (("windows", by_window), ("minutes", by_minute))
        if kind in held
    }


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


PARTS: dict[str, dict[str, Callable[[Card], str]]] = {
    "activity": {part.__name__: part for part in (facts, windows, classes, risk, hours, bouts)},
    "anomaly": {part.__name__: part for part in (facts, kinds, alarms, behaviours)},
}
PICTURES: dict[str, dict[str, Callable[[Card], str]]] = {
    "activity": {
        "risk": lambda card: plots.curve(
            [(point["coverage"], point["risk"]) for point in card["risk_coverage"]],
            "share decided",
            "share wrong",
        ),
        "confusion": lambda card: plots.heat(
            card["confusion"]["labels"], card["confusion"]["rows"]
        ),
    },
    "anomaly": {"kinds": lambda card: plots.bars(_areas(card))},
}


def main() -> int:
    """Bring both cards up to date."""
    for package in PACKAGES:
        for path, text in render(package).items():
            path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
