"""What describes a window: the same however the collar sits, and size apart from shape."""

from collections.abc import Callable

import numpy as np
import pytest

from plugins.sdk.arrays import FloatArray
from plugins.sdk.descriptors import FLOOR, NAMES, descriptors
from plugins.sdk.features import NAMES as FEATURES
from plugins.sdk.features import NEAR_LIMIT, prepare, standardised, window_features
from plugins.sdk.golden import golden_windows
from plugins.sdk.manifest import DESCRIBED, RECONSTRUCTED, Model, Standard, Task, View
from plugins.sdk.upright import BLOCK, SIGNALS, frequencies_hz, power, upright

RATE_HZ = 25.0
LIVELY = golden_windows(100, RATE_HZ)[1:]


def rotation(rng: np.random.Generator) -> np.ndarray:
    turned, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return turned * np.sign(np.linalg.det(turned))  # a mirror is no way to wear a collar


def test_the_manifest_knows_how_many_there_are() -> None:
    assert (len(NAMES), len(FEATURES)) == (DESCRIBED, RECONSTRUCTED)
    assert len(set(NAMES)) == len(NAMES)


def test_they_do_not_depend_on_how_the_collar_sits() -> None:
    rng = np.random.default_rng(1)
    before = descriptors(LIVELY, RATE_HZ)
    for _ in range(5):
        turn = rotation(rng)
        turned = np.concatenate([LIVELY[..., :3] @ turn, LIVELY[..., 3:] @ turn], axis=2)
        assert np.abs(descriptors(turned, RATE_HZ) - before).max() < 0.01


@pytest.mark.parametrize("describe", [descriptors, window_features])
def test_a_window_is_described_in_the_same_bits_whatever_lies_beside_it(
    describe: Callable[[FloatArray, float], FloatArray],
) -> None:
    rng = np.random.default_rng(3)
    many = rng.normal(0.0, [0.1] * 3 + [20.0] * 3, (BLOCK + 9, 100, 6)).astype(np.float32)
    many[:, :, 2] += 1.0
    together = describe(many, RATE_HZ)
    for n in (0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 8):
        assert np.array_equal(describe(many[n : n + 1], RATE_HZ)[0], together[n])
    assert np.array_equal(describe(many[7:], RATE_HZ), together[7:])
    assert describe(many[:0], RATE_HZ).shape == (0, together.shape[1])


def test_signals_are_along_gravity_and_across_it() -> None:
    tilted = np.array([0.6, 0.0, 0.8], np.float32)  # where down is
    aside = np.array([-0.8, 0.0, 0.6], np.float32)
    t_s = np.arange(100) / RATE_HZ
    beat = np.sin(2 * np.pi * 2.0 * t_s)[:, None]
    window = np.zeros((1, 100, 6), np.float32)
    window[0, :, :3] = (1.0 + 0.2 * beat) * tilted + 0.1 * beat * aside
    window[0, :, 3:] = 30.0 * tilted - 40.0 * aside
    up, flat, acc, spin, twist = upright(window).signals[0]
    assert np.allclose(up, 1.0 + 0.2 * beat[:, 0], atol=1e-5)
    assert np.allclose(flat, 0.1 * np.abs(beat[:, 0]), atol=1e-5)
    assert np.allclose(acc, np.hypot(up, flat), atol=1e-5)
    assert np.allclose(spin, 50.0, atol=1e-3)
    assert np.allclose(twist, 30.0, atol=1e-3)


def test_the_power_of_all_frequencies_is_that_of_the_fourier_transform() -> None:
    signals = upright(LIVELY).signals
    centred = signals - signals.mean(axis=2, keepdims=True)
    found = power(centred, RATE_HZ, (0.2, 7.0))
    taper = np.hanning(100)
    wave = np.fft.rfft(centred.astype(np.float64) * taper, axis=2)[:, :, 1:28]
    expected = np.abs(wave) ** 2 * 2.0 / (100 * np.sum(taper**2))
    assert found.shape[2] == len(frequencies_hz(100, RATE_HZ, (0.2, 7.0))) == 27
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_a_livelier_animal_differs_in_size_alone() -> None:
    still = LIVELY.mean(axis=1, keepdims=True) * [1, 1, 1, 0, 0, 0]
    livelier = still + 1.3 * (LIVELY - still)
    change = descriptors(livelier, RATE_HZ) - descriptors(LIVELY, RATE_HZ)
    for signal in ("up", "twist"):  # magnitudes are no linear signals
        mine = np.array([name.startswith(f"{signal}_") for name in NAMES])
        size = np.array([name == f"{signal}_size" for name in NAMES])
        assert np.allclose(change[:, size], np.log(1.3), atol=0.01)
        assert np.abs(change[:, mine & ~size]).max() < 0.05


def test_a_walk_is_described_by_its_beat() -> None:
    t_s = np.arange(100) / RATE_HZ
    window = np.zeros((1, 100, 6), np.float32)
    window[0, :, 2] = 1.0 + 0.2 * np.sin(2 * np.pi * 3.0 * t_s)
    said = dict(zip(NAMES, descriptors(window, RATE_HZ)[0].tolist(), strict=True))
    assert said["up_size"] == pytest.approx(np.log(0.2 / np.sqrt(2)), abs=0.05)
    assert said["up_step"] == pytest.approx(0.0, abs=0.01)  # all of the power
    assert said["up_centre"] == pytest.approx(3.0, abs=0.05)
    assert said["flat_size"] == pytest.approx(np.log(FLOOR[SIGNALS.index("flat")]), abs=0.01)


def test_any_sensor_gives_numbers_within_the_limit() -> None:
    rng = np.random.default_rng(0)
    wild = rng.uniform(-8, 8, (4, 100, 6)).astype(np.float32)
    wild[0], wild[1], wild[2] = 0.0, 1e-20, 4_000.0
    assert np.isfinite(descriptors(wild, RATE_HZ)).all()
    model = Model(
        sha256="0" * 64,
        task=Task.CLASSIFY,
        labels=["walk"],  # type: ignore[list-item]
        sees=View.FEATURES,
        standard=Standard(mean=[0.0] * DESCRIBED, std=[0.5] * DESCRIBED),
    )
    inputs = prepare(model, wild)
    assert inputs.shape == (4, DESCRIBED) == (4, *model.input_shape[1:])
    assert np.abs(inputs).max() == NEAR_LIMIT
    far = standardised(np.full((1, 2), 9.0, np.float32), [0.0, 8.0], [1.0, 1.0], NEAR_LIMIT)
    assert far.tolist() == [[3.0, 1.0]]
