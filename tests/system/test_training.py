"""A training from nothing: simulated animals in, packages out that know animals they never met."""

import json

import numpy as np
import pytest

from cloud.training import activity
from cloud.training.dataset import cut, joined
from cloud.training.errors import DatasetTooSmall
from collar_sim.firmware.classifier import AnomalyScorer, LiteRtClassifier
from pawmesh.models import Trained, record, train
from plugins.sdk.package import Package

SMALL = {"animals": 4, "strangers": 2, "minutes": 40, "epochs": 12}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    return train(tmp_path_factory.mktemp("models"), seed=5, quiet=True, **SMALL)


def test_both_packages_load_and_run(trained):
    windows = record(5, 4, 2, 10).strangers.windows
    package = Package.load(trained.activity)
    assert LiteRtClassifier(package).predict(windows).shape == (len(windows), 4)
    package = Package.load(trained.anomaly)
    assert AnomalyScorer(package, LiteRtClassifier(package)).score(windows).shape == (len(windows),)


def test_the_card_judges_each_animal_that_training_never_met(trained):
    for folder in (trained.activity, trained.anomaly):
        card = json.loads((folder / "card.json").read_text())
        learned = {*card["training"]["fit_animals"], *card["training"]["tune_animals"]}
        judged = set(card["judged_on"]["animals"])
        assert len(learned) == 4
        assert len(judged) == 2
        assert not learned & judged
        for form in ("int8", "float"):
            assert set(card[form]["per_animal"]) == judged
        assert len(card["training"]["fit_digest"]) == 64
        assert card["flash_bytes"] <= 16_384
        assert card["macs"] > 0


def test_even_a_small_training_learns_something(trained):
    card = trained.cards["activity"]
    assert card["int8"]["macro_f1"] > 0.5
    assert abs(card["int8"]["macro_f1"] - card["float"]["macro_f1"]) < 0.1
    assert 0.5 < card["int8"]["coverage"] <= 1.0


def test_the_same_seed_gives_the_same_files(trained, tmp_path):
    again = train(tmp_path, seed=5, quiet=True, **SMALL)
    for one, other in ((trained.activity, again.activity), (trained.anomaly, again.anomaly)):
        for name in ("plugin.toml", "model.tflite", "card.json"):
            assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_label_without_windows_cannot_be_learned():
    still = cut(np.zeros((1000, 6), np.float32), np.full(40, "rest"), np.full(40, ""), "a")
    with pytest.raises(DatasetTooSmall, match="walk"):
        activity.fit(joined([still, still]), ["rest", "walk"], 1, epochs=1)
