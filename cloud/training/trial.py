"""Champion and challenger, both as int8, on the same windows of pets that neither learned from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cloud.models.interpreter import answers
from cloud.models.models import Champion
from cloud.training.challenger import Challenger
from cloud.training.dataset import Dataset
from cloud.training.gate import Scores
from cloud.training.judge import activity_metrics
from plugins.sdk.manifest import Model, Place
from plugins.sdk.package import admitted

Found = dict[str, Any]


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
    """
    labels = [str(label) for label in made.model.labels]
    content = admitted(champion.content, old, Place.COLLAR)
    scores = answers(old, content, judge.windows)
    before: Found = activity_metrics(judge, labels, scores, old.abstain_below)
    abstain_below = made.model.abstain_below
    after: Found = activity_metrics(judge, labels, made.scores(judge.windows), abstain_below)
    float_scores = made.float_scores(judge.windows)
    floats: Found = activity_metrics(judge, labels, float_scores, abstain_below)
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
            )
            for pet in sorted(old_by_pet)
        },
        champion=before,
        challenger=after,
        float_=floats,
        digest=judge.digest(),
    )
