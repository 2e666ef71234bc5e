"""The anomaly model: an autoencoder that has only seen healthy windows, and meets others badly.

Its input are the 36 features of `plugins.sdk.features`, in standard deviations of the training
animals; its error is the mean square of what it misses.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.activity import count_macs
from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from plugins.sdk.features import NAMES, standardised, window_features
from plugins.sdk.manifest import Standard

FloatArray = NDArray[np.float32]

BATCH = 256
LEARNING_RATE = 3e-3
MIN_STD = 0.05  # a feature that never varied must not turn sensor noise into an anomaly


@dataclass(frozen=True)
class Fitted:
    """A trained autoencoder in both forms, and what its input is measured by."""

    keras: Any
    tflite: bytes
    standard: Standard
    macs: int

    def errors(self, inputs: FloatArray) -> FloatArray:
        """The float model's reconstruction errors of prepared inputs."""
        missed = self.keras.predict(inputs, batch_size=1024, verbose=0) - inputs
        return np.asarray(np.mean(missed**2, axis=1), np.float32)


def fit(
    data: Dataset, seed: int, *, rate_hz: float = 25.0, epochs: int = 40, per_class: int = 400
) -> Fitted:
    """An autoencoder of healthy windows.

    Args:
        data: Training animals only; windows in which something was wrong are left out.
        seed: Of the weights and the order of examples.
        rate_hz: Of the windows.
        epochs: Passes over the examples.
        per_class: Most windows taken of a class of an animal.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 2])
    chosen = data.where(data.anomalies == "").capped(per_class, rng)
    features = window_features(chosen.windows, rate_hz)
    standard = Standard(
        mean=[round(float(m), 4) for m in features.mean(axis=0)],
        std=[round(max(MIN_STD, float(s)), 4) for s in features.std(axis=0)],
    )
    inputs = standardised(features, standard.mean, standard.std)[rng.permutation(len(features))]
    model = network(keras)
    steps = epochs * -(-len(inputs) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(keras.optimizers.Adam(schedule), "mse")
    model.fit(inputs, inputs, batch_size=BATCH, epochs=epochs, shuffle=True, verbose=0)
    return Fitted(model, to_int8(model, inputs, tf), standard, count_macs(model))


def network(keras: Any) -> Any:
    """36-32-8-32-36: eight numbers are about what speed, gait and posture need."""
    source = keras.Input((len(NAMES),))
    x = keras.layers.Dense(32, activation="relu")(source)
    x = keras.layers.Dense(8)(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    return keras.Model(source, keras.layers.Dense(len(NAMES))(x))
