"""A window seen from gravity: five signals that do not depend on how the collar sits, and spectra.

The window's own mean acceleration gives the direction of gravity, and everything is measured along
it or across it:

- ``up``: acceleration along gravity
- ``flat``: magnitude of the acceleration across gravity
- ``acc``: magnitude of the whole acceleration
- ``spin``: magnitude of the rotation
- ``twist``: rotation about gravity, that is, turning

Nothing here or in what builds on it depends on the windows beside it: fleets describe many at once,
a collar one, and both must see the same bits. So every matrix product is of one window (BLAS rounds
a row by the company it is in).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from plugins.sdk.arrays import FloatArray

SIGNALS = ("up", "flat", "acc", "spin", "twist")
LEAST_G = np.float32(1e-3)  # of gravity: below it, as in free fall, there is no up
BLOCK = 256  # windows described at once: what is made of them stays in a core's cache


@dataclass(frozen=True)
class Upright:
    """Windows of n, seen from gravity."""

    signals: FloatArray
    """Shape (n, 5, samples), in the order of `SIGNALS`; ``up`` and ``twist`` are signed."""
    moved: FloatArray
    """Shape (3, n, samples): acceleration by axis, without its mean."""
    gyr: FloatArray
    """Shape (3, n, samples)."""
    down: FloatArray
    """Shape (3, n): the direction of gravity, of length 1."""


def upright(windows: FloatArray) -> Upright:
    """Windows seen from gravity.

    Args:
        windows: Shape (n, samples, 6): g and deg/s; left as they are.

    >>> lying_on_its_side = np.tile(np.array([0, 1, 0, 0, 9, 0], np.float32), (1, 20, 1))
    >>> upright(lying_on_its_side).signals[0, :, 0].tolist()
    [1.0, 0.0, 1.0, 9.0, 9.0]
    """
    count, samples, axes = windows.shape
    by_axis = np.empty((axes, count, samples), np.float32)
    for axis in range(axes):  # axis by axis is four times as fast as sample by sample
        by_axis[axis] = windows[:, :, axis]
    moved, gyr = by_axis[:3], by_axis[3:]
    gravity = moved.mean(axis=2)
    moved -= gravity[:, :, None]
    down = gravity / np.maximum(np.sqrt((gravity * gravity).sum(axis=0)), LEAST_G)
    along = _along(moved, down)
    across2 = np.maximum(squared(moved) - along * along, 0.0)
    up = along + (gravity * down).sum(axis=0)[:, None]
    signals = np.empty((count, len(SIGNALS), samples), np.float32)
    signals[:, 0] = up
    np.sqrt(across2, out=signals[:, 1])
    np.sqrt(across2 + up * up, out=signals[:, 2])
    np.sqrt(squared(gyr), out=signals[:, 3])
    signals[:, 4] = _along(gyr, down)
    return Upright(signals, moved, gyr, down)


def power(centred: FloatArray, rate_hz: float, within_hz: tuple[float, float]) -> FloatArray:
    """Power by frequency under a Hann window; its sum over all frequencies is the variance.

    Args:
        centred: Shape (n, signals, samples), without their means.
        rate_hz: Sampling rate.
        within_hz: The part of the spectrum that is looked at.

    Returns:
        Shape (n, signals, frequencies), of `frequencies_hz`.
    """
    wave: FloatArray = centred @ _transform(centred.shape[2], rate_hz, within_hz)
    wave *= wave
    half = wave.shape[2] // 2
    return wave[:, :, :half] + wave[:, :, half:]


def frequencies_hz(samples: int, rate_hz: float, within_hz: tuple[float, float]) -> FloatArray:
    """What `power` is of: the multiples of a window's own frequency from the first to the second.

    >>> frequencies_hz(100, 25.0, (0.2, 1.0)).tolist()
    [0.25, 0.5, 0.75]
    """
    freqs_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    kept = freqs_hz[(freqs_hz >= within_hz[0]) & (freqs_hz < within_hz[1])]
    return np.asarray(kept, np.float32)


@lru_cache(maxsize=16)
def band_sums(
    samples: int,
    rate_hz: float,
    within_hz: tuple[float, float],
    bands_hz: tuple[tuple[float, float], ...],
    moments: int,
) -> FloatArray:
    """What a spectrum is multiplied by for its power in each band, then in all times f^0, f^1 ...

    Returns:
        Shape (frequencies, bands + moments).

    >>> band_sums(100, 25.0, (0.2, 1.0), ((0.2, 0.6), (0.6, 1.0)), 2).tolist()
    [[1.0, 0.0, 1.0, 0.25], [1.0, 0.0, 1.0, 0.5], [0.0, 1.0, 1.0, 0.75]]
    """
    freqs_hz = frequencies_hz(samples, rate_hz, within_hz)
    sums = [(freqs_hz >= low) & (freqs_hz < high) for low, high in bands_hz]
    sums += [freqs_hz**moment for moment in range(moments)]
    return np.stack(sums, axis=1).astype(np.float32)


def squared(by_axis: FloatArray) -> FloatArray:
    """The square of the length of vectors whose three axes come first."""
    return np.einsum("int,int->nt", by_axis, by_axis)


def in_blocks(describe: Callable[[FloatArray], FloatArray], windows: FloatArray) -> FloatArray:
    """What `describe` says of each window, asked about `BLOCK` of them at a time."""
    windows = np.asarray(windows, np.float32)
    starts = range(0, max(1, len(windows)), BLOCK)  # of no windows, too, it says how much it says
    return np.concatenate([describe(windows[at : at + BLOCK]) for at in starts])


@lru_cache(maxsize=16)
def _transform(samples: int, rate_hz: float, within_hz: tuple[float, float]) -> FloatArray:
    """Shape (samples, 2 frequencies): cosines, then sines, tapered.

    So few frequencies of so short windows are had three times as fast by a product as by FFT.
    """
    turns = np.outer(np.arange(samples) / rate_hz, frequencies_hz(samples, rate_hz, within_hz))
    taper = np.hanning(samples)
    taper *= np.sqrt(2.0 / (samples * np.sum(taper**2)))
    waves = [np.cos(2.0 * np.pi * turns), np.sin(2.0 * np.pi * turns)]
    return (np.concatenate(waves, axis=1) * taper[:, None]).astype(np.float32)


def _along(by_axis: FloatArray, down: FloatArray) -> FloatArray:
    return np.einsum("int,in->nt", by_axis, down)
