"""The recipe that `bench.activity_real` judges: the shipped model's, with a minute to look at.

The strong forest averages what it *says* of the windows of the last minute. More is learned by
averaging what is *seen* of them: how much a minute varies tells play from a walk, and a stop within
a walk from lying. So a model gets two numbers of each descriptor (`plugins.sdk.descriptors`), its
mean and its standard deviation over just those windows that the forest's word is averaged over,
and what it says is smoothed no more.

The rest is `cloud.training`'s: a forest learns the labels, and teaches a small network. It teaches
together with the shipped model (`bench.simulated_teacher`), which met no recorded dog. Labels are
of whole sessions, so a minute that is mostly still teaches rest, whatever its session is called.
A collar would keep 30 windows of 71 descriptors for it, 2,130 B as int8. The firmware does not yet:
what ships judges each window by itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.forests import over_a_minute
from bench.recordings import Windows
from bench.simulated_teacher import SimulatedTeacher, agreed
from cloud.training.activity import CARRIERS, MIN_STD
from cloud.training.backend import load
from cloud.training.dataset import Text
from cloud.training.network import Lesson, as_int8, count_macs, dense, said, teach
from cloud.training.teacher import Targets, Teacher, balance, carriers
from collar_sim.firmware.models.classifier import Classifier
from pawmesh.models.made import NO_DIGEST, engine_of
from plugins.sdk.admission import admit
from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.descriptors import MACS, NAMES, descriptors
from plugins.sdk.features import NEAR_LIMIT, standardised
from plugins.sdk.manifest import COLLAR_BUDGET, RATE_HZ, Manifest, Model, Place, Task
from plugins.sdk.package import Package

INPUTS = 2 * len(NAMES)
HIDDEN = (64, 32)  # twice the inputs leave room for no more within 16 kB
SPLIT_SHARE = 0.1  # of the inputs; minutes of a session are alike, so trees must differ the more
PER_SESSION = 200  # windows of a label, at most
STILL_G = 0.012  # of the liveliest axis, by eye: four times a sensor's noise, half an idling car
MOSTLY = 0.5  # of a minute's windows


@dataclass(frozen=True)
class Minutes:
    """Windows, each with the minute before it."""

    inputs: FloatArray
    """Shape (n, 142): mean, then standard deviation of each descriptor over at most a minute."""
    still: NDArray[np.bool_]
    """Whether the animal hardly moved in most of it."""
    labels: Text
    animals: Text
    sessions: Text

    @classmethod
    def of(cls, windows: Windows, hop_s: float) -> "Minutes":
        """What is remembered at each window.

        Args:
            windows: At the firmware's rate, those of a session in order.
            hop_s: From one to the next.
        """
        described = descriptors(windows.samples, RATE_HZ)
        mean = over_a_minute(described, windows.sessions, hop_s)
        square = over_a_minute(described**2, windows.sessions, hop_s)
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        share = over_a_minute(is_still(windows)[:, None], windows.sessions, hop_s)[:, 0]
        return cls(
            np.concatenate([mean, spread], axis=1),
            share > MOSTLY,
            windows.labels,
            windows.animals,
            windows.sessions,
        )


@dataclass(frozen=True)
class Learned:
    """A network that sees minutes, in both forms."""

    keras: Any
    engine: Classifier
    """Of the admitted int8 model: its `run` takes what `prepared` makes."""
    labels: list[str]
    mean: list[float]
    std: list[float]
    content: bytes
    """The .tflite, as admitted to a collar's budget."""
    macs: int
    """Multiplications per window, those of the descriptors among them."""

    def prepared(self, minutes: Minutes) -> FloatArray:
        """The network's inputs."""
        return standardised(minutes.inputs, self.mean, self.std, NEAR_LIMIT)

    def int8(self, inputs: FloatArray) -> Text:
        """What the collar's interpreter says."""
        return np.array(self.labels)[np.argmax(self.engine.run(inputs), axis=1)]

    def float(self, inputs: FloatArray) -> Text:
        """What the network said before it was made int8."""
        return np.array(self.labels)[np.argmax(said(self.keras, inputs), axis=1)]


def is_still(windows: Windows) -> NDArray[np.bool_]:
    """Whether no axis moved by `STILL_G` within each window."""
    return windows.samples[:, :, :3].std(axis=1).max(axis=1) < STILL_G


def taught(words: Text, still: NDArray[np.bool_]) -> Text:
    """What is learned of windows: who does not move rests, unless it sleeps.

    Where nobody teaches rest, such windows are of no label (empty) and teach nothing.

    >>> taught(np.array(["walk", "walk", "sleep"]), np.array([True, False, True])).tolist()
    ['', 'walk', 'sleep']
    """
    word = Behaviour.REST.value if Behaviour.REST.value in words else ""
    return np.where(still & (words != Behaviour.SLEEP.value), word, words)


def fit(
    minutes: Minutes,
    seed: int,
    beside: SimulatedTeacher | None,
    *,
    epochs: int = 12,
    still_rests: bool = True,
) -> Learned:
    """A network of minutes, int8, within a collar's budget.

    Args:
        minutes: Of the animals that teach.
        seed: Of the trees, the weights and what is drawn.
        beside: Teaches, too; None: these animals alone do.
        epochs: Passes over what the teachers said.
        still_rests: Whether still minutes teach rest rather than their session's label.

    Raises:
        ModelRefused: No collar would take it.
    """
    keras, tf = load(seed)
    rng = np.random.default_rng([seed, 2])
    words = taught(minutes.labels, minutes.still) if still_rests else minutes.labels
    rows = _chosen(words, minutes.sessions, rng)
    labels = [each.value for each in Behaviour if each.value in words[rows]]
    targets = np.array([labels.index(word) for word in words[rows].tolist()], np.uint8)
    mean = minutes.inputs[rows].mean(axis=0, dtype=np.float64).tolist()
    std = np.maximum(MIN_STD, minutes.inputs[rows].std(axis=0, dtype=np.float64)).tolist()
    inputs = standardised(minutes.inputs[rows], mean, std, NEAR_LIMIT)
    weight = _animals_alike(
        balance(targets, minutes.sessions[rows]), targets, minutes.animals[rows]
    )
    teacher = Teacher.of(inputs, targets, weight, len(labels), seed, SPLIT_SHARE)
    asked = np.concatenate([inputs, carriers(inputs, weight, CARRIERS, NEAR_LIMIT, rng)])
    truth = teacher.says(asked)
    if beside is not None:
        raw = asked * np.float32(std) + np.float32(mean)
        truth = agreed(truth, beside.logs(raw, labels, rng), len(inputs))
    lesson = Lesson(asked, truth, np.ones(len(asked), np.float32)).shuffled(rng)
    model = dense(keras, INPUTS, HIDDEN, len(labels))
    teach(keras, model, lesson, epochs=epochs)
    content = admit(
        as_int8(model, lesson.inputs, tf),
        COLLAR_BUDGET,
        input_shape=(1, INPUTS),
        outputs=len(labels),
    )
    macs = MACS + count_macs(model)
    return Learned(model, _engine(content, labels), labels, mean, std, content, macs)


def _chosen(words: Text, sessions: Text, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most so many windows of each label of each session; none without a label."""
    rows = [
        rng.permutation(np.flatnonzero((sessions == session) & (words == word)))[:PER_SESSION]
        for session in np.unique(sessions)
        for word in np.unique(words[sessions == session])
        if word
    ]
    return np.sort(np.concatenate(rows))


def _animals_alike(weight: FloatArray, targets: Targets, animals: Text) -> FloatArray:
    """Weights of which each animal has the same part of a label, and each label what it had."""
    made = weight.copy()
    for target in np.unique(targets):
        whose = np.unique(animals[targets == target])
        for animal in whose:
            rows = (targets == target) & (animals == animal)
            share = weight[targets == target].sum() / len(whose)
            made[rows] *= share / weight[rows].sum()
    return made


def _engine(content: bytes, labels: list[str]) -> Classifier:
    """The collar's interpreter. No manifest can ask for minutes: inputs are made here."""
    model = Model(
        sha256=NO_DIGEST, task=Task.CLASSIFY, labels=[Behaviour(label) for label in labels]
    )
    manifest = Manifest(
        id="judged",
        version="0.0.1",
        name="Judged",
        summary="A model of a bench.",
        runs_on=Place.COLLAR,
        model=model,
    )
    return engine_of(Package(Path(), manifest, content))
