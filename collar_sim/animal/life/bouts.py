"""Bouts, as one animal does them this time: how fast, in which posture, for how long."""

import math

import numpy as np

from collar_sim.animal.ethogram.bout import Bout
from collar_sim.animal.ethogram.gait import MOTIONS, froude_of, speed_mps, stride_hz
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.life.errands import Now
from collar_sim.animal.life.habits import HABITS, RHYTHMS, stretch
from plugins.sdk.behaviours import Behaviour

# owners walk a mile with the dog in 22 minutes on average (survey of the Association for Pet
# Obesity Prevention): at that pace small dogs trot, and all step in time with it
OWNER_MPS, OWNER_SPREAD = 1.22, 0.15
MOST_LED_FROUDE = 1.2  # who would have to trot faster is waited for
LAME_SLOWS_BY = 0.35  # of the Froude number: a fifth of the speed
LAME_RESTS_BY = 0.4


def draw_bout(profile: Profile, behaviour: Behaviour, now: Now, rng: np.random.Generator) -> Bout:
    """A bout of this behaviour.

    Args:
        profile: Who does it.
        behaviour: What it does.
        now: The minute: led or free, sound or lame.
        rng: Of this minute and stream.
    """
    motion = MOTIONS[behaviour]
    on_trunk = profile.seat.on_trunk
    mean, spread = motion.trunk_deg if on_trunk else motion.pitch_deg
    carriage_deg = 0.0 if on_trunk else profile.neck_pitch_deg
    pitch_deg = float(rng.normal(mean, spread)) + carriage_deg
    lean_deg = float(rng.normal(0.0, motion.lean_deg))
    if motion.froude is None:
        rhythm_hz = float(rng.uniform(*motion.rhythm_hz)) * motion.scale(profile.mass_kg)
        roam_mps = float(rng.uniform(*motion.roam_mps))
        return Bout(behaviour, rhythm_hz, 0.0, roam_mps, pitch_deg, lean_deg)
    froude = math.exp(rng.uniform(*np.log(motion.froude)))  # as many slow ones as fast ones
    if behaviour is Behaviour.WALK and now.afield:
        pace_mps = OWNER_MPS * rng.lognormal(0.0, OWNER_SPREAD)
        froude = min(MOST_LED_FROUDE, froude_of(pace_mps, profile.hip_height_m))
    froude *= 1.0 - LAME_SLOWS_BY * now.lameness
    return at_a_gait(profile, behaviour, froude, pitch_deg, lean_deg)


def at_a_gait(
    profile: Profile, behaviour: Behaviour, froude: float, pitch_deg: float, lean_deg: float
) -> Bout:
    """A bout at the gait and speed of this Froude number, above 0."""
    hip_m = profile.hip_height_m
    return Bout(
        behaviour,
        stride_hz(froude, hip_m),
        froude=froude,
        speed_mps=speed_mps(froude, hip_m),
        pitch_deg=pitch_deg,
        lean_deg=lean_deg,
    )


def length_s(profile: Profile, behaviour: Behaviour, now: Now, rng: np.random.Generator) -> int:
    """For how many seconds it does this, if nobody interrupts it."""
    habit = HABITS[behaviour]
    longer = stretch(habit, now.level)
    if behaviour is Behaviour.SLEEP:
        longer *= RHYTHMS[profile.species].doze
    if behaviour is Behaviour.REST:
        longer *= 1.0 + LAME_RESTS_BY * now.lameness
    drawn_s = round(habit.median_s * longer * rng.lognormal(0, habit.spread))
    return min(habit.most_s, max(habit.least_s, drawn_s))
