"""What of the minute's rhythm reaches the unit: footfalls, or the beat of what is no gait.

Either is a wave of the phase (`footfall`, `rhythm`), as vigorous as the animal is at each moment;
one bout's gives way to the next within half a second.
"""

import numpy as np

from collar_sim.animal.ethogram.anomaly import Anomaly, Phase
from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.ethogram.gait import MOTIONS, gait_of
from collar_sim.animal.individual.footfall import footfalls
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.individual.rhythm import HARMONICS, as_angles
from collar_sim.animal.signals.curves import RATE_HZ, SAMPLES
from collar_sim.arrays import FloatArray, Samples

RAMP_S = 0.5  # in which one bout's motion gives way to the next


def add_rhythms(
    motion: Samples,
    profile: Profile,
    segments: list[Segment],
    cycles: FloatArray,
    surge: Samples,
    vary: Samples,
    rng: np.random.Generator,
) -> Samples:
    """Add the part of footfalls and other rhythms to a minute of the neck's motion.

    Args:
        motion: Shape (1500, 6), changed in place: g, then degrees.
        profile: Whose neck it is.
        segments: The minute's behaviour.
        cycles: Phase of the rhythm at each sample.
        surge: Vigour at each sample.
        vary: Shape (1500, 2): how the unit rings and the trunk swings.
        rng: Of this minute and stream.

    Returns:
        How its tag shakes the unit at each sample, in g.
    """
    rattle_g = np.zeros(SAMPLES, np.float32)
    for segment in segments:
        span = slice(segment.start_s * RATE_HZ, segment.end_s * RATE_HZ)
        if segment.bout.froude > 0:
            wave, rattle_g[span] = _steps(profile, segment, cycles[span], vary[span], rng)
        elif (name := _rhythm_of(segment)) is not None:
            wave = _beat(profile, segment, name, cycles[span])
        else:
            continue
        on = surge[span] * _ramp(segment)
        rattle_g[span] *= on
        motion[span] += wave * on[:, None]
    return rattle_g


def _steps(
    profile: Profile,
    segment: Segment,
    cycles: FloatArray,
    vary: Samples,
    rng: np.random.Generator,
) -> tuple[Samples, Samples]:
    """What `footfalls` says of a bout at a gait."""
    bout, episode = segment.bout, segment.episode
    return footfalls(
        profile.footwork[gait_of(bout.froude)],
        bout.froude,
        bout.rhythm_hz,
        RATE_HZ,
        cycles,
        vary,
        rng,
        sore=episode.side if episode.kind is Anomaly.LIMP else None,
        severity=episode.severity,
    )


def _beat(profile: Profile, segment: Segment, name: str, cycles: FloatArray) -> Samples:
    """The wave of a bout that follows this row of `rhythm.SHAPES`, shape (n, 6)."""
    waves = as_angles(profile.rhythms[name], float(segment.bout.rhythm_hz), RATE_HZ)
    if segment.episode.kind in (Anomaly.TREMOR, Anomaly.SEIZURE):
        waves = waves * np.float32(segment.episode.severity)
    turn = np.exp(2j * np.pi * (cycles % 1.0)).astype(np.complex64)
    powers = np.cumprod(np.repeat(turn[:, None], HARMONICS, axis=1), axis=1)
    return (powers @ waves).real.astype(np.float32, copy=False)


def _rhythm_of(segment: Segment) -> str | None:
    """The row of `rhythm.SHAPES` that a bout without a gait follows; None when it keeps still."""
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
