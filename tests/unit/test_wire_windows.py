from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.messages import Window
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack, unpack
from plugins.sdk.arrays import FloatArray

LSB = np.array([ACC_G_PER_LSB] * 3 + [GYR_DPS_PER_LSB] * 3)
FULL_SCALE = LSB * 32767


def message(samples: bytes, acc: float = ACC_G_PER_LSB, gyr: float = GYR_DPS_PER_LSB) -> Window:
    return Window(
        collar_id="c1",
        boot=0,
        seq=0,
        observed_at=datetime.now(UTC),
        rate_hz=25,
        acc_g_per_lsb=acc,
        gyr_dps_per_lsb=gyr,
        samples=samples,
    )


windows = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).uniform(-1, 1, (1 + seed % 100, 6)) * FULL_SCALE
    ).astype(np.float32)
)


@settings(max_examples=50)
@given(windows)
def test_a_window_comes_back_within_half_a_step(window: FloatArray) -> None:
    back = unpack(message(pack(window)))
    assert back.shape == window.shape
    rounding = np.abs(window) * np.finfo(np.float32).eps  # of the float32 it comes back in
    assert np.all(np.abs(back - window.astype(float)) <= LSB / 2 + rounding)


@settings(max_examples=20)
@given(windows)
def test_packing_again_changes_nothing(window: FloatArray) -> None:
    assert pack(unpack(message(pack(window)))) == pack(window)


def test_what_is_beyond_full_scale_clips() -> None:
    window = np.array([[100, -100, np.inf, 1e9, -1e9, -np.inf]], np.float32)
    raw = np.frombuffer(pack(window), "<i2")
    assert raw.tolist() == [32767, -32768, 32767, 32767, -32768, -32768]


def test_samples_are_little_endian_in_the_order_of_the_axes() -> None:
    window = (np.array([[1, 2, 3, 4, 5, 256]]) * LSB).astype(np.float32)
    assert pack(window).hex() == "010002000300040005000001"


def test_the_scales_are_those_of_the_message() -> None:
    samples = np.array([1, 1, 1, 2, 2, 2], "<i2").tobytes()
    assert unpack(message(samples, 0.5, 0.25)).tolist() == [pytest.approx([0.5] * 6)]
