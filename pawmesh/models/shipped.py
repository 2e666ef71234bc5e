"""``pawmesh models train``: the shipped models, taught and judged by a simulated population.

Repeatable how far: the recordings are the same bytes wherever numpy's are. Training is
deterministic, so the same seed, machine type and TensorFlow give the same .tflite bytes; another
CPU may round sums otherwise and give another file of the same quality. The card names the versions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from cloud.training import activity, anomaly
from cloud.training.dataset import Dataset, joined
from cloud.training.judge import (
    activity_metrics,
    anomaly_metrics,
    calibration_error,
    confusion,
    risk_coverage,
    threshold_for_coverage,
)
from collar_sim.animal import Scenario
from collar_sim.firmware.models.classifier import AnomalyScorer
from collar_sim.firmware.models.slots import ACTIVITY, ANOMALY, LoadedModel, ModelSlots
from collar_sim.firmware.sensing.epochs import WINDOWS
from collar_sim.firmware.sensing.events import ANOMALY_WINDOWS
from pawmesh.models.cohort import START_AT, Cohort, Roster, drawn, record
from pawmesh.models.days import DAY_MIN, alarms_a_day, live, minutes_metrics, seconds_metrics
from pawmesh.models.made import (
    NO_DIGEST,
    Card,
    Made,
    card_of,
    classifier_package,
    engine_of,
    model_of,
    packaged,
    with_thresholds,
)
from plugins.sdk.arrays import FloatArray
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.features import prepare
from plugins.sdk.manifest import WINDOW_SAMPLES, Model, Task

LABELS = [label for label in Behaviour if label is not Behaviour.UNSURE]
COVERAGE = 0.95  # on tuning animals; strangers get a little less
ALARMS_A_DAY = 0.5  # of healthy tuning animals: half of what an owner would bear
UNSET = 1.0  # a threshold until the model's errors are known; a manifest must have one


@dataclass(frozen=True)
class Trained:
    """What a training made."""

    activity: Path
    anomaly: Path
    cards: dict[str, Card]
    """By package id; also in each folder's ``card.json``."""


@dataclass(frozen=True)
class Size:
    """How much is simulated and learned; what ships takes the defaults."""

    animals: int = 36
    """That teach; a quarter of them only set thresholds."""
    strangers: int = 8
    """Animals that only judge."""
    minutes: int = 240
    """Recorded of each animal, and lived by a healthy stranger that judges behaviour."""
    ill_min: int = 480
    """Minutes of a stranger in a bad week."""
    day_min: int = DAY_MIN
    """Minutes of a calm day, which sets the anomaly model's threshold and judges both."""
    epochs: int = 12
    """Passes of the activity model; the anomaly model takes twice as many."""


def train(out: Path, seed: int = 1, size: Size = Size(), *, quiet: bool = False) -> Trained:
    """Train both collar models and write their packages.

    Args:
        out: Folder that gets ``activity/`` and ``anomaly/``.
        seed: Of the population and the training.
        size: Of both.
        quiet: No progress on stderr.
    """
    roster = Roster.of(size.animals, size.strangers)
    with _progress(quiet) as progress:
        cohort = record(seed, roster, size.minutes, size.ill_min, progress)

        def step(said: str) -> None:
            progress.update(progress.add_task(said, total=1), completed=1)

        step("recorded; the activity model learns")
        act = _activity(cohort, seed, size.epochs)
        step("the anomaly model learns")
        odd = _anomaly(cohort, roster, seed, 2 * size.epochs, size.day_min)
        step("strangers live with both")
        slots = ModelSlots.holding({ACTIVITY: act.loaded, ANOMALY: odd.loaded}, {})
        by_second, by_minute = _lived(slots, seed, roster.strangers, size)
        cards = {
            ACTIVITY: act.publish(out / ACTIVITY, days=by_second),
            ANOMALY: odd.publish(out / ANOMALY, days=by_minute),
        }
    return Trained(out / ACTIVITY, out / ANOMALY, cards)


def _activity(cohort: Cohort, seed: int, epochs: int) -> Made:
    labels = [str(label) for label in LABELS]
    fitted = activity.fit(cohort.fit, labels, seed, epochs=epochs, tune=cohort.tune)
    draft = classifier_package(
        fitted,
        LABELS,
        ACTIVITY,
        "What the animal does, of ten behaviours, from four seconds of the collar's motion.",
    )
    engine = engine_of(draft)
    tuning = engine.predict(cohort.tune.windows)
    package = with_thresholds(draft, abstain_below=threshold_for_coverage(tuning, COVERAGE))
    model = model_of(package)
    judged = cohort.strangers
    scores = engine.predict(judged.windows)
    float_scores = fitted.predict(prepare(model, judged.windows))
    loaded = LoadedModel(package, engine)
    best, guess = scores.max(axis=1), np.array(labels)[np.argmax(scores, axis=1)]
    card = {
        **card_of(loaded, cohort.fit, cohort.tune, judged, seed, fitted.macs),
        "int8": activity_metrics(judged, labels, scores, model.abstain_below),
        "float": activity_metrics(judged, labels, float_scores, model.abstain_below),
        "abstain_below": model.abstain_below,
        "calibration_error": calibration_error(best, guess == judged.labels),
        "risk_coverage": risk_coverage(best, guess == judged.labels),
        "confusion": {"labels": labels, "rows": confusion(judged.labels, guess, labels)},
    }
    return Made(loaded, card, fitted.weights())


def _anomaly(cohort: Cohort, roster: Roster, seed: int, epochs: int, day_min: int) -> Made:
    data = joined([cohort.fit, cohort.fit_also])
    fitted = anomaly.fit(data, seed, epochs=epochs)
    draft = packaged(
        fitted.tflite,
        Model(sha256=NO_DIGEST, task=Task.RECONSTRUCT, threshold=UNSET, standard=fitted.standard),
        ANOMALY,
        "How unlike the healthy motion of many animals four seconds are.",
    )
    engine = engine_of(draft)
    scorer = AnomalyScorer(draft, engine)
    calm = np.concatenate([_calm_minutes(scorer, seed, number, day_min) for number in roster.tune])
    threshold = round(float(np.quantile(calm, 1.0 - ALARMS_A_DAY / DAY_MIN)), 5)
    package = with_thresholds(draft, threshold=threshold)
    sick = cohort.sick_strangers
    loaded = LoadedModel(package, engine)
    float_errors = fitted.errors(prepare(model_of(package), sick.windows))
    card = {
        **card_of(loaded, data, cohort.tune, sick, seed, fitted.macs),
        "int8": anomaly_metrics(sick, scorer.errors(sick.windows), threshold),
        "float": anomaly_metrics(sick, float_errors, threshold),
        "false_alarms_by_behaviour": _false_alarms(cohort.strangers, scorer, threshold),
    }
    return Made(loaded, card)


def _calm_minutes(scorer: AnomalyScorer, seed: int, number: int, minutes: int) -> FloatArray:
    """Of each minute of a healthy animal's day, the error that would have to be exceeded."""
    day = drawn(seed, number, Scenario.CALM_DAY).minutes(START_AT, minutes)
    windows = np.concatenate([minute.imu.reshape(-1, WINDOW_SAMPLES, 6) for minute in day])
    errors = scorer.errors(windows).reshape(-1, WINDOWS)
    return np.sort(errors, axis=1)[:, -ANOMALY_WINDOWS]


def _lived(slots: ModelSlots, seed: int, strangers: range, size: Size) -> tuple[Card, Card]:
    """What the whole firmware made of strangers' lives: for the two cards."""
    labels = [str(label) for label in LABELS]
    calm, busy, sick, lame, itchy = (
        live(slots, seed, strangers, scenario, lasting)
        for scenario, lasting in (
            (Scenario.CALM_DAY, size.day_min),
            (Scenario.BUSY, size.minutes),
            (Scenario.SICK, size.ill_min),
            (Scenario.LAME_LEFT_FRONT, size.ill_min),
            (Scenario.ITCHY, size.ill_min),
        )
    )
    by_second = {"busy": seconds_metrics(busy, labels), "calm": seconds_metrics(calm, labels)}
    by_minute = {
        "per_kind": minutes_metrics([*sick, *lame], calm),
        "alarms_calm": alarms_a_day(calm),
        "alarms_lame": alarms_a_day(lame),
        "itch_calm": alarms_a_day(calm, "itch"),
        "itch_itchy": alarms_a_day(itchy, "itch"),
    }
    return by_second, by_minute


def _false_alarms(healthy: Dataset, scorer: AnomalyScorer, threshold: float) -> dict[str, float]:
    """Share of the healthy strangers' windows over the threshold, by what they were doing."""
    over = scorer.errors(healthy.windows) > threshold
    shares = {"all": over, **{name: over[healthy.labels == name] for name in map(str, LABELS)}}
    return {name: round(float(np.mean(part)), 4) for name, part in shares.items() if len(part)}


def _progress(quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet),
    )
