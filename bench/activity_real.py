"""The activity model on real dogs that it never saw, beside the two forests of `bench.forests`.

Each animal of the recording is judged by models that learned from the others (or, with
``--train-animals`` and ``--test-animals``, from those that are named): int8 networks on the
firmware's interpreter, made by the recipe of `bench.minutes`. Nothing of the animal that judges is
used in a run: no normalisation, no threshold. The recipe itself was chosen while looking at both
dogs of the recording we have, so only a third is a clean test. None looks further back than the
last minute of a session. Macro-F1 is over the labels that both sides have; windows of others are
left out and counted as ``unlearnable``. Ours answers every window, so its coverage is 1.

Beside it, trained once: the same without the rule that who does not move rests (``as_labelled``),
and without what the shipped model knows of simulated animals (``real_alone``); and the shipped
model's own recipe, window by window, smoothed as the forest (``by_window``). And the model that
ships, which learned from simulated animals alone, with its own threshold: smoothed over a minute
(``zero_shot``), and by the seconds that a collar would report (``zero_shot_seconds``).

Two dogs and three seeds took four minutes on two busy cores.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import recordings
from bench.contenders import (
    Side,
    by_window,
    forests,
    ours,
    require_one_rate,
    require_two,
    shipped,
    without,
)
from bench.minutes import Minutes
from bench.recordings import Recording
from bench.report import Figure, line
from bench.verdict import Found, report, table
from collar_sim.firmware.sensing.epochs import HOP_S
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.labels import parse_map
from collar_sim.replay.mapping import RATE_HZ as RECORDED_HZ
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.units import AccUnit, GyrUnit

USUAL_FILE = "dog_collar_imu.parquet"
NOTHING, USAGE, MISSING = 0, 2, 3


@dataclass(frozen=True)
class Fold:
    """Whose recordings teach, and whose judge."""

    train: list[str]
    test: list[str]


def main() -> int:
    """Judge, print, write ``--json FILE``; 0 when the bar is reached, 1 if not, 2 for usage."""
    parser = _parser()
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be 1 or more")
    path: Path = options.data or recordings.folder() / USUAL_FILE
    if options.data is None and not path.exists():
        print(
            f"there is no {path}; say which recording with --data, or where they lie with "
            f"{recordings.FOLDER_VARIABLE}",
            file=sys.stderr,
        )
        return MISSING
    try:
        held = recordings.read(path, _mapping(options), parse_map(options.label_map))
        folds = folds_of(held, _names(options.train_animals), _names(options.test_animals))
        found = Found()
        for fold in folds:
            judge(fold, held, options.seeds, found, partial(print, flush=True))
    except RecordingError as error:
        print(error, file=sys.stderr)
        return USAGE
    made = report(found, options.seeds)
    print(line(Figure(**{name: made[name] for name in Figure.__dataclass_fields__})))
    print(table(made))
    if options.json:
        options.json.write_text(json.dumps(made, indent=1))
    return NOTHING if made["passed"] else 1


def folds_of(held: list[Recording], train: list[str], test: list[str]) -> list[Fold]:
    """Who learns and who judges.

    Args:
        held: All recordings.
        train: Names of the user; none: all others than judge.
        test: Names of the user; none: each that does not learn, one after the other.

    Raises:
        RecordingError: An animal is not there, is on both sides, or there is only one.
    """
    animals = sorted({each.animal for each in held})
    strange = [name for name in [*train, *test] if name not in animals]
    if strange:
        raise RecordingError(
            f"no labelled recording of {', '.join(strange)}; there are {', '.join(animals)}"
        )
    both = sorted({*train} & {*test})
    if both:
        raise RecordingError(f"{', '.join(both)} cannot both teach and judge")
    judges = test or [name for name in animals if name not in train]
    if train:
        folds = [Fold(train, judges)]
    elif test:
        folds = [Fold([name for name in animals if name not in test], test)]
    else:
        folds = [Fold([each for each in animals if each != name], [name]) for name in judges]
    if not all(fold.train and fold.test for fold in folds):
        raise RecordingError(f"one animal cannot both teach and judge; there is {animals}")
    return folds


def judge(
    fold: Fold, held: list[Recording], seeds: int, found: Found, say: Callable[[str], None]
) -> None:
    """All models of one fold, on the animals that judge.

    Args:
        fold: Who teaches and who judges.
        held: All recordings.
        seeds: Trainings of each model; those that show what a part is worth are trained once.
        found: Gets what was said.
        say: Is told how far it is.

    Raises:
        RecordingError: They have no behaviour in common, or too little of it.
    """
    train, test = (
        Side.of([each for each in held if each.animal in names])
        for names in (fold.train, fold.test)
    )
    require_one_rate(train.rate_hz, test.rate_hz)
    known = train.labels()
    require_two(known, fold.train)
    for animal in fold.test:
        own = test.labels(animal)
        found.labels[animal] = [label for label in known if label in own]
        if not found.labels[animal]:
            raise RecordingError(
                f"{animal} has labels {', '.join(own) or 'of no window'}, those that teach have "
                f"{', '.join(known)}: nothing can be judged"
            )
    teach, asked = (Minutes.of(side.ours, HOP_S) for side in (train, test))
    for seed in range(1, seeds + 1):
        said, cost = ours(teach, asked, seed)
        found.cost = max(found.cost, cost, key=lambda each: each.flash_bytes)
        for name, words in said.items():
            found.keep(name, test.ours, words)
        for name, windows, words in forests(train, test, seed):
            found.keep(name, windows, words)
        say(f"  {'+'.join(fold.train)} -> {'+'.join(fold.test)}, seed {seed} of {seeds}")
    for name, words in without(teach, asked, seed=1):
        found.keep(name, test.ours, words)
    found.keep("by_window", test.ours, by_window(train.ours, test.ours, seed=1))
    for name, words in shipped(test.ours).items():
        found.keep(name, test.ours, words)
    say(f"  {'+'.join(fold.train)} -> {'+'.join(fold.test)}, what parts are worth")


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _mapping(options: argparse.Namespace) -> MotionMapping:
    rate: str = options.rate_hz
    return MotionMapping(
        animal_column=options.animal_column,
        label_column=options.label_column,
        session_column=options.session_column,
        time_column=options.time_column,
        rate_hz=None if rate == "auto" else float(rate),
        acc_unit=AccUnit(options.acc_unit),
        gyr_unit=GyrUnit(options.gyr_unit),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.activity_real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help=f"Parquet or CSV (default: {USUAL_FILE})")
    parser.add_argument("--train-animals", default="", metavar="A,B", help="who teaches")
    parser.add_argument("--test-animals", default="", metavar="C", help="who judges")
    parser.add_argument("--seeds", type=int, default=3, help="trainings; figures are their mean")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    for column in ("animal", "label", "session", "time"):
        parser.add_argument(f"--{column}-column", help="as in pawmesh replay")
    parser.add_argument("--rate-hz", default=f"{RECORDED_HZ:g}", help="or auto")
    parser.add_argument("--acc-unit", choices=[each.value for each in AccUnit], default="m/s2")
    parser.add_argument("--gyr-unit", choices=[each.value for each in GyrUnit], default="deg/s")
    parser.add_argument("--label-map", default="", metavar="a=b,c=d", help="words to behaviours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
