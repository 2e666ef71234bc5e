"""What a collar makes of a minute by what it remembers of its pet."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from collar_sim.firmware.minute import Seen
from collar_sim.firmware.sensing.events import ANOMALY_WINDOWS, excess
from collar_sim.firmware.sensing.usual import ITCH_S, REPEAT_MIN, Memory, considered
from plugins.sdk.behaviours import Behaviour

QUIET = Seen(
    epoch={"vedba_g": 0.01},
    sightings=[],
    packages={"anomaly": "anomaly@1.0.0", "scratch": "activity@1.0.0"},
    window_vedba_g=[0.01] * 15,
    heard=[True] * 15,
    said=[Behaviour.REST] * 15,
    confidence=[0.9] * 15,
    each_second=[Behaviour.REST] * 60,
    odd=[0.05] * 15,
)


def scored(score: float, seen: Seen = QUIET, windows: int = 15) -> Seen:
    return replace(seen, odd=[score] * windows + [0.05] * (15 - windows))


def names(seen: Seen) -> list[str]:
    return [each.name for each in seen.sightings]


def after(minutes: list[Seen], memory: Memory | None = None) -> tuple[list[list[str]], Memory]:
    memory = memory or Memory()
    said: list[list[str]] = []
    for seen in minutes:
        made, memory = considered(memory, seen)
        memory = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Memory)  # as kept
        said.append(names(made))
    return said, memory


def test_a_new_collar_reports_what_the_models_threshold_says() -> None:
    assert names(considered(Memory(), scored(0.6, windows=ANOMALY_WINDOWS))[0]) == ["anomaly"]
    assert names(considered(Memory(), scored(0.6, windows=ANOMALY_WINDOWS - 1))[0]) == []
    assert names(considered(Memory(), scored(0.49))[0]) == []


def test_an_event_that_goes_on_is_said_again_only_after_a_while() -> None:
    said, _ = after([scored(0.999)] * (REPEAT_MIN + 1))
    assert said == [["anomaly"], *[[]] * (REPEAT_MIN - 1), ["anomaly"]]


def test_what_a_pet_always_does_is_no_news_but_more_than_that_is() -> None:
    odd = scored(0.6)
    said, memory = after([odd] * 300)
    assert said[0] == ["anomaly"]
    assert not any(said[60:])
    assert names(considered(memory, scored(0.99))[0]) == ["anomaly"]
    brisk = replace(odd, epoch={"vedba_g": 0.15})  # what it does at rest excuses no walk
    assert names(considered(memory, brisk)[0]) == ["anomaly"]


def test_one_bad_quarter_of_an_hour_does_not_become_usual() -> None:
    _, memory = after([scored(0.05)] * 600 + [scored(0.9)] * 15 + [scored(0.05)] * 120)
    assert names(considered(memory, scored(0.55))[0]) == ["anomaly"]


def test_of_a_minute_that_was_not_wholly_heard_nothing_is_learned() -> None:
    partly = replace(scored(0.6, windows=5), odd=[0.0] * 10 + [0.6] * 5)
    said, memory = after([replace(partly, heard=[False] * 10 + [True] * 5)])
    assert said == [["anomaly"]], "though what is odd enough is said"
    assert memory.usual == after([])[1].usual
    assert after([partly])[1].usual != memory.usual


def test_another_model_has_another_scale() -> None:
    _, memory = after([scored(0.6)] * 300)
    other = replace(scored(0.6), packages={"anomaly": "anomaly@2.0.0"})
    assert names(considered(memory, other)[0]) == ["anomaly"]


def test_an_itch_is_scratching_summed_up_and_one_bout_is_none() -> None:
    def scratching(seconds: int) -> Seen:
        said = [Behaviour.SCRATCH] * seconds + [Behaviour.REST] * (60 - seconds)
        return replace(QUIET, each_second=said)

    once, _ = after([scratching(40), *[QUIET] * 60])
    assert not any(once)
    often, memory = after([scratching(8), QUIET, QUIET] * 60)
    assert sum(each == ["itch"] for each in often) == 1
    assert memory.scratched_s > ITCH_S
    later, _ = after([QUIET] * 180, memory)
    assert not any(later)


def test_bouts_are_in_the_epoch() -> None:
    drinks = replace(QUIET, each_second=[Behaviour.DRINK] * 10 + [Behaviour.REST] * 50)
    assert considered(Memory(), drinks)[0].epoch == {"vedba_g": 0.01, "drink_bouts": 1}


@pytest.mark.parametrize(("score", "expected"), [(0.0, -8.0), (1.0, 8.0), (0.5, 0.0)])
def test_the_excess_of_a_minute_is_finite_however_sure_the_model_is(
    score: float, expected: float
) -> None:
    assert excess(np.full(15, score, np.float32)) == pytest.approx(expected, abs=1e-5)
