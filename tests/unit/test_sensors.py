"""Windows as other units would have recorded them."""

import numpy as np

from cloud.training.sensors import CLIP_G, SLOW_HZ, as_others_would


def walks(count: int) -> np.ndarray:
    """Windows with gravity along z, a beat of 2 Hz and a rattle of 10 Hz."""
    t_s = np.arange(100) / 25.0
    windows = np.zeros((count, 100, 6), np.float32)
    windows[:, :, 2] = 1.0 + 0.5 * np.sin(2 * np.pi * 2.0 * t_s)
    windows[:, :, 0] = 0.5 * np.sin(2 * np.pi * 10.0 * t_s)
    windows[:, :, 4] = 40.0 * np.sin(2 * np.pi * 2.0 * t_s)
    return windows


def test_the_motion_is_the_same_and_the_unit_another() -> None:
    before = walks(400)
    kept = before.copy()
    after = as_others_would(before, np.random.default_rng(1))
    assert np.array_equal(before, kept)
    again = as_others_would(before, np.random.default_rng(1))
    assert np.array_equal(after, again)
    gravity = np.linalg.norm(after[..., :3].mean(axis=1), axis=1)
    assert np.abs(gravity - 1.0).max() < 0.05
    up = after[..., :3].mean(axis=1) / gravity[:, None]
    assert np.abs(up.mean(axis=0)).max() < 0.1, "no way of holding it is the usual one"


def test_some_units_are_slow_and_some_clip() -> None:
    after = as_others_would(walks(600) * np.array([6, 6, 6, 1, 1, 1], np.float32), rng(2))
    spectrum = np.abs(np.fft.rfft(after[..., :3], axis=1)) ** 2
    freqs_hz = np.fft.rfftfreq(100, 1 / 25.0)
    high = spectrum[:, freqs_hz > SLOW_HZ[1]].sum(axis=(1, 2))
    beat = spectrum[:, (freqs_hz > 1.5) & (freqs_hz < 2.5)].sum(axis=(1, 2))
    clipped = np.abs(after[..., :3]).max(axis=(1, 2)) < CLIP_G * 1.1
    slow = (high < 0.01 * beat) & ~clipped
    assert 0.2 < clipped.mean() < 0.5
    assert 0.1 < slow.mean() < 0.4


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
