"""Each scenario shows what its name says, a calm day nothing of it, and the collar only senses."""

import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import plugins
from collar_sim.animal import Animal, AnimalMinute, Incident, Scenario, Species
from collar_sim.animal.animal import State
from collar_sim.animal.ethogram.anomaly import HEALTHY, Leg, Phase
from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.life.behaviour import Sudden
from collar_sim.animal.life.errands import Household, Now
from collar_sim.animal.life.habits import Errand
from collar_sim.animal.life.happening import Happening
from collar_sim.animal.life.scenario import COURSES, POWER_CUT_S
from collar_sim.errors import OutputError
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.minute import look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.fleet_file import Member
from collar_sim.truth import Truth
from collar_sim.wearer import Wearer
from plugins.sdk.behaviours import Behaviour

HOME = (48.14, 0.0)
MORNING = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
HAPPENS_AT = MORNING + timedelta(minutes=4, seconds=20)
HAPPENS_S = 4 * 60 + 20
TIMED = [scenario for scenario, course in COURSES.items() if course.incident is not None]
SENSED = {"start_at", "imu", "gnss", "powered", "at_home_wifi"}


def life(seed: int, minutes: int, scenario: Scenario, **more: Any) -> list[AnimalMinute]:
    if scenario in TIMED:
        more = {"incident_at": HAPPENS_AT} | more
    return list(Animal.draw(seed, home=HOME, scenario=scenario, **more).minutes(MORNING, minutes))


def whole(minutes: list[AnimalMinute], name: str) -> np.ndarray:
    return np.concatenate([getattr(minute, name) for minute in minutes])


def days_of_choices(seed: int, scenario: Scenario, days: int = 2) -> Iterator[list[Segment]]:
    """What an animal does minute by minute, without its body and sensors."""
    animal = Animal.draw(seed, home=HOME, scenario=scenario)
    chain, first = animal._chain, int(MORNING.timestamp()) // 60
    mood = chain.wake(first, np.random.default_rng([seed, 1]))
    for index in range(first, first + days * 1440):
        rng = np.random.default_rng([seed, index])
        segments, mood = chain.minute(mood, index, rng, episode=animal._lasting)
        yield segments


def bouts_and_seconds(seed: int, scenario: Scenario, behaviour: Behaviour) -> tuple[int, int]:
    bouts, seconds, last = 0, 0, None
    for segment in (each for minute in days_of_choices(seed, scenario) for each in minute):
        if segment.bout.behaviour is behaviour:
            bouts += segment.bout is not last
            seconds += segment.end_s - segment.start_s
        last = segment.bout
    return bouts, seconds


@pytest.mark.parametrize("second", [0, 1, 37, 59])
@pytest.mark.parametrize("incident", [Incident.ESCAPE, Incident.SEIZURE])
def test_segments_fill_the_minute_whatever_comes_over_the_animal(incident: Incident, second: int):
    animal = Animal.draw(3, home=HOME)
    rng = np.random.default_rng(second)
    mood = animal._chain.wake(0, rng)
    for index in range(200):
        sudden = Sudden(incident, second) if index == 100 else None
        segments, mood = animal._chain.minute(mood, index, rng, sudden=sudden)
        edges = [(each.start_s, each.end_s) for each in segments]
        assert [start for start, _ in edges] == [0] + [end for _, end in edges[:-1]]
        assert edges[-1][1] == 60
        assert all(start < end for start, end in edges)
        if index == 100:
            assert second in [start for start, _ in edges]


def test_a_calm_day_is_calm():
    minutes = life(5, 240, Scenario.CALM_DAY)
    assert set(whole(minutes, "anomaly")) == {""}
    assert whole(minutes, "worn").all()
    assert whole(minutes, "powered").all()
    with pytest.raises(ValueError, match="no incident"):
        Animal.draw(5, home=HOME, incident_at=HAPPENS_AT)


def test_a_lame_animal_limps_at_every_step_of_one_leg_is_slower_and_moves_less():
    minutes = life(5, 120, Scenario.LAME_LEFT_FRONT)
    words, wrong = whole(minutes, "behaviour"), whole(minutes, "anomaly")
    steps = np.isin(words, [Behaviour.WALK, Behaviour.RUN])
    assert steps.any()
    assert np.array_equal(wrong == "limp", steps)
    sides = {
        each.episode.side
        for minute in days_of_choices(5, Scenario.LAME_LEFT_FRONT, days=1)
        for each in minute
        if each.episode.kind
    }
    assert sides == {Leg.LEFT_FRONT}
    moving_s, speeds_mps = [], []
    for scenario in (Scenario.LAME_LEFT_FRONT, Scenario.CALM_DAY):
        each = [s for seed in (4, 5) for minute in days_of_choices(seed, scenario) for s in minute]
        walks = [s for s in each if s.bout.behaviour in (Behaviour.WALK, Behaviour.RUN)]
        speeds_mps.append(np.mean([s.bout.speed_mps for s in walks]))
        moving_s.append(sum(s.end_s - s.start_s for s in walks))
    assert speeds_mps[0] < 0.95 * speeds_mps[1]
    assert moving_s[0] < 0.9 * moving_s[1]


def test_an_itchy_animal_scratches_many_times_as_often_by_night_too_and_still_sleeps():
    for seed in (5, 4):
        itchy, itchy_s = bouts_and_seconds(seed, Scenario.ITCHY, Behaviour.SCRATCH)
        calm, calm_s = bouts_and_seconds(seed, Scenario.CALM_DAY, Behaviour.SCRATCH)
        assert itchy > 5 * calm
        assert itchy_s > 5 * calm_s
        broken, broken_s = bouts_and_seconds(seed, Scenario.ITCHY, Behaviour.SLEEP)
        sound, sound_s = bouts_and_seconds(seed, Scenario.CALM_DAY, Behaviour.SLEEP)
        assert broken > 1.5 * sound
        assert 0.6 * sound_s < broken_s < 1.3 * sound_s
    by_hour = np.zeros(24)
    for index, minute in enumerate(days_of_choices(5, Scenario.ITCHY)):
        for each in minute:
            if each.bout.behaviour is Behaviour.SCRATCH:
                assert each.episode.kind == "itch"
                by_hour[(7 + index // 60) % 24] += each.start_s == 0 or each.end_s < 60
    assert by_hour[:5].mean() > 0.5 * by_hour.mean()


def test_a_fit_is_a_cramp_then_jerks_then_a_long_rest():
    for seed in range(4):
        minutes = life(seed, 12, Scenario.SEIZURE_LIKE)
        wrong, words = whole(minutes, "anomaly"), whole(minutes, "behaviour")
        first = int(np.argmax(wrong == "seizure"))
        fit_s = int((wrong == "seizure").sum())
        assert first == HAPPENS_S
        assert 50 <= fit_s <= 180, "most end within two or three minutes: Berendt et al. 2015"
        assert set(wrong[first : first + fit_s]) == {"seizure"}
        assert set(words[first : first + fit_s + 60]) == {Behaviour.REST}
        animal = Animal.draw(seed, home=HOME)
        rng = np.random.default_rng(seed)
        mood, told = animal._chain.wake(0, rng), Sudden(Incident.SEIZURE, 10)
        phases = []
        for index in range(60):
            sudden = told if index == 2 else None
            segments, mood = animal._chain.minute(mood, index, rng, sudden=sudden)
            for each in segments:
                phases += [each.episode.phase] * (each.end_s - each.start_s)
        spans = [(phase, len(list(run))) for phase, run in groupby(phases)]
        assert [phase for phase, _ in spans] == [Phase.NONE, Phase.TONIC, Phase.CLONIC, Phase.NONE]
        assert 10 <= spans[1][1] <= 30
        assert 40 <= spans[2][1] <= 120


def test_a_fit_comes_with_a_racing_heart():
    minutes = life(1, 12, Scenario.SEIZURE_LIKE)
    heart_bpm = np.concatenate([minute.body.heart_bpm for minute in minutes])
    assert heart_bpm[HAPPENS_S + 40] > 1.4 * np.median(heart_bpm[:HAPPENS_S])


@pytest.mark.parametrize("incident", [True, False])
def test_nobody_takes_an_animal_out_in_the_hours_before_something_comes_over_it(incident: bool):
    asked = Household(Species.DOG, (), {Errand.WALK_OUT: 1440.0})
    now = Now(0, 12.0, 1.0, HEALTHY, kept_in=incident)
    assert asked.asks(now, 0, np.full(1 + len(Errand), 0.5)) is (
        None if incident else Errand.WALK_OUT
    )
    due_min = int(MORNING.timestamp()) // 60
    escape = Happening(Incident.ESCAPE, due_min * 60)
    kept = [escape.is_near(due_min - before) for before in (121, 119, 0, -1)]
    assert kept == [False, True, True, False]


def test_a_lost_collar_lies_still_where_it_fell_while_its_animal_lives_on():
    minutes = life(5, 60, Scenario.LOST_COLLAR)
    calm = life(5, 60, Scenario.CALM_DAY)
    worn = whole(minutes, "worn")
    assert worn[:HAPPENS_S].all()
    assert not worn[HAPPENS_S:].any()
    for name in ("behaviour", "lat_deg", "lon_deg", "speed_mps"):
        assert np.array_equal(whole(minutes, name), whole(calm, name)), "the animal minds nothing"
    assert whole(minutes, "speed_mps")[HAPPENS_S:].max() > 1.0
    imu = whole(minutes, "imu")[(HAPPENS_S + 1) * 25 :]
    assert imu[:, :3].std(axis=0).max() < 0.03
    assert np.linalg.norm(imu[:, :3].mean(axis=0)) == pytest.approx(1.0, abs=0.06)
    assert imu[:, 3:].std(axis=0).max() < 1.0
    before = whole(minutes, "imu")[: HAPPENS_S * 25]
    assert np.array_equal(before, whole(calm, "imu")[: HAPPENS_S * 25])
    seen = np.concatenate([minute.gnss.lat_deg for minute in minutes])[HAPPENS_S:]
    assert np.ptp(seen) < np.ptp(np.concatenate([m.gnss.lat_deg for m in calm]))


def test_a_power_cut_lasts_and_ends():
    powered = whole(life(5, 20, Scenario.POWER_CUT), "powered")
    off = np.flatnonzero(~powered)
    assert off[0] == HAPPENS_S
    assert len(off) == POWER_CUT_S == off[-1] - off[0] + 1


@pytest.mark.parametrize("scenario", Scenario)
def test_a_killed_animal_goes_on_where_it_was(scenario: Scenario):
    """Also in the middle of what happens, and from the bytes that are kept."""
    incident = {"incident_at": HAPPENS_AT} if scenario in TIMED else {}
    one_go = life(2, 8, scenario)
    first = Animal.draw(2, home=HOME, scenario=scenario, **incident)
    halves = list(first.minutes(MORNING, 5))
    kept = msgspec.json.encode(first.state)
    assert len(kept) < 4_000
    again = Animal.draw(2, home=HOME, scenario=scenario, **incident)
    again.state = msgspec.json.decode(kept, type=State)
    halves += list(again.minutes(MORNING + timedelta(minutes=5), 3))
    for name in ("imu", "behaviour", "anomaly", "worn", "powered", "lat_deg"):
        assert np.array_equal(whole(one_go, name), whole(halves, name)), name
    body = [np.concatenate([m.body.heart_bpm for m in each]) for each in (one_go, halves)]
    assert np.array_equal(*body)


MEMBER: dict[str, Any] = {
    "collar_id": "c1", "signing_key": "0" * 63 + "1", "salt_secret": "1" * 64,
    "animal_seed": 5, "lat_deg": HOME[0], "lon_deg": HOME[1],
}  # fmt: skip
KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), b"s" * 32)


@pytest.mark.parametrize(
    ("said", "after_s"),
    [
        ({"scenario": Scenario.LOST_COLLAR}, 60),
        ({"scenario": Scenario.POWER_CUT, "incident_after_s": 10.0}, 10),
        ({"scenario": Scenario.SEIZURE_LIKE, "escape_after_s": 20.0}, 20),
        ({"escape_after_s": 30.0}, 30),
        ({"incident_after_s": 30.0}, None),  # nothing is to happen on the fleet's calm day
    ],
)
def test_an_incident_gets_its_instant_when_the_present_is_met_and_keeps_it(
    tmp_path: Path, said: dict[str, Any], after_s: float | None
):
    due_at = None if after_s is None else MORNING + timedelta(seconds=after_s)
    slots = ModelSlots.load(Path(plugins.__path__[0]))
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"], 16_384)
        collar = Collar(flash.logs["c1"], KEY, MORNING)
        wearers = [
            Wearer(Member(**MEMBER, **said), collar, slots, 0, Scenario.CALM_DAY) for _ in range(2)
        ]
        assert wearers[0].carried().incident_at is None, "history is calm"
        wearers[0].go_live(MORNING)
        assert wearers[0].carried().incident_at == due_at
        wearers[1].resume(wearers[0].carried(), 0)
        wearers[1].go_live(MORNING + timedelta(hours=1))
        assert wearers[1].carried().incident_at == due_at


class Watched:
    """An animal's minute of which only what a collar can sense may be looked at."""

    def __init__(self, minute: AnimalMinute) -> None:
        self._minute = minute

    def __getattr__(self, name: str) -> Any:
        assert name in SENSED, f"a collar cannot sense {name!r}"
        return getattr(self._minute, name)


@pytest.mark.parametrize("scenario", [Scenario.SICK, Scenario.LOST_COLLAR])
def test_a_collar_says_nothing_that_it_cannot_sense(tmp_path: Path, scenario: Scenario):
    assert {field.name for field in fields(AnimalMinute)} > SENSED
    slots = ModelSlots.load(Path(plugins.__path__[0]))
    member = Member(**MEMBER, scenario=scenario)
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"], 16_384)
        wearer = Wearer(member, Collar(flash.logs["c1"], KEY, MORNING), slots, 0, scenario)
        wearer.go_live(MORNING)
        for index in range(3):
            sensed = wearer.live(MORNING + timedelta(minutes=index))
            sensed = replace(sensed, truth=Watched(sensed.truth))
            assert wearer.report(sensed, look(slots, [sensed])[0], 0).drafts


def test_truth_is_written_second_by_second_with_the_body(tmp_path: Path):
    truth = Truth(tmp_path)
    for minute in life(5, 6, Scenario.LOST_COLLAR):
        truth.add("c1", minute, 80.0)
    truth.flush()
    (path,) = tmp_path.glob("*.parquet")
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == [
        "collar_id", "at", "behaviour", "speed_mps", "lat", "lon", "gait_hz", "anomaly",
        "battery_pct", "heart_bpm", "breath_rpm", "temperature_c",
        "heart_baseline_bpm", "heart_deviation_bpm", "breath_baseline_rpm", "breath_deviation_rpm",
        "temperature_baseline_c", "temperature_deviation_c", "worn", "powered",
        "ground", "gnss_astray",
    ]  # fmt: skip
    assert table.num_rows == 360
    heart, normal, apart = (
        table[name].to_numpy()
        for name in ("heart_bpm", "heart_baseline_bpm", "heart_deviation_bpm")
    )
    assert len(set(normal)) == 1
    assert np.allclose(normal + apart, heart)
    assert apart.std() > 0.5  # it lives
    assert table["worn"].to_pylist() == [True] * HAPPENS_S + [False] * (360 - HAPPENS_S)


def test_truth_waits_ten_minutes_at_most_for_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    truth, minutes = Truth(tmp_path), life(5, 2, Scenario.CALM_DAY)
    truth.add("c1", minutes[0], 80.0)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("collar_sim.truth.KILL_LOSES_S", 0.0)
    truth.add("c1", minutes[1], 80.0)
    (path,) = tmp_path.glob("*.parquet")
    assert pyarrow.parquet.read_table(path).num_rows == 120


def test_truth_that_cannot_be_written_says_where(tmp_path: Path):
    truth = Truth(tmp_path / "truth")
    truth.add("c1", life(5, 1, Scenario.CALM_DAY)[0], 80.0)
    (tmp_path / "truth").rmdir()
    with pytest.raises(OutputError, match=r"truth: .*No such file"):
        truth.flush()


def test_files_of_truth_are_named_in_utc_so_no_hour_that_comes_twice_overwrites_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    truth = Truth(tmp_path)
    minute = life(5, 1, Scenario.CALM_DAY)[0]
    first_at = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 in New York, as an hour later
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "America/New_York")
        time.tzset()
        for hours in (0, 1):
            truth.add("c1", replace(minute, start_at=first_at + timedelta(hours=hours)), 80.0)
            truth.flush()
    time.tzset()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["truth-20261101T053000-c1.parquet", "truth-20261101T063000-c1.parquet"]
