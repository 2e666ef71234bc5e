"""Windows as other units would have recorded them: held otherwise, noisier, clipped, slower.

What is learned from one simulated sensor should hold on a stranger's, of which the recordings at
hand are examples: 16.4 samples a second, so that nothing above 8 Hz is in them, clipped at 2 g.
So every window is turned at random, moves somewhat more or less, gets noise, and one in three is
low-passed or clipped (domain randomisation: Tobin et al. 2017, doi:10.1109/IROS.2017.8202133).
"""

import numpy as np
from numpy.typing import NDArray

from plugins.sdk.arrays import FloatArray
from plugins.sdk.manifest import RATE_HZ

GAIN_SPREAD = 0.15  # of the logarithm: how much livelier one animal is than another, by eye
SLOW_SHARE, SLOW_HZ = 0.35, (6.5, 9.0)  # what a logger of 15 to 20 samples a second passes
CLIPPED_SHARE, CLIP_G = 0.35, 2.0
NOISE_SPREAD = 0.7  # of the logarithm
ACC_NOISE_G, GYR_NOISE_DPS = 0.004, 0.3  # medians: of cheap sensors at half their rate


def as_others_would(
    windows: FloatArray, rng: np.random.Generator, rate_hz: float = RATE_HZ
) -> FloatArray:
    """The same motion in other units.

    Args:
        windows: Shape (n, samples, 6): g and deg/s; left as they are.
        rng: What is drawn.
        rate_hz: Of the samples.
    """
    count, samples = windows.shape[:2]
    turned = _turned(windows, rng)
    mean = turned.mean(axis=1, keepdims=True)
    gain = np.exp(rng.normal(0.0, GAIN_SPREAD, (count, 1, 2))).astype(np.float32)
    moved = mean + (turned - mean) * np.repeat(gain, 3, axis=2)
    slow = np.flatnonzero(rng.random(count) < SLOW_SHARE)
    edge_hz = rng.uniform(*SLOW_HZ, len(slow))
    freqs_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    spectrum = np.fft.rfft(moved[slow], axis=1)
    spectrum *= (freqs_hz < edge_hz[:, None])[:, :, None]
    moved[slow] = np.fft.irfft(spectrum, samples, axis=1)
    clipped = rng.random(count) < CLIPPED_SHARE
    moved[clipped, :, :3] = np.clip(moved[clipped, :, :3], -CLIP_G, CLIP_G)
    size = np.exp(rng.normal(0.0, NOISE_SPREAD, (count, 1, 2))) * [ACC_NOISE_G, GYR_NOISE_DPS]
    noise = rng.standard_normal(moved.shape, dtype=np.float32)
    return np.asarray(moved + noise * np.repeat(size, 3, axis=2), np.float32)


def _turned(windows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Each window by a rotation of its own, all being equally likely (Shoemake 1992)."""
    w, x, y, z = _unit(rng.standard_normal((len(windows), 4))).T
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ],
        np.float32,
    ).transpose(2, 0, 1)
    return np.concatenate([windows[..., :3] @ rotation, windows[..., 3:] @ rotation], axis=2)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
