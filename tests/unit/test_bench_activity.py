"""How models are judged on recordings: who teaches and judges, what counts, how sure it is."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from bench import recordings
from bench.activity_real import STILL_G, as_dataset, folds_of
from bench.forests import FLOOR, free_features, smoothed
from bench.judging import Answers, interval, majority, tally
from bench.recordings import Recording, Windows, windows_of
from bench.report import Figure
from bench.verdict import Found, report
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.mapping import MotionMapping

RNG = np.random.default_rng(3)
RECORDINGS = Path(os.environ.get("PAWMESH_RECORDINGS") or Path(__file__).parents[3] / "shared/data")


def held(*animals: str) -> list[Recording]:
    imu = RNG.normal(0.0, 0.1, (400, 6)).astype(np.float32)
    return [Recording(each, f"{each}-1", "walk", 25.0, imu) for each in animals]


def answers(truth: str, said: str, sessions: str) -> Answers:
    words = {"w": "walk", "r": "rest", "v": "vehicle", "u": "unsure"}
    return Answers(
        np.array([words[each] for each in truth]),
        np.array([words[each] for each in said]),
        np.array(list(sessions)),
    )


def test_each_animal_is_judged_by_the_others_unless_named() -> None:
    dogs = held("ace", "bo", "cy")
    assert [(f.train, f.test) for f in folds_of(dogs, [], [])] == [
        (["bo", "cy"], ["ace"]),
        (["ace", "cy"], ["bo"]),
        (["ace", "bo"], ["cy"]),
    ]
    [fold] = folds_of(dogs, ["ace", "bo"], ["cy"])
    assert (fold.train, fold.test) == (["ace", "bo"], ["cy"])
    [fold] = folds_of(dogs, [], ["cy"])
    assert (fold.train, fold.test) == (["ace", "bo"], ["cy"])
    [fold] = folds_of(dogs, ["ace"], [])
    assert (fold.train, fold.test) == (["ace"], ["bo", "cy"])


@pytest.mark.parametrize(
    ("animals", "train", "test", "named"),
    [
        (("ace", "bo"), ["ace"], ["rex"], "no labelled recording of rex; there are ace, bo"),
        (("ace", "bo"), ["ace"], ["ace"], "ace cannot both teach and judge"),
        (("ace",), [], [], "cannot both teach and judge"),
        (("ace",), [], ["ace"], "cannot both teach and judge"),
    ],
)
def test_an_animal_that_is_missing_or_on_both_sides_is_refused(
    animals: tuple[str, ...], train: list[str], test: list[str], named: str
) -> None:
    with pytest.raises(RecordingError, match=named):
        folds_of(held(*animals), train, test)


def test_abstaining_is_wrong_and_what_nobody_taught_is_left_out() -> None:
    run = answers("wwwwrrvv", "wwuwwrww", "aabbccdd")
    assert run.coverage == 7 / 8
    found = tally([run], ["rest", "walk"])
    rest, walk = found.per_class()
    assert rest == pytest.approx(2 * 1 / (2 + 1))
    assert walk == pytest.approx(2 * 3 / (4 + 4))  # the vehicle's windows count nowhere
    assert found.macro() == pytest.approx((rest + walk) / 2)


def test_an_interval_is_as_wide_as_sessions_differ() -> None:
    rng = np.random.default_rng(0)
    alike = tally([answers("wwrrwwrr", "wrrwwrrw", "aabbccdd")], ["rest", "walk"])
    assert interval(alike.drawn(rng)) == [0.5, 0.5]
    apart = tally([answers("wwrrwwrr", "wwrrrrww", "aabbccdd")], ["rest", "walk"])
    low, high = interval(apart.drawn(rng))
    assert (low, high) == (0.0, 1.0)
    assert majority(np.array(["walk", "rest", "walk"]), ["rest", "walk"]) == pytest.approx(0.4)


def test_smoothing_reaches_back_a_minute_and_never_into_another_session() -> None:
    sure, unsure = [0.9, 0.1], [0.45, 0.55]
    scores = np.array([sure, *[unsure] * 40, unsure])
    sessions = np.array(["a"] * 41 + ["b"])
    logs = smoothed(scores, sessions, 2.0)
    said = logs.argmax(axis=1)
    assert said[:10].tolist() == [0] * 10  # one sure window outweighs ten others
    assert np.allclose(logs[30:], np.log(unsure))  # a minute later, or in another session, none
    assert np.allclose(smoothed(np.array([[1.0, 0.0]]), np.array(["a"]), 2.0)[0, 1], np.log(FLOOR))


def test_a_dog_that_stands_still_in_a_walk_teaches_rest() -> None:
    samples = RNG.normal(0.0, 0.2, (4, 100, 6)).astype(np.float32)
    samples[1] *= STILL_G / 2
    samples[3] *= STILL_G / 2
    labels = np.array(["walk", "walk", "rest", "sleep"])
    windows = Windows(samples, labels, np.full(4, "bo"), np.full(4, "s"))
    taught = as_dataset(windows, ["sleep", "rest", "walk"])
    assert taught.labels.tolist() == ["walk", "rest", "rest", "sleep"]
    taught = as_dataset(windows, ["sleep", "walk"])
    assert taught.purity.tolist() == [1.0, 0.0, 1.0, 1.0]  # 0 teaches nothing
    assert set(taught.animals.tolist()) == {"bo/s"}


def test_the_forests_features_do_not_depend_on_how_the_collar_sits() -> None:
    windows = windows_of(held("bo"), 100, 50).samples + np.array([0, 0, 1, 0, 0, 0])
    turned = windows[:, :, [2, 0, 1, 5, 3, 4]]
    before, after = (free_features(each, 25.0) for each in (windows, turned))
    assert np.abs(before - after).max() < 1e-3


def test_the_report_has_every_key_that_others_rely_on() -> None:
    found = Found(labels={"bo": ["rest", "walk"]}, flash_bytes=14_000, macs=27_000)
    good, poor = answers("wwrrv", "wwrrw", "aabbc"), answers("wwrrv", "wwwww", "aabbc")
    found.said["bo"] = {
        "ours": [good],
        "float": [good],
        "forest_strong": [poor],
        "forest_naive": [poor],
        "zero_shot": [answers("wwrrv", "uuwww", "aabbc")],
    }
    made = json.loads(json.dumps(report(found, seeds=1)))
    wanted = (
        "per_animal per_class support majority forest_naive forest_strong ours ratio_to_strong "
        "coverage float_macro_f1 int8_macro_f1 flash_bytes arena_bytes macs zero_shot"
    )
    assert set(wanted.split()) <= made.keys()
    assert set(asdict(Figure(**{k: made[k] for k in Figure.__dataclass_fields__}))) <= made.keys()
    assert (made["ours"], made["forest_strong"], made["zero_shot"]) == (1.0, 0.3333, 0.0)
    assert made["passed"]
    assert made["per_animal"]["bo"]["unlearnable"] == {"vehicle": 1}
    assert made["support"]["bo"] == {"rest": 2, "vehicle": 1, "walk": 2}
    found.said["bo"]["float"] = [poor]  # int8 so far from float is no pass
    assert not report(found, seeds=1)["passed"]


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings here")
def test_the_dogs_recording_is_read_as_it_is() -> None:
    found = recordings.read(RECORDINGS / "dog_collar_imu.parquet", MotionMapping(), {})
    assert {each.animal for each in found} == {"Bernie", "Molly"}
    molly = {each.label for each in found if each.animal == "Molly"}
    assert molly == {"walk", "run", "vehicle", "rest", "play"}
    assert len(windows_of([each for each in found if each.label == "sleep"], 82, 41)) == 1_037
