"""What the collar's IMU feels: 25 Hz, six axes, from the minute's segments.

Specific force on the neck is gravity plus the harmonics of the gait; the neck pitches and leans,
the collar slides round it, and the unit sits a little askew in its holder. Tilting by the gait's
own rotation is left out: it is within the amplitudes of `gait.SHAPES`, set on collar data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.anomaly import Anomaly
from collar_sim.animal.behaviour import Segment
from collar_sim.animal.body import BodyMinute
from collar_sim.animal.drift import Drift
from collar_sim.animal.gait import GROWTH, HARMONICS, MOTIONS, SHAPES, gait_of
from collar_sim.animal.lost import Lost
from collar_sim.animal.movement import Track
from collar_sim.animal.profile import Profile
from gateway.wire.windows import ACC_G_PER_LSB, GYR_DPS_PER_LSB

RATE_HZ = 25
SAMPLES = 60 * RATE_HZ
LOOK_TAU_S = 1.5  # how long a glance lasts
COLLAR_TAU_S = 400.0  # how long the collar stays where it slid
SLIDE_DEG = 35.0  # spread of the collar's angle when loosest
SLAP = 0.35  # share of the motion that a loose collar turns into rattle

FloatArray = NDArray[np.float64]
Samples = NDArray[np.float32]

_look = Drift(LOOK_TAU_S)
_slide = Drift(COLLAR_TAU_S)
_FRACTION = (np.arange(1, RATE_HZ + 1) / RATE_HZ)[None, :, None]
_LSB = np.array([ACC_G_PER_LSB] * 3 + [GYR_DPS_PER_LSB] * 3)
GATE, PITCH, ROLL, YAW_RATE = range(4)  # columns of the per-second knots


@dataclass(frozen=True)
class Pose:
    """What the IMU carries from minute to minute."""

    phase: float = 0.0
    """Of the rhythm, in cycles, 0 to 1."""
    look: tuple[float, ...] = (0.0,) * 4
    """Head pitch, roll, yaw and cadence, each of unit variance."""
    slide: float = 0.0
    """Of the collar round the neck, unit variance."""
    knot: tuple[float, ...] = (0.0,) * 4
    """Last values of what is interpolated from second to second."""


def imu_minute(
    profile: Profile,
    pose: Pose,
    segments: list[Segment],
    track: Track,
    body: BodyMinute,
    rng: np.random.Generator,
    *,
    worn: NDArray[np.bool_],
    lost: Lost | None,
) -> tuple[Samples, Pose]:
    """One minute of samples, and what to carry on.

    The samples have shape (1500, 6): g and deg/s, on the wire's int16 grid.

    Args:
        profile: Whose neck it is.
        pose: From the minute before.
        segments: The minute's behaviour.
        track: Of the minute: how it turned, and what it felt of a ride.
        body: Of the minute: what its breath and heart do.
        rng: Of this minute and stream.
        worn: Shape (60,): False where the collar lies on the ground.
        lost: How it lies there.
    """
    look = _look.minute(np.array(pose.look), rng.standard_normal((60, 4)))
    slide = _slide.minute(np.array([pose.slide]), rng.standard_normal((60, 1)))[:, 0]
    knots, rhythm_hz = _knots(profile, segments, track, look, slide, rng)
    first = np.concatenate([[pose.knot], knots])
    slope = np.diff(first, axis=0)
    curves = (first[:-1, None, :] + slope[:, None, :] * _FRACTION).reshape(SAMPLES, 4)
    cycles = pose.phase + np.cumsum(np.repeat(rhythm_hz / RATE_HZ, RATE_HZ))

    motion = _motion(profile, segments, cycles, curves[:, GATE])
    rattle = profile.looseness * SLAP
    motion *= 1.0 + rattle * rng.standard_normal((SAMPLES, 6), dtype=np.float32)
    motion[:, 4] += np.repeat(slope[:, PITCH], RATE_HZ)
    motion[:, 5] += curves[:, YAW_RATE]
    samples = _turned(motion, np.deg2rad(curves[:, PITCH]), np.deg2rad(curves[:, ROLL]))
    samples[:, 3] += np.repeat(slope[:, ROLL], RATE_HZ)
    if lost is not None:
        samples[np.repeat(~worn, RATE_HZ)] = (*lost.down, 0.0, 0.0, 0.0)
    samples = _sensed(profile, samples, rng)
    last = Pose(
        float(cycles[-1] % 1.0),
        tuple(look[-1].tolist()),
        float(slide[-1]),
        tuple(knots[-1].tolist()),
    )
    return samples, last


def _knots(
    profile: Profile,
    segments: list[Segment],
    track: Track,
    look: FloatArray,
    slide: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """What changes slowly, at each second: shape (60, 4), and the rhythm in Hz, shape (60,)."""
    knots = np.empty((60, 4))
    rhythm_hz = np.empty(60)
    chance = rng.random((60, 2))
    vigour = rng.standard_normal(60)
    for segment in segments:
        bout, span = segment.bout, slice(segment.start_s, segment.end_s)
        motion = MOTIONS[bout.behaviour]
        tremor = segment.episode.kind is Anomaly.TREMOR
        looks = (chance[span, 1] < motion.look) * motion.look_deg * profile.seat.look
        knots[span, GATE] = chance[span, 0] < motion.steady
        if motion.surge:
            knots[span, GATE] *= np.exp(motion.surge * vigour[span])
        knots[span, PITCH] = bout.pitch_deg + looks * look[span, 0]
        knots[span, ROLL] = bout.lean_deg + looks * look[span, 1]
        knots[span, YAW_RATE] = 10.0 * looks * look[span, 2]
        cadence = np.maximum(0.2, 1.0 + motion.jitter * look[span, 3])
        rhythm_hz[span] = cadence * (segment.episode.rhythm_hz if tremor else bout.rhythm_hz)
    knots[:, ROLL] += profile.collar_angle_deg + SLIDE_DEG * profile.looseness * slide
    knots[:, YAW_RATE] += track.turn_dps
    if track.felt_deg is not None:
        knots[:, [PITCH, ROLL]] += track.felt_deg.T
    return knots, rhythm_hz


def _motion(
    profile: Profile,
    segments: list[Segment],
    cycles: FloatArray,
    gate: FloatArray,
) -> Samples:
    """The rhythm's part of each sample in the body's frame, shape (1500, 6)."""
    turn = np.exp(2j * np.pi * (cycles % 1.0)).astype(np.complex64)
    powers = np.empty((SAMPLES, HARMONICS), np.complex64)
    powers[:, 0] = turn
    for k in range(1, HARMONICS):
        powers[:, k] = powers[:, k - 1] * turn
    body = np.empty((SAMPLES, 6), np.float32)
    for segment in segments:
        span = slice(segment.start_s * RATE_HZ, segment.end_s * RATE_HZ)
        wave = powers[span] @ _amplitudes(profile, segment)
        body[span] = wave.real * gate[span, None]
    return body


def _amplitudes(profile: Profile, segment: Segment) -> NDArray[np.complex64]:
    """Complex amplitudes of a segment's rhythm, shape (HARMONICS, 6)."""
    bout, episode = segment.bout, segment.episode
    if episode.kind is Anomaly.TREMOR:
        return profile.gait["tremor"] * np.float32(episode.severity)
    name = MOTIONS[bout.behaviour].shape or gait_of(bout.froude)
    at_froude = SHAPES[name].at_froude
    grown = 1.0 if at_froude is None else (bout.froude / at_froude) ** GROWTH
    waves = profile.gait[name] * np.float32(grown)
    if episode.kind is Anomaly.LIMP:
        waves = waves + profile.gait["limp"] * np.float32(episode.severity)
    return waves


def _turned(body: Samples, pitch_rad: FloatArray, roll_rad: FloatArray) -> Samples:
    """Body to collar: gravity by the neck's pitch, then everything by the angle round the neck."""
    sin_roll, cos_roll = np.sin(roll_rad), np.cos(roll_rad)
    x = body[:, 0] - np.sin(pitch_rad)
    y, z = body[:, 1], body[:, 2] + np.cos(pitch_rad)
    return np.stack(
        [
            x,
            cos_roll * y + sin_roll * z,
            cos_roll * z - sin_roll * y,
            body[:, 3],
            cos_roll * body[:, 4] + sin_roll * body[:, 5],
            cos_roll * body[:, 5] - sin_roll * body[:, 4],
        ],
        axis=1,
    ).astype(np.float32)


def _sensed(profile: Profile, samples: Samples, rng: np.random.Generator) -> Samples:
    """As the sensor reports it: mounted askew, scaled, biased, noisy, clipped and quantised."""
    noise = rng.standard_normal((SAMPLES, 6), dtype=np.float32)
    mounted = np.concatenate(
        [samples[:, :3] @ profile.mount.T, samples[:, 3:] @ profile.mount.T], axis=1
    )
    reading = mounted * profile.gain + profile.bias + noise * profile.noise
    counts = np.clip(np.rint(reading / _LSB), -32768, 32767)
    return (counts * _LSB).astype(np.float32)
