"""How the neck is held, and how it moves freely: what is drawn at knots, and smooth in between.

The posture is the bout's, and wanders about it; the head looks about in spells; the collar slides
round the neck. All that changes from second to second. Quicker free movements have knots of their
own, a fifth of a second apart.
"""

from dataclasses import dataclass, replace

import numpy as np

from collar_sim.animal.drift import Drift
from collar_sim.animal.ethogram.anomaly import Anomaly
from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.ethogram.gait import MOTIONS
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals.curves import RATE_HZ, between, spline
from collar_sim.arrays import FloatArray, Samples
from plugins.sdk.behaviours import Behaviour

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

KNOTS = 8
"""What is interpolated from second to second, a column each."""
GATE, PITCH, ROLL, YAW_RATE, SWAY, SHOVE, RINGING, SWINGING = range(KNOTS)

_look = Drift(LOOK_TAU_S)
_stir = Drift(STIR_TAU_S)
_slide = Drift(COLLAR_TAU_S)
_vary = Drift(VARY_TAU_S)
_QUANTILES = np.array([-6.0, -2.33, -1.64, -1.28, -0.84, -0.25, 0.25, 0.84, 1.28, 1.64, 6.0])
_SHARES = np.array([0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0])
_SLOW, _QUICK = spline(RATE_HZ), spline(RATE_HZ // FINE_HZ)


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


@dataclass(frozen=True)
class PostureMinute:
    """How the neck is held in one minute."""

    knots: FloatArray
    """At each second, shape (60, 8): `GATE` and so on."""
    curves: Samples
    """The same at each sample, shape (1500, 8)."""
    rhythm_hz: FloatArray
    """Of its steps or what else it does, at each second."""
    stir: FloatArray
    """How much the animal stirs at each second, of unit variance."""


def posture_minute(
    profile: Profile,
    pose: Pose,
    segments: list[Segment],
    track: Track,
    rng: np.random.Generator,
) -> tuple[PostureMinute, Pose]:
    """What changes slowly in a minute, and the pose with what of that is to be carried on.

    Args:
        profile: Whose neck it is.
        pose: From the minute before.
        segments: The minute's behaviour.
        track: Of the minute: how it turned, and what it felt of a ride.
        rng: Of this minute and stream.
    """
    look = _look.minute(np.array(pose.look), rng.standard_normal((60, 4)))
    slide = _slid(pose.slide, segments, rng)
    stir = _stir.minute(np.array([pose.stir]), rng.standard_normal((60, 1)))[:, 0]
    vary = _vary.minute(np.array(pose.vary), rng.standard_normal((60, 2)))
    knots, rhythm_hz = _held(profile, segments, look, stir, rng)
    knots[:, ROLL] += profile.collar_angle_deg + SLIDE_DEG * profile.looseness * slide
    knots[:, YAW_RATE] += track.turn_dps
    if track.felt_deg is not None:
        knots[:, [PITCH, ROLL]] += track.felt_deg.T
    knots[:, RINGING:] = np.exp(VARIES * vary)
    curves = between(np.concatenate([np.reshape(pose.knots, (2, -1)), knots]), _SLOW)
    last = replace(
        pose,
        look=tuple(look[-1].tolist()),
        slide=float(slide[-1]),
        knots=tuple(knots[-2:].ravel().tolist()),
        stir=float(stir[-1]),
        vary=tuple(vary[-1].tolist()),
    )
    return PostureMinute(knots, curves, rhythm_hz, stir), last


def free_movements(posture: PostureMinute, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Quick free movements, shape (1500, 6): g, then degrees; surges of vigour, shape (1500,).

    They fade at the minute's ends, so that nothing of them need be carried on.
    """
    fine = np.zeros((7, FINE + 2), np.float32)
    fine[:, 2:-2] = rng.standard_normal((FINE - 2, 7), dtype=np.float32).T
    fine[:3, 1:] -= fine[:3, :-1]  # the neck goes nowhere: nothing slow in its acceleration
    shove, sway = np.repeat(posture.knots[:, [SHOVE, SWAY]].T.astype(np.float32), FINE_HZ, axis=1)
    fine[:3, 2:] *= shove
    fine[3:6, 2:] *= sway
    curve = between(fine.T, _QUICK)
    surge = np.exp(curve[:, 6] * np.float32(SURGE)) * posture.curves[:, GATE]
    return curve[:, :6], surge


def _held(
    profile: Profile,
    segments: list[Segment],
    look: FloatArray,
    stir: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """What the bouts ask for at each second: shape (60, 8), and the rhythm in Hz, shape (60,).

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
    return knots, rhythm_hz


def _slid(last: float, segments: list[Segment], rng: np.random.Generator) -> FloatArray:
    """Where the collar is round the neck at each second: it slides only as the animal moves."""
    spans = [segment.end_s - segment.start_s for segment in segments]
    moving = np.repeat([segment.bout.behaviour not in STILL for segment in segments], spans)
    walk = _slide.minute(np.array([last]), rng.standard_normal((60, 1)))[:, 0]
    return np.concatenate([[last], walk])[np.cumsum(moving)]
