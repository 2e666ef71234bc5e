"""The anomaly model: an autoencoder that meets healthy windows well, and others badly.

Its input are the 36 features of `plugins.sdk.features`, in standard deviations of the training
animals; its error is the mean square of what it misses.

Taught by healthy windows alone it meets a limp about as well as a walk, and a real dog's trot
worse than either. So it also sees what it shall not meet (outlier exposure: Hendrycks et al. 2019,
arXiv:1812.04606): the logarithm of its error is taken for the log-odds of an anomaly, and both
kinds of windows count alike. Every window comes once as it was and once as another unit would have
recorded it (`sensors`).

First tries, eight simulated strangers: area under the ROC curve of sick windows against those of
calm days; and of 966 minutes of two recorded dogs, those that would have alarmed, where one
simulated minute in 1,440 does:

- healthy windows alone: limp 0.894, fit 0.961, tremor 1.000; 178
- with outliers, limps of some minutes among them: 0.943, 0.996, 1.000; none
- with animals that are always lame: 0.972, 0.995, 1.000; none
- with a wider network (36-48-12-48-36): 0.967, 0.996, 1.000; one

A kind that it never saw is found less well: on an earlier simulator, tremor fell from 1.000 to
0.989 and limp from 0.989 to 0.864 when each in turn was left out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.backend import load, to_int8
from cloud.training.dataset import Dataset
from cloud.training.network import count_macs
from cloud.training.sensors import as_others_would
from plugins.sdk.arrays import FloatArray
from plugins.sdk.features import MACS, NAMES, standardised, window_features
from plugins.sdk.manifest import RATE_HZ, Standard

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
    data: Dataset, seed: int, *, rate_hz: float = RATE_HZ, epochs: int = 24, per_class: int = 200
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
    kinds = np.tile(chosen.anomalies, len(views))
    healthy = features[kinds == ""]
    standard = Standard(
        mean=[round(float(m), 4) for m in healthy.mean(axis=0)],
        std=[round(max(MIN_STD, float(s)), 4) for s in healthy.std(axis=0)],
    )
    order = rng.permutation(len(features))
    inputs = standardised(features, standard.mean, standard.std)[order]
    verdicts = np.stack([kinds != "", _weights(kinds)], axis=1)[order]
    targets = np.concatenate([inputs, verdicts], axis=1).astype(np.float32)
    model = network(keras)
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, epochs * -(-len(inputs) // BATCH)
    )
    model.compile(keras.optimizers.Adam(schedule), _loss(tf))
    model.fit(inputs, targets, batch_size=BATCH, epochs=epochs, shuffle=True, verbose=0)
    return Fitted(model, to_int8(model, inputs, tf), standard, MACS + count_macs(model))


def network(keras: Any) -> Any:
    """36-48-12-48-36: twelve numbers are about what speed, gait and posture need."""
    source = keras.Input((len(NAMES),))
    x = keras.layers.Dense(48, activation="relu")(source)
    x = keras.layers.Dense(12)(x)
    x = keras.layers.Dense(48, activation="relu")(x)
    return keras.Model(source, keras.layers.Dense(len(NAMES))(x))


def _weights(kinds: NDArray[np.str_]) -> FloatArray:
    """By which all sick windows count as the healthy ones do, and all kinds of them alike.

    >>> _weights(np.array(["", "", "", "", "limp", "limp", "tremor"])).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    """
    names, places, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    healthy = float(np.sum(kinds == ""))
    sick = max(1, int(np.sum(names != "")))
    return np.where(names == "", 1.0, healthy / sick / counts)[places].astype(np.float32)


def _loss(tf: Any) -> Any:
    """Reconstruction of what is healthy, and cross-entropy of the error as a verdict."""

    def loss(targets: Any, outputs: Any) -> Any:
        inputs, odd, weight = (
            targets[:, : len(NAMES)],
            targets[:, len(NAMES)],
            targets[:, len(NAMES) + 1],
        )
        error = tf.reduce_mean((inputs - outputs) ** 2, axis=1)
        verdict = tf.nn.sigmoid_cross_entropy_with_logits(
            odd, SHARPNESS * tf.math.log(error + TINY)
        )
        return verdict * weight / 2.0 + error * (1.0 - odd)

    return loss
