"""One interpreter for a whole fleet says of each collar what one of its own would say."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from collar_sim.animal import Animal, AnimalMinute, Scenario
from collar_sim.firmware.minute import look
from collar_sim.firmware.models.classifier import LiteRtClassifier, MicroClassifier, micro_available
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.sensing.epochs import in_windows
from plugins.sdk.features import prepare
from plugins.sdk.package import Package

SHIPPED = Path(__file__).parents[2] / "plugins"
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ANIMALS, MINUTES = 14, 5
TIE = 0.15  # of the outputs' range: the interpreters round a few int8 steps apart, layer by layer

needs_micro = pytest.mark.skipif(not micro_available(), reason="tflite-micro has no wheel here")


@pytest.fixture(scope="module")
def minutes() -> list[AnimalMinute]:
    """More than 1,000 windows, of well animals and of sick ones."""
    scenarios = (Scenario.BUSY, Scenario.SICK)
    return [
        minute
        for seed in range(ANIMALS)
        for minute in Animal.draw(
            700 + seed, home=(48.0, 11.0), scenario=scenarios[seed % 2]
        ).minutes(NOON, MINUTES)
    ]


@pytest.fixture(scope="module", params=["activity", "anomaly"])
def package(request: pytest.FixtureRequest) -> Package:
    return Package.load(SHIPPED / request.param)


@pytest.fixture
def inputs(package: Package, minutes: list[AnimalMinute]) -> np.ndarray:
    windows = in_windows(np.stack([minute.imu for minute in minutes])).reshape(-1, 100, 6)
    assert len(windows) >= 1_000
    assert package.manifest.model is not None
    return prepare(package.manifest.model, windows)


def test_a_batch_gives_bit_for_bit_what_one_by_one_gives(package: Package, inputs: np.ndarray):
    classifier = LiteRtClassifier(package)
    single = np.concatenate([classifier.run(inputs[n : n + 1]) for n in range(len(inputs))])
    for size in (len(inputs), 960, 7):
        parts = [classifier.run(inputs[at : at + size]) for at in range(0, len(inputs), size)]
        assert np.array_equal(np.concatenate(parts), single)


@needs_micro
def test_the_microcontrollers_interpreter_repeats_itself_bit_for_bit(
    package: Package, inputs: np.ndarray
):
    forwards = MicroClassifier(package).run(inputs)
    backwards = MicroClassifier(package).run(inputs[::-1])[::-1]
    assert np.array_equal(forwards, backwards)


@needs_micro
def test_both_interpreters_choose_alike_but_where_there_is_a_tie(
    package: Package, inputs: np.ndarray
):
    micro, litert = MicroClassifier(package).run(inputs), LiteRtClassifier(package).run(inputs)
    alike = micro.argmax(axis=1) == litert.argmax(axis=1)
    second, best = np.sort(micro, axis=1)[:, -2:].T
    assert alike.mean() >= 0.98
    assert alike[best - second > TIE * np.ptp(micro)].all()


def test_a_collar_is_told_the_same_alone_and_among_others(minutes: list[AnimalMinute]):
    slots = ModelSlots.load(SHIPPED)
    together = look(slots, minutes)
    assert [look(slots, [minute])[0] for minute in minutes] == together
