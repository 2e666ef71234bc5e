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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from cloud.training.errors import DatasetTooSmall
from cloud.training.judge import calibration
from cloud.training.sensors import as_others_would
from cloud.training.teacher import Teacher, balance, carriers
from cloud.training.weights import Examples, Start, unpack
from plugins.sdk.descriptors import MACS, NAMES, descriptors
from plugins.sdk.features import NEAR_LIMIT, standardised
from plugins.sdk.manifest import RATE_HZ, Standard

FloatArray = NDArray[np.float32]
Targets = NDArray[np.uint8]

MIN_PURITY = 0.75  # a window half walk, half rest teaches neither
BATCH = 256
LEARNING_RATE = 3e-3
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
        return _said(self.keras, inputs)


@dataclass(frozen=True)
class _Lesson:
    """What the network learns from."""

    inputs: FloatArray
    truth: FloatArray
    weight: FloatArray


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
    targets = np.array([labels.index(label) for label in chosen.labels.tolist()], np.uint8)
    _require_enough(targets, labels, all_needed=start is None)
    views = (chosen.windows, as_others_would(chosen.windows, rng, RATE_HZ))
    described = np.concatenate([descriptors(view, RATE_HZ) for view in views])
    targets = np.tile(targets, len(views))
    weight = balance(targets, np.tile(chosen.animals, len(views)))

    model = network(keras, len(labels), hidden)
    if start is None:
        standard = _standard(described)
        inputs = standardised(described, standard.mean, standard.std, NEAR_LIMIT)
        examples = _examples(inputs, targets, rng)
        truth = np.eye(len(labels), dtype=np.float32)[targets]
        lesson = _taught(_Lesson(inputs, truth, weight), targets, trust, seed, rng)
    else:
        begun = unpack(start, [tuple(each.shape) for each in model.weights])
        standard, examples = begun.standard, begun.examples
        model.set_weights(begun.weights)
        inputs = standardised(described, standard.mean, standard.std, NEAR_LIMIT)
        truth = np.eye(len(labels), dtype=np.float32)[targets]
        lesson = _with_rehearsal(_Lesson(inputs, truth, weight), model, examples, rng)
    steps = epochs * -(-len(lesson.inputs) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy")
    order = rng.permutation(len(lesson.inputs))
    model.fit(
        lesson.inputs[order],
        lesson.truth[order],
        sample_weight=lesson.weight[order],
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
    )
    if tune is not None:
        _calibrate(model, tune.where(np.isin(tune.labels, labels)), labels, standard)
    edges = np.array([[-NEAR_LIMIT], [NEAR_LIMIT]], np.float32).repeat(len(NAMES), axis=1)
    shown = np.concatenate([edges, lesson.inputs[order]])
    tflite = to_int8(model, shown, tf, scale_per_neuron=False)
    return Fitted(model, tflite, standard, MACS + count_macs(model), examples)


def network(keras: Any, classes: int, hidden: tuple[int, int] = HIDDEN) -> Any:
    """Two hidden layers. ReLU6: what is far out must not count without end."""
    layers = keras.layers
    source = keras.Input((len(NAMES),))
    x = source
    for width in hidden:
        x = layers.ReLU(max_value=6.0)(layers.Dense(width)(x))
    return keras.Model(source, layers.Dense(classes, activation="softmax")(x))


def count_macs(model: Any) -> int:
    """Multiplications of one inference in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        weights = layer.get_weights()
        kind = type(layer).__name__
        if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            places = int(np.prod(layer.output.shape[1:-1], dtype=int))
            total += int(weights[0].size) * max(1, places)
    return total


def _taught(
    given: _Lesson, targets: Targets, trust: float, seed: int, rng: np.random.Generator
) -> _Lesson:
    """What a forest of these examples says of them, and of places around them."""
    teacher = Teacher.of(given.inputs, targets, given.weight, given.truth.shape[1], seed)
    around = carriers(given.inputs, given.weight, CARRIERS, NEAR_LIMIT, rng)
    said = teacher.says(np.concatenate([given.inputs, around]))
    said[: len(targets)] += trust * (given.truth - said[: len(targets)])
    weight = np.ones(len(said), np.float32)
    weight[: len(targets)] += trust * (given.weight - 1.0)
    return _Lesson(np.concatenate([given.inputs, around]), said, weight)


def _with_rehearsal(
    new: _Lesson, earlier: Any, examples: Examples, rng: np.random.Generator
) -> _Lesson:
    """What is new, and what the earlier model says of its examples and of places around them."""
    old = examples.inputs.astype(np.float32) * np.float32(STEP)
    old_weight = balance(examples.targets, np.full(len(examples), "all"))
    asked = np.concatenate([old, carriers(old, old_weight, AROUND * len(old), NEAR_LIMIT, rng)])
    total = len(new.inputs) + len(asked)
    weight = [
        new.weight * np.float32((1 - REHEARSED) * total / len(new.inputs)),
        np.full(len(asked), REHEARSED * total / len(asked), np.float32),
    ]
    return _Lesson(
        np.concatenate([new.inputs, asked]),
        np.concatenate([new.truth, _said(earlier, asked)]),
        np.concatenate(weight),
    )


def _calibrate(model: Any, tune: Dataset, labels: list[str], standard: Standard) -> None:
    """Make the scores as sure as they are right, and labels as likely as they are frequent.

    What a forest with large leaves says is too timid, and a training that balances labels takes
    many a walk for a run: the network learned both.
    """
    described = descriptors(tune.windows, RATE_HZ)
    inputs = standardised(described, standard.mean, standard.std, NEAR_LIMIT)
    targets = np.array([labels.index(label) for label in tune.labels.tolist()], np.uint8)
    factor, offsets = calibration(_said(model, inputs), targets)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights(
        [kernel * np.float32(factor), (bias * factor + offsets).astype(np.float32)]
    )


def _require_enough(targets: Targets, labels: list[str], *, all_needed: bool) -> None:
    counts = np.bincount(targets, minlength=len(labels))
    if all_needed and counts.min() == 0:
        raise DatasetTooSmall(f"no window of {labels[int(np.argmin(counts))]}")
    if len(targets) == 0:
        raise DatasetTooSmall(f"no window of any of {', '.join(labels)}")


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


def _said(model: Any, inputs: FloatArray) -> FloatArray:
    return np.asarray(model.predict(inputs, batch_size=4096, verbose=0), np.float32)
