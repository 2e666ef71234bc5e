"""The activity model on real dogs that it never saw, beside the two forests of `bench.forests`.

Each animal of the recording is judged by models that learned from the others (or, with
``--train-animals`` and ``--test-animals``, from those that are named): the recipe of the shipped
model (`cloud.training.activity`), int8, on the firmware's interpreter. Nothing of the animal that
judges is used in a run: no normalisation, no threshold. The recipe itself was chosen while looking
at both dogs of the recording we have, so only a third is a clean test. All smooth over at most the
last minute of a session. Macro-F1 is over the labels that both sides have; windows of others are
left out and counted as ``unlearnable``. The model abstains nowhere here, since it could only lose.

The shipped model is judged beside it, with its own threshold (``zero_shot``), smoothed as the rest:
longer than the firmware itself does.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import plugins
from bench import recordings
from bench.forests import (
    NAIVE_HOP_S,
    NAIVE_S,
    STRONG_HOP_S,
    STRONG_S,
    naive_forest,
    smoothed,
    strong_forest,
)
from bench.recordings import Recording, Windows, windows_of
from bench.report import Figure, line
from bench.verdict import Found, report, table
from cloud.training import activity
from cloud.training.dataset import Dataset
from collar_sim.firmware.models.arena import arena_bytes
from collar_sim.firmware.sensing.epochs import RATE_HZ, WINDOW_SAMPLES
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.labels import parse_map
from collar_sim.replay.mapping import RATE_HZ as RECORDED_HZ
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.resample import to_firmware
from collar_sim.replay.units import AccUnit, GyrUnit
from pawmesh.models.made import classifier_package, engine_of, model_of
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.features import prepare
from plugins.sdk.package import Package

USUAL_FILE = "dog_collar_imu.parquet"
EPOCHS = 12
STILL_G = 0.012  # of the liveliest axis, by eye: four times a sensor's noise, half an idling car
HOP = WINDOW_SAMPLES // 2
NOTHING, USAGE, MISSING = 0, 2, 3


@dataclass(frozen=True)
class Fold:
    """Whose recordings teach, and whose judge."""

    train: list[str]
    test: list[str]


def main() -> int:
    """Judge, print, write ``--json FILE``; 0 when the bar is reached, 1 if not, 2 for usage."""
    options = _parser().parse_args()
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
            judge(fold, held, options.seeds, found, print)
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
    """All models of one fold, on the animals that judge."""
    mine = {
        side: [each for each in held if each.animal in names]
        for side, names in (("train", fold.train), ("test", fold.test))
    }
    known = {each.label for each in mine["train"]}
    labels = [each.value for each in Behaviour if each.value in known]
    for animal in fold.test:
        own = {each.label for each in mine["test"] if each.animal == animal}
        found.labels[animal] = [label for label in labels if label in own]
        if not found.labels[animal]:
            raise RecordingError(
                f"{animal} has labels {', '.join(sorted(own))}, those that teach have "
                f"{', '.join(labels)}: nothing can be judged"
            )
    naive = [_at_recorded(mine[side], NAIVE_S, NAIVE_HOP_S) for side in ("train", "test")]
    strong = [_at_recorded(mine[side], STRONG_S, STRONG_HOP_S) for side in ("train", "test")]
    ours = [windows_of(mine[side], WINDOW_SAMPLES, HOP, to_firmware) for side in ("train", "test")]
    for seed in range(1, seeds + 1):
        _judge_ours(ours[0], ours[1], labels, seed, found)
        found.keep("forest_naive", naive[1], naive_forest(naive[0], naive[1], seed))
        said = strong_forest(strong[0], strong[1], seed, _hz(mine["train"]))
        found.keep("forest_strong", strong[1], said)
        say(f"  {'+'.join(fold.train)} -> {'+'.join(fold.test)}, seed {seed}")
    _judge_shipped(ours[1], found)


def _at_recorded(held: list[Recording], length_s: float, hop_s: float) -> Windows:
    hz = _hz(held)
    return windows_of(held, round(length_s * hz), round(hop_s * hz))


def _hz(held: list[Recording]) -> float:
    """The rate of most of the samples; sessions of one logger differ by some hundredths."""
    return float(np.median(np.repeat([e.rate_hz for e in held], [len(e.imu) for e in held])))


def _judge_ours(train: Windows, test: Windows, labels: list[str], seed: int, found: Found) -> None:
    fitted = activity.fit(as_dataset(train, labels), labels, seed, epochs=EPOCHS, trust=0.0)
    words = [Behaviour(label) for label in labels]
    package = classifier_package(fitted, words, "judged", "A model of a bench.")
    names = np.array(labels)
    engine = engine_of(package)
    prepared = prepare(model_of(package), test.samples)
    for name, scores in (("ours", engine.run(prepared)), ("float", fitted.predict(prepared))):
        smooth = smoothed(scores, test.sessions, HOP / RATE_HZ)
        found.keep(name, test, names[np.argmax(smooth, axis=1)])
    found.flash_bytes = max(found.flash_bytes, len(package.model or b""))
    found.arena_bytes = arena_bytes(package.model or b"")
    found.macs = fitted.macs


def _judge_shipped(test: Windows, found: Found) -> None:
    package = Package.load(Path(plugins.__path__[0]) / "activity")
    model = model_of(package)
    smooth = smoothed(engine_of(package).predict(test.samples), test.sessions, HOP / RATE_HZ)
    said = np.array([label.value for label in model.labels])[np.argmax(smooth, axis=1)]
    sure = np.exp(smooth.max(axis=1)) >= model.abstain_below
    found.keep("zero_shot", test, np.where(sure, said, Behaviour.UNSURE.value))


def as_dataset(windows: Windows, labels: list[str]) -> Dataset:
    """Windows as a training takes them; sessions stand where animals do, to be balanced alike.

    Labels are of whole sessions, in which dogs also stand and lie. Who does not move rests,
    whatever the session is called; where nobody teaches rest, such windows teach nothing.

    Args:
        windows: Of animals that teach.
        labels: That are learned.
    """
    moved_g = windows.samples[:, :, :3].std(axis=1).max(axis=1)
    still = (moved_g < STILL_G) & (windows.labels != Behaviour.SLEEP)
    can_rest = Behaviour.REST.value in labels
    return Dataset(
        windows.samples,
        np.where(still & can_rest, Behaviour.REST.value, windows.labels),
        np.where(still & (not can_rest), 0.0, 1.0).astype(np.float32),
        np.full(len(windows), ""),
        np.char.add(np.char.add(windows.animals, "/"), windows.sessions),
    )


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
