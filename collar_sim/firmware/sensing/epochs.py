"""What one minute held: windows and samples summed to an epoch, for many collars at once.

All functions are pure and take the collar as the first dimension. Samples are in g and deg/s.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plugins.sdk import manifest
from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour

IntArray = NDArray[np.intp]

RATE_HZ = int(manifest.RATE_HZ)  # whole, so that a second is a row
WINDOW_SAMPLES = manifest.WINDOW_SAMPLES
WINDOW_S = WINDOW_SAMPLES / RATE_HZ
PERIOD_S = 60.0
WINDOWS = int(PERIOD_S / WINDOW_S)
HOP_SAMPLES = WINDOW_SAMPLES // 2  # behaviour is judged half-overlapping, each 2 s
HOP_S = HOP_SAMPLES // RATE_HZ
LOST = -1
"""In place of a second's label: it is no part of the epoch."""
SCORE_FLOOR = 1 / 512  # half a step of an int8 softmax, which says 0 where it only means "small"
STATIC_S = 2.0  # running mean taken for gravity: 2 s in Wilson et al. 2006 and Shepard et al. 2008
STEP_BAND_HZ = (0.8, 6.0)  # walking toy dog's stride to trotting toy dog's step
MIN_STEP_VEDBA_G = 0.12  # below it a neck turns, but no animal travels
MIN_STEP_SHARE = 0.25  # of the power in the band that lies in the main peak: dogs walk unevenly


@dataclass(frozen=True)
class Sums:
    """Epochs of n collars; each array has n rows."""

    seconds: FloatArray
    """Shape (n, labels + 1), the last for ``unsure``."""
    odba_g: FloatArray
    vedba_g: FloatArray
    window_vedba_g: FloatArray
    """Shape (n, windows)."""
    steps: FloatArray
    """Shape (n, windows), not rounded."""


def in_windows(imu: FloatArray) -> FloatArray:
    """A minute cut into windows.

    Args:
        imu: Shape (n, 1500, 6), or of fewer windows.

    Returns:
        Shape (n, 15, 100, 6), a view.
    """
    return imu.reshape(len(imu), -1, WINDOW_SAMPLES, 6)


def half_overlapping(imu: FloatArray) -> FloatArray:
    """A minute cut into windows that each overlap the next by half.

    Args:
        imu: Shape (n, 1500, 6), or of fewer windows.

    Returns:
        Shape (n, 29, 100, 6), a copy; every other one is a window of `in_windows`.
    """
    whole = in_windows(imu)
    count, windows = whole.shape[:2]
    cut = np.empty((count, 2 * windows - 1, WINDOW_SAMPLES, 6), np.float32)
    cut[:, ::2] = whole
    cut[:, 1::2] = in_windows(imu[:, HOP_SAMPLES : imu.shape[1] - HOP_SAMPLES])
    return cut


def scores_each_second(scores: FloatArray) -> FloatArray:
    """How likely each label is in each second, by all the windows that cover it.

    The mean of the windows' log-probabilities, that is, their geometric mean, made to sum to 1.

    Args:
        scores: Shape (n, 29, labels), of `half_overlapping` windows in order.

    Returns:
        Shape (n, 60, labels).

    >>> windows = np.array([[[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]], np.float32)
    >>> [f"{share:.2f}" for share in scores_each_second(windows)[0, ::2, 0]]
    ['0.75', '0.50', '0.37', '0.50']
    """
    logs = np.log(np.maximum(scores, SCORE_FLOOR))
    count, windows, labels = logs.shape
    held = np.empty((count, windows + 1, labels), np.float32)
    held[:, :-1], held[:, -1] = logs, logs[:, -1]
    held[:, 1:-1] += logs[:, :-1]
    held[:, 1:-1] /= 2.0
    odds = np.exp(held)
    odds /= np.maximum(odds.sum(axis=2, keepdims=True), SCORE_FLOOR)
    return np.repeat(odds, HOP_S, axis=1)


def dynamic_g(acc_g: FloatArray) -> FloatArray:
    """Acceleration without its static part, a running mean of `STATIC_S`; same shape.

    Args:
        acc_g: Shape (n, samples, 3). At both ends the mean is over what there is.

    Source: Wilson et al. 2006, doi:10.1111/j.1365-2656.2006.01127.x.
    """
    half = int(STATIC_S * RATE_HZ) // 2
    by_axis = np.array(acc_g.transpose(0, 2, 1), order="C")  # four times as fast as by sample
    count = by_axis.shape[2]
    total = np.zeros((*by_axis.shape[:2], half + count + half + 1))
    end = half + count
    np.cumsum(by_axis, axis=2, dtype=np.float64, out=total[:, :, half + 1 : end + 1])
    total[:, :, end + 1 :] = total[:, :, end, None]
    at = np.arange(count)
    held = np.minimum(at + half + 1, count) - np.maximum(at - half, 0)
    by_axis -= (total[:, :, 2 * half + 1 :] - total[:, :, :count]) / held
    return by_axis.transpose(0, 2, 1)


def odba_g(dynamic: FloatArray) -> FloatArray:
    """Overall dynamic body acceleration of each sample: the sum over axes, in g (Wilson 2006).

    >>> odba_g(np.array([[0.0, -3.0, 4.0]]))
    array([7.])
    """
    return np.abs(dynamic).sum(axis=-1)


def vedba_g(dynamic: FloatArray) -> FloatArray:
    """Vectorial dynamic body acceleration of each sample, in g.

    Source: Qasem et al. 2012, doi:10.1371/journal.pone.0031187 (better than ODBA when the collar
    turns).

    >>> vedba_g(np.array([[0.0, 3.0, 4.0]]))
    array([5.])
    """
    return np.sqrt(np.einsum("...i,...i->...", dynamic, dynamic))


def labels_of(scores: FloatArray, abstain_below: float) -> IntArray:
    """Index of the best label, or the number of labels where it is too weak, or there is none.

    Args:
        scores: Of windows or seconds; the last dimension has the labels.
        abstain_below: Of the model.

    >>> labels_of(np.array([[0.9, 0.1], [0.45, 0.55]]), 0.6).tolist()
    [0, 2]
    """
    if not scores.shape[-1]:
        return np.zeros(scores.shape[:-1], np.intp)
    best = np.argmax(scores, axis=-1)
    return np.where(scores.max(axis=-1) >= abstain_below, best, scores.shape[-1])


def seconds_per_label(labels: IntArray, count: int) -> FloatArray:
    """Seconds of each label and, last, of ``unsure``.

    Args:
        labels: Shape (n, seconds), as `labels_of` gives them, or `LOST`.
        count: Number of labels of the model.
    """
    return (labels[:, :, None] == np.arange(count + 1)).sum(axis=1).astype(np.float32)


def steps(acc_g: FloatArray, window_vedba_g: FloatArray) -> FloatArray:
    """Steps in each window, shape (n, windows), from the beat of the acceleration's magnitude.

    The main peak of each window's spectrum within `STEP_BAND_HZ` is the beat: two a stride in walk
    and trot (diagonal pairs land alike), one in gallop. A window counts when it moves enough and
    its peak stands out; then its steps are beat times duration.

    Args:
        acc_g: Shape (n, windows, samples, 3).
        window_vedba_g: Shape (n, windows).
    """
    size = np.sqrt(np.einsum("nwti,nwti->nwt", acc_g, acc_g))
    samples = size.shape[2]
    taper = np.hanning(samples).astype(np.float32)
    spectrum = np.abs(np.fft.rfft((size - size.mean(axis=2, keepdims=True)) * taper, axis=2)) ** 2
    freqs_hz = np.fft.rfftfreq(samples, 1.0 / RATE_HZ)
    low, high = np.searchsorted(freqs_hz, STEP_BAND_HZ)
    band = spectrum[:, :, low:high]
    peak = np.clip(np.argmax(band, axis=2), 1, high - low - 2)
    around = np.stack(
        [np.take_along_axis(band, (peak + k)[..., None], 2)[..., 0] for k in (-1, 0, 1)]
    )
    near = around.sum(axis=0)
    share = near / np.maximum(band.sum(axis=2), 1e-12)
    # the peak lies between bins: the centroid of the three is within a tenth of a bin under Hann
    shift = (around[2] - around[0]) / np.maximum(near, 1e-12)
    beat_hz = (peak + low + shift) * (RATE_HZ / samples)
    walks = (window_vedba_g >= MIN_STEP_VEDBA_G) & (share >= MIN_STEP_SHARE)
    return beat_hz * walks * (samples / RATE_HZ)


def sums(imu: FloatArray, labels: IntArray, count: int) -> Sums:
    """The epochs of a minute of n collars.

    Args:
        imu: Shape (n, 1500, 6), or of fewer windows.
        labels: Shape (n, 60), of each second as `labels_of` gives them, or `LOST`.
        count: Number of labels of the model; 0 without one, then every second is unsure.
    """
    dynamic = dynamic_g(imu[:, :, :3])
    vedba = vedba_g(dynamic)
    per_window = vedba.reshape(len(imu), -1, WINDOW_SAMPLES).mean(axis=2)
    return Sums(
        seconds=seconds_per_label(labels, count),
        odba_g=odba_g(dynamic).mean(axis=1),
        vedba_g=vedba.mean(axis=1),
        window_vedba_g=per_window,
        steps=steps(in_windows(imu)[..., :3], per_window),
    )


def by_name(seconds: FloatArray, labels: list[Behaviour]) -> dict[str, float]:
    """One row of `Sums.seconds` as an epoch carries it: what did not occur is left out.

    >>> by_name(np.array([56.0, 0.0, 4.0]), [Behaviour.REST, Behaviour.WALK])
    {'rest': 56.0, 'unsure': 4.0}
    """
    names = [*labels, Behaviour.UNSURE]
    pairs = zip(names, seconds.tolist(), strict=True)
    return {str(name): held for name, held in pairs if held > 0}
