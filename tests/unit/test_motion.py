"""Motion and its sensor: laws of gaits, what a footfall does, and what a part's data sheet says."""

from dataclasses import replace

import numpy as np
import pytest

from collar_sim.animal import Animal
from collar_sim.animal.ethogram.anomaly import HEALTHY, Anomaly, Episode, Leg, Phase
from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.ethogram.gait import duty_factor, speed_mps, stride_hz
from collar_sim.animal.individual.footfall import LEGS, Footwork, footfalls
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.individual.sensor import BMI270
from collar_sim.animal.life.body import Baseline, BodyMinute
from collar_sim.animal.place.lost import Lost
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals.imu import RATE_HZ, Pose, imu_minute
from plugins.sdk.behaviours import Behaviour

STILL = Track(*np.zeros((6, 60)), ground=np.zeros(60, np.int8))
NORMAL = Baseline(90.0, 20.0, 38.6)
CALM = BodyMinute(np.full(60, 90.0), np.full(60, 20.0), np.full(60, 38.6), NORMAL)


def profile_of(seed: int) -> Profile:
    return Animal.draw(seed, home=(48.1, 0.0)).profile


def minute_of(
    profile: Profile, bout: Bout, *, episode: Episode = HEALTHY, lost: Lost | None = None
) -> np.ndarray:
    """The second minute of nothing but one bout; in the first its posture is taken."""
    worn = np.full(60, lost is None)
    segment = Segment(0, 60, bout, episode=episode)
    pose = Pose()
    for seed in range(2):
        samples, pose = imu_minute(
            profile,
            pose,
            [segment],
            STILL,
            CALM,
            np.random.default_rng(seed),
            worn=worn,
            lost=lost,
        )
    return samples


def spectrum(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz, and power."""
    wave = (signal - signal.mean(axis=0)) * np.hanning(len(signal))
    return np.fft.rfftfreq(len(signal), 1 / RATE_HZ), np.abs(np.fft.rfft(wave)) ** 2


def test_at_like_froude_numbers_stride_frequency_goes_with_the_root_of_size():
    small, large = 0.2, 0.8
    for froude in (0.2, 1.0, 3.0):
        assert stride_hz(froude, small) == pytest.approx(2 * stride_hz(froude, large))
        assert speed_mps(froude, large) == pytest.approx(2 * speed_mps(froude, small))
    assert stride_hz(2.0, 0.5) > stride_hz(0.5, 0.5)
    assert duty_factor(0.01) <= 0.8
    assert duty_factor(0.3) > duty_factor(1.0) > duty_factor(4.0)


def stepped(
    work: Footwork, froude: float, cycles: np.ndarray, sore: Leg | None = None
) -> np.ndarray:
    """The neck's motion by its steps, two strides a second at 100 Hz."""
    usual = np.ones((len(cycles), 2), np.float32)
    rng = np.random.default_rng(1)
    return footfalls(work, froude, 2.0, 100, cycles, usual, rng, sore=sore, severity=1.0)[0]


def test_a_tag_strikes_as_a_forefoot_lands_and_who_wears_none_is_not_struck():
    tagged = replace(profile_of(3).footwork["trot"], tag_g=0.3, haste=0.0)
    cycles = np.cumsum(np.full(2000, 2.0 / 100))
    usual = np.ones((2000, 2), np.float32)

    def rattle_g(work: Footwork) -> np.ndarray:
        return footfalls(work, 1.0, 2.0, 100, cycles, usual, np.random.default_rng(1))[1]

    since_s = ((cycles[:, None] - tagged.phases[:2]) % 1.0).min(axis=1) / 2.0
    assert rattle_g(tagged)[since_s < 0.03].mean() > 5 * rattle_g(tagged)[since_s > 0.15].mean()
    assert not rattle_g(replace(tagged, tag_g=0.0)).any()


def test_feet_bear_the_weight_and_harder_the_faster_it_goes():
    work = profile_of(3).footwork["trot"]
    even = replace(work, unevenness=0.0, haste=0.0)
    cycles = np.cumsum(np.full(1000, 2.0 / 100))
    felt = [stepped(even, froude, cycles)[:, 2] for froude in (0.6, 2.4)]
    assert all(abs(acc_g.mean()) < 0.01 for acc_g in felt)  # it neither rises nor sinks
    assert felt[1].max() > 1.15 * felt[0].max()


def test_a_sound_trot_is_even_and_a_limp_is_not():
    """A collar that hangs to one side rings unevenly too: the usual animal is what tells."""
    cycles = np.cumsum(np.full(1500, 2.0 / 100))
    freqs_hz = np.fft.rfftfreq(1500, 1 / 100)

    def once_a_stride(work: Footwork, sore: Leg | None) -> float:
        acc_g = stepped(work, 1.0, cycles, sore)[:, 2]
        power = np.abs(np.fft.rfft(acc_g * np.hanning(1500))) ** 2
        return power[np.abs(freqs_hz - 2.0) < 0.2].sum() / power[np.abs(freqs_hz - 4.0) < 0.2].sum()

    trots = [profile_of(seed).footwork["trot"] for seed in range(8)]
    sound = np.array([once_a_stride(work, None) for work in trots])
    assert (sound < 0.3).all()
    for leg in LEGS[:2]:
        limping = np.array([once_a_stride(work, leg) for work in trots])
        assert (limping > sound).all()
        assert np.median(limping / sound) > 4.0


def test_the_head_nods_up_as_the_sore_foreleg_lands():
    work = replace(profile_of(3).footwork["trot"], unevenness=0.0, haste=0.0)
    cycles = np.cumsum(np.full(1000, 2.0 / 100))

    def pitch_deg(sore: Leg | None) -> np.ndarray:
        return stepped(work, 1.0, cycles, sore)[:, 4]

    for leg in LEGS[:2]:
        nod_deg = pitch_deg(leg) - pitch_deg(None)  # positive is nose down
        landed = (cycles - work.phases[LEGS.index(leg)]) % 1.0
        down = landed < duty_factor(1.0)
        assert nod_deg[down].mean() < nod_deg[~down].mean() - 2.0


def test_breath_and_heart_are_felt_where_the_body_says():
    quiet = replace(profile_of(3), tone=0.0, breath_g=0.002, beat_g=0.01)
    quiet = replace(quiet, mount=np.eye(3), collar_angle_deg=0.0, looseness=0.0)
    samples = minute_of(quiet, Bout(Behaviour.SLEEP, 0.0))
    freqs_hz, power = spectrum(samples[:, 0])
    slow = (freqs_hz > 0.1) & (freqs_hz < 1.0)
    assert freqs_hz[slow][power[slow].argmax()] == pytest.approx(20 / 60, abs=0.05)
    _, ringing = spectrum(np.abs(samples[:, 2] - samples[:, 2].mean()))
    beats = (freqs_hz > 1.0) & (freqs_hz < 2.5)
    assert freqs_hz[beats][ringing[beats].argmax()] == pytest.approx(90 / 60, abs=0.05)


def test_a_fit_jerks_at_its_rhythm():
    fit = Episode(Anomaly.SEIZURE, 0, 1.0, 3.0, phase=Phase.CLONIC)
    jerks = minute_of(profile_of(3), Bout(Behaviour.REST, 3.0, fit=fit), episode=fit)
    freqs_hz, power = spectrum(jerks[:, 2])
    beats = freqs_hz[power.argmax()] / 3.0
    assert beats == pytest.approx(round(beats), abs=0.1)
    assert round(beats) >= 1
    assert jerks[:, :3].std(axis=0).max() > 0.15


def test_a_collar_on_the_ground_feels_its_sensor_alone():
    down = (0.6, 0.0, 0.8)
    fallen = minute_of(
        profile_of(3), Bout(Behaviour.RUN, 2.0, froude=1.0), lost=Lost(0, 0, 0, 0, 0, down)
    )
    noise_g, noise_dps = fallen[:, :3].std(axis=0), fallen[:, 3:].std(axis=0)
    assert (noise_g < 0.002).all()
    assert (noise_dps < 0.2).all()
    assert np.linalg.norm(fallen[:, :3].mean(axis=0)) == pytest.approx(1.0, abs=0.12)


def test_a_part_is_as_noisy_as_its_data_sheet_says():
    kind = replace(BMI270, noise_spread=0.0)
    still = np.zeros((20_000, 6), np.float32)
    for rate_hz in (25.0, 100.0):
        part = kind.draw(np.random.default_rng(1))
        said = part.read(still, rate_hz, np.random.default_rng(2)) - part.offset
        band = np.sqrt(rate_hz / 2)
        step_g, step_dps = kind.acc_lsb_g / np.sqrt(12), kind.gyr_lsb_dps / np.sqrt(12)
        expected_g = np.hypot(160e-6 * band, step_g)
        expected_dps = np.hypot(0.007 * band, step_dps)
        assert said[:, :3].std(axis=0) == pytest.approx(expected_g, rel=0.05)
        assert said[:, 3:].std(axis=0) == pytest.approx(expected_dps, rel=0.05)


def test_a_part_clips_at_its_range_and_counts_in_steps():
    narrow = replace(BMI270, acc_range_g=2.0, gyr_range_dps=256.0)
    wild = np.random.default_rng(1).normal(0.0, (3, 3, 3, 400, 400, 400), (1000, 6))
    said = narrow.draw(np.random.default_rng(2)).read(
        wild.astype(np.float32), 25.0, np.random.default_rng(3)
    )
    assert np.abs(said[:, :3]).max() == 2.0
    assert 255.9 < np.abs(said[:, 3:]).max() <= 256.0 + narrow.gyr_lsb_dps
    assert (said[:, :3] % narrow.acc_lsb_g == 0).all()
    offsets = np.array([narrow.draw(np.random.default_rng(k)).offset for k in range(300)])
    assert offsets.std(axis=0) == pytest.approx([0.02] * 3 + [0.5] * 3, rel=0.15)
