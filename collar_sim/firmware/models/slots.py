"""The collar's model slots: what runs on its windows.

A slot whose package is refused stays empty, with the reason; the collar goes on without. Then its
epochs say ``unsure``, or it raises no anomalies, but it is heard and found.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import structlog

from collar_sim.firmware.models.classifier import (
    AnomalyScorer,
    Classifier,
    LiteRtClassifier,
    MicroClassifier,
)
from collar_sim.firmware.sensing.epochs import RATE_HZ, WINDOW_SAMPLES
from gateway.wire.messages import Slot
from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ModelMisfit, ModelRefused, PluginError
from plugins.sdk.manifest import Manifest, Model, Task
from plugins.sdk.package import Package

log: structlog.stdlib.BoundLogger = structlog.get_logger()


ACTIVITY, ANOMALY = "activity", "anomaly"
"""The slots; in a folder of packages each is a folder of that name."""
TASKS = {ACTIVITY: Task.CLASSIFY, ANOMALY: Task.RECONSTRUCT}
"""What each slot is for."""


class Engine(StrEnum):
    """Which interpreter runs the models."""

    LITERT = "litert"
    """Many windows at once."""
    MICRO = "micro"
    """The microcontroller's own, one window at a time."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A package on an interpreter, which fits its slot. Used by one thread at a time."""

    package: Package
    classifier: Classifier

    @classmethod
    def of(cls, package: Package, slot: str, engine: Engine) -> "LoadedModel":
        """A package's model, ready for a slot.

        Raises:
            ModelRefused: It does not fit the slot, or the interpreter does not take it.
        """
        require_fit(package.manifest, TASKS[slot])
        make = MicroClassifier if engine is Engine.MICRO else LiteRtClassifier
        try:
            return cls(package, make(package))
        except (RuntimeError, ValueError) as error:  # interpreters raise both
            raise ModelRefused(f"{package.ref}: the interpreter says {error}") from error


@dataclass
class ModelSlots:
    """Loaded models, shared by all collars that run the same packages on the same engine."""

    packages: dict[str, Package] = field(default_factory=dict[str, Package])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Why a slot is empty."""
    windows: int = 0
    """How many the activity model has looked at; they overlap by half."""
    _activity: Classifier | None = None
    _anomaly: AnomalyScorer | None = None

    @classmethod
    def load(cls, folder: Path, engine: Engine = Engine.LITERT) -> "ModelSlots":
        """The packages ``activity`` and ``anomaly`` of a folder, as far as they may run."""
        return cls.holding(*load_models(folder, engine))

    @classmethod
    def holding(cls, models: Mapping[str, LoadedModel], refused: Mapping[str, str]) -> "ModelSlots":
        """These models, by slot; ``refused`` says why others are empty."""
        slots = cls(refused=dict(refused))
        for name, model in models.items():
            slots.packages[name] = model.package
            if TASKS[name] is Task.CLASSIFY:
                slots._activity = model.classifier
            else:
                slots._anomaly = AnomalyScorer(model.package, model.classifier)
        return slots

    @property
    def labels(self) -> list[Behaviour]:
        """Of the activity model; empty without one."""
        model = self._model(ACTIVITY)
        return [] if model is None else list(model.labels)

    def ref(self, slot: str) -> str | None:
        """``id@version`` of what a slot holds."""
        package = self.packages.get(slot)
        return None if package is None else package.ref

    def described(self) -> list[Slot]:
        """The slots as a birth lists them."""
        return [
            Slot(
                slot=name,
                package=package.manifest.id,
                version=package.manifest.version,
                sha256=package.manifest.model.sha256,
            )
            for name, package in self.packages.items()
            if package.manifest.model is not None
        ]

    @property
    def abstain_below(self) -> float:
        """The activity model's score under which it is unsure."""
        model = self._model(ACTIVITY)
        return 0.0 if model is None else model.abstain_below

    def behaviours(self, windows: FloatArray) -> FloatArray:
        """Probability of each label in each window; no labels without a model.

        Args:
            windows: Shape (n, 100, 6).

        Returns:
            Shape (n, labels), by the labels as they are after the call.
        """
        self.windows += len(windows)
        if self._activity is not None:
            try:
                return self._activity.predict(windows)
            except (RuntimeError, ValueError) as error:
                self._activity = None
                self._refuse(ACTIVITY, f"failed on a window: {error}")
        return np.zeros((len(windows), 0), np.float32)

    def anomalies(self, windows: FloatArray) -> FloatArray:
        """Anomaly score of each window, 0.5 at the threshold; 0 without a model."""
        if self._anomaly is not None:
            try:
                return self._anomaly.score(windows)
            except (RuntimeError, ValueError) as error:
                self._anomaly = None
                self._refuse(ANOMALY, f"failed on a window: {error}")
        return np.zeros(len(windows), np.float32)

    def _model(self, slot: str) -> Model | None:
        package = self.packages.get(slot)
        return None if package is None else package.manifest.model

    def _refuse(self, slot: str, reason: str) -> None:
        self.packages.pop(slot, None)
        self.refused[slot] = reason
        log.warning("model.refused", slot=slot, reason=reason)


def load_models(folder: Path, engine: Engine) -> tuple[dict[str, LoadedModel], dict[str, str]]:
    """The models of a folder of packages by slot, and why the other slots are empty."""
    models: dict[str, LoadedModel] = {}
    refused: dict[str, str] = {}
    for slot in TASKS:
        try:
            models[slot] = LoadedModel.of(Package.load(folder / slot), slot, engine)
        except PluginError as error:
            refused[slot] = str(error)
            log.warning("model.refused", slot=slot, reason=str(error), folder=str(folder))
    return models, refused


def require_fit(manifest: Manifest, task: Task) -> None:
    """Check that a package is made for a task, and for this collar's windows.

    Raises:
        ModelMisfit: It is not.
    """
    model, ref = manifest.model, f"{manifest.id}@{manifest.version}"
    if model is None or model.task is not task:
        raise ModelMisfit(f"{ref} is no model to {task}")
    if model.samples != WINDOW_SAMPLES or model.rate_hz != RATE_HZ:
        raise ModelMisfit(
            f"{ref} wants {model.samples} samples at {model.rate_hz:g} Hz, "
            f"this collar takes {WINDOW_SAMPLES} at {RATE_HZ}"
        )
