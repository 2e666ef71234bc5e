"""How models are judged on recordings: who teaches and judges, what counts, how sure it is."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import plugins
from bench import recordings
from bench.activity_real import Fold, folds_of, judge
from bench.contenders import Side, as_dataset, shipped
from bench.forests import FLOOR, free_features, smoothed
from bench.judging import Answers, interval, majority, tally
from bench.minutes import STILL_G, Minutes, taught
from bench.recordings import Recording, Windows, windows_of
from bench.report import Figure
from bench.simulated_teacher import SimulatedTeacher
from bench.verdict import MODELS, Cost, Found, report
from collar_sim.firmware.models.classifier import LiteRtClassifier
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.mapping import MotionMapping
from pawmesh.models.made import model_of
from plugins.sdk.arrays import FloatArray
from plugins.sdk.package import Package

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
    windows = Windows(samples, labels, np.full(4, "bo"), np.full(4, "bo/s"))
    assert as_dataset(windows).labels.tolist() == ["walk", "rest", "rest", "sleep"]
    restless = Windows(samples[[0, 1, 3]], labels[[0, 1, 3]], windows.animals[:3], labels[:3])
    assert as_dataset(restless).labels.tolist() == ["walk", "sleep"]  # nobody taught rest


def test_a_minute_is_its_windows_mean_and_spread_and_rests_if_mostly_still() -> None:
    samples = RNG.normal(0.0, 0.2, (5, 100, 6)).astype(np.float32)
    samples[1:3] *= STILL_G / 2
    sessions = np.array(["bo/1", "bo/1", "bo/1", "bo/2", "bo/2"])
    seen = Minutes.of(Windows(samples, np.full(5, "walk"), np.full(5, "bo"), sessions), 2.0)
    mean, spread = np.split(seen.inputs, 2, axis=1)
    alone = np.concatenate(
        [Minutes.of(_one(samples[k]), 2.0).inputs[:, : mean.shape[1]] for k in range(5)]
    )
    for row, held in ((0, alone[:1]), (2, alone[:3]), (3, alone[3:4]), (4, alone[3:])):
        assert np.allclose(mean[row], held.mean(axis=0), atol=1e-4)
        assert np.allclose(spread[row], held.std(axis=0), atol=5e-3)
    assert seen.still.tolist() == [False, False, True, False, False]  # one of two is not most
    assert taught(np.array(["walk", "rest"]), np.array([True, False])).tolist() == ["rest", "rest"]


def _one(samples: FloatArray) -> Windows:
    return Windows(samples[None], np.array(["walk"]), np.array(["bo"]), np.array(["bo/1"]))


def test_of_an_even_minute_the_shipped_model_teaches_what_it_says_of_each_of_its_windows() -> None:
    calm = RNG.normal([0, 0, 1, 0, 0, 0], 0.003, (3, 100, 6)).astype(np.float32)
    windows = _session(calm, "bo/1")
    package = Package.load(Path(plugins.__path__[0]) / "activity")
    scores = LiteRtClassifier(package).predict(calm)
    names = [label.value for label in model_of(package).labels]
    labels = ["run", "sleep"]
    wanted = scores[:, [names.index(label) for label in labels]]
    even = Minutes.of(windows, 60.0).inputs  # of one window each: no spread
    said = np.exp(SimulatedTeacher(package).logs(even, labels, np.random.default_rng(1)))
    assert np.allclose(said, np.maximum(wanted, FLOOR) / np.maximum(wanted, FLOOR).sum(1)[:, None])
    assert (said[:, 1] > said[:, 0]).all()


def test_what_a_collar_says_of_two_seconds_rests_on_no_more_than_two_windows() -> None:
    lively = RNG.normal(0.0, 0.5, (20, 100, 6)).astype(np.float32)
    calm = (lively * 0.001 + np.array([0, 0, 1, 0, 0, 0])).astype(np.float32)
    both = np.concatenate([lively[:10], calm[:10]])
    one = _session(both, "bo/1")
    said = shipped(one)
    assert set(said) == {"zero_shot", "zero_shot_seconds"}
    calm_alone = shipped(_session(calm[:10], "bo/1"))["zero_shot_seconds"]
    assert said["zero_shot_seconds"][11:].tolist() == calm_alone[1:].tolist()
    twice = Windows(
        np.concatenate([lively[:10], calm[:10]]),
        one.labels,
        one.animals,
        np.repeat(["bo/1", "bo/2"], 10),
    )
    assert shipped(twice)["zero_shot_seconds"][10:].tolist() == calm_alone.tolist()


def _session(samples: FloatArray, name: str) -> Windows:
    return Windows(
        samples,
        np.full(len(samples), "walk"),
        np.full(len(samples), "bo"),
        np.full(len(samples), name),
    )


def made(*sessions: tuple[str, str, int]) -> list[Recording]:
    """Sessions of noise: whose, of what, how many samples at 25 Hz."""
    return [
        Recording(who, f"{what}", what, 25.0, RNG.normal(0.0, 0.1, (length, 6)).astype(np.float32))
        for who, what, length in sessions
    ]


def test_what_is_learned_and_asked_has_a_window_in_every_cut() -> None:
    side = Side.of(
        made(("ace", "walk", 500), ("bo", "walk", 500), ("bo", "run", 500), ("bo", "play", 110))
    )
    assert side.labels() == ["walk", "run"]  # 4.4 s of play are no window of the strong forest
    assert side.labels("ace") == ["walk"]
    assert side.labels("nobody") == []
    assert set(side.ours.sessions.tolist()) == {"ace/walk", "bo/walk", "bo/run", "bo/play"}


@pytest.mark.parametrize(
    ("sessions", "named"),
    [
        ([("a", "walk", 500), ("b", "walk", 500)], "a teach walk: there must be two behaviours"),
        ([("a", "walk", 50), ("b", "walk", 500)], "no labelled stretch is as long as 100 samples"),
        (
            [("a", "walk", 500), ("a", "run", 500), ("b", "rest", 500)],
            "b has labels rest, those that teach have walk, run",
        ),
        (
            [("a", "walk", 500), ("a", "run", 500), ("b", "walk", 90), ("c", "run", 500)],
            "b has labels of no window",
        ),
    ],
)
def test_animals_with_nothing_to_judge_are_refused_before_anything_is_learned(
    sessions: list[tuple[str, str, int]], named: str
) -> None:
    dogs = made(*sessions)
    [fold] = folds_of(dogs, ["a"], [])
    with pytest.raises(RecordingError, match=named):
        judge(fold, dogs, 1, Found(), print)


def test_recordings_of_another_rate_are_refused_before_anything_is_learned() -> None:
    dogs = made(("a", "walk", 500), ("a", "run", 500))
    slow = Recording("b", "1", "walk", 16.4, dogs[0].imu)
    with pytest.raises(RecordingError, match=r"25\.00 samples a second, those that judge 16\.40"):
        judge(Fold(["a"], ["b"]), [*dogs, slow], 1, Found(), print)


def test_columns_in_another_order_and_rows_without_a_number_are_read_as_they_are_meant(
    tmp_path: Path,
) -> None:
    names = [
        "gyr_z",
        "acc_x",
        "activity",
        "t",
        "gyr_x",
        "dog",
        "acc_z",
        "session",
        "acc_y",
        "gyr_y",
    ]
    rows: list[str] = []
    for at, who in enumerate(("ace", "bo", "cy")):
        for n in range(400):
            value: dict[str, float | str] = dict.fromkeys(names, 0.0) | {
                "acc_x": RNG.normal(0.0, 0.5),
                "acc_y": RNG.normal(0.0, 0.5),
                "acc_z": 9.81 + RNG.normal(0.0, 0.5),
                "gyr_x": RNG.normal(0.0, 30.0),
                "t": f"2024-05-0{1 + at}T08:00:{n * 0.04:09.6f}Z",
                "dog": who,
                "session": "morning",  # of all three
                "activity": "walk",
            }
            value["acc_y"] = "" if 150 <= n < 250 else value["acc_y"]  # 4 s: no window spans it
            rows.append(",".join(str(value[name]) for name in names))
    path = tmp_path / "dogs.csv"
    path.write_text("\n".join([",".join(names), *rows]))
    found = recordings.read(path, MotionMapping(rate_hz=None), {})
    assert {each.animal for each in found} == {"ace", "bo", "cy"}
    assert all(np.isfinite(each.imu).all() for each in found)
    windows = windows_of(found, 100, 50)
    assert len(windows) == 3 * (2 + 2)
    assert windows.samples[:, :, 2].mean() == pytest.approx(1.0, abs=0.02)  # gravity on its axis
    assert set(windows.sessions.tolist()) == {"ace/morning", "bo/morning", "cy/morning"}


def test_the_forests_features_do_not_depend_on_how_the_collar_sits() -> None:
    windows = windows_of(held("bo"), 100, 50).samples + np.array([0, 0, 1, 0, 0, 0])
    turned = windows[:, :, [2, 0, 1, 5, 3, 4]]
    before, after = (free_features(each, 25.0) for each in (windows, turned))
    assert np.abs(before - after).max() < 1e-3


def test_the_report_has_every_key_that_others_rely_on() -> None:
    found = Found(labels={"bo": ["rest", "walk"]}, cost=Cost(14_000, None, 27_000))
    good, poor = answers("wwrrv", "wwrrw", "aabbc"), answers("wwrrv", "wwwww", "aabbc")
    found.said["bo"] = {
        "ours": [good],
        "float": [good],
        "forest_strong": [poor],
        "forest_naive": [poor],
        "as_labelled": [poor],
        "real_alone": [good],
        "by_window": [good],
        "zero_shot": [answers("wwrrv", "uuwww", "aabbc")],
        "zero_shot_seconds": [poor],
    }
    assert set(found.said["bo"]) == set(MODELS)
    told = json.loads(json.dumps(report(found, seeds=1)))
    wanted = (
        "per_animal per_class support majority forest_naive forest_strong ours ratio_to_strong "
        "coverage float_macro_f1 int8_macro_f1 flash_bytes arena_bytes macs zero_shot"
    )
    assert set(wanted.split()) <= told.keys()
    assert set(asdict(Figure(**{k: told[k] for k in Figure.__dataclass_fields__}))) <= told.keys()
    assert (told["ours"], told["forest_strong"], told["zero_shot"]) == (1.0, 0.3333, 0.0)
    assert (told["ratio_as_labelled"], told["ratio_by_window"]) == (1.0, 3.0)
    assert "who does not move rests 1.00" in told["notes"]
    assert told["passed"]
    assert told["per_animal"]["bo"]["unlearnable"] == {"vehicle": 1}
    assert told["support"]["bo"] == {"rest": 2, "vehicle": 1, "walk": 2}
    found.said["bo"]["float"] = [poor]  # int8 so far from float is no pass
    assert not report(found, seeds=1)["passed"]


def test_a_figure_is_the_mean_of_animals_and_seeds_and_a_part_is_beside_the_first_seed() -> None:
    found = Found(labels={"bo": ["rest", "walk"], "cy": ["run", "walk"]})
    good, poor = answers("wwrr", "wwrr", "aabb"), answers("wwrr", "wwww", "aabb")
    swift, slow = (
        Answers(np.where(each.truth == "rest", "run", "walk"), each.said, each.sessions)
        for each in (answers("wwrr", "wwuu", "aabb"), poor)
    )
    f1 = {"good": 1.0, "poor": 1 / 3, "swift": 0.5, "slow": 1 / 3}
    for model in MODELS:
        found.said.setdefault("bo", {})[model] = [poor]
        found.said.setdefault("cy", {})[model] = [slow]
    found.said["bo"]["ours"] = [good, poor]
    found.said["cy"]["ours"] = [swift, slow]
    found.said["cy"]["by_window"] = [swift]
    told = report(found, seeds=2)
    ours = np.mean([f1["good"], f1["poor"], f1["swift"], f1["slow"]])
    assert told["ours"] == pytest.approx(ours, abs=1e-4)
    assert told["ratio_to_strong"] == pytest.approx(ours / f1["poor"], abs=1e-3)
    assert told["coverage"] == pytest.approx((1.0 + 1.0 + 0.5 + 1.0) / 4)
    assert told["per_animal"]["cy"]["seeds"]["ours"] == pytest.approx([0.5, 1 / 3], abs=1e-4)
    walk = {"bo": (1.0 + 2 / 3) / 2, "cy": (1.0 + 2 / 3) / 2}
    assert told["per_class"] == pytest.approx(
        {"rest": 0.5, "walk": np.mean(list(walk.values())), "run": 0.0}, abs=1e-4
    )
    assert told["ratio_by_window"] == pytest.approx((f1["poor"] + f1["swift"]) / 2 / f1["poor"])
    assert f"seed 1 alone: {(f1['good'] + f1['swift']) / 2 / f1['poor']:.2f}" in told["notes"]
    assert told["n"] == 8


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings here")
def test_the_dogs_recording_is_read_as_it_is() -> None:
    found = recordings.read(RECORDINGS / "dog_collar_imu.parquet", MotionMapping(), {})
    assert {each.animal for each in found} == {"Bernie", "Molly"}
    molly = {each.label for each in found if each.animal == "Molly"}
    assert molly == {"walk", "run", "vehicle", "rest", "play"}
    assert len(windows_of([each for each in found if each.label == "sleep"], 82, 41)) == 1_037
