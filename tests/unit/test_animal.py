"""The animal: the same life every time, and physics one can measure in what its collar feels."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from collar_sim.animal import Animal, AnimalMinute, Scenario, Species, Wear
from collar_sim.animal.animal import State
from collar_sim.animal.place.ground import METRES_PER_DEG
from collar_sim.fleet_file import read_fleet
from gateway.wire.messages import Window
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack, unpack
from plugins.sdk.behaviours import Behaviour

HOME = (48.14, 0.0)
MORNING = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
DAYS = 4
BUSY_SEEDS = (0, 1, 3, 4)  # three dogs and a cat; each is driven in the hours below
TRUTH = ("behaviour", "anomaly", "speed_mps", "gait_hz", "lat_deg", "lon_deg", "ground")
GNSS = ("lat_deg", "lon_deg", "accuracy_m", "hdop", "speed_mps", "valid", "astray")


def life(seed: int, minutes: int, **kwargs) -> list[AnimalMinute]:
    return list(Animal.draw(seed, home=HOME, **kwargs).minutes(MORNING, minutes))


def bytes_of(minutes: list[AnimalMinute]) -> bytes:
    arrays = [m.imu for m in minutes] + [m.at_home_wifi for m in minutes]
    arrays += [getattr(m, name) for m in minutes for name in TRUTH]
    arrays += [getattr(m.gnss, name) for m in minutes for name in GNSS]
    return b"".join(array.tobytes() for array in arrays)


def whole(minutes: list[AnimalMinute], name: str) -> np.ndarray:
    return np.concatenate([getattr(minute, name) for minute in minutes])


def metres_from_home(lat_deg: np.ndarray, lon_deg: np.ndarray) -> np.ndarray:
    north = (lat_deg - HOME[0]) * METRES_PER_DEG
    east = (lon_deg - HOME[1]) * METRES_PER_DEG * np.cos(np.deg2rad(HOME[0]))
    return np.hypot(east, north)


@pytest.fixture(scope="module")
def active() -> list[list[AnimalMinute]]:
    """Two morning hours of six animals."""
    return [life(seed, 120) for seed in range(6)]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    assert bytes_of(life(3, 5)) == bytes_of(life(3, 5))
    assert bytes_of(life(3, 5)) != bytes_of(life(4, 5))


def test_how_time_is_chunked_changes_nothing():
    one_go = life(3, 20)
    animal = Animal.draw(3, home=HOME)
    halves = list(animal.minutes(MORNING, 10))
    resumed = Animal.draw(3, home=HOME)  # another process, given the state that was kept
    resumed.state = animal.state
    halves += list(resumed.minutes(MORNING + timedelta(minutes=10), 10))
    assert bytes_of(one_go) == bytes_of(halves)


def test_only_the_next_whole_minute_can_be_asked_for():
    animal = Animal.draw(3, home=HOME)
    with pytest.raises(ValueError, match="whole minute"):
        animal.minute(MORNING + timedelta(seconds=1))
    animal.minute(MORNING)
    with pytest.raises(ValueError, match="the next minute of this animal"):
        animal.minute(MORNING)


def test_an_instant_belongs_to_a_scenario_with_an_incident():
    with pytest.raises(ValueError, match="no incident"):
        Animal.draw(3, home=HOME, incident_at=MORNING)


def test_a_minute_is_a_minute_of_everything(active):
    minute = active[0][0]
    assert minute.imu.shape == (1500, 6)
    assert minute.imu.dtype == np.float32
    assert all(len(getattr(minute, name)) == 60 for name in TRUTH)
    assert all(len(getattr(minute.gnss, name)) == 60 for name in GNSS)
    assert set(whole(active[0], "behaviour")) <= set(Behaviour)


def test_samples_lie_on_the_grid_of_the_wire(active):
    imu = active[0][3].imu
    message = Window(
        collar_id="c-1",
        boot=0,
        seq=1,
        observed_at=MORNING,
        rate_hz=25.0,
        acc_g_per_lsb=ACC_G_PER_LSB,
        gyr_dps_per_lsb=GYR_DPS_PER_LSB,
        samples=pack(imu[:100]),
    )
    assert np.array_equal(unpack(message), imu[:100])


def test_at_rest_the_collar_feels_one_g(active):
    for minutes in active:
        still = np.repeat(whole(minutes, "behaviour") == Behaviour.REST, 25)
        norm = np.linalg.norm(whole(minutes, "imu")[still, :3], axis=1)
        assert norm.mean() == pytest.approx(1.0, abs=0.05)  # the sensor's bias and gain
        assert norm.std() < 0.05


def test_faster_behaviours_shake_the_collar_more(active):
    for minutes in active:
        words = np.repeat(whole(minutes, "behaviour"), 25)
        if Behaviour.RUN not in words:
            continue
        norm = np.linalg.norm(whole(minutes, "imu")[:, :3], axis=1)
        spread = [norm[words == b].std() for b in (Behaviour.REST, Behaviour.WALK, Behaviour.RUN)]
        assert spread[0] < spread[1] < spread[2]


def test_the_stride_shows_in_the_rotation(active):
    """The neck swings once and twice a stride: there rotation is strongest in most windows.

    Acceleration has its steps there too, though the strap's ringing, near 4 Hz, is often stronger.
    """
    ratios, steps = [], []
    for minutes in active:
        for minute in minutes:
            for start in range(0, 57, 4):
                seconds = slice(start, start + 4)
                if len(set(minute.gait_hz[seconds])) == 1 and minute.behaviour[start] == "walk":
                    spin = minute.imu[start * 25 : start * 25 + 100, 3:]
                    wave = (spin - spin.mean(axis=0)) * np.hanning(100)[:, None]
                    power = (np.abs(np.fft.rfft(wave, 400, axis=0)) ** 2).sum(axis=1)
                    freqs_hz = np.fft.rfftfreq(400, 1 / 25)
                    peak_hz = freqs_hz[np.argmax(np.where(freqs_hz > 0.5, power, 0.0))]
                    ratios.append(peak_hz / minute.gait_hz[start])
                    size = np.linalg.norm(minute.imu[start * 25 : start * 25 + 100, :3], axis=1)
                    power = np.abs(np.fft.rfft((size - size.mean()) * np.hanning(100), 400)) ** 2
                    on, off = (
                        power[np.abs(freqs_hz / minute.gait_hz[start] - times) < 0.2].sum()
                        for times in (2.0, 1.5)
                    )
                    steps.append(on / off)
    assert np.median(steps) > 2.0
    ratios = np.array(ratios)
    assert len(ratios) > 100
    at_it = np.minimum(np.abs(ratios - 1), np.abs(ratios / 2 - 1)) < 0.15
    assert at_it.mean() > 0.6


def test_scratching_beats_at_four_to_six_hertz(active):
    shares = []
    for minutes in active:
        words, imu = whole(minutes, "behaviour"), whole(minutes, "imu")
        for start in np.flatnonzero(words == Behaviour.SCRATCH)[::4]:
            window = imu[start * 25 : start * 25 + 100]
            if len(window) == 100 and (words[start : start + 4] == Behaviour.SCRATCH).all():
                wave = window[:, :3] - window[:, :3].mean(axis=0)
                power = (np.abs(np.fft.rfft(wave * np.hanning(100)[:, None], axis=0)) ** 2).sum(1)
                freqs_hz = np.fft.rfftfreq(100, 1 / 25)
                beat = (freqs_hz >= 3.5) & (freqs_hz <= 6.5)
                shares.append(power[beat].sum() / power[freqs_hz > 0.5].sum())
    assert len(shares) > 10
    assert np.median(shares) > 0.5


def test_larger_animals_take_slower_strides(active):
    height = [Animal.draw(seed, home=HOME).profile.hip_height_m for seed in range(6)]
    walking = [
        np.mean(whole(m, "gait_hz")[whole(m, "behaviour") == Behaviour.WALK]) for m in active
    ]
    assert np.corrcoef(height, walking)[0, 1] < -0.8


def test_an_escape_leaves_and_does_not_come_back():
    leaves_at = MORNING + timedelta(minutes=5, seconds=20)
    minutes = life(3, 40, scenario=Scenario.ESCAPE, incident_at=leaves_at)
    away_m = metres_from_home(whole(minutes, "lat_deg"), whole(minutes, "lon_deg"))
    assert away_m[:320].max() < 80.0
    assert away_m[320 + 400 :].min() > 500.0
    out = away_m[330 : 330 + 200]
    assert (np.diff(out) > 0.0).all()  # ever further, but hardly while it goes round a corner
    before = life(3, 5)
    assert bytes_of(before) == bytes_of(minutes[:5])


def test_anomalies_are_told_and_felt():
    minutes = life(5, 240, scenario=Scenario.SICK)
    words, wrong = whole(minutes, "behaviour"), whole(minutes, "anomaly")
    imu = whole(minutes, "imu")
    assert set(wrong) == {"", "limp", "tremor", "seizure", "itch"}
    assert set(words[wrong == "limp"]) <= {"walk", "run"}
    assert set(words[wrong == "tremor"]) == {"rest"}
    jerk = np.abs(np.diff(imu[:, :3], axis=0, prepend=imu[:1, :3])).mean(axis=1)
    still, shaking = (
        np.median(jerk[np.repeat((words == "rest") & (wrong == kind), 25)])
        for kind in ("", "tremor")
    )
    assert shaking > 3 * still
    assert (whole(life(5, 240), "anomaly") == "").all()


@pytest.fixture(scope="module")
def week() -> list[dict]:
    """What eight animals do in each second of some days, by hour of the day; and their meals."""
    lives = []
    first = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp()) // 60
    for seed in range(8):
        animal = Animal.draw(seed, home=HOME)
        chain = animal._chain
        mood = chain.wake(first, np.random.default_rng([seed, 1]))
        hours, bouts = [Counter() for _ in range(24)], Counter()
        for index in range(first, first + DAYS * 1440):
            before = mood.bout
            segments, mood = chain.minute(mood, index, np.random.default_rng([seed, index]))
            for segment in segments:
                hours[index // 60 % 24][segment.bout.behaviour] += segment.end_s - segment.start_s
                bouts[segment.bout.behaviour] += segment.bout is not before
                before = segment.bout
        lives.append({"species": animal.profile.species, "hours": hours, "bouts": bouts})
    return lives


def hours_a_day(one: dict, behaviour: Behaviour, hours: range = range(24)) -> float:
    return sum(one["hours"][hour][behaviour] for hour in hours) / DAYS / 3600


def test_sleep_fills_the_night_and_half_of_the_day(week):
    for species, published_h in ((Species.DOG, (9.0, 14.0)), (Species.CAT, (10.0, 16.0))):
        asleep_h = [hours_a_day(o, Behaviour.SLEEP) for o in week if o["species"] is species]
        assert asleep_h
        assert published_h[0] < np.mean(asleep_h) < published_h[1]
    dogs = [one for one in week if one["species"] is Species.DOG]
    night = np.mean([hours_a_day(one, Behaviour.SLEEP, range(5)) / 5 for one in dogs])
    morning = np.mean([hours_a_day(one, Behaviour.SLEEP, range(7, 10)) / 3 for one in dogs])
    assert night > 0.6 > 0.3 > morning
    for one in dogs:
        still = (Behaviour.SLEEP, Behaviour.REST)
        assert sum(hours_a_day(one, behaviour, range(5)) for behaviour in still) > 0.85 * 5


def test_sleep_comes_in_pieces(week):
    """About 23 of them in a dog's eight hours of night: Adams & Johnson 1993."""
    for one in week:
        assert 15 < one["bouts"][Behaviour.SLEEP] / DAYS < 80


def test_meals_are_two_or_three_a_day_at_their_hours_and_play_is_in_the_active_ones(week):
    for one in week:
        assert 1 <= one["bouts"][Behaviour.EAT] / DAYS <= 4
        assert hours_a_day(one, Behaviour.EAT, range(1, 4)) < 0.05 * hours_a_day(one, Behaviour.EAT)
    for species, lively in ((Species.DOG, range(7, 10)), (Species.CAT, range(5, 8))):
        alike = [one for one in week if one["species"] is species]
        playing = sum(hours_a_day(one, Behaviour.PLAY, lively) for one in alike)
        assert playing > 3 * sum(hours_a_day(one, Behaviour.PLAY, range(3)) for one in alike)


def test_every_behaviour_occurs_in_a_week_of_some_animals(week):
    seen = set().union(*(one["bouts"] for one in week))
    assert seen == set(Behaviour) - {Behaviour.UNSURE}
    rides = [one["bouts"][Behaviour.VEHICLE] for one in week]
    assert 0.2 < np.mean(rides) / DAYS * 7 < 3.0, "about one a week"
    night = (*range(6), *range(22, 24))
    assert sum(one["hours"][hour][Behaviour.VEHICLE] for one in week for hour in night) == 0


@pytest.fixture(scope="module")
def busy() -> dict[Wear, list[list[AnimalMinute]]]:
    """Three hours of four animals that do everything, each worn both ways."""
    start_at = MORNING + timedelta(hours=2)  # nobody drives before eight
    return {
        wear: [
            list(
                Animal.draw(s, home=HOME, scenario=Scenario.BUSY, wear=wear).minutes(start_at, 180)
            )
            for s in BUSY_SEEDS
        ]
        for wear in Wear
    }


def pure(minutes: list[AnimalMinute], behaviour: Behaviour, seconds: int = 4) -> np.ndarray:
    """Windows full of a behaviour, shape (n, seconds * 25, 6)."""
    words, imu = whole(minutes, "behaviour"), whole(minutes, "imu")
    starts = range(0, len(words) - seconds, 2)
    full = [at for at in starts if (words[at : at + seconds] == behaviour).all()]
    return np.stack([imu[at * 25 : (at + seconds) * 25] for at in full])


def main_hz(windows: np.ndarray) -> float:
    """The strongest frequency over all windows and accelerations, from 1 Hz."""
    wave = windows[:, :, :3] - windows[:, :, :3].mean(axis=1, keepdims=True)
    taper = np.hanning(wave.shape[1])[None, :, None]
    power = (np.abs(np.fft.rfft(wave * taper, axis=1)) ** 2).sum(axis=(0, 2))
    freqs_hz = np.fft.rfftfreq(wave.shape[1], 1 / 25)
    return float(freqs_hz[np.argmax(np.where(freqs_hz >= 1.0, power, 0.0))])


def test_a_day_made_busy_holds_every_behaviour(busy):
    for minutes in busy[Wear.COLLAR]:
        assert set(whole(minutes, "behaviour")) >= set(Behaviour) - {Behaviour.UNSURE}


def test_lapping_and_chewing_keep_their_published_rates(busy):
    for seed, minutes in zip(BUSY_SEEDS, busy[Wear.COLLAR], strict=True):
        mass_kg = Animal.draw(seed, home=HOME).profile.mass_kg
        expected_hz = 3.0 * (mass_kg / 16.0) ** (-1 / 8)
        assert main_hz(pure(minutes, Behaviour.DRINK, 8)) == pytest.approx(expected_hz, abs=0.35)
        assert 1.1 < main_hz(pure(minutes, Behaviour.EAT, 8)) < 3.2


def test_the_head_goes_down_to_sniff_eat_and_drink_but_the_back_does_not(busy):
    for number, seed in enumerate(BUSY_SEEDS):
        down_deg = {}
        for wear in Wear:
            profile = Animal.draw(seed, home=HOME, wear=wear).profile
            for behaviour in (Behaviour.WALK, Behaviour.SNIFF, Behaviour.EAT, Behaviour.DRINK):
                windows = pure(busy[wear][number], behaviour)
                gravity = windows[:, :, :3].mean(axis=(0, 1)) @ profile.mount
                down_deg[wear, behaviour] = np.degrees(np.arctan2(-gravity[0], gravity[2]))
        for behaviour in (Behaviour.SNIFF, Behaviour.EAT, Behaviour.DRINK):
            assert down_deg[Wear.COLLAR, behaviour] > down_deg[Wear.COLLAR, Behaviour.WALK] + 25
            assert down_deg[Wear.HARNESS, behaviour] < down_deg[Wear.HARNESS, Behaviour.WALK] + 20


def test_sleep_is_stiller_than_rest_and_play_wilder_than_a_walk(busy):
    for minutes in busy[Wear.COLLAR]:
        sleep, rest, walk, play = (
            np.median(pure(minutes, behaviour)[:, :, 3:].std(axis=1).sum(axis=1))
            for behaviour in (Behaviour.SLEEP, Behaviour.REST, Behaviour.WALK, Behaviour.PLAY)
        )
        assert sleep < rest < walk < play


def test_a_ride_leaves_at_road_speed_shakes_and_comes_back(busy):
    for minutes in busy[Wear.COLLAR]:
        riding = whole(minutes, "behaviour") == Behaviour.VEHICLE
        away_m = metres_from_home(whole(minutes, "lat_deg"), whole(minutes, "lon_deg"))
        speed_mps = whole(minutes, "speed_mps")
        assert away_m[riding].max() > 500.0
        assert 10.0 < speed_mps[riding].max() < 45.0
        home_again = np.flatnonzero(riding[:-1] & ~riding[1:]) + 1
        assert away_m[home_again].max() < 150.0  # as far as a cat roams
        seen = np.concatenate([minute.gnss.speed_mps for minute in minutes])
        assert np.corrcoef(seen[riding], speed_mps[riding])[0, 1] > 0.9
        shaken = pure(minutes, Behaviour.VEHICLE)[:, :, :3].std(axis=1).sum(axis=1)
        lying = pure(minutes, Behaviour.SLEEP)[:, :, :3].std(axis=1).sum(axis=1)
        assert np.median(shaken) > 3 * np.median(lying)
        assert (whole(minutes, "gait_hz")[riding] == 0).all()


def test_a_runaway_is_neither_fed_nor_driven():
    evening = MORNING + timedelta(hours=9)
    words = {}
    for scenario, incident in (
        (Scenario.CALM_DAY, {}),
        (Scenario.ESCAPE, {"incident_at": evening + timedelta(minutes=1)}),
    ):
        animal = Animal.draw(3, home=HOME, scenario=scenario, **incident)
        words[scenario] = set(whole(list(animal.minutes(evening, 180)), "behaviour"))
    assert Behaviour.EAT in words[Scenario.CALM_DAY]
    words = words[Scenario.ESCAPE]
    assert not {Behaviour.EAT, Behaviour.VEHICLE} & set(words)


def test_a_harness_changes_what_is_felt_and_nothing_of_the_life(busy):
    for collar, harness in zip(busy[Wear.COLLAR], busy[Wear.HARNESS], strict=True):
        for name in TRUTH:
            assert np.array_equal(whole(collar, name), whole(harness, name))
        # the board lies on the back, not under the throat: its other side is up
        assert np.median(pure(collar, Behaviour.WALK)[:, :, 2]) > 0.3
        assert np.median(pure(harness, Behaviour.WALK)[:, :, 2]) < -0.3


def test_the_head_is_not_felt_at_the_back(busy):
    for collar, harness in zip(busy[Wear.COLLAR], busy[Wear.HARNESS], strict=True):
        for behaviour in (Behaviour.EAT, Behaviour.DRINK):
            spin = [
                np.median(pure(minutes, behaviour)[:, :, 3:].std(axis=1).sum(axis=1))
                for minutes in (collar, harness)
            ]
            assert spin[1] < 0.4 * spin[0]


def test_a_fleet_file_says_how_the_unit_is_worn_and_no_third_way(tmp_path):
    entry = {
        "signing_key": "0" * 63 + "1", "salt_secret": "1" * 64, "animal_seed": 1,
        "lat_deg": 48.1, "lon_deg": 11.5,
    }  # fmt: skip
    path = tmp_path / "fleet.json"
    worn = {"a": {}, "b": {"wear": "harness"}, "c": {"wear": "tail"}}
    collars = [{"collar_id": name} | entry | more for name, more in worn.items()]
    path.write_bytes(msgspec.json.encode({"collars": collars}))
    fleet = read_fleet(path)
    assert [member.wear for member in fleet.members] == [Wear.COLLAR, Wear.HARNESS]
    assert "tail" in fleet.refused["c"]


def test_a_state_that_an_older_simulator_kept_is_still_understood():
    animal = Animal.draw(3, home=HOME)
    animal.minute(MORNING)
    kept = msgspec.to_builtins(animal.state)
    for later in ("plan", "fed_min", "at_large"):
        del kept["mood"][later]
    del kept["mood"]["bout"]["ride"]
    kept["place"] = {"east_m": 3.0, "north_m": -2.0, "heading_rad": 1.0, "centre_east_m": 0.0}
    kept["sky"] = {"error": [0.5, -0.5], "sigma_m": 2.1, "poor": False}
    resumed = Animal.draw(3, home=HOME)
    resumed.state = msgspec.convert(kept, State)
    resumed.minute(MORNING + timedelta(minutes=1))
