"""What the neck feels of each footfall: force, brake, push, the collar's ringing, its tag's rattle.

A foot presses with half a sine while it is down (Alexander et al. 1979,
doi:10.1111/j.1469-7998.1979.tb03956.x): so its peak is pi / (2 * duty) of the weight that it bears
on average, and a faster gait, with its shorter steps on the ground, peaks higher. It brakes first
and pushes then. Forelegs bear 60 % of the weight (Kano et al. 2016, doi:10.1186/s12917-015-0631-2)
and the neck, which stands on them, feels little of the others. No two steps are alike.

Each foot gives three waves (pressing, braking, ringing), the trunk four (its swing, once and twice
a stride); a matrix of the animal's own turns these 16 into acceleration and angles of the neck. A
tag beside the unit strikes it some times as the foot lands, each time for milliseconds: at 25 Hz a
burst of all frequencies that dies away within two or three samples (`still` makes the noise).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.ethogram.anomaly import Leg
from collar_sim.animal.ethogram.gait import duty_factor

Waves = NDArray[np.float32]

LEGS = tuple(Leg)  # left front, right front, left hind, right hind
PHASES = {  # of each leg's touch-down in the stride: Hildebrand 1977, as a pattern
    "walk": (0.0, 0.5, 0.75, 0.25),
    "trot": (0.0, 0.5, 0.5, 0.0),
    "gallop": (0.0, 0.18, 0.55, 0.68),
}
FELT = np.array([0.40, 0.40, 0.10, 0.10])  # share of each foot in what the neck bears, by eye
SORE_PRESSES = 0.45  # less, at severity 1; its partner more (Abdelhadi 2013, in beagles)
PARTNER_PRESSES = 0.30
GROWTH = 0.4  # amplitude ~ Froude^0.4: a little less than linearly with speed
NOD_DEG = 4.0  # the head goes up as the sore leg lands and down on the sound one, by eye
SCATTER = 1.0  # rad, of the ringing from step to step
RING_UNEVENNESS = 0.2  # of its size, like `Footwork.unevenness`
WAVES = 16
TAG_S = 0.06  # for how long a tag goes on striking the unit after a footfall; by eye
TAG_UNEVENNESS = 0.6  # of its strikes, from step to step


@dataclass(frozen=True)
class Footwork:
    """How an individual goes at one gait."""

    mixing: NDArray[np.float32]
    """Shape (16, 6): waves to acceleration x, y, z in g and roll, pitch, yaw in degrees."""
    phases: NDArray[np.float32]
    """Shape (4,): touch-downs in the stride."""
    duty: float
    """Beside the average animal's."""
    unevenness: float
    """Spread of the logarithm of a footfall's force, from step to step."""
    haste: float
    """Spread of a footfall's moment, in strides."""
    ring_hz: float
    """The collar's own frequency on this neck."""
    ring_s: float
    """Time in which that dies away."""
    ring_rad: float
    """Where in its swing a footfall finds it."""
    at_froude: float
    """Speed at which the amplitudes hold."""
    tag_g: float
    """How hard its tag strikes the unit; 0 without one."""
    nod: float
    """How much of a limp's nodding reaches the unit."""


def footfalls(
    work: Footwork,
    froude: float,
    stride_hz: float,
    rate_hz: float,
    cycles: NDArray[np.float64],
    vary: Waves,
    rng: np.random.Generator,
    *,
    sore: Leg | None = None,
    severity: float = 0.0,
) -> tuple[Waves, Waves]:
    """What the neck does because of its steps, and how its tag strikes the unit then.

    Args:
        work: The individual's.
        froude: v^2/(g h) of its speed.
        stride_hz: Strides per second.
        rate_hz: Of the samples.
        cycles: Strides done at each sample, shape (n,), rising.
        vary: How the unit rings and how the trunk swings beside usual, shape (n, 2).
        rng: Of this minute and stream.
        sore: A leg that it spares.
        severity: How much, 0.5 to 1.2.

    Returns:
        The neck's motion, shape (n, 6): g, then degrees; the spread of the tag's shaking in g,
        shape (n,).
    """
    duty, force = _bearing(work, froude, sore, severity)
    grown = np.float32((froude / work.at_froude) ** GROWTH)
    since = (cycles - np.floor(cycles[0])).astype(np.float32)
    local, harder, swung = _steps(work, since, rng)
    seconds = np.maximum(local, 0.0) * np.float32(1.0 / stride_hz)
    turn = 2 * np.pi * since

    waves = np.empty((WAVES, len(cycles)), np.float32)
    _press(waves[:8], local, duty, force * np.exp(work.unevenness * harder))
    waves[:8] *= min(np.float32(1.0), grown)
    swing = 2 * np.pi * work.ring_hz * seconds + work.ring_rad + SCATTER * swung
    # a sore leg is set down softly
    struck = grown * force**2 * np.exp(RING_UNEVENNESS * harder)
    waves[8:12] = struck * np.exp(-seconds / work.ring_s) * np.sin(swing)
    waves[8:12] *= vary[:, 0]
    waves[12], waves[13] = np.cos(turn), np.sin(turn)
    waves[14], waves[15] = np.cos(2 * turn), np.sin(2 * turn)
    waves[12:] *= grown * vary[:, 1]
    motion = waves.T @ work.mixing  # not turned round: some BLAS would round differently

    if sore is not None:
        _nod(motion, work, LEGS.index(sore), severity, turn, duty)
    motion[:, :3] -= _mean_of_stride(motion[:, :3], round(rate_hz / stride_hz))
    knocks = np.exp(TAG_UNEVENNESS * swung - seconds / np.float32(TAG_S))
    felt = np.float32(work.tag_g * grown) * FELT.astype(np.float32)
    return motion, np.ascontiguousarray(knocks.T) @ felt


def _bearing(
    work: Footwork, froude: float, sore: Leg | None, severity: float
) -> tuple[Waves, Waves]:
    """For which share of a stride each leg is down, and how hard it presses, shape (4, 1) each."""
    duty = np.full((4, 1), min(0.8, work.duty * duty_factor(froude)), np.float32)
    force = np.ones((4, 1), np.float32)
    if sore is not None:
        at = LEGS.index(sore)
        force[at] -= SORE_PRESSES * severity
        force[at ^ 1] += PARTNER_PRESSES * severity
        duty[at] *= 1.0 - 0.1 * severity
    return duty, force


def _steps(work: Footwork, since: Waves, rng: np.random.Generator) -> tuple[Waves, Waves, Waves]:
    """How far into its step each leg is, and how that step differs from others.

    Args:
        work: The individual's.
        since: Strides done at each sample, shape (n,), from below 1 on.
        rng: Of this minute and stream.

    Returns:
        Strides since its touch-down, and two standard normal numbers of the step: how much harder
        it is, how the unit swings then; shape (4, n) each.
    """
    local = since - work.phases[:, None] + 1.0
    number = np.floor(local)
    local -= number
    steps = rng.standard_normal((3, 4, int(since[-1]) + 3), dtype=np.float32)
    at = number.astype(np.intp) + steps.shape[2] * np.arange(4)[:, None]
    harder, early, swung = steps.reshape(3, -1).take(at, axis=1)
    local -= work.haste * early
    return local, harder, swung


def _press(waves: Waves, local: Waves, duty: Waves, strength: Waves) -> None:
    """Fill eight rows: how each foot presses, and how it brakes and pushes, while it is down."""
    done = local / duty
    sine = np.sin(np.pi * done) * ((done > 0.0) & (done < 1.0)) * strength
    waves[0:4] = sine * (np.pi / 2 / duty)
    waves[4:8] = sine * np.cos(np.pi * done) * (np.pi / duty)


def _nod(
    motion: Waves, work: Footwork, leg: int, severity: float, turn: Waves, duty: Waves
) -> None:
    """Add the head's nodding over a sore leg."""
    front = work.nod * (1.0 if leg < 2 else -0.4)
    nod = np.cos(turn - 2 * np.pi * (work.phases[leg] + duty[leg] / 2))
    motion[:, 4] -= np.float32(NOD_DEG * front * severity) * nod
    motion[:, 2] -= np.float32(0.1 * front * severity) * nod


def _mean_of_stride(acc_g: Waves, samples: int) -> Waves:
    """Its mean over the stride about each sample: a body that goes on neither rises nor sinks."""
    half = min(samples // 2, len(acc_g) - 1)
    if half == 0:
        return acc_g
    padded = np.concatenate([acc_g[half:0:-1], acc_g, acc_g[-2 : -2 - half : -1]])
    total = np.cumsum(padded.astype(np.float64), axis=0)
    ends = np.concatenate([np.zeros((1, 3)), total])
    width = 2 * half + 1
    return ((ends[width:] - ends[:-width]) / width).astype(np.float32)
