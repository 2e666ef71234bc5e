"""A training from nothing: simulated animals in, packages out that know animals they never met."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import plugins
from cloud.training import activity
from cloud.training.dataset import Dataset, cut, joined
from cloud.training.errors import DatasetTooSmall, WeightsRefused
from cloud.training.judge import activity_metrics
from cloud.training.publish import publish
from cloud.training.weights import unpack
from collar_sim.animal import Animal, Scenario, Wear
from collar_sim.firmware.models.classifier import AnomalyScorer, LiteRtClassifier
from pawmesh.models import shipped
from pawmesh.models.shipped import Size, Trained, train
from plugins.sdk.features import prepare
from plugins.sdk.golden import golden_windows
from plugins.sdk.package import Package

SMALL = Size(animals=3, strangers=2, minutes=90, ill_min=120, day_min=30, epochs=3)
LABELS = [str(label) for label in shipped.LABELS]
SHIPPED = Path(plugins.__path__[0]) / "activity"
MORNING = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    return train(tmp_path_factory.mktemp("models"), 5, SMALL, quiet=True)


def test_both_packages_load_and_run(trained):
    windows = golden_windows(100, 25.0)
    package = Package.load(trained.activity)
    assert LiteRtClassifier(package).predict(windows).shape == (len(windows), 10)
    package = Package.load(trained.anomaly)
    assert AnomalyScorer(package, LiteRtClassifier(package)).score(windows).shape == (len(windows),)


def test_the_card_judges_each_animal_that_training_never_met(trained):
    for folder in (trained.activity, trained.anomaly):
        card = json.loads((folder / "card.json").read_text())
        learned = {*card["training"]["fit_animals"], *card["training"]["tune_animals"]}
        judged = set(card["judged_on"]["animals"])
        assert len(learned) == 3
        assert len(judged) == 2
        assert not learned & judged
        for form in ("int8", "float"):
            assert set(card[form]["per_animal"]) == judged
        assert len(card["training"]["fit_digest"]) == 64
        assert card["flash_bytes"] <= 16_384
        assert card["macs"] > 0


def test_even_a_small_training_learns_something(trained):
    card = trained.cards["activity"]
    assert card["int8"]["macro_f1"] > 0.5  # of ten behaviours, from two animals
    assert abs(card["int8"]["macro_f1"] - card["float"]["macro_f1"]) < 0.05
    assert 0.5 < card["int8"]["coverage"] <= 1.0


def test_the_activity_card_says_when_to_believe_the_model(trained):
    card = trained.cards["activity"]
    whole = card["risk_coverage"][-1]
    assert whole["coverage"] == 1.0
    assert whole["risk"] == pytest.approx(1.0 - card["int8"]["accuracy"], abs=1e-3)
    assert card["risk_coverage"][4]["risk"] < whole["risk"]
    rows = np.array(card["confusion"]["rows"])
    assert rows.sum() == card["int8"]["windows"]
    right = np.trace(rows) / rows.sum()
    assert right == pytest.approx(card["int8"]["accuracy"], abs=1e-3)


def test_the_anomaly_card_judges_each_kind_and_counts_alarms_by_the_day(trained):
    days = trained.cards["anomaly"]["days"]
    assert {"limp", "tremor"} <= set(days["per_kind"])
    for kind in ("limp", "tremor"):
        assert days["per_kind"][kind]["auc"] > 0.7
    assert days["alarms_calm"]["pet_days"] == pytest.approx(2 * 30 / 1440, abs=0.01)


def test_the_same_seed_gives_the_same_files(trained, tmp_path):
    again = train(tmp_path, 5, SMALL, quiet=True)
    for one, other in ((trained.activity, again.activity), (trained.anomaly, again.anomaly)):
        for name in ("plugin.toml", "model.tflite", "card.json", "weights.npz"):
            if name == "weights.npz" and one is trained.anomaly:
                assert not (one / name).exists()
                continue
            assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_label_without_windows_cannot_be_learned():
    still = cut(np.zeros((1000, 6), np.float32), np.full(40, "rest"), np.full(40, ""), "a")
    with pytest.raises(DatasetTooSmall, match="walk"):
        activity.fit(joined([still, still]), ["rest", "walk"], 1, epochs=1)


def recorded(seed: int, wear: Wear, minutes: int = 120) -> Dataset:
    animal = Animal.draw(seed, home=(48.0, 0.0), scenario=Scenario.BUSY, wear=wear)
    lived = list(animal.minutes(MORNING, minutes))
    parts = ("imu", "behaviour", "anomaly")
    arrays = (np.concatenate([getattr(minute, part) for minute in lived]) for part in parts)
    return cut(*arrays, f"animal-{seed}")


def macro_f1(scores: np.ndarray, data: Dataset) -> float:
    return activity_metrics(data, LABELS, scores)["macro_f1"]


def test_what_ships_learns_harnesses_from_some_animals_for_others_and_keeps_collars():
    start = (SHIPPED / "weights.npz").read_bytes()
    package = Package.load(SHIPPED)
    shipped, model = LiteRtClassifier(package), package.manifest.model
    rng = np.random.default_rng(1)
    shared = joined([recorded(seed, Wear.HARNESS) for seed in range(600_000, 600_005)])
    shared = shared.where(rng.random(len(shared)) < 0.15)  # some 250 labels of each animal
    shared = shared.where(shared.labels != "scratch")  # nobody has labelled that one
    harness, collar = (
        joined([recorded(seed, wear) for seed in (600_012, 600_013)])  # the same two strangers
        for wear in (Wear.HARNESS, Wear.COLLAR)
    )
    after = activity.fit(shared, LABELS, 1, start=start, learning_rate=1e-3)
    on_harness, on_collar = (
        (
            macro_f1(shipped.predict(data.windows), data),
            macro_f1(after.predict(prepare(model, data.windows)), data),
        )
        for data in (harness, collar)
    )
    assert on_harness[0] < on_collar[0] - 0.2
    assert on_harness[1] > on_harness[0] + 0.1
    assert on_collar[1] > on_collar[0] - 0.04
    rehearsed = unpack(start, SHAPES).examples
    kept = unpack(after.weights(), SHAPES).examples
    assert np.array_equal(kept.inputs, rehearsed.inputs), "no window that was shared stays"


SHAPES = [
    each.shape for name, each in np.load(SHIPPED / "weights.npz").items() if name.startswith("w0")
]


def changed(**arrays: np.ndarray) -> bytes:
    with np.load(SHIPPED / "weights.npz") as file:
        content = {name: file[name] for name in file.files} | arrays
    target = io.BytesIO()
    np.savez_compressed(target, **content)
    return target.getvalue()


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "no .npz"),
        (b"PK\x03\x04 and then nothing", "no .npz"),
        (changed()[:20_000], "no .npz"),
        (changed(more=np.zeros(3, np.float32)), "arrays of weights"),
        (changed(w000=np.zeros((2, 2), np.float32)), "w000 is"),
        (changed(w000=np.full(SHAPES[0], np.nan, np.float32)), "no number"),
        (changed(w000=np.full(SHAPES[0], "x")), "no number"),
        (changed(w000=np.array([{"a": 1}], dtype=object)), "no .npz"),  # a pickle
        (changed(inputs=np.zeros((3, 50), np.int8)), "no int8 inputs"),
        (changed(inputs=np.zeros((0, 71), np.int8)), "without examples"),
        (changed(targets=np.full(640, 10, np.uint8)), "none of 10 labels"),
        (changed(inputs=np.zeros((9_000_000, 6), np.int8)), "more than"),  # 50 MB in 50 kB
        (changed(standard=np.ones((2, 36))), "the standard is"),
        (changed(standard=np.zeros((2, 71))), "no deviation"),
        (changed(standard=np.full((2, 71), 1e-46)), "no deviation"),
    ],
)
def test_weights_that_are_not_ours_are_refused_with_a_reason(packed, reason):
    with pytest.raises(WeightsRefused, match=reason):
        unpack(packed, SHAPES)


def test_a_training_cannot_go_on_with_no_window_at_all_or_from_other_labels():
    start = (SHIPPED / "weights.npz").read_bytes()
    still = cut(np.zeros((1000, 6), np.float32), np.full(40, "rest"), np.full(40, ""), "a")
    with pytest.raises(WeightsRefused, match="the network has"):
        activity.fit(still, ["rest", "walk"], 1, epochs=1, start=start)
    with pytest.raises(DatasetTooSmall, match="no window of any"):
        activity.fit(still.where(still.labels == "walk"), LABELS, 1, epochs=1, start=start)


def test_weights_of_an_older_package_go_when_there_are_none(tmp_path):
    package = Package.load(SHIPPED)
    publish(tmp_path, package.manifest, package.model or b"", {}, b"weights")
    assert (tmp_path / "weights.npz").read_bytes() == b"weights"
    publish(tmp_path, package.manifest, package.model or b"", {})
    assert not (tmp_path / "weights.npz").exists()
