"""The activity model: a small depthwise-separable 1-D CNN over 4 s of raw six-axis samples.

It learns to ignore how the collar sits: every example is turned about the neck at random, half of
them also back to front, since that is how collars differ between animals and slide during a day.

A training may go on from an earlier one's weights. Three things counter forgetting: a low learning
rate, batch norms that keep their statistics, and rehearsal: the weights come with 16 windows of
each label (`weights`), which weigh four times as much as all that is new, and whose target is what
the earlier model says of them as they are turned this time (distillation: Hinton et al. 2015,
arXiv:1503.02531; exemplars: Rebuffi et al. 2017, doi:10.1109/CVPR.2017.587).

Measured on simulated animals, macro-F1 of the int8 model, what ships against what went on from it
(six animals on harnesses, 240 labels each, half of them where it was least sure, 24 epochs at
1e-3), judged on busy days of other animals, seeds 1, 2, 3:

- 4 on harnesses 0.517 0.481 0.525 before, 0.738 0.622 0.693 after
- 6 with collars 0.902 0.838 0.900 before, 0.890 0.801 0.883 after

With examples at 0.6 of the weight the collars lost twice as much; without any, 16 to 17 points.
Ten to thirteen seconds of CPU, conversion included.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from cloud.training.errors import DatasetTooSmall
from cloud.training.weights import Examples, Start, unpack
from plugins.sdk.features import scaled

FloatArray = NDArray[np.float32]

MIN_PURITY = 0.75  # a window half walk, half rest teaches neither
BATCH = 128
LEARNING_RATE = 3e-3
NORM_MOMENTUM = 0.9  # Keras's 0.99 has not settled after the few hundred steps of a small training
EXAMPLES = 16  # per label, kept for later trainings; with the weights 100 kB
REHEARSED = 0.8  # share of those in what a later training learns from
BLOCKS = ((24, 2), (40, 2), (40, 1))  # channels and stride
INPUT_LIMIT = 1.5  # g, and units of 250 deg/s: gravity and a walk; a gallop's peaks are cut off
INPUT_STEP = INPUT_LIMIT / 127  # int8: at the 3 g that a scratch reaches, breath would be lost
TURN_SPREAD_RAD = 0.9  # about the neck: a loose collar's slide and then some


@dataclass(frozen=True)
class Fitted:
    """A trained model in both forms."""

    keras: Any
    tflite: bytes
    """Full int8, as converted; admission makes it canonical."""
    macs: int
    """Multiplications per window."""
    examples: Examples
    """Of the first training in the line: what those that go on from it rehearse."""

    def weights(self) -> bytes:
        """The float weights and the examples as an .npz: what a later `fit` can start from."""
        return Start(self.keras.get_weights(), self.examples).pack()

    def predict(self, inputs: FloatArray) -> FloatArray:
        """The float model's outputs for prepared inputs, put on the grid it was taught on."""
        return np.asarray(
            self.keras.predict(coarse(inputs), batch_size=1024, verbose=0), np.float32
        )


def fit(
    data: Dataset,
    labels: list[str],
    seed: int,
    *,
    epochs: int = 12,
    per_class: int = 200,
    start: bytes | None = None,
    learning_rate: float = LEARNING_RATE,
    turned: bool = True,
) -> Fitted:
    """A classifier of windows.

    Args:
        data: Training animals only.
        labels: In the order of the model's outputs.
        seed: Of the weights, the order of examples and their turning.
        epochs: Passes over the examples.
        per_class: Most windows taken of a class of an animal.
        start: Weights to go on from (`Fitted.weights`); labels without windows keep what they knew.
        learning_rate: At the first step; it falls to nothing.
        turned: Whether examples are turned as collars differ; see `turn`.

    Raises:
        DatasetTooSmall: A label has no window; with ``start``, none has.
        WeightsRefused: ``start`` is not of this network.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 1])
    samples = data.windows.shape[1]
    pure = data.where((data.purity >= MIN_PURITY) & np.isin(data.labels, labels))
    chosen = pure.capped(per_class, rng)
    targets = np.array([labels.index(label) for label in chosen.labels.tolist()], np.uint8)
    weight = _balance(targets, labels, all_needed=start is None)
    inputs = scaled(chosen.windows)

    model = network(keras, samples, len(labels))
    truth = np.eye(len(labels), dtype=np.float32)[targets]
    teacher = None
    if start is None:
        examples = _examples(inputs, targets, rng)
    else:
        shapes = [tuple(each.shape) for each in model.weights]
        begun = unpack(start, shapes, samples, len(labels))
        examples = begun.examples
        teacher = network(keras, samples, len(labels))
        teacher.set_weights(begun.weights)
        _resume(model, begun)
        inputs = np.concatenate([inputs, examples.windows[:, :, None] * np.float32(INPUT_STEP)])
        truth = np.concatenate([truth, np.zeros((len(examples), len(labels)), np.float32)])
        old_weight = _balance(examples.targets, labels, all_needed=False)
        share = REHEARSED * len(targets) / len(examples)
        weight = np.concatenate([(1 - REHEARSED) * weight, share * old_weight])
    steps = epochs * -(-len(inputs) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy")

    def seen(rows: NDArray[np.int_]) -> FloatArray:
        return coarse(turn(inputs[rows], rng) if turned else inputs[rows])

    for _ in range(epochs):
        views = seen(np.arange(len(inputs)))
        if teacher is not None:
            truth[len(targets) :] = _said(teacher, views[len(targets) :])
        order = rng.permutation(len(inputs))
        model.fit(
            views[order],
            truth[order],
            sample_weight=weight[order],
            batch_size=BATCH,
            shuffle=False,
            verbose=0,
        )
    tflite = to_int8(model, seen(rng.permutation(len(inputs))), tf)
    return Fitted(model, tflite, count_macs(model), examples)


def _said(model: Any, inputs: FloatArray) -> FloatArray:
    return np.asarray(model.predict(inputs, batch_size=1024, verbose=0), np.float32)


def _balance(targets: NDArray[np.uint8], labels: list[str], *, all_needed: bool) -> FloatArray:
    """The weight of each window, by which all labels that occur count alike; 1 on average."""
    counts = np.bincount(targets, minlength=len(labels))
    if all_needed and counts.min() == 0:
        raise DatasetTooSmall(f"no window of {labels[int(np.argmin(counts))]}")
    if len(targets) == 0:
        raise DatasetTooSmall(f"no window of any of {', '.join(labels)}")
    occurring = int(np.count_nonzero(counts))
    return (len(targets) / (occurring * counts[targets])).astype(np.float32)


def _examples(inputs: FloatArray, targets: NDArray[np.uint8], rng: np.random.Generator) -> Examples:
    """As many of each label, of all animals."""
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(targets == target))[:EXAMPLES]
            for target in np.unique(targets)
        ]
    )
    grid = np.rint(coarse(inputs[rows, :, 0]) / INPUT_STEP)
    return Examples(grid.astype(np.int8), targets[rows])


def _resume(model: Any, begun: Start) -> None:
    """Weights as they were left; the batch norms keep their statistics, whoever comes now."""
    model.set_weights(begun.weights)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False


def network(keras: Any, samples: int, classes: int) -> Any:
    """The architecture; time is the height of an image one pixel wide, as the operators want it."""
    layers = keras.layers

    def active(x: Any) -> Any:
        # ReLU6: a bounded range leaves int8 steps for the quiet windows
        return layers.ReLU(max_value=6.0)(layers.BatchNormalization(momentum=NORM_MOMENTUM)(x))

    source = keras.Input((samples, 1, 6))
    x = layers.Conv2D(16, (7, 1), (2, 1), padding="same", use_bias=False)(source)
    x = active(x)
    for channels, stride in BLOCKS:
        x = layers.DepthwiseConv2D((5, 1), (stride, stride), padding="same", use_bias=False)(x)
        x = active(x)
        x = layers.Conv2D(channels, 1, use_bias=False)(x)
        x = active(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(source, layers.Dense(classes, activation="softmax")(x))


def turn(windows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Each window as a collar would feel it that sits otherwise: about the neck, and reversed."""
    each = (len(windows), *[1] * (windows.ndim - 2))
    angle = rng.normal(0.0, TURN_SPREAD_RAD, each).astype(np.float32)
    facing = np.where(rng.random(each) < 0.5, 1.0, -1.0).astype(np.float32)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.empty_like(windows)
    for x, y, z in ((0, 1, 2), (3, 4, 5)):
        turned[..., x] = windows[..., x] * facing
        turned[..., y] = (cos * windows[..., y] + sin * windows[..., z]) * facing
        turned[..., z] = cos * windows[..., z] - sin * windows[..., y]
    return turned


def coarse(inputs: FloatArray) -> FloatArray:
    """Inputs on the int8 grid that the collar will put them on: what is learned is what it sees."""
    limited = np.clip(inputs, -INPUT_LIMIT, INPUT_LIMIT)
    return (np.rint(limited / INPUT_STEP) * INPUT_STEP).astype(np.float32)


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
