"""Words of recordings in the platform's, and honest scores."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from collar_sim.replay.errors import RecordingError
from collar_sim.replay.labels import Tally, parse_map, resolve, score
from plugins.sdk.behaviours import Behaviour

DOG_COLLAR = {
    "walk": "walk",
    "run_jog": "run",
    "play": "play",
    "car": "vehicle",
    "leisure": "rest",
    "sleep": "sleep",
}


def test_the_words_of_dog_collar_imu_and_our_own_need_no_map() -> None:
    assert {word: str(each) for word, each in resolve(DOG_COLLAR, {}).items()} == DOG_COLLAR
    ours = [each for each in Behaviour if each is not Behaviour.UNSURE]
    assert resolve(ours, {}) == {each.value: each for each in ours}


def test_a_map_adds_words_overrides_and_leaves_out() -> None:
    given = parse_map("trot=run, car=,leisure=sleep")
    assert resolve(["trot", "Trot", "car", "leisure", "walk"], given) == {
        "trot": Behaviour.RUN,
        "Trot": Behaviour.RUN,
        "car": None,
        "leisure": Behaviour.SLEEP,
        "walk": Behaviour.WALK,
    }


def test_an_unknown_word_names_itself_and_the_remedy() -> None:
    with pytest.raises(RecordingError, match=r"'trot'.*--label-map trot=.*trot= to leave"):
        resolve(["walk", "trot"], {})
    with pytest.raises(RecordingError, match="'unsure'"):
        resolve(["unsure"], {})


@pytest.mark.parametrize("text", ["trot", "=run", "trot=flies", "trot=unsure", "trot=car"])
def test_a_map_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RecordingError, match="--label-map"):
        parse_map(text)


def test_scores_agree_with_scikit_learn_and_abstention_counts_wrong() -> None:
    rng = np.random.default_rng(3)
    true = rng.choice(["walk", "run", "rest"], 500, p=[0.5, 0.3, 0.2])
    said = np.where(rng.random(500) < 0.6, true, rng.choice(["walk", "sniff", "unsure"], 500))
    tally: Tally = {}
    for a, b in zip(true, said, strict=True):
        tally.setdefault(str(a), {})
        tally[str(a)][str(b)] = tally[str(a)].get(str(b), 0) + 1
    tally[""] = {"walk": 7, "unsure": 3}
    found = score({"Rex": tally}, resolve(["walk", "run", "rest"], {}))
    labels = ["rest", "run", "walk"]
    wanted = f1_score(true, said, labels=labels, average="macro")
    assert found.macro_f1["Rex"] == pytest.approx(wanted, abs=1e-4)
    assert found.accuracy["Rex"] == pytest.approx(accuracy_score(true, said), abs=1e-4)
    always = f1_score(true, ["walk"] * 500, labels=labels, average="macro", zero_division=0)
    assert found.majority["Rex"]["macro_f1"] == pytest.approx(always, abs=1e-4)
    decided = 510 - (said == "unsure").sum() - 3
    assert found.coverage == pytest.approx(decided / 510, abs=1e-4)
    assert found.unscored == 10
    assert found.labels == ["rest", "walk", "run"]
    assert sum(found.support["Rex"].values()) == 500


def test_an_animal_without_labels_has_no_score_but_a_coverage() -> None:
    found = score({"Rex": {"": {"walk": 3, "unsure": 1}}}, {})
    assert (found.macro_f1, found.support, found.confusion) == ({}, {}, {})
    assert found.coverage == 0.75


def test_animals_are_scored_apart() -> None:
    tallies: dict[str, Tally] = {
        "Rex": {"walk": {"walk": 4}},
        "Bo": {"walk": {"run": 2}, "run_jog": {"run": 2}},
    }
    found = score(tallies, resolve(["walk", "run_jog"], {}))
    assert found.macro_f1["Rex"] == 1.0
    assert found.macro_f1["Bo"] == pytest.approx((0 + 2 / 3) / 2, abs=1e-4)
    assert found.confusion == {"walk": {"walk": 4, "run": 2}, "run": {"run": 2}}
