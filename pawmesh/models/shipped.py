"""``pawmesh models train``: the shipped models, taught and judged by a simulated population.

Repeatable how far: the recordings are the same bytes wherever numpy's are. Training is
deterministic, so the same seed, machine type and TensorFlow give the same .tflite bytes; another
CPU may round sums otherwise and give another file of the same quality. The card names the versions.
"""

import hashlib
import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from cloud.training import activity, anomaly
from cloud.training.dataset import Dataset
from cloud.training.judge import activity_metrics, anomaly_metrics, threshold_for_coverage
from cloud.training.publish import publish
from collar_sim.firmware.arena import arena_bytes
from collar_sim.firmware.classifier import (
    AnomalyScorer,
    Classifier,
    LiteRtClassifier,
    MicroClassifier,
    micro_available,
)
from pawmesh.models.cohort import SAMPLES, Cohort, record
from plugins.sdk.admission import admit
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.features import prepare
from plugins.sdk.manifest import COLLAR_BUDGET, Manifest, Model, Place, Task
from plugins.sdk.package import Package

Card = dict[str, Any]

LABELS = [label for label in Behaviour if label is not Behaviour.UNSURE]
VERSION = "0.2.0"
COVERAGE = 0.95  # on tuning animals; strangers get a little less
FALSE_ALARMS = 0.005  # of healthy windows of tuning animals


@dataclass(frozen=True)
class Trained:
    """What a training made."""

    activity: Path
    anomaly: Path
    cards: dict[str, Card]
    """By package id; also in each folder's ``card.json``."""


def train(
    out: Path,
    seed: int = 1,
    *,
    animals: int = 36,
    strangers: int = 8,
    minutes: int = 240,
    epochs: int = 12,
    quiet: bool = False,
) -> Trained:
    """Train both collar models and write their packages.

    Args:
        out: Folder that gets ``activity/`` and ``anomaly/``.
        seed: Of the population and the training.
        animals: Training animals; a quarter of them only set thresholds.
        strangers: Animals that only judge.
        minutes: Recorded of each animal.
        epochs: Passes of the activity model; the anomaly model takes three times as many.
        quiet: No progress on stderr.
    """
    with _progress(quiet) as progress:
        cohort = record(seed, animals, strangers, minutes, progress)
        task = progress.add_task("activity model", total=None)
        activity_card = _train_activity(out / "activity", cohort, seed, epochs)
        progress.update(task, total=1, completed=1)
        task = progress.add_task("anomaly model", total=None)
        anomaly_card = _train_anomaly(out / "anomaly", cohort, seed, 3 * epochs)
        progress.update(task, total=1, completed=1)
    return Trained(
        out / "activity", out / "anomaly", {"activity": activity_card, "anomaly": anomaly_card}
    )


def _train_activity(folder: Path, cohort: Cohort, seed: int, epochs: int) -> Card:
    labels = [str(label) for label in LABELS]
    fitted = activity.fit(cohort.fit, labels, seed, epochs=epochs)
    canonical = admit(
        fitted.tflite, COLLAR_BUDGET, input_shape=(1, SAMPLES, 1, 6), outputs=len(LABELS)
    )
    draft = _package(
        canonical,
        Model(
            sha256=hashlib.sha256(canonical).hexdigest(),
            task=Task.CLASSIFY,
            labels=LABELS,
            samples=SAMPLES,
        ),
        "activity",
        "What the animal does, of ten behaviours, from four seconds of the collar's motion.",
    )
    engine = _engine(draft)
    tuning = engine.predict(cohort.tune.windows)
    package = _with(draft, abstain_below=threshold_for_coverage(tuning, COVERAGE))
    model = _model(package)
    scores = engine.predict(cohort.strangers.windows)
    float_scores = fitted.predict(prepare(model, cohort.strangers.windows))
    card = {
        **_card(package, cohort, cohort.strangers, seed, fitted.macs, engine),
        "int8": activity_metrics(cohort.strangers, labels, scores, model.abstain_below),
        "float": activity_metrics(cohort.strangers, labels, float_scores, model.abstain_below),
    }
    publish(folder, package.manifest, canonical, card, fitted.weights())
    return card


def _train_anomaly(folder: Path, cohort: Cohort, seed: int, epochs: int) -> Card:
    fitted = anomaly.fit(cohort.fit, seed, epochs=epochs)
    canonical = admit(fitted.tflite, COLLAR_BUDGET, input_shape=(1, 36), outputs=36)
    draft = _package(
        canonical,
        Model(
            sha256=hashlib.sha256(canonical).hexdigest(),
            task=Task.RECONSTRUCT,
            threshold=1.0,
            standard=fitted.standard,
            samples=SAMPLES,
        ),
        "anomaly",
        "How unlike the healthy motion of many animals four seconds are.",
    )
    engine = _engine(draft)
    scorer = AnomalyScorer(draft, engine)
    healthy = cohort.tune.where(cohort.tune.anomalies == "")
    threshold = float(np.quantile(scorer.errors(healthy.windows), 1.0 - FALSE_ALARMS))
    package = _with(draft, threshold=round(threshold, 5))
    sick = cohort.sick_strangers
    float_errors = fitted.errors(prepare(_model(package), sick.windows))
    card = {
        **_card(package, cohort, sick, seed, fitted.macs, engine),
        "int8": anomaly_metrics(sick, scorer.errors(sick.windows), threshold),
        "float": anomaly_metrics(sick, float_errors, threshold),
        "false_alarms_by_behaviour": _false_alarms(cohort.strangers, scorer, threshold),
    }
    publish(folder, package.manifest, canonical, card)
    return card


def _false_alarms(healthy: Dataset, scorer: AnomalyScorer, threshold: float) -> dict[str, float]:
    """Share of the healthy strangers' windows over the threshold, by what they were doing."""
    over = scorer.errors(healthy.windows) > threshold
    shares = {"all": over, **{name: over[healthy.labels == name] for name in map(str, LABELS)}}
    return {name: round(float(np.mean(part)), 4) for name, part in shares.items() if len(part)}


def _package(canonical: bytes, model: Model, package_id: str, summary: str) -> Package:
    manifest = Manifest(
        id=package_id,
        version=VERSION,
        name=package_id.capitalize(),
        summary=summary,
        runs_on=Place.COLLAR,
        model=model,
    )
    return Package(Path(), manifest, canonical)


def _with(draft: Package, **thresholds: float) -> Package:
    model = structs.replace(_model(draft), **thresholds)
    return replace(draft, manifest=structs.replace(draft.manifest, model=model))


def _model(package: Package) -> Model:
    model = package.manifest.model
    assert model is not None, "both packages of this module carry one"
    return model


def _engine(package: Package) -> Classifier:
    """The collar's own interpreter where it exists: thresholds hold for what will run."""
    return MicroClassifier(package) if micro_available() else LiteRtClassifier(package)


def _card(
    package: Package, cohort: Cohort, judged: Dataset, seed: int, macs: int, engine: Classifier
) -> Card:
    """What a card says besides the metrics."""
    model = package.model or b""
    return {
        "id": package.ref,
        "training": {
            "data": "simulated animals (collar_sim.animal), collars only, on busy days",
            "fit_digest": cohort.fit.digest(),
            "tune_digest": cohort.tune.digest(),
            "seed": seed,
            "fit_animals": _animals(cohort.fit),
            "tune_animals": _animals(cohort.tune),
            "versions": {name: version(name) for name in ("numpy", "tensorflow-cpu", "keras")},
            "machine": platform.machine(),
        },
        "judged_on": {
            "digest": judged.digest(),
            "animals": _animals(judged),
            "interpreter": type(engine).__name__,
        },
        "flash_bytes": len(model),
        "arena_bytes": arena_bytes(model),
        "macs": macs,
    }


def _animals(data: Dataset) -> list[str]:
    return np.unique(data.animals).tolist()


def _progress(quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet),
    )
