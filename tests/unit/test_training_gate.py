"""When a model may replace another, and who may say so."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.training.gate import (
    MAX_LOSS,
    MIN_GAIN,
    Reason,
    RunRefused,
    Scores,
    judges_among,
    require_better,
)
from cloud.training.roles import Role, decide
from cloud.training.runs import Run, RunState, run_seen_by, seen_by
from cloud.training.trial import chance_of_loss

EVEN = {"luna": Scores(40, 0.8, 0.8), "rex": Scores(40, 0.8, 0.8)}


def refused(champion: float, challenger: float, pets: dict[str, Scores] = EVEN) -> Reason:
    with pytest.raises(RunRefused) as caught:
        require_better(Scores(80, champion, challenger), pets)
    assert caught.value.detail
    return caught.value.reason


def test_a_gain_of_one_point_is_enough_and_less_is_not() -> None:
    require_better(Scores(80, 0.8, 0.81), EVEN)
    require_better(Scores(80, 0.7, 0.71), EVEN)  # 0.71 - 0.7 is less than 0.01 in floats
    assert refused(0.8, 0.8099) is Reason.NO_BETTER
    assert refused(0.8, 0.8) is Reason.NO_BETTER
    assert refused(0.8, 0.5) is Reason.NO_BETTER
    assert refused(0.8, float("nan")) is Reason.NO_BETTER


def test_no_animal_pays_for_the_average() -> None:
    pets = EVEN | {"tiny": Scores(10, 0.9, 0.79)}
    assert refused(0.6, 0.9, pets) is Reason.WORSE_FOR_A_PET
    require_better(Scores(80, 0.6, 0.9), EVEN | {"tiny": Scores(10, 0.9, 0.8)})


def test_a_loss_that_chance_explains_stops_nothing() -> None:
    lucky = {"tiny": Scores(10, 0.9, 0.7, chance=0.15)}
    require_better(Scores(80, 0.6, 0.9), EVEN | lucky)
    certain = {"tiny": Scores(10, 0.9, 0.7, chance=0.05)}
    assert refused(0.6, 0.9, EVEN | certain) is Reason.WORSE_FOR_A_PET


def test_few_windows_leave_more_to_chance_than_many() -> None:
    truth = np.array(["rest", "walk"] * 10)
    before, after = truth.copy(), truth.copy()
    after[:6] = "rest"
    few = chance_of_loss(truth, before, after)
    many = chance_of_loss(np.tile(truth, 20), np.tile(before, 20), np.tile(after, 20))
    assert few > 2 * many > 0
    assert few == chance_of_loss(truth, before, after)
    assert chance_of_loss(truth, before, before) == 0
    assert chance_of_loss(truth[:4], before[:4], after[:4]) == 0  # no behaviour counts


def test_a_judge_needs_windows_of_its_own() -> None:
    assert judges_among({"luna": 20, "rex": 20}) == ["luna", "rex"]
    assert judges_among({"luna": 20, "rex": 20, "tiny": 9}) == ["luna", "rex"]


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ({}, Reason.TOO_FEW_PETS),
        ({"luna": 5_000}, Reason.TOO_FEW_PETS),
        ({"luna": 5_000, "rex": 9}, Reason.TOO_FEW_PETS),
        ({"luna": 20, "rex": 19}, Reason.TOO_FEW_WINDOWS),
        ({"luna": 16, "rex": 15, "tiny": 9}, Reason.TOO_FEW_WINDOWS),
    ],
)
def test_too_little_evidence_is_none(windows: dict[str, int], reason: Reason) -> None:
    with pytest.raises(RunRefused) as caught:
        judges_among(windows)
    assert caught.value.reason is reason


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.dictionaries(st.text(min_size=1), st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5),
)
def test_nothing_passes_that_is_worse(
    champion: float, challenger: float, pets: dict[str, tuple[float, float]]
) -> None:
    scores = {pet: Scores(10, *each) for pet, each in pets.items()}
    try:
        require_better(Scores(40, champion, challenger), scores)
    except RunRefused:
        return
    assert challenger - champion > MIN_GAIN - 1e-4
    assert all(each.champion - each.challenger < MAX_LOSS + 1e-4 for each in scores.values())


def test_one_pet_in_three_judges_and_the_order_of_arrival_is_no_matter() -> None:
    pets = dict.fromkeys("abcdef", "dog")
    roles = decide(pets, Counter())
    assert Counter(roles.values()) == {Role.FIT: 4, Role.JUDGE: 2}
    for order in permutations(pets):
        assert decide(dict.fromkeys(order, "dog"), Counter()) == roles


def test_judges_are_there_as_soon_as_there_are_three_pets_of_a_kind() -> None:
    for count in range(3, 40):
        roles = decide({f"p{n}": "cat" for n in range(count)}, Counter())
        judges = sum(role is Role.JUDGE for role in roles.values())
        assert judges >= 1
        assert abs(judges - count / 3) < 1


def test_those_who_come_later_keep_the_share() -> None:
    decided: Counter[str] = Counter()
    judges = 0
    for n in range(30):
        [role] = decide({f"p{n}": "dog"}, decided).values()
        decided["dog"] += 1
        judges += role is Role.JUDGE
    assert judges == 10


def test_each_species_has_judges_of_its_own() -> None:
    pets = {f"d{n}": "dog" for n in range(30)} | {"c1": "cat", "c2": "cat", "c3": "cat"}
    roles = decide(pets, Counter())
    assert [roles[pet] for pet in ("c1", "c2", "c3")].count(Role.JUDGE) == 1


def test_a_report_keeps_other_peoples_ids_from_an_owner() -> None:
    report = {
        "run_id": "run-1",
        "per_pet": {"mine": {"windows": 12}, "yours": {"windows": 15}},
        "dataset": {
            "fit": {"mine": 3, "theirs": 4},
            "tune": {"theirs": 4},
            "judge": {},
            "grants": ["g-mine", "g-yours"],
            "windows": 27,
        },
    }
    seen = seen_by(report, {"mine", "g-mine"})
    assert "yours" not in str(seen)
    assert "theirs" not in str(seen)
    assert seen["dataset"]["windows"] == 27
    assert seen["dataset"]["fit"] == {"mine": 3}
    assert "yours" in str(report)


def test_what_broke_a_run_is_for_the_operator_alone():
    why = "OperationalError: connection to 10.1.2.3 as pawmesh failed"
    run = Run(
        run_id="run-1",
        slot="activity",
        seed=0,
        state=RunState.FAILED,
        started_at=datetime(2026, 5, 1, tzinfo=UTC),
        ended_at=None,
        reason=None,
        detail=why,
        report={"detail": why, "state": "failed"},
    )
    seen = run_seen_by(run, set())
    assert "10.1.2.3" not in str(seen)
    assert (seen.state, bool(seen.detail)) == (RunState.FAILED, True)
    refused = replace(run, state=RunState.REFUSED, detail="too few windows")
    assert run_seen_by(refused, set()).detail == "too few windows"
