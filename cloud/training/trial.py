"""Champion and challenger, both as int8, on the same windows of pets that neither learned from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.models.interpreter import answers
from cloud.models.models import Champion
from cloud.training.challenger import Challenger
from cloud.training.dataset import Dataset, Text
from cloud.training.gate import Reason, RunRefused, Scores
from cloud.training.judge import activity_metrics
from plugins.sdk.manifest import Model, Place
from plugins.sdk.package import admitted

Found = dict[str, Any]
Rows = NDArray[np.int64]

LEAST_WINDOWS = 5  # of a behaviour, to count: on its only two windows chance would be the judge
DRAWS = 400


@dataclass(frozen=True)
class Trial:
    """What the judges found."""

    whole: Scores
    pets: dict[str, Scores]
    champion: Found
    """Metrics over all windows, without any pet's name."""
    challenger: Found
    float_: Found
    """The challenger before it was made int8."""
    digest: str
    """Of the windows."""

    def card(self) -> Found:
        """As the challenger's card has it."""
        judged_on = {"pets": len(self.pets), "windows": self.whole.windows, "digest": self.digest}
        return {
            "judged_on": judged_on,
            "int8": self.challenger,
            "float": self.float_,
            "champion": self.champion,
        }

    def per_pet(self) -> dict[str, dict[str, float]]:
        """As the run's report has it."""
        return {
            pet: {
                "windows": scores.windows,
                "champion": scores.champion,
                "challenger": scores.challenger,
                "chance": scores.chance,
            }
            for pet, scores in self.pets.items()
        }


def hold(champion: Champion, old: Model, made: Challenger, judge: Dataset) -> Trial:
    """Let both answer.

    Args:
        champion: As it is kept.
        old: The champion's model, from its manifest.
        made: The challenger, with the same labels.
        judge: Fair windows of judges alone.

    Raises:
        RunRefused: No behaviour has windows enough to be judged on.
    """
    labels = [str(label) for label in made.model.labels]
    names = np.array(labels)
    content = admitted(champion.content, old, Place.COLLAR)
    scores = answers(old, content, judge.windows)
    before: Found = activity_metrics(judge, labels, scores, old.abstain_below, LEAST_WINDOWS)
    if before["macro_f1"] is None:
        raise RunRefused(
            Reason.TOO_FEW_WINDOWS, f"no behaviour has {LEAST_WINDOWS} fair windows of judges"
        )
    abstain_below = made.model.abstain_below
    new_scores = made.scores(judge.windows)
    after: Found = activity_metrics(judge, labels, new_scores, abstain_below, LEAST_WINDOWS)
    float_scores = made.float_scores(judge.windows)
    floats: Found = activity_metrics(judge, labels, float_scores, abstain_below, LEAST_WINDOWS)
    floats.pop("per_animal")
    old_by_pet: Found = before.pop("per_animal")
    new_by_pet: Found = after.pop("per_animal")
    return Trial(
        whole=Scores(len(judge), before["macro_f1"], after["macro_f1"]),
        pets={
            pet: Scores(
                int(np.sum(judge.animals == pet)),
                old_by_pet[pet]["macro_f1"],
                new_by_pet[pet]["macro_f1"],
                chance_of_loss(
                    judge.labels[judge.animals == pet],
                    names[np.argmax(scores[judge.animals == pet], axis=1)],
                    names[np.argmax(new_scores[judge.animals == pet], axis=1)],
                ),
            )
            for pet in sorted(old_by_pet)
            if old_by_pet[pet]["macro_f1"] is not None  # of few windows of many kinds
        },
        champion=before,
        challenger=after,
        float_=floats,
        digest=judge.digest(),
    )


def chance_of_loss(truth: Text, before: Text, after: Text) -> float:
    """How much of a loss of macro-F1 the luck of the drawn windows may have made.

    The windows are drawn again, with replacement, as often as it takes to know (Efron's bootstrap);
    both models answer the same draw.

    Args:
        truth: What each window was.
        before: What the champion said.
        after: What the challenger said.

    Returns:
        The mean loss over the draws less the loss that 95 of 100 reach.
    """
    counted = [label for label in np.unique(truth) if np.sum(truth == label) >= LEAST_WINDOWS]
    if not counted:
        return 0.0
    rng = np.random.default_rng(0)  # the same windows, the same verdict
    drawn = rng.integers(0, len(truth), (DRAWS, len(truth)))
    losses = _macro(truth, before, counted, drawn) - _macro(truth, after, counted, drawn)
    return round(float(losses.mean() - np.quantile(losses, 0.05)), 4)


def _macro(truth: Text, said: Text, labels: list[Any], drawn: Rows) -> NDArray[np.float64]:
    """Macro-F1 of each draw."""
    scores: list[NDArray[np.float64]] = []
    for label in labels:
        is_, guessed = truth == label, said == label
        hits = (is_ & guessed)[drawn].sum(axis=1)
        scores.append(
            2.0 * hits / np.maximum(1, is_[drawn].sum(axis=1) + guessed[drawn].sum(axis=1))
        )
    return np.mean(scores, axis=0)
