"""What reaches the unit when the animal keeps still, and at all times: breath, heart, shaking.

Breath tilts the neck and a heartbeat rings the strap. A road, muscles that keep still, a strap that
rubs in the coat and a tag that strikes the unit shake it at all frequencies; the strap passes on
most of what is near its own frequency.
"""

import functools

import numpy as np

from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.ethogram.gait import MOTIONS
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.life.body import BodyMinute
from collar_sim.arrays import FloatArray, Samples

RUB_G = 1.75e-4  # per deg/s: shaking of a strap that turns in the coat, by eye
BUZZ_DPS_PER_G, RUB_DPS_PER_G = 60.0, 700.0  # of shaking by rotation, by eye
TONE_SPREAD = 0.7  # log, of that while it lasts
TUNED_HZ = 1.8  # width of the strap's own frequency
HELD_HZ = 1.0  # below it nothing shakes: the unit stays where it is on the neck
BEAT_DEG_PER_G = 1.5  # of nodding with it, by eye
BEAT_S = 0.12  # for how long a heartbeat rings at the neck; by eye


def add_vitals(
    motion: Samples, profile: Profile, body: BodyMinute, begun: tuple[float, float], rate_hz: int
) -> tuple[float, float]:
    """Add the part of breath and heart to a minute of the neck's motion.

    Args:
        motion: Shape (n, 6), changed in place: g, then degrees.
        profile: Whose neck it is.
        body: Of the minute: its rates.
        begun: Phases of breath and beat at the start, in cycles.
        rate_hz: Of the samples.

    Returns:
        Both phases at the end.
    """
    rates_hz = np.array([body.breath_rpm, body.heart_bpm]) / 60.0
    each_hz = np.repeat(rates_hz, rate_hz, axis=1)
    cycles = np.array(begun)[:, None] + np.cumsum(each_hz, axis=1) / rate_hz
    breath, beat = (cycles - np.floor(cycles)).astype(np.float32)
    breathing = np.sin(2 * np.pi * breath) + np.float32(0.3) * np.sin(4 * np.pi * breath)
    motion[:, 4] += np.float32(np.rad2deg(profile.breath_g)) * breathing
    motion[:, 2] += np.float32(profile.breath_g / 3) * breathing
    since_s = beat / each_hz[1].astype(np.float32)
    pulse = np.exp(-since_s / BEAT_S) * np.sin(2 * np.pi * profile.collar_hz * since_s)
    motion[:, 0] += np.float32(profile.beat_g) * pulse
    motion[:, 2] += np.float32(profile.beat_g) * pulse
    motion[:, 4] += np.float32(BEAT_DEG_PER_G * profile.beat_g) * pulse
    return float(breath[-1]), float(beat[-1])


def add_shaking(
    samples: Samples,
    profile: Profile,
    segments: list[Segment],
    stir: FloatArray,
    rattle_g: Samples,
    rng: np.random.Generator,
    rate_hz: int,
) -> None:
    """Add what shakes at all frequencies: a road, muscles, a strap that rubs, a tag that strikes.

    Args:
        samples: Shape (n, 6), changed in place: g and deg/s at the unit.
        profile: Whose collar it is.
        segments: The minute's behaviour.
        stir: How much the animal stirs at each second, shape (60,), unit variance.
        rattle_g: Of its tag at each sample, shape (n,).
        rng: Of this minute and stream.
        rate_hz: Of the samples.
    """
    spans = [segment.end_s - segment.start_s for segment in segments]
    buzz = np.repeat([MOTIONS[segment.bout.behaviour].buzz_g for segment in segments], spans)
    buzz *= profile.tone * np.exp(TONE_SPREAD * stir)
    buzz_g = np.repeat(buzz.astype(np.float32), rate_hz) + rattle_g
    rub_g = np.float32(RUB_G * profile.rubs) * np.abs(samples[:, 3:]).sum(axis=1)
    white = rng.standard_normal((6, 2 * (len(samples) // 2 + 1)), dtype=np.float32).view(
        np.complex64
    )
    tuning = _tuning(profile.collar_hz, len(samples), rate_hz)
    tuned = np.fft.irfft(white * tuning, len(samples)).T.astype(np.float32, copy=False)
    samples[:, :3] += tuned[:, :3] * (buzz_g + rub_g)[:, None]
    turning_dps = BUZZ_DPS_PER_G * buzz_g + RUB_DPS_PER_G * rub_g
    samples[:, 3:] += tuned[:, 3:] * turning_dps[:, None]


def _tuning(collar_hz: float, samples: int, rate_hz: int) -> Samples:
    """How a strap passes on each frequency: most of all its own, shape (samples // 2 + 1,)."""
    freqs_hz, held = _of_all(samples, rate_hz)
    passed = 0.6 + 1.2 * np.exp(-(((freqs_hz - collar_hz) / TUNED_HZ) ** 2))
    passed *= held
    return (passed * np.sqrt(samples / 2)).astype(np.float32)  # so that white noise has variance 1


@functools.cache
def _of_all(samples: int, rate_hz: int) -> tuple[FloatArray, FloatArray]:
    """The frequencies, and what of each every strap passes on."""
    freqs_hz: FloatArray = np.fft.rfftfreq(samples, 1.0 / rate_hz).astype(np.float64)
    return freqs_hz, freqs_hz**2 / (freqs_hz**2 + HELD_HZ**2)
