"""What describes the motion of a window, whoever wears the collar and however it sits.

A classifier that asks for features sees these instead of the window. They were chosen so that what
they say of one animal holds for the next (docs/explanations/activity-on-real-dogs.md):

- they do not depend on how the collar sits: everything is measured along gravity or across it
  (`plugins.sdk.upright`);
- size is told apart from shape: one number of each signal says how strong it is, the others how it
  moves, so that a heavy-footed walk need not look like a run;
- nothing is taken from above `TOP_HZ`, where slower recorders are deaf.

The five signals ``up``, ``flat``, ``acc``, ``spin`` and ``twist`` have twelve each:

- ``size``: logarithm of the standard deviation within the bands
- ``drift`` ``breath`` ``stride`` ``step`` ``fast`` ``quick``: log share of the power in `BANDS_HZ`
- ``centre``: mean frequency of the power, in Hz; ``width``: log of its root mean square
- ``beat``: log share of the strongest frequency: high for gait, low for play
- ``skew`` ``peaky``: third, and logarithm of the fourth standardised moment
- ``bursts``: how much the log energy of fifths of the window varies

and there are ``acc_mean``, ``spin_mean`` (log), ``flat_mean``, ``wander`` (log; how far quarters of
the window lie from each other: posture), ``line`` (log; how much motion across gravity keeps to one
line) and ``axis`` (how much the rotation keeps to one axis, 1/3 to 1).
"""

import math
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.sdk.upright import (
    SIGNALS,
    FloatArray,
    band_sums,
    in_blocks,
    power,
    squared,
    upright,
)

BANDS_HZ = {
    "drift": (0.2, 0.6),
    "breath": (0.6, 1.2),
    "stride": (1.2, 2.4),
    "step": (2.4, 3.6),
    "fast": (3.6, 5.0),
    "quick": (5.0, 7.0),
}
TOP_HZ = 7.0  # what resampling leaves of 16.4 Hz, the slowest recorder that we know
HEARD_HZ = (BANDS_HZ["drift"][0], TOP_HZ)
MACS = 16_000  # of a window, counted by hand: spectra 7,000, the five signals 4,000, the rest sums
FLOOR = np.array([0.003, 0.003, 0.003, 0.3, 0.3], np.float32)  # g and deg/s: sensor noise
NAMES = (
    *(f"{signal}_size" for signal in SIGNALS),
    *(f"{signal}_{band}" for signal in SIGNALS for band in BANDS_HZ),
    *(
        f"{signal}_{measure}"
        for measure in ("centre", "width", "beat", "skew", "peaky", "bursts")
        for signal in SIGNALS
    ),
    *("acc_mean", "spin_mean", "flat_mean", "wander", "line", "axis"),
)


def descriptors(windows: FloatArray, rate_hz: float) -> FloatArray:
    """The descriptors of each window, in the order of `NAMES`.

    Args:
        windows: Shape (n, samples, 6): g and deg/s; samples a multiple of 20.
        rate_hz: Sampling rate, at least twice `TOP_HZ`.

    >>> descriptors(np.ones((2, 100, 6), np.float32), 25.0).shape == (2, len(NAMES))
    True
    """
    return in_blocks(partial(_descriptors, rate_hz=rate_hz), windows)


def _descriptors(windows: FloatArray, rate_hz: float) -> FloatArray:
    seen = upright(windows)
    level = seen.signals.mean(axis=2)
    centred = seen.signals - level[:, :, None]
    parts = [
        *_spectral(centred, rate_hz),
        *_shapes(centred),
        level[:, 2],
        np.log(level[:, 3] + 0.5),
        level[:, 1],
        _wander(seen.moved),
        _line(seen.moved, seen.down),
        _axis(seen.gyr),
    ]
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in parts]
    return np.concatenate(flat, axis=1, dtype=np.float32)


def _spectral(centred: FloatArray, rate_hz: float) -> list[NDArray[Any]]:
    """Size, shares of the bands, centre, width and beat."""
    spectrum = power(centred, rate_hz, HEARD_HZ)
    sums = spectrum @ band_sums(centred.shape[2], rate_hz, HEARD_HZ, tuple(BANDS_HZ.values()), 3)
    floor = FLOOR**2
    bands = len(BANDS_HZ)
    total = sums[:, :, bands] + floor
    share = (sums[:, :, :bands] + floor[:, None] / bands) / total[:, :, None]
    return [
        np.log(total) / 2,
        np.log(np.maximum(share, 1e-3)),
        sums[:, :, bands + 1] / total,
        np.log(np.sqrt(sums[:, :, bands + 2] / total) + 0.3),
        np.log((spectrum.max(axis=2) + floor / 20) / total),
    ]


@lru_cache(maxsize=8)
def _fifths(samples: int) -> FloatArray:
    """Shape (samples, 5): what a signal is multiplied by for its means in fifths."""
    return np.repeat(np.eye(5, dtype=np.float32), samples // 5, axis=0) * np.float32(5 / samples)


def _shapes(centred: FloatArray) -> list[NDArray[Any]]:
    """Skew, peakiness and bursts."""
    samples = centred.shape[2]
    fifths = _fifths(samples)
    square = centred * centred
    energy, level = square @ fifths, centred @ fifths
    floor = FLOOR**2
    variance = energy.mean(axis=2) + floor
    skew = np.einsum("nst,nst->ns", square, centred) / samples / (variance * np.sqrt(variance))
    peaky = np.einsum("nst,nst->ns", square, square) / samples / (variance * variance)
    logs = np.log(np.maximum(energy - level * level, 0.0) + floor[:, None])
    return [np.clip(skew, -3.0, 3.0), np.log(peaky + 0.3), logs.std(axis=2)]


def _wander(moved: FloatArray) -> FloatArray:
    axes, count, samples = moved.shape
    quarters = moved.reshape(axes, count, 4, samples // 4).mean(axis=3)
    return np.log(np.sqrt(squared(quarters).mean(axis=1)) + 0.004)


def _line(moved: FloatArray, down: FloatArray) -> FloatArray:
    """Log ratio of the larger to the smaller variance in the plane across gravity."""
    along = down.T[:, :, None] * down.T[:, None]
    across = np.eye(3, dtype=np.float32) - along
    spread = across @ _products(moved) @ across
    trace = np.trace(spread, axis1=1, axis2=2)
    minor = (trace**2 - np.einsum("nij,nij->n", spread, spread)) / 2  # the third eigenvalue is 0
    apart = np.sqrt(np.maximum(trace**2 / 4 - minor, 0.0))
    return np.log((trace / 2 + apart + 1e-5) / (np.maximum(trace / 2 - apart, 0.0) + 1e-5))


def _axis(gyr: FloatArray) -> FloatArray:
    """Share of the one axis in the rotation: the squared eigenvalues' sum over the sum's square."""
    spread = _products(gyr)
    trace = np.trace(spread, axis1=1, axis2=2) + np.float32(0.1)
    return np.einsum("nij,nij->n", spread, spread) / trace**2


def _products(by_axis: FloatArray) -> FloatArray:
    """Mean products of each two axes, shape (n, 3, 3)."""
    _, count, samples = by_axis.shape
    made = np.empty((count, 3, 3), np.float32)
    for i in range(3):
        for k in range(i, 3):
            made[:, i, k] = made[:, k, i] = np.einsum("nt,nt->n", by_axis[i], by_axis[k]) / samples
    return made
