"""A new activity model from what owners shared: trained, int8, admitted, with its threshold."""

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
import structlog

from cloud.models.interpreter import answers, golden_answers
from cloud.models.models import Champion
from cloud.training import activity
from cloud.training.activity import Fitted
from cloud.training.dataset import Dataset
from cloud.training.errors import DatasetTooSmall, WeightsRefused
from cloud.training.gate import Reason, RunRefused
from cloud.training.judge import threshold_for_coverage
from plugins.sdk.admission import admit
from plugins.sdk.arrays import FloatArray
from plugins.sdk.errors import ModelRefused
from plugins.sdk.features import prepare
from plugins.sdk.golden import packed
from plugins.sdk.manifest import COLLAR_BUDGET, Model, View

log: structlog.stdlib.BoundLogger = structlog.get_logger()


COVERAGE = 0.95  # the share of windows that a model decides, on animals that set its threshold


@dataclass(frozen=True)
class Recipe:
    """How a training goes on from the champion."""

    seed: int = 1
    epochs: int = 24
    learning_rate: float = 1e-3
    """A third of what a training from nothing begins with: it shall move, and not forget."""
    per_class: int = 200
    """Most windows taken of a class of a pet."""


@dataclass(frozen=True)
class Challenger:
    """A model that may be judged."""

    model: Model
    """As its manifest will say it."""
    content: bytes
    golden: bytes
    fitted: Fitted

    def scores(self, windows: FloatArray) -> FloatArray:
        """Of its int8 form."""
        return answers(self.model, self.content, windows)

    def float_scores(self, windows: FloatArray) -> FloatArray:
        """Of the form it had before."""
        return self.fitted.predict(prepare(self.model, windows))

    def card(self, recipe: Recipe, champion: Champion) -> dict[str, Any]:
        """How it was made; whose data it learned from stays in the run's report."""
        return {
            "training": {
                "data": "windows that owners shared, with their own words for them",
                "started_from": champion.ref if champion.weights else None,
                "seed": recipe.seed,
                "epochs": recipe.epochs,
                "learning_rate": recipe.learning_rate,
                "versions": {name: version(name) for name in ("numpy", "tensorflow-cpu", "keras")},
                "machine": platform.machine(),
            },
            "flash_bytes": len(self.content),
            "macs": self.fitted.macs,
        }


def train(
    champion: Champion, model: Model, fit: Dataset, tune: Dataset, recipe: Recipe
) -> Challenger:
    """The model that learned from these windows; same windows, recipe and machine, same bytes.

    Args:
        champion: Where it starts.
        model: The champion's, from its manifest: the challenger has the same labels.
        fit: What it learns from.
        tune: Of other pets than judge it: sets the score under which it abstains.
        recipe: How.

    Raises:
        RunRefused: A label was never named, or no collar may run the result.
    """
    labels = [str(label) for label in model.labels]
    try:
        fitted = _fit(champion, fit, labels, recipe)
    except DatasetTooSmall as error:
        raise RunRefused(Reason.TOO_FEW_LABELS, str(error)) from None
    model = msgspec.structs.replace(model, sees=View.FEATURES, standard=fitted.standard)
    try:
        content = admit(
            fitted.tflite, COLLAR_BUDGET, input_shape=model.input_shape, outputs=model.outputs
        )
    except ModelRefused as error:
        raise RunRefused(Reason.NOT_ADMITTED, str(error)) from None
    draft = msgspec.structs.replace(
        model, sha256=hashlib.sha256(content).hexdigest(), abstain_below=0.0, budget=COLLAR_BUDGET
    )
    threshold = threshold_for_coverage(answers(draft, content, tune.windows), COVERAGE)
    return Challenger(
        model=msgspec.structs.replace(draft, abstain_below=min(threshold, 1.0)),
        content=content,
        golden=packed(golden_answers(draft, content)),
        fitted=fitted,
    )


def _fit(champion: Champion, fit: Dataset, labels: list[str], recipe: Recipe) -> Fitted:
    """Going on from the champion; from nothing if its weights are of another network."""
    given: dict[str, Any] = {"epochs": recipe.epochs, "per_class": recipe.per_class}
    if champion.weights is not None:
        try:
            return activity.fit(
                *(fit, labels, recipe.seed),
                start=champion.weights,
                learning_rate=recipe.learning_rate,
                **given,
            )
        except WeightsRefused as error:
            log.warning("weights.refused", model=champion.ref, error=str(error))
    return activity.fit(fit, labels, recipe.seed, **given)
