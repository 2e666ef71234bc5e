"""The activity model: a small depthwise-separable 1-D CNN over 4 s of raw six-axis samples.

It learns to ignore how the collar sits: every example is turned about the neck at random, half of
them also back to front, since that is how collars differ between animals and slide during a day.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from cloud.training.errors import DatasetTooSmall
from plugins.sdk.features import scaled

FloatArray = NDArray[np.float32]

MIN_PURITY = 0.75  # a window half walk, half rest teaches neither
BATCH = 128
LEARNING_RATE = 3e-3
NORM_MOMENTUM = 0.9  # Keras's 0.99 has not settled after the few hundred steps of a small training
TURN_SPREAD_RAD = 0.9  # about the neck: a loose collar's slide and then some


@dataclass(frozen=True)
class Fitted:
    """A trained model in both forms."""

    keras: Any
    tflite: bytes
    """Full int8, as converted; admission makes it canonical."""
    macs: int
    """Multiplications per window."""

    def predict(self, inputs: FloatArray) -> FloatArray:
        """The float model's outputs for prepared inputs."""
        return np.asarray(self.keras.predict(inputs, batch_size=1024, verbose=0), np.float32)


def fit(
    data: Dataset, labels: list[str], seed: int, *, epochs: int = 12, per_class: int = 200
) -> Fitted:
    """A classifier of windows.

    Args:
        data: Training animals only.
        labels: In the order of the model's outputs.
        seed: Of the weights, the order of examples and their turning.
        epochs: Passes over the examples.
        per_class: Most windows taken of a class of an animal.

    Raises:
        DatasetTooSmall: A label has no window.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 1])
    pure = data.where((data.purity >= MIN_PURITY) & np.isin(data.labels, labels))
    chosen = pure.capped(per_class, rng)
    targets = np.array([labels.index(label) for label in chosen.labels.tolist()])
    counts = np.bincount(targets, minlength=len(labels))
    if counts.min() == 0:
        raise DatasetTooSmall(f"no window of {labels[int(np.argmin(counts))]}")
    weight = len(targets) / (len(labels) * counts)

    model = network(keras, data.windows.shape[1], len(labels))
    steps = epochs * -(-len(targets) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    for _ in range(epochs):
        order = rng.permutation(len(targets))
        turned = scaled(turn(chosen.windows[order], rng))
        model.fit(
            turned,
            targets[order],
            sample_weight=weight[targets[order]],
            batch_size=BATCH,
            shuffle=False,
            verbose=0,
        )
    spread = rng.permutation(len(targets))
    tflite = to_int8(model, scaled(turn(chosen.windows[spread], rng)), tf)
    return Fitted(model, tflite, count_macs(model))


def network(keras: Any, samples: int, classes: int) -> Any:
    """The architecture; time is the height of an image one pixel wide, as the operators want it."""
    layers = keras.layers

    def norm() -> Any:
        return layers.BatchNormalization(momentum=NORM_MOMENTUM)

    source = keras.Input((samples, 1, 6))
    x = layers.Conv2D(16, (7, 1), (2, 1), padding="same", use_bias=False)(source)
    x = layers.ReLU()(norm()(x))
    for channels, stride in ((24, 2), (32, 2), (32, 1)):
        x = layers.DepthwiseConv2D((5, 1), (stride, stride), padding="same", use_bias=False)(x)
        x = layers.ReLU()(norm()(x))
        x = layers.Conv2D(channels, 1, use_bias=False)(x)
        x = layers.ReLU()(norm()(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.1)(x)
    return keras.Model(source, layers.Dense(classes, activation="softmax")(x))


def turn(windows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Each window as a collar would feel it that sits otherwise: about the neck, and reversed."""
    angle = rng.normal(0.0, TURN_SPREAD_RAD, len(windows)).astype(np.float32)[:, None]
    facing = np.where(rng.random(len(windows)) < 0.5, 1.0, -1.0).astype(np.float32)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.empty_like(windows)
    for x, y, z in ((0, 1, 2), (3, 4, 5)):
        turned[..., x] = windows[..., x] * facing
        turned[..., y] = (cos * windows[..., y] + sin * windows[..., z]) * facing
        turned[..., z] = cos * windows[..., z] - sin * windows[..., y]
    return turned


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
