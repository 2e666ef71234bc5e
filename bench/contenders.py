"""The models that `bench.activity_real` sets beside each other, each fed in its own way."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import plugins
from bench.forests import (
    NAIVE_HOP_S,
    NAIVE_S,
    STRONG_HOP_S,
    STRONG_S,
    naive_forest,
    smoothed,
    strong_forest,
)
from bench.minutes import Minutes, fit, is_still, taught
from bench.recordings import Recording, Text, Windows, windows_of
from bench.simulated_teacher import SimulatedTeacher
from bench.verdict import Cost
from cloud.training import activity
from cloud.training.dataset import Dataset
from collar_sim.firmware.models.arena import arena_bytes
from collar_sim.firmware.sensing.epochs import (
    HOP_S,
    HOP_SAMPLES,
    WINDOW_SAMPLES,
    labels_of,
    scores_each_second,
)
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.resample import to_firmware
from pawmesh.models.made import classifier_package, engine_of, model_of
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.package import Package

EPOCHS = 12


@dataclass(frozen=True)
class Side:
    """The recordings of animals that teach, or judge, cut for each model."""

    naive: Windows
    strong: Windows
    ours: Windows
    """Half-overlapping 4 s at 25 Hz, as in the firmware."""
    rate_hz: float
    """Of most of the samples; sessions of one logger differ by some hundredths."""

    @classmethod
    def of(cls, held: list[Recording]) -> "Side":
        """Windows of some recordings.

        Raises:
            RecordingError: None is as long as a window.
        """
        hz = float(np.median(np.repeat([e.rate_hz for e in held], [len(e.imu) for e in held])))
        return cls(
            windows_of(held, round(NAIVE_S * hz), round(NAIVE_HOP_S * hz)),
            windows_of(held, round(STRONG_S * hz), round(STRONG_HOP_S * hz)),
            windows_of(held, WINDOW_SAMPLES, HOP_SAMPLES, to_firmware),
            hz,
        )

    def labels(self, animal: str | None = None) -> list[str]:
        """What every model can learn or be asked: labels with a window in each cut.

        Args:
            animal: Of one; None: of all.
        """
        known = {each.value for each in Behaviour}
        for cut in (self.naive, self.strong, self.ours):
            known &= set(cut.labels[[animal in (None, each) for each in cut.animals.tolist()]])
        return [each.value for each in Behaviour if each.value in known]


def forests(train: Side, test: Side, seed: int) -> Iterator[tuple[str, Windows, Text]]:
    """Name, windows and words of both forests."""
    yield "forest_naive", test.naive, naive_forest(train.naive, test.naive, seed)
    said = strong_forest(train.strong, test.strong, seed, train.rate_hz)
    yield "forest_strong", test.strong, said


def ours(train: Minutes, test: Minutes, seed: int) -> tuple[dict[str, Text], Cost]:
    """What the network of minutes says, as int8 and as float; and what it costs."""
    learned = fit(train, seed, SimulatedTeacher.shipped(), epochs=EPOCHS)
    inputs = learned.prepared(test)
    said = {"ours": learned.int8(inputs), "float": learned.float(inputs)}
    return said, Cost(len(learned.content), arena_bytes(learned.content), learned.macs)


def without(train: Minutes, test: Minutes, seed: int) -> Iterator[tuple[str, Text]]:
    """What it says when a part of the recipe is left out.

    Yields:
        ``as_labelled``: still minutes are taught as they were labelled.
        ``real_alone``: nothing simulated teaches.
    """
    simulated = SimulatedTeacher.shipped()
    labelled = fit(train, seed, simulated, epochs=EPOCHS, still_rests=False)
    yield "as_labelled", labelled.int8(labelled.prepared(test))
    alone = fit(train, seed, None, epochs=EPOCHS)
    yield "real_alone", alone.int8(alone.prepared(test))


def by_window(train: Windows, test: Windows, seed: int) -> Text:
    """What the shipped network says, taught by these animals: window by window, then smoothed."""
    data = as_dataset(train)
    labels = [each.value for each in Behaviour if each.value in data.labels]
    fitted = activity.fit(data, labels, seed, epochs=EPOCHS, trust=0.0)
    words = [Behaviour(label) for label in labels]
    package = classifier_package(fitted, words, "judged", "A model of a bench.")
    smooth = smoothed(engine_of(package).predict(test.samples), test.sessions, HOP_S)
    return np.array(labels)[np.argmax(smooth, axis=1)]


def as_dataset(windows: Windows) -> Dataset:
    """Windows as `cloud.training.activity` takes them; sessions stand where animals do.

    Still windows teach rest, as minutes do; where nobody rests they are left out.
    """
    words = taught(windows.labels, is_still(windows))
    data = Dataset(
        windows.samples,
        words,
        np.ones(len(windows), np.float32),
        np.full(len(windows), ""),
        windows.sessions,
    )
    return data.where(words != "")


def shipped(test: Windows) -> dict[str, Text]:
    """What the shipped model says, with its own threshold: smoothed as all are, and as it is used.

    On a collar the words of two seconds are the two windows' that cover them
    (``zero_shot_seconds``): 6 s, not a minute.

    Args:
        test: At the firmware's rate, half overlapping.
    """
    package = Package.load(Path(plugins.__path__[0]) / "activity")
    model = model_of(package)
    scores = engine_of(package).predict(test.samples)
    names = np.array([*(label.value for label in model.labels), Behaviour.UNSURE.value])
    brief = np.empty_like(scores)
    for session in np.unique(test.sessions):
        mine = test.sessions == session
        brief[mine] = scores_each_second(scores[mine][None])[0, :-HOP_S:HOP_S]
    smooth = np.exp(smoothed(scores, test.sessions, HOP_S))
    smooth /= smooth.sum(axis=1, keepdims=True)  # as the firmware's: thresholds mean the same
    return {
        "zero_shot": names[labels_of(smooth, model.abstain_below)],
        "zero_shot_seconds": names[labels_of(brief, model.abstain_below)],
    }


def require_one_rate(train_hz: float, test_hz: float) -> None:
    """The forests' windows are of as many samples, whoever judges.

    Raises:
        RecordingError: They are not.
    """
    if any(round(s * train_hz) != round(s * test_hz) for s in (NAIVE_S, STRONG_S)):
        raise RecordingError(
            f"those that teach have {train_hz:.2f} samples a second, those that judge "
            f"{test_hz:.2f}: the forests need one rate; resample, or say it with --rate-hz"
        )


def require_two(labels: list[str], animals: list[str]) -> None:
    """There is something to tell apart.

    Raises:
        RecordingError: There is not.
    """
    if len(labels) < 2:
        raise RecordingError(
            f"{', '.join(animals)} teach {', '.join(labels) or 'no behaviour'}: there must be two "
            f"behaviours, each with a stretch of {STRONG_S:g} s"
        )
