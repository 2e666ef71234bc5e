"""What describes the motion of a window, whoever wears the collar and however it sits.

A classifier that asks for features sees these instead of the window. They were chosen so that what
they say of one animal holds for the next (docs/explanations/activity-on-real-dogs.md):

- they do not depend on how the collar sits: the window's own mean acceleration gives the direction
  of gravity, and everything is measured along it or across it;
- size is told apart from shape: one number of each signal says how strong it is, the others how it
  moves, so that a heavy-footed walk need not look like a run;
- nothing is taken from above `TOP_HZ`, where slower recorders are deaf.

Five signals (``up``: acceleration along gravity, ``flat``: across it, ``acc``: its magnitude,
``spin``: magnitude of the rotation, ``twist``: rotation about gravity) have twelve each:

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
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SIGNALS = ("up", "flat", "acc", "spin", "twist")
BANDS_HZ = {
    "drift": (0.2, 0.6),
    "breath": (0.6, 1.2),
    "stride": (1.2, 2.4),
    "step": (2.4, 3.6),
    "fast": (3.6, 5.0),
    "quick": (5.0, 7.0),
}
TOP_HZ = 7.0  # what resampling leaves of 16.4 Hz, the slowest recorder that we know
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
    windows = np.asarray(windows, np.float32)
    acc, gyr = windows[:, :, :3], windows[:, :, 3:]
    gravity = acc.mean(axis=1)
    down = gravity / np.maximum(np.linalg.norm(gravity, axis=1, keepdims=True), np.float32(1e-3))
    signals = _signals(acc, gyr, down)
    level = signals.mean(axis=2)
    centred = signals - level[:, :, None]
    parts = [
        *_spectral(centred, rate_hz),
        *_shapes(centred),
        level[:, 2],
        np.log(level[:, 3] + 0.5),
        level[:, 1],
        _wander(acc - gravity[:, None]),
        _line(acc - gravity[:, None], centred[:, 0], down),
        _axis(gyr),
    ]
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in parts]
    return np.concatenate(flat, axis=1, dtype=np.float32)


def _signals(acc: FloatArray, gyr: FloatArray, down: FloatArray) -> FloatArray:
    """Shape (n, 5, samples)."""
    up = np.einsum("nti,ni->nt", acc, down)
    size2 = np.einsum("nti,nti->nt", acc, acc)
    flat = np.sqrt(np.maximum(size2 - up * up, 0.0))
    spin = np.sqrt(np.einsum("nti,nti->nt", gyr, gyr))
    twist = np.einsum("nti,ni->nt", gyr, down)
    return np.stack([up, flat, np.sqrt(size2), spin, twist], axis=1)


@dataclass(frozen=True)
class _Grid:
    """What the spectra of windows of one length are summed by."""

    taper: FloatArray
    kept: slice
    sums: FloatArray
    """Shape (frequencies, bands + 3): each band, all, times frequency, times its square."""
    unit: np.float32
    """Makes a spectrum's sum the variance of the signal."""


@lru_cache(maxsize=8)
def _grid(samples: int, rate_hz: float) -> _Grid:
    freqs_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    first, last = np.searchsorted(freqs_hz, (BANDS_HZ["drift"][0], TOP_HZ))
    freqs_hz = freqs_hz[first:last]
    sums = [(freqs_hz >= low) & (freqs_hz < high) for low, high in BANDS_HZ.values()]
    sums += [np.ones(len(freqs_hz)), freqs_hz, freqs_hz**2]
    taper = np.hanning(samples).astype(np.float32)
    return _Grid(
        taper=taper,
        kept=slice(int(first), int(last)),
        sums=np.stack(sums, axis=1).astype(np.float32),
        unit=np.float32(2.0 / (samples * np.sum(taper**2))),
    )


def _spectral(centred: FloatArray, rate_hz: float) -> list[NDArray[Any]]:
    """Size, shares of the bands, centre, width and beat."""
    grid = _grid(centred.shape[2], rate_hz)
    wave = np.fft.rfft(centred * grid.taper, axis=2)[:, :, grid.kept]
    power = (wave.real**2 + wave.imag**2) * grid.unit
    sums = power @ grid.sums
    floor = FLOOR**2
    bands = len(BANDS_HZ)
    total = sums[:, :, bands] + floor
    share = (sums[:, :, :bands] + floor[:, None] / bands) / total[:, :, None]
    return [
        np.log(total) / 2,
        np.log(np.maximum(share, 1e-3)),
        sums[:, :, bands + 1] / total,
        np.log(np.sqrt(sums[:, :, bands + 2] / total) + 0.3),
        np.log((power.max(axis=2) + floor / 20) / total),
    ]


def _shapes(centred: FloatArray) -> list[NDArray[Any]]:
    """Skew, peakiness and bursts."""
    count, _, samples = centred.shape
    square = centred * centred
    floor = FLOOR**2
    variance = square.mean(axis=2) + floor
    skew = np.einsum("nst,nst->ns", square, centred) / samples / variance**1.5
    peaky = np.einsum("nst,nst->ns", square, square) / samples / variance**2
    fifths = centred.reshape(count, 5, 5, samples // 5)
    energy = np.log(fifths.var(axis=3) + floor[:, None])
    return [np.clip(skew, -3.0, 3.0), np.log(peaky + 0.3), energy.std(axis=2)]


def _wander(moved: FloatArray) -> FloatArray:
    count, samples, _ = moved.shape
    quarters = moved.reshape(count, 4, samples // 4, 3).mean(axis=2)
    return np.log(np.sqrt(np.einsum("nqi,nqi->n", quarters, quarters) / 4) + 0.004)


def _line(moved: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """Log ratio of the larger to the smaller variance in the plane across gravity."""
    across = moved - up[:, :, None] * down[:, None]
    spread = across.transpose(0, 2, 1) @ across / across.shape[1]
    trace = np.trace(spread, axis1=1, axis2=2)
    minor = (trace**2 - np.einsum("nij,nij->n", spread, spread)) / 2  # the third eigenvalue is 0
    apart = np.sqrt(np.maximum(trace**2 / 4 - minor, 0.0))
    return np.log((trace / 2 + apart + 1e-5) / (np.maximum(trace / 2 - apart, 0.0) + 1e-5))


def _axis(gyr: FloatArray) -> FloatArray:
    """Share of the one axis in the rotation: the squared eigenvalues' sum over the sum's square."""
    spread = gyr.transpose(0, 2, 1) @ gyr / gyr.shape[1]
    trace = np.trace(spread, axis1=1, axis2=2) + np.float32(0.1)
    return np.einsum("nij,nij->n", spread, spread) / trace**2
