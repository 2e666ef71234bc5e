"""A model between its training and its package: thresholds, engine and card."""

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from cloud.training.activity import Fitted
from cloud.training.dataset import Dataset
from cloud.training.publish import publish
from collar_sim.firmware.models.arena import arena_bytes
from collar_sim.firmware.models.classifier import (
    Classifier,
    LiteRtClassifier,
    MicroClassifier,
    micro_available,
)
from collar_sim.firmware.models.slots import LoadedModel
from plugins.sdk.admission import admit
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.manifest import COLLAR_BUDGET, Manifest, Model, Place, Task, View
from plugins.sdk.package import Package

Card = dict[str, Any]

VERSION = "0.4.0"
NO_DIGEST = "0" * 64  # of a model that is not packaged yet


@dataclass(frozen=True)
class Made:
    """A model before it is published."""

    loaded: LoadedModel
    card: Card
    weights: bytes | None = None

    def publish(self, folder: Path, **more: Any) -> Card:
        """Write the package, with what else its card says."""
        package = self.loaded.package
        card = self.card | more
        publish(folder, package.manifest, package.model or b"", card, self.weights)
        return card


def classifier_package(
    fitted: Fitted, labels: Sequence[Behaviour], package_id: str, summary: str
) -> Package:
    """A trained activity model as a collar would be given it; it abstains nowhere yet.

    Args:
        fitted: From `cloud.training.activity.fit`.
        labels: In the order of its outputs.
        package_id: What it is called.
        summary: What it does, for people.

    Raises:
        ModelRefused: No collar would take it.
    """
    model = Model(
        sha256=NO_DIGEST,
        task=Task.CLASSIFY,
        labels=list(labels),
        sees=View.FEATURES,
        standard=fitted.standard,
    )
    return packaged(fitted.tflite, model, package_id, summary)


def packaged(tflite: bytes, model: Model, package_id: str, summary: str) -> Package:
    """A collar's package of a converted model, admitted; its digest is set here.

    Raises:
        ModelRefused: No collar would take it.
    """
    content = admit(tflite, COLLAR_BUDGET, input_shape=model.input_shape, outputs=model.outputs)
    manifest = Manifest(
        id=package_id,
        version=VERSION,
        name=package_id.capitalize(),
        summary=summary,
        runs_on=Place.COLLAR,
        model=structs.replace(model, sha256=hashlib.sha256(content).hexdigest()),
    )
    return Package(Path(), manifest, content)


def with_thresholds(draft: Package, **thresholds: float) -> Package:
    """The package with these fields of its model set."""
    model = structs.replace(model_of(draft), **thresholds)
    return replace(draft, manifest=structs.replace(draft.manifest, model=model))


def model_of(package: Package) -> Model:
    """What the manifest says of the model."""
    model = package.manifest.model
    assert model is not None, "every package made here carries one"
    return model


def engine_of(package: Package) -> Classifier:
    """The collar's own interpreter where it exists: thresholds hold for what will run."""
    return MicroClassifier(package) if micro_available() else LiteRtClassifier(package)


def card_of(
    loaded: LoadedModel, fit: Dataset, tune: Dataset, judged: Dataset, seed: int, macs: int
) -> Card:
    """What a card says besides the metrics.

    Args:
        loaded: The model.
        fit: What it learned from.
        tune: Whose animals set its thresholds.
        judged: What the metrics of windows are of.
        seed: Of the training.
        macs: Multiplications per window.
    """
    model = loaded.package.model or b""
    return {
        "id": loaded.package.ref,
        "training": {
            "data": "simulated animals (collar_sim.animal)",
            "fit_digest": fit.digest(),
            "fit_windows": len(fit),
            "seed": seed,
            "fit_animals": _animals(fit),
            "tune_animals": _animals(tune),
            "versions": {name: version(name) for name in ("numpy", "tensorflow-cpu", "keras")},
            "machine": platform.machine(),
        },
        "judged_on": {
            "digest": judged.digest(),
            "animals": _animals(judged),
            "interpreter": type(loaded.classifier).__name__,
        },
        "flash_bytes": len(model),
        "arena_bytes": arena_bytes(model),
        "macs": macs,
    }


def _animals(data: Dataset) -> list[str]:
    return np.unique(data.animals).tolist()
