"""Resampling keeps what it can and folds nothing; windows keep their time and their label."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import plugins
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.sensing.epochs import RATE_HZ
from collar_sim.replay.instants import to_us
from collar_sim.replay.resample import to_firmware
from collar_sim.replay.source import MotionSource
from collar_sim.replay.stretches import Stretch
from gateway.wire.messages import ActivityEpoch
from gateway.wire.topics import Kind

AT = datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)
RATES_HZ = [12.5, 16.4, 16.4439, 17.33, 31.25, 50.0, 52.08, 99.7, 100.0, 200.0, 1000.0]


def tone(freq_hz: float, rate_hz: float, seconds: float = 60.0) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.sin(2 * np.pi * freq_hz * t).astype(np.float32)[:, None]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_a_tone_within_keeps_its_size_and_its_place(rate_hz: float, share: float) -> None:
    freq_hz = share * min(rate_hz, RATE_HZ) / 2
    made = to_firmware(tone(freq_hz, rate_hz), rate_hz)[:, 0]
    assert abs(len(made) - 60 * RATE_HZ) <= 2
    t = np.arange(len(made)) / RATE_HZ
    wanted = np.sin(2 * np.pi * freq_hz * t)
    middle = slice(100, -100)  # the ends are mirrored: a tone is not
    assert np.abs(made - wanted)[middle].max() < 0.02


@pytest.mark.parametrize("rate_hz", [31.25, 50.0, 52.08, 99.7, 100.0, 200.0, 1000.0])
@pytest.mark.parametrize("above", [1.01, 1.05, 1.2])
def test_a_tone_above_the_new_nyquist_is_40_db_down(rate_hz: float, above: float) -> None:
    freq_hz = above * RATE_HZ / 2
    assert freq_hz < rate_hz / 2
    made = to_firmware(tone(freq_hz, rate_hz), rate_hz)[100:-100, 0]
    assert np.sqrt(2 * np.mean(made**2)) < 10 ** (-40 / 20)


@pytest.mark.parametrize("rate_hz", [12.5, 16.4, 17.33])
def test_a_tone_has_no_image_beyond_the_old_nyquist(rate_hz: float) -> None:
    freq_hz = 0.8 * rate_hz / 2
    made = to_firmware(tone(freq_hz, rate_hz), rate_hz)[100:-100, 0]
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    freqs_hz = np.fft.rfftfreq(len(made), 1 / RATE_HZ)
    assert spectrum[freqs_hz > rate_hz / 2].max() < spectrum.max() / 100


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_gravity_is_the_same_from_the_first_sample_to_the_last(rate_hz: float) -> None:
    made = to_firmware(np.ones((round(20 * rate_hz), 6), np.float32), rate_hz)
    assert np.allclose(made, 1.0, atol=2e-3)


def test_the_firmwares_own_rate_passes_untouched() -> None:
    samples = np.random.default_rng(1).normal(size=(500, 6)).astype(np.float32)
    assert to_firmware(samples, 25.0) is samples


def stretch(seconds: float, rate_hz: float = 50.0, start_at: datetime = AT) -> Stretch:
    count = round(seconds * rate_hz)
    imu = np.zeros((count, 6), np.float32)
    imu[:, 2] = 1.0
    imu[:, 0] = np.sin(np.arange(count) / rate_hz * 9).astype(np.float32)
    return Stretch("s", to_us(start_at), rate_hz, imu, np.zeros(count, np.int32))


@pytest.fixture(scope="module")
def slots() -> ModelSlots:
    return ModelSlots.load(Path(plugins.__path__[0]))


def test_minutes_count_from_the_beginning_and_the_last_is_as_short_as_it_is(
    slots: ModelSlots,
) -> None:
    source = MotionSource([stretch(130.9)], ["walk"], slots)
    steps = [step for batch in source.batches(0) for step in batch]
    assert source.steps == len(steps) == 3
    assert [step.began_at - AT for step in steps] == [timedelta(seconds=s) for s in (0, 60, 120)]
    epochs = [d for step in steps for d in step.drafts if d.kind is Kind.EPOCH]
    assert [each.fields["period_s"] for each in epochs] == [60.0, 60.0, 8.0]
    assert [each.fields["windows"] for each in epochs] == [15, 15, 2]
    assert [sum(each.fields["seconds"].values()) for each in epochs] == [60.0, 60.0, 8.0]
    assert all("battery_pct" not in each.fields for each in epochs)
    assert source.windows == 32
    assert source.last_at == AT + timedelta(seconds=128)
    for each in epochs:
        ActivityEpoch(collar_id="c", boot=1, seq=1, observed_at=each.observed_at, **each.fields)


def test_steps_are_the_same_from_wherever_they_are_read(slots: ModelSlots) -> None:
    later = AT + timedelta(hours=2)
    parts = [stretch(200), stretch(3.0), stretch(67, start_at=later)]
    source = MotionSource(parts, ["walk"], slots)
    whole = [step for batch in source.batches(0) for step in batch]
    assert len(whole) == source.steps == 6
    for first in range(source.steps + 1):
        assert [step for batch in source.batches(first) for step in batch] == whole[first:]


def test_a_window_has_the_label_of_most_of_its_samples(slots: ModelSlots) -> None:
    held = stretch(12.0)
    held.labels[:190] = 0  # of the first window's 200 samples
    held.labels[190:320] = 1
    held.labels[320:400] = -1
    held.labels[400:] = 2
    source = MotionSource([held], ["rest", "walk", "run"], slots)
    [[step]] = list(source.batches(0))
    assert {word: sum(row.values()) for word, row in step.tally.items()} == {
        "rest": 1,
        "walk": 1,
        "run": 1,
    }
    held.labels[250:400] = -1
    [[step]] = list(MotionSource([held], ["rest", "walk", "run"], slots).batches(0))
    assert {word: sum(row.values()) for word, row in step.tally.items()} == {
        "rest": 1,
        "": 1,
        "run": 1,
    }
