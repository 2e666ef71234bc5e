"""What models see of a window: the scaled window itself, its descriptors, or 36 features of it.

Training and firmware call the same code, so what was learned is what is run. A classifier sees what
its manifest asks for: the window, or `plugins.sdk.descriptors` of it. A reconstruction sees 36
features, which unlike descriptors tell all that is within the sensor's reach.

The features do not depend on how the collar sits: everything is measured along gravity or across it
(`plugins.sdk.upright`). The five signals ``up``, ``flat``, ``acc``, ``spin`` and ``twist`` have
seven features each, all but the last as a natural logarithm:

- ``spread``: standard deviation
- ``jerk``: root mean square of the first difference, times the rate
- ``slow`` ``stride`` ``fast`` ``shake``: power in `BANDS_HZ`
- ``centre``: the mean frequency of the power, in Hz

and the 36th, ``up_uneven``, is the log ratio of the power an octave from the main frequency of
``up``, above or below, to the power at it: even steps leave one of the three alone, a limp brings
step and stride together.
"""

from functools import partial

import numpy as np

from plugins.sdk.descriptors import MACS as DESCRIPTOR_MACS
from plugins.sdk.descriptors import descriptors
from plugins.sdk.manifest import Model, Task, View
from plugins.sdk.upright import (
    SIGNALS,
    FloatArray,
    band_sums,
    frequencies_hz,
    in_blocks,
    power,
    upright,
)

GYR_UNIT_DPS = 250.0  # brings rotation to the size of acceleration in g: one int8 scale serves both
BANDS_HZ = {"slow": (0.3, 1.2), "stride": (1.2, 3.5), "fast": (3.5, 7.0), "shake": (7.0, 12.5)}
HEARD_HZ = (0.0, BANDS_HZ["shake"][1])
NAMES = (
    *(
        f"{signal}_{measure}"
        for signal in SIGNALS
        for measure in ("spread", "jerk", *BANDS_HZ, "centre")
    ),
    "up_uneven",
)
MACS = 13_000  # of a window: spectra 7,000, the five signals 4,000, the rest sums
ACC_FLOOR_G = 0.004  # sensor noise: below it a logarithm would only tell one noise from another
GYR_FLOOR_DPS = 0.3
STEP_FLOOR_G = 0.03  # below it there are no steps that could be uneven, only a still animal
LIMIT = 8.0  # standard deviations at which a model's view of a feature ends; keeps int8 fine
NEAR_LIMIT = 3.0  # of a classifier: what lies further out is no different, and no surer


def input_macs(model: Model) -> int:
    """Multiplications that a window's input takes, before the model itself; counted by hand."""
    if model.task is Task.RECONSTRUCT:
        return MACS
    return DESCRIPTOR_MACS if model.sees is View.FEATURES else 0


def prepare(model: Model, windows: FloatArray) -> FloatArray:
    """The model's input for windows.

    Args:
        model: From the package's manifest.
        windows: Shape (n, samples, 6): g and deg/s.

    Returns:
        Shape (n, samples, 1, 6) for a classifier of windows, (n, 71) for one of descriptors,
        (n, 36) for a reconstruction.
    """
    standard = model.standard
    if standard is None:
        return scaled(windows)
    if model.task is Task.CLASSIFY:
        described = descriptors(windows, model.rate_hz)
        return standardised(described, standard.mean, standard.std, NEAR_LIMIT)
    return standardised(window_features(windows, model.rate_hz), standard.mean, standard.std)


def unlikeness(errors: FloatArray, threshold: float) -> FloatArray:
    """How unusual windows are, by the errors of their reconstruction: 0 (met exactly) to 1.

    Args:
        errors: Any shape; an error beyond all numbers is as unusual as can be.
        threshold: The error that counts as 0.5.

    >>> unlikeness(np.array([0.0, 0.2, np.inf, np.nan], np.float32), 0.2).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    with np.errstate(invalid="ignore"):
        score = errors / (errors + threshold)
    return np.asarray(np.nan_to_num(score, nan=1.0), np.float32)


def scaled(windows: FloatArray) -> FloatArray:
    """Windows as a convolution takes them, shape (n, samples, 1, 6): g, and units of 250 deg/s."""
    unit = np.array([1, 1, 1, *[1 / GYR_UNIT_DPS] * 3], np.float32)
    return np.asarray(windows * unit, np.float32)[:, :, None, :]


def standardised(
    features: FloatArray, mean: list[float], std: list[float], limit: float = LIMIT
) -> FloatArray:
    """Features in standard deviations from the mean, same shape, within a limit."""
    distance = (features - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.clip(distance, -limit, limit).astype(np.float32)


def window_features(windows: FloatArray, rate_hz: float) -> FloatArray:
    """The 36 features of each window, in the order of `NAMES`.

    Args:
        windows: Shape (n, samples, 6): g and deg/s.
        rate_hz: Sampling rate, at least 25 Hz for the highest band.

    >>> window_features(np.ones((2, 100, 6), np.float32), 25.0).shape
    (2, 36)
    """
    return in_blocks(partial(_window_features, rate_hz=rate_hz), windows)


def _window_features(windows: FloatArray, rate_hz: float) -> FloatArray:
    signals = upright(windows).signals
    samples = signals.shape[2]
    floor = np.array([ACC_FLOOR_G] * 3 + [GYR_FLOOR_DPS] * 2, np.float32)
    centred = signals - signals.mean(axis=2, keepdims=True)
    spread = np.sqrt(np.einsum("nst,nst->ns", centred, centred) / samples)
    change = centred[:, :, 1:] - centred[:, :, :-1]
    jerk = np.sqrt(np.einsum("nst,nst->ns", change, change) / (samples - 1)) * rate_hz

    spectrum = power(centred, rate_hz, HEARD_HZ)
    sums = spectrum @ band_sums(samples, rate_hz, HEARD_HZ, tuple(BANDS_HZ.values()), 2)
    bands = len(BANDS_HZ)
    measures = [
        np.log(spread + floor)[:, :, None],
        np.log(jerk + floor * rate_hz)[:, :, None],
        np.log(sums[:, :, :bands] + floor[:, None] ** 2),
        (sums[:, :, bands + 1] / (sums[:, :, bands] + floor**2))[:, :, None],
    ]
    table = np.concatenate(measures, axis=2)  # (n, 5, 7)
    flat = table.reshape(len(windows), len(NAMES) - 1)
    uneven = _uneven(spectrum[:, 0], frequencies_hz(samples, rate_hz, HEARD_HZ))
    return np.concatenate([flat, uneven[:, None]], axis=1, dtype=np.float32)


def _uneven(spectrum: FloatArray, freqs_hz: FloatArray) -> FloatArray:
    """Log ratio of the power an octave off the main frequency to that at it, each +-1 bin."""
    near = spectrum.copy()
    near[:, 1:-1] += spectrum[:, 2:] + spectrum[:, :-2]
    main = np.argmax(np.where(freqs_hz >= BANDS_HZ["stride"][0], spectrum, 0.0), axis=1)
    row = np.arange(len(spectrum))
    above = near[row, np.minimum(2 * main, len(freqs_hz) - 1)]
    octave = np.maximum(near[row, main // 2], above)
    floor = STEP_FLOOR_G**2
    return np.log((octave + floor) / (near[row, main] + floor))
