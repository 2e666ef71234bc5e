"""What the mood hints promise: the pet's own usual, abstention, and patience."""

import math
import random
import tomllib
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.emotion.plugin import BASELINE_MIN, MAX_OBSERVATIONS, Baseline, predict
from plugins.sdk import FindingState, Input, Outputs, Record, Severity
from plugins.sdk.testkit import epoch, run

MANIFEST = Path(__file__).parents[2] / "plugins/emotion/plugin.toml"
DIAGNOSES = ("anxi", "depress", "pain", "ill", "sick", "disease", "stress", "disorder")


def usual_day(size_g: float = 0.3, minutes: int = 600, seed: int = 1) -> list[Record]:
    """Resting and walking minutes in turn, the walking ones around ``size_g``."""
    draw = random.Random(seed)
    day: list[Record] = []
    for i in range(minutes):
        lively = size_g * math.exp(draw.gauss(0, 0.4))
        odd = draw.uniform(0.0, 0.45)
        if i % 3 == 0:
            day.append(epoch(i * 60.0, {"rest": 60.0}, odba_g=0.02, anomaly=odd))
        else:
            day.append(epoch(i * 60.0, {"walk": 50.0, "rest": 10.0}, odba_g=lively, anomaly=odd))
    return day


def judge(*batches: list[Record], **more: object) -> Outputs:
    chunks = [batch[i : i + 50] for batch in batches for i in range(0, len(batch), 50)]
    return run(predict, chunks, stream=Input.EPOCH, **more)


def labels(outputs: Outputs) -> list[str]:
    return [observation.label for observation in outputs.observations]


USUAL = judge(usual_day()).state
NEXT_S = 600 * 60.0


def after_usual(*epochs: Record) -> Outputs:
    return judge(list(epochs), state=USUAL)


def odd_minutes(n: int, start: int = 0) -> list[Record]:
    return [
        epoch(NEXT_S + (start + i) * 60.0, {"walk": 60.0}, odba_g=0.3, anomaly=0.95)
        for i in range(n)
    ]


def usual_minutes(n: int, start: int) -> list[Record]:
    return [
        epoch(NEXT_S + (start + i) * 60.0, {"rest": 60.0}, odba_g=0.02, anomaly=0.1)
        for i in range(n)
    ]


def test_it_abstains_until_the_baseline_is_old_enough() -> None:
    young = judge(usual_day(minutes=BASELINE_MIN))
    assert set(labels(young)) == {"unsure"}
    assert all(observation.confidence == 0.0 for observation in young.observations)


@pytest.mark.parametrize(
    ("seconds", "fields", "label"),
    [
        ({"sleep": 60.0}, {"odba_g": 0.01}, "calm"),
        ({"walk": 60.0}, {"odba_g": 0.25}, "active"),
        ({"run": 60.0}, {"odba_g": 2.0}, "excited"),
        ({"walk": 60.0}, {"odba_g": 0.25, "anomaly": 0.95}, "uneasy"),
        ({"run": 60.0}, {"odba_g": 2.0, "anomaly": 0.95}, "excited"),  # odd, but no surprise
        ({"vehicle": 60.0}, {"odba_g": 0.25, "anomaly": 0.95}, "unsure"),
        ({"walk": 20.0, "unsure": 40.0}, {"odba_g": 0.25}, "unsure"),
        ({"walk": 60.0}, {"odba_g": 0.25, "windows_unsure": 20}, "unsure"),
        ({"walk": 60.0}, {"odba_g": 0.25, "windows": 0}, "unsure"),
        ({"walk": 31.0, "rest": 29.0}, {"odba_g": 0.25, "windows": 8}, "unsure"),  # on the edge
    ],
)
def test_a_minute_is_read_against_the_pets_own_usual(
    seconds: dict[str, float], fields: dict[str, float], label: str
) -> None:
    assert labels(after_usual(epoch(NEXT_S, seconds, **fields))) == [label]


def test_about_one_awake_minute_in_ten_is_above_the_cut_by_construction() -> None:
    usual = Baseline(least_sd=0.01)
    draw = random.Random(7)
    above = 0
    for n in count():
        x = draw.gauss(-1.0, 0.4)
        if n >= 500:
            above += usual.z(x) > 1.28
        usual.update(x)
        if n == 5_500:
            break
    assert 0.08 < above / 5_000 < 0.12


def test_a_heavier_moving_pet_is_read_like_a_gentle_one() -> None:
    gentle = Counter(labels(judge(usual_day(0.2, 1200))))
    heavy = Counter(labels(judge(usual_day(0.8, 1200))))
    for label in ("calm", "active", "excited"):
        assert abs(gentle[label] - heavy[label]) < 60


def test_what_the_anomaly_model_finds_ordinary_is_never_uneasy() -> None:
    even = judge([epoch(i * 60.0, {"walk": 60.0}, odba_g=0.3) for i in range(300)]).state
    odder = epoch(300 * 60.0, {"walk": 60.0}, odba_g=0.3, anomaly=0.45)
    assert labels(judge([odder], state=even)) == ["active"]


def test_uneasiness_is_told_only_when_it_lasts() -> None:
    assert after_usual(*odd_minutes(9)).findings == []
    (finding,) = after_usual(*odd_minutes(10)).findings
    assert (finding.key, finding.state) == ("uneasy", FindingState.RAISED)
    assert finding.severity is Severity.WARNING
    assert finding.confidence >= 0.6


def test_it_is_told_once_and_cleared_after() -> None:
    course = after_usual(*odd_minutes(25), *usual_minutes(30, start=25))
    assert [each.state for each in course.findings] == [FindingState.RAISED, FindingState.CLEARED]
    assert judge(usual_minutes(30, start=60), state=course.state).findings == []


def test_odd_minutes_among_usual_ones_are_not_told() -> None:
    mixed = [
        each
        for i in range(60)
        for each in (odd_minutes(1, 2 * i) if i % 2 else usual_minutes(2, 2 * i))
    ]
    assert after_usual(*mixed).findings == []


def test_silence_is_no_uneasiness() -> None:
    assert after_usual(*odd_minutes(9), *odd_minutes(5, start=60)).findings == []
    over = after_usual(*odd_minutes(10), *usual_minutes(1, start=300))
    assert [each.state for each in over.findings] == [FindingState.RAISED, FindingState.CLEARED]


def test_the_owner_may_ask_for_more_patience() -> None:
    late = judge(odd_minutes(15), state=USUAL, settings={"uneasy_minutes": 30})
    assert late.findings == []


def test_late_and_repeated_epochs_change_nothing() -> None:
    once = after_usual(*odd_minutes(12))
    again = judge(odd_minutes(12), state=once.state)
    assert again.state == once.state
    assert again.observations == []


def test_a_day_of_catch_up_fits_one_call() -> None:
    outputs = run(predict, [usual_day(minutes=500)], stream=Input.EPOCH)
    assert len(outputs.observations) == MAX_OBSERVATIONS


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["rest", "walk", "run", "unsure"]), st.floats(0, 15)),
            st.floats(0, 64),
            st.floats(0, 1),
            st.integers(0, 1000),
        ),
        max_size=20,
    )
)
def test_any_epoch_is_read_without_fault(
    minutes: list[tuple[dict[str, float], float, float, int]],
) -> None:
    epochs = [
        epoch(NEXT_S + i * 60.0, seconds, odba_g=odba, anomaly=anomaly, windows=windows)
        for i, (seconds, odba, anomaly, windows) in enumerate(minutes)
    ]
    outputs = after_usual(*epochs)
    assert len(outputs.observations) == len(minutes)


def test_words_are_observations_and_never_diagnoses() -> None:
    course = after_usual(*odd_minutes(25), *usual_minutes(30, start=25))
    manifest = tomllib.loads(MANIFEST.read_text())
    for text in (*(each.title for each in course.findings), manifest["name"], manifest["summary"]):
        assert not any(word in text.lower().split() for word in DIAGNOSES), text
    assert "not a validated emotion" in manifest["summary"]
