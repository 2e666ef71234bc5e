"""What the collar's IMU feels: 25 Hz, six axes, from the minute's segments.

The neck has a posture, which changes within seconds, and moves about it: by its footfalls
(`footfall`) or another rhythm (`rhythm`), by free movements of the head, by breath and heartbeat.
All are accelerations and angles of the neck. Rotation is the change of the angles, and gravity
turns with them, so that the six axes agree; the collar slides round the neck, the unit sits a
little askew in its holder, and `sensor` says what a real part makes of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.drift import Drift
from collar_sim.animal.ethogram.anomaly import Anomaly, Phase
from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.ethogram.gait import MOTIONS, gait_of
from collar_sim.animal.individual.footfall import footfalls
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.individual.rhythm import HARMONICS, as_angles
from collar_sim.animal.life.body import BodyMinute
from collar_sim.animal.place.lost import Lost
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals.still import add_shaking, add_vitals
from collar_sim.arrays import FloatArray, Samples
from plugins.sdk import manifest
from plugins.sdk.behaviours import Behaviour

RATE_HZ = int(manifest.RATE_HZ)  # whole, so that a second is a row
SAMPLES = 60 * RATE_HZ
LOOK_TAU_S = 1.5  # how long a glance lasts
STIR_TAU_S = 8.0  # how long it goes on stirring, once it does
COLLAR_TAU_S = 400.0  # how long the collar stays where it slid
SLIDE_DEG = 35.0  # spread of the collar's angle when loosest
STILL = {Behaviour.SLEEP, Behaviour.REST, Behaviour.VEHICLE}
FINE_HZ = 5  # of the knots of quicker movements
FINE = 60 * FINE_HZ
SETTLE_DEG = 0.25  # how far a neck that keeps still wanders all the same
VARY_TAU_S = 10.0
VARIES = 0.4
"""Spread of the logarithm of how the unit rings and the trunk swings, from moment to moment."""
FICKLE = 0.7  # spread of the logarithm of how a cadence wanders, from moment to moment; by eye
SURGE = 0.20  # spread of the logarithm of a gait's vigour
RAMP_S = 0.5  # in which one bout's motion gives way to the next


_look = Drift(LOOK_TAU_S)
_stir = Drift(STIR_TAU_S)
_slide = Drift(COLLAR_TAU_S)
_vary = Drift(VARY_TAU_S)
_QUANTILES = np.array([-6.0, -2.33, -1.64, -1.28, -0.84, -0.25, 0.25, 0.84, 1.28, 1.64, 6.0])
_SHARES = np.array([0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0])
KNOTS = 8
"""What is interpolated from second to second, a column each."""
GATE, PITCH, ROLL, YAW_RATE, SWAY, SHOVE, RINGING, SWINGING = range(KNOTS)


def _spline(steps: int) -> NDArray[np.float32]:
    """Weights of three knots at so many samples between two: a quadratic B-spline."""
    at = np.arange(1, steps + 1) / steps
    return np.stack([(1 - at) ** 2 / 2, 0.5 + at - at**2, at**2 / 2]).astype(np.float32)


_SLOW, _QUICK = _spline(RATE_HZ), _spline(RATE_HZ // FINE_HZ)


@dataclass(frozen=True)
class Pose:
    """What the IMU carries from minute to minute."""

    phase: float = 0.0
    """Of the rhythm, in cycles, 0 to 1."""
    look: tuple[float, ...] = (0.0,) * 4
    """Head pitch, roll, yaw and cadence, each of unit variance."""
    slide: float = 0.0
    """Of the collar round the neck, unit variance."""
    knots: tuple[float, ...] = (0.0,) * 16
    """The last two of what is interpolated from second to second."""
    angles: tuple[float, ...] = (0.0,) * 3
    """Last roll, pitch and yaw, in degrees."""
    stir: float = 0.0
    """Unit variance."""
    vary: tuple[float, ...] = (0.0, 0.0)
    """Of the unit's ringing and the trunk's swing, of unit variance."""
    breath: float = 0.0
    """Phase, in cycles."""
    beat: float = 0.0


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
    slide = _slid(pose.slide, segments, rng)
    stir = _stir.minute(np.array([pose.stir]), rng.standard_normal((60, 1)))[:, 0]
    vary = _vary.minute(np.array(pose.vary), rng.standard_normal((60, 2)))
    knots, rhythm_hz = _knots(profile, segments, track, look, slide, stir, rng)
    knots[:, RINGING:] = np.exp(VARIES * vary)
    curves = _between(np.concatenate([np.reshape(pose.knots, (2, -1)), knots]), _SLOW)
    cycles = pose.phase + np.cumsum(np.repeat(rhythm_hz / RATE_HZ, RATE_HZ))

    motion, quick = _fine(knots, rng)
    surge = np.exp(quick) * curves[:, GATE]
    rattle_g = _add_rhythms(motion, profile, segments, cycles, surge, curves[:, RINGING:], rng)
    breath, beat = add_vitals(motion, profile, body, (pose.breath, pose.beat), RATE_HZ)
    motion[:, 3] += curves[:, ROLL]
    motion[:, 4] += curves[:, PITCH]
    yaw = np.cumsum(curves[:, YAW_RATE]) / RATE_HZ
    motion[:, 5] += yaw
    samples = _felt(motion, pose)
    add_shaking(samples, profile, segments, stir, rattle_g, rng, RATE_HZ)
    if lost is not None:
        samples[np.repeat(~worn, RATE_HZ)] = (*lost.down, 0.0, 0.0, 0.0)
    mount = profile.mount.T.astype(np.float32)
    samples[:, :3] @= mount
    samples[:, 3:] @= mount
    last = Pose(
        phase=float(cycles[-1] % 1.0),
        look=tuple(look[-1].tolist()),
        slide=float(slide[-1]),
        knots=tuple(knots[-2:].ravel().tolist()),
        angles=(*motion[-1, 3:5].tolist(), float(motion[-1, 5] - yaw[-1])),
        stir=float(stir[-1]),
        vary=tuple(vary[-1].tolist()),
        breath=breath,
        beat=beat,
    )
    return profile.sensor.read(samples, RATE_HZ, rng), last


def _knots(
    profile: Profile,
    segments: list[Segment],
    track: Track,
    look: FloatArray,
    slide: FloatArray,
    stir: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """What changes slowly, at each second: shape (60, 8), and the rhythm in Hz, shape (60,).

    The columns from `RINGING` on are left for the caller to fill.
    """
    knots = np.empty((60, KNOTS))
    rhythm_hz = np.empty(60)
    rank = np.interp(stir, _QUANTILES, _SHARES)  # of this moment among all, 0 to 1
    fickle = np.exp(-FICKLE * stir)  # who looks about breaks its step
    vigour = rng.standard_normal(60)
    steady = rng.random(60)
    settle_deg = SETTLE_DEG * profile.tone
    for segment in segments:
        bout, span = segment.bout, slice(segment.start_s, segment.end_s)
        motion = MOTIONS[bout.behaviour]
        tremor = segment.episode.kind is Anomaly.TREMOR
        looks = (rank[span] < motion.look) * profile.seat.look
        turns = looks * (motion.look_deg * profile.restless)
        knots[span, GATE] = steady[span] < motion.steady
        if motion.surge:
            knots[span, GATE] *= np.exp(motion.surge * vigour[span])
        knots[span, PITCH] = bout.pitch_deg + (turns + settle_deg) * look[span, 0]
        knots[span, ROLL] = bout.lean_deg + (turns + settle_deg) * look[span, 1]
        knots[span, YAW_RATE] = (3.0 * turns + 2.0 * settle_deg) * look[span, 2]
        knots[span, SWAY] = looks * (motion.sway_deg * profile.restless)
        knots[span, SHOVE] = motion.shove_g * (1.0 if bout.froude > 0 else looks)
        cadence = np.maximum(0.2, 1.0 + motion.jitter * fickle[span] * look[span, 3])
        rhythm_hz[span] = cadence * (segment.episode.rhythm_hz if tremor else bout.rhythm_hz)
    knots[:, ROLL] += profile.collar_angle_deg + SLIDE_DEG * profile.looseness * slide
    knots[:, YAW_RATE] += track.turn_dps
    if track.felt_deg is not None:
        knots[:, [PITCH, ROLL]] += track.felt_deg.T
    return knots, rhythm_hz


def _slid(last: float, segments: list[Segment], rng: np.random.Generator) -> FloatArray:
    """Where the collar is round the neck at each second: it slides only as the animal moves."""
    moving = np.concatenate(
        [np.full(s.end_s - s.start_s, s.bout.behaviour not in STILL) for s in segments]
    )
    walk = _slide.minute(np.array([last]), rng.standard_normal((60, 1)))[:, 0]
    return np.concatenate([[last], walk])[np.cumsum(moving)]


def _between(knots: FloatArray | Samples, weights: Samples) -> Samples:
    """A smooth curve along knots, shape (steps * (n - 2), c) from (n, c)."""
    fine = knots.astype(np.float32)
    parts = [weights[i][:, None] * fine[i : len(fine) - 2 + i, None] for i in range(3)]
    return (parts[0] + parts[1] + parts[2]).reshape(-1, fine.shape[1])


def _fine(knots: FloatArray, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Quick free movements, shape (1500, 6), and the surges of vigour, shape (1500,).

    They fade at the minute's ends, so that nothing of them need be carried on.
    """
    fine = np.zeros((FINE + 2, 7), np.float32)
    fine[2:-2] = rng.standard_normal((FINE - 2, 7), dtype=np.float32)
    fine[1:, :3] -= fine[:-1, :3]  # the neck goes nowhere: nothing slow in its acceleration
    each = np.repeat(knots[:, [SHOVE, SWAY]], FINE_HZ, axis=0).astype(np.float32)
    fine[2:, :3] *= each[:, :1]
    fine[2:, 3:6] *= each[:, 1:]
    curve = _between(fine, _QUICK)
    return curve[:, :6], curve[:, 6] * np.float32(SURGE)


def _add_rhythms(
    motion: Samples,
    profile: Profile,
    segments: list[Segment],
    cycles: FloatArray,
    surge: Samples,
    vary: Samples,
    rng: np.random.Generator,
) -> Samples:
    """Add the part of footfalls and other rhythms; returns how the tag shakes the unit, in g.

    Args:
        motion: Shape (1500, 6), changed in place: g, then degrees.
        profile: Whose neck it is.
        segments: The minute's behaviour.
        cycles: Phase of the rhythm at each sample.
        surge: Vigour at each sample.
        vary: Shape (1500, 2): how the unit rings and the trunk swings.
        rng: Of this minute and stream.
    """
    rattle_g = np.zeros(SAMPLES, np.float32)
    for segment in segments:
        bout, episode = segment.bout, segment.episode
        span = slice(segment.start_s * RATE_HZ, segment.end_s * RATE_HZ)
        if bout.froude > 0:
            limp = episode.kind is Anomaly.LIMP
            wave, rattle_g[span] = footfalls(
                profile.footwork[gait_of(bout.froude)],
                bout.froude,
                bout.rhythm_hz,
                RATE_HZ,
                cycles[span],
                vary[span],
                rng,
                sore=episode.side if limp else None,
                severity=episode.severity,
            )
        else:
            name = _rhythm_of(segment)
            if name is None:
                continue
            waves = as_angles(profile.rhythms[name], float(bout.rhythm_hz), RATE_HZ)
            if episode.kind in (Anomaly.TREMOR, Anomaly.SEIZURE):
                waves = waves * np.float32(episode.severity)
            turn = np.exp(2j * np.pi * (cycles[span] % 1.0)).astype(np.complex64)
            powers = np.cumprod(np.repeat(turn[:, None], HARMONICS, axis=1), axis=1)
            wave = (powers @ waves).real
        on = surge[span] * _ramp(segment)
        rattle_g[span] *= on
        motion[span] += wave * on[:, None]
    return rattle_g


def _rhythm_of(segment: Segment) -> str | None:
    """The row of `rhythm.SHAPES` that a bout without a gait follows."""
    match segment.episode.kind, segment.episode.phase:
        case Anomaly.TREMOR, _:
            return "tremor"
        case Anomaly.SEIZURE, Phase.TONIC:
            return "tonic"
        case Anomaly.SEIZURE, Phase.CLONIC:
            return "clonic"
        case _:
            return MOTIONS[segment.bout.behaviour].shape


def _ramp(segment: Segment) -> Samples:
    """How far a bout's motion is on, 0 to 1; in full at the minute's ends."""
    samples = (segment.end_s - segment.start_s) * RATE_HZ
    at = np.arange(1, samples + 1, dtype=np.float32) / (RAMP_S * RATE_HZ)
    on = np.ones(samples, np.float32)
    if segment.start_s > 0:
        on = np.minimum(on, at)
    if segment.end_s < 60:
        on = np.minimum(on, at[::-1])
    return on


def _felt(motion: Samples, pose: Pose) -> Samples:
    """Neck to collar: gravity by its pitch, then everything by the angle round the neck."""
    before = np.array(pose.angles, np.float32)
    rates = np.diff(motion[:, 3:], axis=0, prepend=before[None]) * np.float32(RATE_HZ)
    roll, pitch = np.deg2rad(motion[:, 3]), np.deg2rad(motion[:, 4])
    sin_roll, cos_roll = np.sin(roll), np.cos(roll)
    y, z = motion[:, 1], motion[:, 2] + np.cos(pitch)
    samples = np.empty_like(motion)
    samples[:, 0] = motion[:, 0] - np.sin(pitch)
    samples[:, 1] = cos_roll * y + sin_roll * z
    samples[:, 2] = cos_roll * z - sin_roll * y
    samples[:, 3] = rates[:, 0]
    samples[:, 4] = cos_roll * rates[:, 1] + sin_roll * rates[:, 2]
    samples[:, 5] = cos_roll * rates[:, 2] - sin_roll * rates[:, 1]
    return samples
