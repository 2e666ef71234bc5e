"""The activity model: a small dense network on descriptors of 4 s, taught by a forest.

A training from nothing first grows a forest on the labels, then teaches the network what the forest
says of examples and of much that lies around them (`teacher`). Every window comes once as it was
and once as another unit would have recorded it (`sensors`).

A training may go on from an earlier one's weights. Two things counter forgetting: a low learning
rate, and rehearsal: the weights come with 64 examples of each label (`weights`), which with their
surroundings weigh as `REHEARSED` says, and whose target is what the earlier model says of them
(distillation: Hinton et al. 2015, arXiv:1503.02531; exemplars: Rebuffi et al. 2017,
doi:10.1109/CVPR.2017.587).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cloud.training.backend import load
from cloud.training.dataset import Dataset, Text
from cloud.training.errors import DatasetTooSmall
from cloud.training.judge import calibration
from cloud.training.network import LEARNING_RATE, Lesson, as_int8, count_macs, dense, said, teach
from cloud.training.sensors import as_others_would
from cloud.training.teacher import Targets, Teacher, balance, carriers
from cloud.training.weights import Examples, Start, unpack
from plugins.sdk.arrays import FloatArray
from plugins.sdk.descriptors import MACS, NAMES, descriptors
from plugins.sdk.features import NEAR_LIMIT, standardised
from plugins.sdk.manifest import RATE_HZ, Standard

MIN_PURITY = 0.75  # a window half walk, half rest teaches neither
HIDDEN = (96, 48)  # docs/decisions/0015: what the flash holds
CARRIERS = 40_000  # places at which the forest is asked
MIN_STD = 0.02
EXAMPLES = 64  # per label, kept for later trainings; with the weights 90 kB
REHEARSED = 0.8  # share of those in what a later training learns from
AROUND = 8  # times as many carriers as examples are rehearsed
STEP = NEAR_LIMIT / 127  # of the input's int8 grid


@dataclass(frozen=True)
class Fitted:
    """A trained model in both forms."""

    keras: Any
    tflite: bytes
    """Full int8, as converted; admission makes it canonical."""
    standard: Standard
    """What its inputs are measured by."""
    macs: int
    """Multiplications per window, those of the descriptors among them."""
    examples: Examples
    """Of the first training in the line: what those that go on from it rehearse."""

    def weights(self) -> bytes:
        """The float weights and the examples as an .npz: what a later `fit` can start from."""
        return Start(self.keras.get_weights(), self.standard, self.examples).pack()

    def predict(self, inputs: FloatArray) -> FloatArray:
        """The float model's outputs for prepared inputs."""
        return said(self.keras, inputs)


def fit(
    data: Dataset,
    labels: list[str],
    seed: int,
    *,
    epochs: int = 12,
    per_class: int = 200,
    start: bytes | None = None,
    learning_rate: float = LEARNING_RATE,
    trust: float = 0.5,
    hidden: tuple[int, int] = HIDDEN,
    tune: Dataset | None = None,
) -> Fitted:
    """A classifier of windows.

    Args:
        data: Training animals only.
        labels: In the order of the model's outputs.
        seed: Of the weights, the trees and the order of examples.
        epochs: Passes over what is learned.
        per_class: Most windows taken of a class of an animal.
        start: Weights to go on from (`Fitted.weights`); labels without windows keep what they knew.
        learning_rate: At the first step; it falls to nothing.
        trust: From nothing, how much a window's own label counts beside what the forest says of it:
            0 where labels are of whole sessions.
        hidden: Widths of the two layers; as they were, with ``start``.
        tune: Of other animals, with these labels: the scores are calibrated there.

    Raises:
        DatasetTooSmall: A label has no window; with ``start``, none has.
        WeightsRefused: ``start`` is not of this network.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 1])
    pure = data.where((data.purity >= MIN_PURITY) & np.isin(data.labels, labels))
    chosen = pure.capped(per_class, rng)
    _require_enough(chosen.labels, labels, all_needed=start is None)
    shown = _Shown.of(chosen, labels, rng)
    model = dense(keras, len(NAMES), hidden, len(labels))
    if start is None:
        course = _from_nothing(shown, trust, seed, rng)
    else:
        course = _going_on(shown, model, start, rng)
    lesson = course.lesson.shuffled(rng)
    teach(keras, model, lesson, epochs=epochs, learning_rate=learning_rate)
    if tune is not None:
        _calibrate(model, tune.where(np.isin(tune.labels, labels)), labels, course.standard)
    tflite = as_int8(model, lesson.inputs, tf)
    return Fitted(model, tflite, course.standard, MACS + count_macs(model), course.examples)


@dataclass(frozen=True)
class _Shown:
    """Labelled windows that teach."""

    described: FloatArray
    """Shape (n, descriptors), as measured."""
    targets: Targets
    """The number of the label of each."""
    truth: FloatArray
    """The same, shape (n, labels)."""
    weight: FloatArray

    @classmethod
    def of(cls, chosen: Dataset, labels: list[str], rng: np.random.Generator) -> Self:
        """Each window as it was, and as another unit would have recorded it."""
        views = (chosen.windows, as_others_would(chosen.windows, rng, RATE_HZ))
        targets = np.tile(_numbers(chosen.labels, labels), len(views))
        return cls(
            np.concatenate([descriptors(view, RATE_HZ) for view in views]),
            targets,
            np.eye(len(labels), dtype=np.float32)[targets],
            balance(targets, np.tile(chosen.animals, len(views))),
        )

    def lesson(self, standard: Standard) -> Lesson:
        """What they teach by themselves."""
        inputs = standardised(self.described, standard.mean, standard.std, NEAR_LIMIT)
        return Lesson(inputs, self.truth, self.weight)


@dataclass(frozen=True)
class _Course:
    """What a training goes by."""

    lesson: Lesson
    standard: Standard
    examples: Examples


def _from_nothing(shown: _Shown, trust: float, seed: int, rng: np.random.Generator) -> _Course:
    """What is shown, as a forest sees it."""
    standard = _standard(shown.described)
    given = shown.lesson(standard)
    examples = _examples(given.inputs, shown.targets, rng)
    teacher = Teacher.of(given.inputs, shown.targets, given.weight, shown.truth.shape[1], seed)
    return _Course(_taught(given, teacher, trust, rng), standard, examples)


def _going_on(shown: _Shown, model: Any, start: bytes, rng: np.random.Generator) -> _Course:
    """What is shown, and what the earlier training knew; the model becomes the earlier one."""
    begun = unpack(start, [tuple(each.shape) for each in model.weights])
    model.set_weights(begun.weights)
    given = shown.lesson(begun.standard)
    lesson = _with_rehearsal(given, model, begun.examples, rng)
    return _Course(lesson, begun.standard, begun.examples)


def _taught(given: Lesson, teacher: Teacher, trust: float, rng: np.random.Generator) -> Lesson:
    """What a forest of these examples says of them, and of places around them."""
    around = carriers(given.inputs, given.weight, CARRIERS, NEAR_LIMIT, rng)
    asked = np.concatenate([given.inputs, around])
    truth = teacher.says(asked)
    own = slice(len(given.inputs))
    truth[own] += trust * (given.truth - truth[own])
    weight = np.ones(len(asked), np.float32)
    weight[own] += trust * (given.weight - 1.0)
    return Lesson(asked, truth, weight)


def _with_rehearsal(
    new: Lesson, earlier: Any, examples: Examples, rng: np.random.Generator
) -> Lesson:
    """What is new, and what the earlier model says of its examples and of places around them."""
    old = examples.inputs.astype(np.float32) * np.float32(STEP)
    old_weight = balance(examples.targets, np.full(len(examples), "all"))
    asked = np.concatenate([old, carriers(old, old_weight, AROUND * len(old), NEAR_LIMIT, rng)])
    total = len(new.inputs) + len(asked)
    weight = [
        new.weight * np.float32((1 - REHEARSED) * total / len(new.inputs)),
        np.full(len(asked), REHEARSED * total / len(asked), np.float32),
    ]
    return Lesson(
        np.concatenate([new.inputs, asked]),
        np.concatenate([new.truth, said(earlier, asked)]),
        np.concatenate(weight),
    )


def _calibrate(model: Any, tune: Dataset, labels: list[str], standard: Standard) -> None:
    """Make the scores as sure as they are right, and labels as likely as they are frequent.

    What a forest with large leaves says is too timid, and a training that balances labels takes
    many a walk for a run: the network learned both.
    """
    described = descriptors(tune.windows, RATE_HZ)
    inputs = standardised(described, standard.mean, standard.std, NEAR_LIMIT)
    factor, offsets = calibration(said(model, inputs), _numbers(tune.labels, labels))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights(
        [kernel * np.float32(factor), (bias * factor + offsets).astype(np.float32)]
    )


def _require_enough(words: Text, labels: list[str], *, all_needed: bool) -> None:
    missing = [label for label in labels if label not in words]
    if all_needed and missing:
        raise DatasetTooSmall(f"no window of {missing[0]}")
    if len(words) == 0:
        raise DatasetTooSmall(f"no window of any of {', '.join(labels)}")


def _numbers(words: Text, labels: list[str]) -> Targets:
    return np.array([labels.index(word) for word in words.tolist()], np.uint8)


def _standard(described: FloatArray) -> Standard:
    return Standard(
        mean=[round(float(m), 4) for m in described.mean(axis=0, dtype=np.float64)],
        std=[round(max(MIN_STD, float(s)), 4) for s in described.std(axis=0, dtype=np.float64)],
    )


def _examples(inputs: FloatArray, targets: Targets, rng: np.random.Generator) -> Examples:
    """As many of each label, of all animals."""
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(targets == target))[:EXAMPLES]
            for target in np.unique(targets)
        ]
    )
    return Examples(np.rint(inputs[rows] / STEP).astype(np.int8), targets[rows])
