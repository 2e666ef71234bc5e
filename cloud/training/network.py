"""The small dense network that behaviours are told apart by: made, taught and counted.

Of the descriptors of one window for the model that ships; of a minute's for that of a bench.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cloud.training.backend import to_int8
from plugins.sdk.arrays import FloatArray
from plugins.sdk.features import NEAR_LIMIT

BATCH = 256
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Lesson:
    """What a network learns from."""

    inputs: FloatArray
    """Shape (n, inputs), standardised."""
    truth: FloatArray
    """How likely each label is, shape (n, labels)."""
    weight: FloatArray
    """How much each example counts, 1 on average."""

    def shuffled(self, rng: np.random.Generator) -> Self:
        """The same in another order."""
        order = rng.permutation(len(self.inputs))
        return type(self)(self.inputs[order], self.truth[order], self.weight[order])


def dense(keras: Any, inputs: int, hidden: Sequence[int], classes: int) -> Any:
    """Hidden layers of these widths. ReLU6: what is far out must not count without end."""
    x = source = keras.Input((inputs,))
    for width in hidden:
        x = keras.layers.ReLU(max_value=6.0)(keras.layers.Dense(width)(x))
    return keras.Model(source, keras.layers.Dense(classes, activation="softmax")(x))


def teach(
    keras: Any, model: Any, lesson: Lesson, *, epochs: int, learning_rate: float = LEARNING_RATE
) -> None:
    """Pass so often over a lesson, in its order at first.

    Args:
        keras: From `backend.load`.
        model: Of `dense`; it is changed.
        lesson: Shuffled.
        epochs: Passes.
        learning_rate: At the first step; it falls to nothing.
    """
    steps = epochs * -(-len(lesson.inputs) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy")
    model.fit(
        lesson.inputs,
        lesson.truth,
        sample_weight=lesson.weight,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
    )


def said(model: Any, inputs: FloatArray) -> FloatArray:
    """What the float model says of prepared inputs, shape (n, labels)."""
    return np.asarray(model.predict(inputs, batch_size=4096, verbose=0), np.float32)


def as_int8(model: Any, inputs: FloatArray, tf: Any) -> bytes:
    """The model as a full-int8 .tflite whose input's grid reaches from limit to limit.

    Args:
        model: Of `dense`.
        inputs: Examples, shuffled.
        tf: From `backend.load`.
    """
    edges = np.array([[-NEAR_LIMIT], [NEAR_LIMIT]], np.float32).repeat(inputs.shape[1], axis=1)
    return to_int8(model, np.concatenate([edges, inputs]), tf, scale_per_neuron=False)


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
