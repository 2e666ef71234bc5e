"""The anomaly model: an autoencoder that meets healthy windows well, and others badly.

Its input are the 36 features of `plugins.sdk.features`, in standard deviations of the training
animals; its error is the mean square of what it misses.

Taught by healthy windows alone it meets a limp about as well as a walk, and a real dog's trot
worse than either. So it also sees what it shall not meet (outlier exposure: Hendrycks et al. 2019,
arXiv:1812.04606): the logarithm of its error is taken for the log-odds of an anomaly, and both
kinds of windows count alike. Every window comes once as it was and once as another unit would have
recorded it (`sensors`). Measured on strangers, simulated before they were made more like recorded
dogs, area under the ROC curve of windows against those of calm days:

- healthy windows alone: limp 0.920, tremor 0.999, fit 0.820; 12 to 14 of 100 windows of two
  recorded dogs above the threshold that 5 of 1,000 simulated ones exceed
- with outliers: limp 0.988, tremor 1.000, fit 0.999; 4 to 6 of 100
- as they, but without any tremor: tremor 0.989; without any limp: limp 0.864
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.activity import count_macs
from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from cloud.training.sensors import as_others_would
from plugins.sdk.features import NAMES, standardised, window_features
from plugins.sdk.manifest import Standard

FloatArray = NDArray[np.float32]

BATCH = 256
LEARNING_RATE = 3e-3
MIN_STD = 0.05  # a feature that never varied must not turn sensor noise into an anomaly
IN_NO_WINDOW = ("itch",)  # each bout is like any other; how many there are, the firmware counts
SHARPNESS = 2.0  # log-odds per unit of the error's logarithm; log-odds of 0 at an error of 1
TINY = 1e-4


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
    data: Dataset, seed: int, *, rate_hz: float = 25.0, epochs: int = 25, per_class: int = 200
) -> Fitted:
    """An autoencoder of healthy windows, and of no others.

    Args:
        data: Training animals only, healthy and sick; without sick ones it learns by the healthy.
        seed: Of the weights and the order of examples.
        rate_hz: Of the windows.
        epochs: Passes over the examples.
        per_class: Most windows taken of a class, and of an anomaly in it, of an animal.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 2])
    wrong = np.where(np.isin(data.anomalies, IN_NO_WINDOW), "", data.anomalies)
    marked = replace(data, labels=np.char.add(data.labels, wrong), anomalies=wrong)
    chosen = marked.capped(per_class, rng)
    views = [chosen.windows, as_others_would(chosen.windows, rng, rate_hz)]
    features = np.concatenate([window_features(each, rate_hz) for each in views])
    odd = np.tile(chosen.anomalies != "", len(views))
    healthy = features[~odd]
    standard = Standard(
        mean=[round(float(m), 4) for m in healthy.mean(axis=0)],
        std=[round(max(MIN_STD, float(s)), 4) for s in healthy.std(axis=0)],
    )
    order = rng.permutation(len(features))
    inputs = standardised(features, standard.mean, standard.std)[order]
    targets = np.concatenate([inputs, odd[order, None]], axis=1).astype(np.float32)
    model = network(keras)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, epochs * -(-len(inputs) // BATCH)
    )
    model.compile(keras.optimizers.Adam(schedule), _loss(tf, float(odd.mean())))
    model.fit(inputs, targets, batch_size=BATCH, epochs=epochs, shuffle=True, verbose=0)
    return Fitted(model, to_int8(model, inputs, tf), standard, count_macs(model))


def network(keras: Any) -> Any:
    """36-32-8-32-36: eight numbers are about what speed, gait and posture need."""
    source = keras.Input((len(NAMES),))
    x = keras.layers.Dense(32, activation="relu")(source)
    x = keras.layers.Dense(8)(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    return keras.Model(source, keras.layers.Dense(len(NAMES))(x))


def _loss(tf: Any, odd_share: float) -> Any:
    """Reconstruction of what is healthy, and cross-entropy of the error as a verdict."""
    weight = (1.0 - odd_share) / max(odd_share, 1.0 / len(NAMES))  # healthy and sick count alike

    def loss(targets: Any, outputs: Any) -> Any:
        inputs, odd = targets[:, : len(NAMES)], targets[:, len(NAMES)]
        error = tf.reduce_mean((inputs - outputs) ** 2, axis=1)
        verdict = tf.nn.sigmoid_cross_entropy_with_logits(
            odd, SHARPNESS * tf.math.log(error + TINY)
        )
        return verdict * (1.0 + (weight - 1.0) * odd) / 2.0 + error * (1.0 - odd)

    return loss
