"""The models on the collar: windows in, scores out, by one of two real interpreters.

`MicroClassifier` is the microcontroller's interpreter, one window at a time; `LiteRtClassifier`
runs the same file on many windows at once, for fleets. They differ by a few int8 steps at most.
An instance belongs to one thread.
"""

import importlib.util
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRt
from numpy.typing import NDArray

from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ModelRefused
from plugins.sdk.features import prepare, unlikeness
from plugins.sdk.manifest import Model, Task
from plugins.sdk.package import Package

Int8Array = NDArray[np.int8]

MICRO_ARENA_BYTES = 65_536  # of the host; what the model takes of it is measured in training


class Classifier(Protocol):
    """A package's model, ready to run."""

    def run(self, inputs: FloatArray) -> FloatArray:
        """Outputs for inputs made by `plugins.sdk.features.prepare`, quantised both ways."""
        ...

    def predict(self, windows: FloatArray) -> FloatArray:
        """Scores for windows.

        Args:
            windows: Shape (n, samples, 6): g and deg/s.

        Returns:
            Shape (n, labels): of each window, the model's probability of each label.
        """
        ...


class Quantisation:
    """The int8 grid of a tensor.

    >>> Quantisation(0.5, 0).to_int8(np.array([1.0, 1000.0], np.float32)).tolist()
    [2, 127]
    """

    def __init__(self, scale: float, zero: int) -> None:
        self._scale = np.float32(scale)
        self._zero = np.float32(zero)

    def to_int8(self, values: FloatArray) -> Int8Array:
        """The nearest grid points; what lies beyond the grid goes to its end."""
        counts = np.rint(values / self._scale) + self._zero
        return np.clip(counts, -128, 127).astype(np.int8)

    def to_float(self, counts: Int8Array) -> FloatArray:
        """What the grid points stand for."""
        return (counts.astype(np.float32) - self._zero) * self._scale


class LiteRtClassifier:
    """Many windows at once: the batch dimension is resized to what is asked."""

    def __init__(self, package: Package) -> None:
        self._model, content = _collar_model(package)
        self._interpreter: Any = LiteRt(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        source = self._interpreter.get_input_details()[0]
        sink = self._interpreter.get_output_details()[0]
        self._in, self._out = source["index"], sink["index"]
        self._batch = 1
        self._from = Quantisation(*source["quantization"])
        self._to = Quantisation(*sink["quantization"])

    def run(self, inputs: FloatArray) -> FloatArray:
        """See `Classifier.run`."""
        if len(inputs) == 0:
            return np.zeros((0, self._model.outputs), np.float32)
        if len(inputs) != self._batch:
            self._interpreter.resize_tensor_input(self._in, inputs.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(inputs)
        self._interpreter.set_tensor(self._in, self._from.to_int8(inputs))
        self._interpreter.invoke()
        return self._to.to_float(self._interpreter.get_tensor(self._out))

    def predict(self, windows: FloatArray) -> FloatArray:
        """See `Classifier.predict`."""
        return self.run(prepare(self._model, windows))


class MicroClassifier:
    """TensorFlow Lite for Microcontrollers, as the collar itself would run it.

    Raises:
        ModelRefused: Its wheel does not exist for this machine.
    """

    def __init__(self, package: Package) -> None:
        if not micro_available():
            raise ModelRefused(
                "tflite-micro has no wheel for this machine (only x86-64 Linux has one); "
                "LiteRtClassifier runs everywhere"
            )
        from tflite_micro import runtime  # here, because the wheel may not exist

        self._model, content = _collar_model(package)
        self._interpreter: Any = runtime.Interpreter.from_bytes(
            content, arena_size=MICRO_ARENA_BYTES
        )
        self._from = _micro_grid(self._interpreter.get_input_details(0))
        self._to = _micro_grid(self._interpreter.get_output_details(0))

    def run(self, inputs: FloatArray) -> FloatArray:
        """See `Classifier.run`."""
        counts = self._from.to_int8(inputs)
        outputs = np.empty((len(inputs), self._model.outputs), np.int8)
        for n in range(len(inputs)):
            self._interpreter.set_input(counts[n : n + 1], 0)
            self._interpreter.invoke()
            outputs[n] = self._interpreter.get_output(0)[0]
        return self._to.to_float(outputs)

    def predict(self, windows: FloatArray) -> FloatArray:
        """See `Classifier.predict`."""
        return self.run(prepare(self._model, windows))


class AnomalyScorer:
    """How unlike the training animals' healthy windows a window is."""

    def __init__(self, package: Package, classifier: Classifier) -> None:
        """Of a reconstruction package and an interpreter that holds it."""
        self._model, _ = _collar_model(package)
        if self._model.task is not Task.RECONSTRUCT or self._model.threshold is None:
            raise ModelRefused(f"{package.ref} is no reconstruction")
        self._threshold = self._model.threshold
        self._classifier = classifier

    def errors(self, windows: FloatArray) -> FloatArray:
        """Mean squared reconstruction error of each window, in squared standard deviations."""
        inputs = prepare(self._model, windows)
        missed = self._classifier.run(inputs) - inputs
        return np.asarray(np.mean(missed**2, axis=1), np.float32)

    def score(self, windows: FloatArray) -> FloatArray:
        """0 (met exactly) to 1, with 0.5 at the manifest's threshold; shape (n,)."""
        return unlikeness(self.errors(windows), self._threshold)


def decide(model: Model, scores: FloatArray) -> list[Behaviour]:
    """The label of each window, or ``unsure`` where the best score is too low.

    Args:
        model: A classifier's, from the manifest.
        scores: Shape (n, labels).
    """
    best = np.argmax(scores, axis=1)
    sure = np.max(scores, axis=1, initial=0.0) >= model.abstain_below
    return [
        model.labels[k] if certain else Behaviour.UNSURE
        for k, certain in zip(best.tolist(), sure.tolist(), strict=True)
    ]


def micro_available() -> bool:
    """Whether the microcontroller's interpreter exists for this machine."""
    return importlib.util.find_spec("tflite_micro") is not None


def _collar_model(package: Package) -> tuple[Model, bytes]:
    if package.manifest.model is None or package.model is None:
        raise ModelRefused(f"{package.ref} carries no model")
    return package.manifest.model, package.model


def _micro_grid(details: dict[str, Any]) -> Quantisation:
    grid = details["quantization_parameters"]
    return Quantisation(float(grid["scales"][0]), int(grid["zero_points"][0]))
