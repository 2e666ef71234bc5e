"""The models on the collar: two interpreters, one answer; and what the shipped packages do."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from collar_sim.animal import Animal, Scenario
from collar_sim.firmware.models.arena import arena_bytes
from collar_sim.firmware.models.classifier import (
    AnomalyScorer,
    LiteRtClassifier,
    MicroClassifier,
    Quantisation,
    decide,
    micro_available,
)
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ManifestError, ModelRefused
from plugins.sdk.features import LIMIT, NAMES, prepare, window_features
from plugins.sdk.manifest import Model, Task, read_manifest
from plugins.sdk.package import Package

SHIPPED = Path(__file__).parents[2] / "plugins"
MORNING = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
STRANGERS = range(77_000, 77_004)  # no training has met them

needs_micro = pytest.mark.skipif(not micro_available(), reason="tflite-micro has no wheel here")


@pytest.fixture(scope="module")
def activity() -> Package:
    return Package.load(SHIPPED / "activity")


@pytest.fixture(scope="module")
def anomaly() -> Package:
    return Package.load(SHIPPED / "anomaly")


@pytest.fixture(scope="module")
def golden() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of strangers with the behaviour and the anomaly that fill each of them."""
    return lived(Scenario.SICK, 90)


def lived(scenario: Scenario, minutes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    windows, behaviours, anomalies = [], [], []
    for seed in STRANGERS:
        animal = Animal.draw(seed, home=(48.0, 0.0), scenario=scenario)
        for minute in animal.minutes(MORNING, minutes):
            for second in range(0, 60, 4):
                words = set(minute.behaviour[second : second + 4])
                wrong = set(minute.anomaly[second : second + 4])
                if len(words) == len(wrong) == 1:
                    windows.append(minute.imu[second * 25 : second * 25 + 100])
                    behaviours.append(words.pop())
                    anomalies.append(wrong.pop())
    return np.stack(windows), np.array(behaviours), np.array(anomalies)


@needs_micro
def test_both_interpreters_say_the_same(activity, golden):
    windows = golden[0][::5]
    micro = MicroClassifier(activity).predict(windows)
    litert = LiteRtClassifier(activity).predict(windows)
    assert np.abs(micro - litert).max() < 0.1  # a few steps of int8, of which one is 1/256
    clear = np.abs(np.diff(np.sort(micro, axis=1)[:, -2:], axis=1))[:, 0] > 0.05
    assert clear.mean() > 0.95
    assert np.array_equal(micro.argmax(1)[clear], litert.argmax(1)[clear])


def test_a_batch_gives_what_one_by_one_gives(activity, golden):
    windows = golden[0][:40]
    classifier = LiteRtClassifier(activity)
    batched = classifier.predict(windows)
    single = np.concatenate([classifier.predict(windows[n : n + 1]) for n in range(len(windows))])
    assert np.array_equal(batched, single)
    assert np.array_equal(classifier.predict(windows), batched)


def test_no_windows_give_no_scores(activity, anomaly):
    none = np.zeros((0, 100, 6), np.float32)
    assert LiteRtClassifier(activity).predict(none).shape == (0, 10)
    assert decide(_model(activity), LiteRtClassifier(activity).predict(none)) == []
    assert AnomalyScorer(anomaly, LiteRtClassifier(anomaly)).score(none).shape == (0,)


def test_the_shipped_activity_model_knows_strangers(activity, golden):
    windows, behaviours, anomalies = golden
    healthy = anomalies == ""
    model = _model(activity)
    scores = LiteRtClassifier(activity).predict(windows[healthy])
    assert np.allclose(scores.sum(axis=1), 1.0, atol=0.02)
    truth, said = behaviours[healthy], np.array(model.labels)[scores.argmax(axis=1)]
    assert np.mean(said == truth) > 0.8  # who lies still for four seconds may be asleep or not
    moving = ~np.isin(truth, [Behaviour.SLEEP, Behaviour.REST])
    assert np.isin(said[~moving], [Behaviour.SLEEP, Behaviour.REST]).mean() > 0.99
    # a small dog that keeps its owner's pace trots: a walk to who walks it, a run to the collar
    on_foot = [np.where(words == Behaviour.RUN, Behaviour.WALK, words) for words in (said, truth)]
    assert np.mean(on_foot[0][moving] == on_foot[1][moving]) > 0.9
    assert np.mean(said[truth == Behaviour.WALK] == Behaviour.WALK) > 0.65


def test_abstaining_makes_the_rest_more_often_right(activity, golden):
    windows, behaviours, anomalies = golden
    healthy = anomalies == ""
    model = _model(activity)
    scores = LiteRtClassifier(activity).predict(windows[healthy])
    said = np.array(decide(model, scores))
    sure = said != Behaviour.UNSURE
    right = np.array(model.labels)[scores.argmax(axis=1)] == behaviours[healthy]
    assert 0.85 < sure.mean() < 1.0
    assert right[sure].mean() > right.mean()
    assert (scores.max(axis=1)[~sure] < model.abstain_below).all()
    never = msgspec.structs.replace(model, abstain_below=0.0)
    assert Behaviour.UNSURE not in decide(never, scores)


def test_trembling_scores_above_the_threshold_and_health_below(anomaly, golden):
    windows, behaviours, anomalies = golden
    score = AnomalyScorer(anomaly, LiteRtClassifier(anomaly)).score(windows)
    assert score.min() >= 0.0
    assert score.max() <= 1.0
    assert np.mean(score[anomalies == ""] > 0.5) < 0.05
    assert np.mean(score[anomalies == "tremor"] > 0.5) > 0.9
    healthy = score[(anomalies == "") & (behaviours == Behaviour.WALK)]
    windows, behaviours, _ = lived(Scenario.LAME_LEFT_FRONT, 60)
    lame = AnomalyScorer(anomaly, LiteRtClassifier(anomaly)).score(
        windows[behaviours == Behaviour.WALK]
    )
    above = np.mean(lame[:, None] > healthy[None])  # the area under the ROC curve
    assert above > 0.75  # of single windows: strides vary, and only a minute tells (card: 0.97)


def test_a_score_of_one_half_is_the_threshold(anomaly, golden):
    scorer = AnomalyScorer(anomaly, LiteRtClassifier(anomaly))
    errors, scores = scorer.errors(golden[0]), scorer.score(golden[0])
    threshold = _model(anomaly).threshold
    assert np.array_equal(errors > threshold, scores > 0.5)


@needs_micro
def test_anomaly_scores_hardly_depend_on_the_interpreter(anomaly, golden):
    windows = golden[0][::7]
    micro = AnomalyScorer(anomaly, MicroClassifier(anomaly)).score(windows)
    litert = AnomalyScorer(anomaly, LiteRtClassifier(anomaly)).score(windows)
    assert np.abs(micro - litert).max() < 0.05


@needs_micro
def test_the_shipped_models_fit_the_collar_as_measured(activity, anomaly, capfd):
    for package in (activity, anomaly):
        model = _model(package)
        assert len(package.model or b"") <= model.budget.flash_bytes
        assert arena_bytes(package.model or b"") <= model.budget.arena_bytes
    assert capfd.readouterr().err == ""


def test_the_cards_of_what_ships_reach_what_was_asked(activity, anomaly):
    cards = {
        package.manifest.id: json.loads((package.folder / "card.json").read_text("utf-8"))
        for package in (activity, anomaly)
    }
    for package in (activity, anomaly):
        assert cards[package.manifest.id]["id"] == package.ref
    says = cards["activity"]
    assert abs(says["int8"]["macro_f1"] - says["float"]["macro_f1"]) <= 0.01
    assert says["calibration_error"] <= 0.05
    finds = cards["anomaly"]
    assert abs(finds["int8"]["auc"] - finds["float"]["auc"]) <= 0.01
    assert finds["days"]["alarms_calm"]["a_day"] <= 1.0
    for kind, least in (("limp", 0.95), ("seizure", 0.95), ("tremor", 0.99)):
        assert finds["days"]["per_kind"][kind]["auc"] >= least


def test_a_package_in_the_wrong_place_is_refused(activity):
    with pytest.raises(ModelRefused, match="no reconstruction"):
        AnomalyScorer(activity, LiteRtClassifier(activity))


def test_a_manifest_says_what_its_task_needs(tmp_path):
    text = (SHIPPED / "anomaly" / "plugin.toml").read_text()
    (tmp_path / "plugin.toml").write_text(re.sub(r"threshold = .*\n", "", text))
    with pytest.raises(ManifestError, match="threshold"):
        read_manifest(tmp_path)
    with pytest.raises(ValueError, match="labels"):
        Model(sha256="0" * 64, task=Task.CLASSIFY)
    with pytest.raises(ValueError, match="unsure"):
        Model(sha256="0" * 64, task=Task.CLASSIFY, labels=[Behaviour.REST, Behaviour.UNSURE])


def test_int8_rounds_to_the_nearest_step_and_clips():
    grid = Quantisation(0.1, 3)
    values = np.array([0.0, 0.26, -100.0, 100.0], np.float32)
    counts = grid.to_int8(values)
    assert counts.tolist() == [3, 6, -128, 127]
    assert np.allclose(grid.to_float(counts)[:2], [0.0, 0.3])


def test_features_do_not_depend_on_how_the_collar_sits(golden):
    windows = golden[0][::9]
    angle = 1.1
    about_neck = np.array(
        [[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]]
    )
    turned = np.concatenate(
        [windows[..., :3] @ about_neck.T, windows[..., 3:] @ about_neck.T], axis=2
    ).astype(np.float32)
    change = np.abs(window_features(windows, 25.0) - window_features(turned, 25.0))
    assert change[:, :-1].max() < 1e-3
    assert np.mean(change[:, -1] < 1e-3) > 0.98  # of two equal peaks rounding may pick the other


def test_features_are_named_finite_and_limited(anomaly):
    rng = np.random.default_rng(0)
    wild = rng.uniform(-8, 8, (5, 100, 6)).astype(np.float32)
    wild[0] = 0.0
    wild[1] = 1e-20
    features = window_features(wild, 25.0)
    assert features.shape == (5, len(NAMES)) == (5, 36)
    assert np.isfinite(features).all()
    assert np.abs(prepare(_model(anomaly), wild)).max() <= LIMIT


def _model(package: Package) -> Model:
    assert package.manifest.model is not None
    return package.manifest.model
