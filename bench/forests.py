"""The two forests that an activity model is measured by, and the smoothing that all may use.

*Naive*: a random forest on statistics of each axis and a spectrum of the acceleration's magnitude,
window by window. It sees how the collar sits, and learns that.

*Strong*: extremely randomised trees (Geurts et al. 2006, doi:10.1007/s10994-006-6226-1) on features
that do not depend on how the collar sits, with log-probabilities averaged over the last minute.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from bench.recordings import Windows
from cloud.training.dataset import Text
from plugins.sdk.arrays import FloatArray

NAIVE_S, NAIVE_HOP_S = 4.0, 4.0
STRONG_S, STRONG_HOP_S = 5.0, 2.5
SMOOTH_S = 60.0  # labels are per session: longer smoothing would read the label off the session
BANDS_HZ = ((0.3, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.5), (4.5, 6.0), (6.0, 8.2))
TOP_HZ = 8.2  # half of 16.4: what the slowest of our recordings holds
FLOOR = 1e-3  # of a probability: one sure window in a minute shall not decide it


def naive_forest(train: Windows, test: Windows, seed: int) -> Text:
    """What a random forest says of each test window."""
    forest = RandomForestClassifier(
        150, class_weight="balanced_subsample", min_samples_leaf=2, random_state=seed, n_jobs=2
    )
    forest.fit(axis_features(train.samples), train.labels)
    return np.asarray(forest.predict(axis_features(test.samples)), np.str_)


def strong_forest(train: Windows, test: Windows, seed: int, rate_hz: float) -> Text:
    """What smoothed, extremely randomised trees say of each test window."""
    forest = ExtraTreesClassifier(
        300, class_weight="balanced_subsample", min_samples_leaf=5, random_state=seed, n_jobs=2
    )
    forest.fit(free_features(train.samples, rate_hz), train.labels)
    scores = forest.predict_proba(free_features(test.samples, rate_hz))
    smooth = smoothed(np.asarray(scores, np.float32), test.sessions, STRONG_HOP_S)
    return np.asarray(forest.classes_, np.str_)[np.argmax(smooth, axis=1)]


def smoothed(scores: FloatArray, sessions: Text, hop_s: float) -> FloatArray:
    """Mean log-probability of each window and those at most a minute before it in its session.

    Args:
        scores: Shape (n, classes): probabilities, the windows of a session in order.
        sessions: Whose each is.
        hop_s: From one window to the next.

    >>> scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    >>> smoothed(scores, np.array(["a", "a", "b"]), 2.5).argmax(axis=1).tolist()
    [0, 0, 1]
    """
    return over_a_minute(np.log(np.maximum(scores, FLOOR)), sessions, hop_s)


def over_a_minute(values: NDArray[Any], sessions: Text, hop_s: float) -> FloatArray:
    """Mean of each window's values and of those at most a minute before it in its session.

    Args:
        values: Shape (n, any), the windows of a session in order.
        sessions: Whose each is.
        hop_s: From one window to the next.

    >>> over_a_minute(np.array([[1.0], [2.0], [6.0]]), np.array(["a", "a", "b"]), 30.0).tolist()
    [[1.0], [1.5], [6.0]]
    """
    reach = int(SMOOTH_S / hop_s)
    made = np.empty(values.shape, np.float32)
    for session in np.unique(sessions):
        mine = sessions == session
        total = np.cumsum(values[mine], axis=0, dtype=np.float64)
        before = np.zeros_like(total)
        before[reach:] = total[:-reach]
        count = np.minimum(np.arange(1, len(total) + 1), reach)
        made[mine] = (total - before) / count[:, None]
    return made


def axis_features(windows: FloatArray) -> FloatArray:
    """Mean, spread, extremes and quartiles of each axis, and the spectrum of the magnitude.

    Args:
        windows: Shape (n, samples, 6).
    """
    size = np.linalg.norm(windows[:, :, :3], axis=2)
    spectrum = np.abs(np.fft.rfft(size - size.mean(axis=1, keepdims=True), axis=1))[:, 1:]
    quartiles = np.percentile(windows, [25, 75], axis=1)
    parts = [windows.mean(1), windows.std(1), windows.min(1), windows.max(1), *quartiles, spectrum]
    return np.concatenate(parts, axis=1).astype(np.float32)


def free_features(windows: FloatArray, rate_hz: float) -> FloatArray:
    """Features that do not depend on how the collar sits.

    Of five signals (acceleration along gravity, across it and its magnitude, rotation and that
    about gravity): spread, jerk, spectral peak, centroid and entropy, band powers, and how far
    the 10th and 90th percentile lie from the median; of three of them the mean.

    Args:
        windows: Shape (n, samples, 6): g and deg/s.
        rate_hz: Samples a second.
    """
    signals = _signals(windows)
    centred = signals - signals.mean(axis=2, keepdims=True)
    samples = signals.shape[2]
    freqs_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    power = np.abs(np.fft.rfft(centred * np.hanning(samples), axis=2)) ** 2
    kept = (freqs_hz > 0) & (freqs_hz <= TOP_HZ)
    freqs_hz, power = freqs_hz[kept], power[:, :, kept]
    share = power / (power.sum(axis=2, keepdims=True) + 1e-9)
    jerk = np.sqrt(np.mean(np.diff(signals, axis=2) ** 2, axis=2)) * rate_hz
    entropy = -(share * np.log(share + 1e-12)).sum(axis=2) / np.log(len(freqs_hz))
    bands = [
        np.log(power[:, :, (freqs_hz >= low) & (freqs_hz < high)].sum(axis=2) / samples**2 + 1e-8)
        for low, high in BANDS_HZ
    ]
    middle = np.median(signals, axis=2)
    tails = [np.percentile(signals, q, axis=2) - middle for q in (10, 90)]
    peak_hz, centre_hz = freqs_hz[np.argmax(power, axis=2)], share @ freqs_hz
    level = signals.mean(axis=2)[:, 1:4]
    parts = [level, centred.std(axis=2), jerk, peak_hz, centre_hz, entropy, *bands, *tails]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _signals(windows: FloatArray) -> FloatArray:
    """Shape (n, 5, samples)."""
    acc, gyr = windows[:, :, :3], windows[:, :, 3:]
    mean = acc.mean(axis=1)
    down = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-3)
    up = np.einsum("nti,ni->nt", acc, down)
    size = np.linalg.norm(acc, axis=2)
    across = np.sqrt(np.maximum(size**2 - up**2, 0.0))
    twist = np.einsum("nti,ni->nt", gyr, down)
    return np.stack([up, across, size, np.linalg.norm(gyr, axis=2), twist], axis=1)
