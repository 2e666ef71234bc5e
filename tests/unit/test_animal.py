"""The animal: the same life every time, and physics one can measure in what its collar feels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from collar_sim.animal import Animal, AnimalMinute, Radio, Scenario
from collar_sim.animal.movement import METRES_PER_DEG
from gateway.wire.messages import Window
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB, pack, unpack
from plugins.sdk.behaviours import Behaviour

HOME = (48.14, 0.0)
MORNING = datetime(2026, 5, 1, 7, 0, tzinfo=UTC)
TRUTH = ("behaviour", "anomaly", "speed_mps", "gait_hz", "lat_deg", "lon_deg")
GNSS = ("lat_deg", "lon_deg", "accuracy_m", "hdop", "speed_mps")


def life(seed: int, minutes: int, **kwargs) -> list[AnimalMinute]:
    return list(Animal.draw(seed, home=HOME, **kwargs).minutes(MORNING, minutes))


def bytes_of(minutes: list[AnimalMinute]) -> bytes:
    arrays = [m.imu for m in minutes]
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


def test_an_instant_of_escape_belongs_to_its_scenario():
    with pytest.raises(ValueError, match="escape_at"):
        Animal.draw(3, home=HOME, scenario=Scenario.ESCAPE)
    with pytest.raises(ValueError, match="escape_at"):
        Animal.draw(3, home=HOME, escape_at=MORNING)


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
        norm = np.linalg.norm(whole(minutes, "imu")[:, :3], axis=1)
        spread = [norm[words == b].std() for b in (Behaviour.REST, Behaviour.WALK, Behaviour.RUN)]
        assert spread[0] < spread[1] < spread[2]


def test_the_stride_shows_in_the_spectrum(active):
    """Power at the true stride frequency and its harmonics stands above the rest of 0.5-8 Hz."""
    checked = 0
    for minutes in active:
        for minute in minutes:
            if len(set(minute.gait_hz)) == 1 and minute.gait_hz[0] > 0:
                checked += 1
                norm = np.linalg.norm(minute.imu[:, :3], axis=1)
                power = np.abs(np.fft.rfft((norm - norm.mean()) * np.hanning(1500))) ** 2
                freqs_hz = np.fft.rfftfreq(1500, 1 / 25)
                off = np.abs(freqs_hz / minute.gait_hz[0] - np.rint(freqs_hz / minute.gait_hz[0]))
                band = (freqs_hz > 0.5) & (freqs_hz < 8.0)
                near = band & (off < 0.1)
                assert power[near].mean() > 4 * power[band & ~near].mean()
    assert checked >= 10


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


def test_positions_move_at_the_true_speed_and_stay_in_the_yard(active):
    for minutes in active:
        lat, lon = whole(minutes, "lat_deg"), whole(minutes, "lon_deg")
        away_m = metres_from_home(lat, lon)
        assert away_m.max() < 80.0
        assert np.quantile(away_m, 0.9) < 40.0
        step_m = METRES_PER_DEG * np.hypot(np.diff(lat), np.diff(lon) * np.cos(np.deg2rad(HOME[0])))
        assert np.allclose(step_m, whole(minutes, "speed_mps")[1:], atol=0.01)


def test_an_escape_leaves_and_does_not_come_back():
    leaves_at = MORNING + timedelta(minutes=5, seconds=20)
    minutes = life(3, 40, scenario=Scenario.ESCAPE, escape_at=leaves_at)
    away_m = metres_from_home(whole(minutes, "lat_deg"), whole(minutes, "lon_deg"))
    assert away_m[:320].max() < 80.0
    assert away_m[320 + 400 :].min() > 500.0
    out = away_m[320 : 320 + 200]
    assert (np.diff(out) > 0.5).all()  # at a trot, straight away
    before = life(3, 5)
    assert bytes_of(before) == bytes_of(minutes[:5])


def test_the_receiver_knows_how_wrong_it_is():
    within, errors_m = [], []
    for seed in range(30):
        for minute in life(seed, 40):
            east = (minute.gnss.lon_deg - minute.lon_deg) * np.cos(np.deg2rad(HOME[0]))
            error_m = METRES_PER_DEG * np.hypot(minute.gnss.lat_deg - minute.lat_deg, east)
            within.append(np.mean(error_m <= minute.gnss.accuracy_m))
            errors_m.append(error_m.mean())
    assert np.mean(within) == pytest.approx(0.68, abs=0.04)
    assert 2.0 < np.median(errors_m) < 5.0
    assert np.max(errors_m) > 10.0  # bad sky happens


def test_anomalies_are_told_and_felt():
    minutes = life(5, 240, scenario=Scenario.ANOMALY)
    words, wrong = whole(minutes, "behaviour"), whole(minutes, "anomaly")
    imu = whole(minutes, "imu")
    assert set(wrong) == {"", "limp", "tremor"}
    assert set(words[wrong == "limp"]) <= {"walk", "run"}
    assert set(words[wrong == "tremor"]) == {"rest"}
    jerk = np.abs(np.diff(imu[:, :3], axis=0, prepend=imu[:1, :3])).mean(axis=1)
    still, shaking = (
        np.median(jerk[np.repeat((words == "rest") & (wrong == kind), 25)])
        for kind in ("", "tremor")
    )
    assert shaking > 3 * still
    assert (whole(life(5, 240, scenario=Scenario.ESCAPE, escape_at=MORNING), "anomaly") == "").all()


def test_nights_are_quiet():
    night = Animal.draw(3, home=HOME).minutes(datetime(2026, 5, 1, 0, 0, tzinfo=UTC), 180)
    night_share = np.mean(whole(list(night), "behaviour") == Behaviour.REST)
    day_share = np.mean(whole(life(3, 180), "behaviour") == Behaviour.REST)
    assert night_share > 0.9 > day_share


def test_radio_loses_in_bursts_at_its_stated_rate():
    radio = Radio(1)
    got = np.array([radio.delivers(float(second)) for second in range(50_000)])
    assert 0.01 < 1 - got.mean() < 0.06
    after_loss = 1 - got[1:][~got[:-1]].mean()
    assert after_loss > 10 * (1 - got.mean()) or after_loss > 0.4
    again = Radio(1)
    assert [again.delivers(float(s)) for s in range(500)] == got[:500].tolist()
