"""How an individual's neck and collar take up its footfalls: a matrix from waves to six motions.

The neck is the same at every gait, and so is how the unit hangs on it; what a gait adds are the
swings of the trunk, once and twice a stride. Sizes are by eye, so that spreads and spectra lie
where those of dogs do (``python -m bench realism`` says how near).
"""

import numpy as np

from collar_sim.animal.individual.footfall import FELT, PHASES, WAVES, Footwork
from collar_sim.animal.individual.wear import Seat
from collar_sim.arrays import FloatArray

OWN_SPREAD = 0.22  # log, of how strongly a neck takes up each kind of wave on each axis
ASYMMETRY = 0.05  # log, between the legs of a sound animal
UNEVEN_PHASE = 0.006  # strides, between left and right of a sound animal
HIND_PHASE = 0.03  # strides, of the hind legs behind the forelegs
UNEVENNESS, HASTE = 0.14, 0.012  # medians of `Footwork.unevenness` and `haste`
PRESSED = 0.5  # g of the neck per body weight under the feet
BRAKED = 0.14  # g, of a foot's brake and push
LOPSIDED = 0.3  # how unlike left and right footfalls ring a unit that hangs to one side
RING_G, RING_DEG = 1.2, 1.7  # of the loosest collar after a footfall
RING_TURN_SPREAD = 0.6  # log, of how much of it is turning: by where the unit's weight is
RING_S = (0.08, 0.3)  # shortest and longest time in which it dies away
RING_ASIDE = 0.4  # of its size up and down: a strap gives way along the neck least
TAGGED = 0.8  # share of the animals that wear a tag beside the unit
TAG_G, TAG_SPREAD = 0.3, 0.5  # of its strikes at a footfall, and from tag to tag, log
AT_FROUDE = {"walk": 0.3, "trot": 1.0, "gallop": 3.0}  # where the amplitudes below hold
RINGS = {"walk": 1.8, "trot": 2.0, "gallop": 1.8}  # how much more than `RING_G`
BOB_G = {"walk": 0.08, "trot": 0.25, "gallop": 0.1}  # beside what the feet press
LUNGE_G = {"walk": 0.0, "trot": 0.0, "gallop": 0.25}  # forward, once a stride
SWING_DEG = {  # roll, pitch, yaw of the neck: once a stride, twice a stride
    "walk": ((2.2, 1.3, 4.5), (0.7, 1.5, 0.8)),
    "trot": ((2.8, 1.5, 6.5), (1.0, 2.2, 1.0)),
    "gallop": ((3.0, 4.5, 4.5), (1.0, 1.2, 1.0)),
}
SWING_SPREAD = 0.7  # log, of each of its two parts
SWING_PHASE_RAD = 0.8  # about a swing that ends as a forefoot lands
ONE_AXIS_RAD = 0.35  # a collar swings about one oblique axis, not about each by itself
SIDE, END = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])  # of the four legs


def draw_footwork(
    vigour: float, looseness: float, collar_hz: float, rng: np.random.Generator, seat: Seat
) -> dict[str, Footwork]:
    """How an individual goes at each gait.

    Args:
        vigour: Of all its motions beside the average animal's.
        looseness: Of its collar, 0 to 1.
        collar_hz: The collar's own frequency.
        rng: The individual's.
        seat: Where the unit sits.
    """
    kinds = rng.lognormal(0.0, OWN_SPREAD, (7, 6)) * vigour
    kinds[[4, 6]] = kinds[[3, 5]]  # cosine and sine of a swing are one
    own = np.repeat(kinds, [4, 4, 4, 1, 1, 1, 1], axis=0)
    own[:12] *= rng.lognormal(0.0, ASYMMETRY, (12, 6))
    steps, ring = _steps(rng), _ring(looseness, rng) * seat.sliding
    duty, unevenness, haste = rng.lognormal(0.0, (0.08, 0.3, 0.3)).tolist()
    ring_s, ring_rad = rng.uniform((RING_S[0], -np.pi), (RING_S[1], np.pi)).tolist()
    uneven = rng.normal(0.0, UNEVEN_PHASE, 4)
    uneven[2:] += rng.normal(0.0, HIND_PHASE)
    tagged, tag_g = float(rng.random()) < TAGGED, TAG_G * float(rng.lognormal(0.0, TAG_SPREAD))
    footwork: dict[str, Footwork] = {}
    for gait, phases in PHASES.items():
        parts = [steps, RINGS[gait] * ring, _swings(gait, rng)]
        mixing = np.concatenate(parts) * own * seat.axes
        footwork[gait] = Footwork(
            mixing=mixing.astype(np.float32),
            phases=((phases + uneven - uneven[0]) % 1.0).astype(np.float32),
            duty=duty,
            unevenness=UNEVENNESS * unevenness,
            haste=HASTE * haste,
            ring_hz=collar_hz,
            ring_s=ring_s,
            ring_rad=ring_rad,
            at_froude=AT_FROUDE[gait],
            tag_g=tag_g * seat.sliding if tagged else 0.0,
            nod=seat.reach.get("limp", 1.0),
        )
    return footwork


def _steps(rng: np.random.Generator) -> FloatArray:
    """Rows of pressing and of braking, shape (8, 6)."""
    level, lift, dip = rng.standard_normal(3).tolist()
    rows = np.zeros((8, 6))
    rows[:4] = np.outer(FELT, [0.15 * level, 0.0, PRESSED, 0.0, 0.0, 0.0])
    rows[:4, 1] = 0.25 * FELT * SIDE
    rows[:4, 3] = -0.8 * FELT * SIDE
    rows[:4, 4] = 1.2 * FELT * END
    rows[4:, 0] = -BRAKED * np.sqrt(FELT)
    rows[4:, 2] = 0.05 * lift * FELT
    rows[4:, 4] = 0.8 * dip * FELT
    return rows


def _ring(looseness: float, rng: np.random.Generator) -> FloatArray:
    """Rows of the collar's ringing after each foot, shape (4, 6)."""
    way = rng.uniform(-np.pi, np.pi)
    stray = rng.standard_normal((4, 6))
    lopsided = LOPSIDED * float(rng.standard_normal())
    rows = np.empty((4, 6))
    rows[:, :2] = RING_ASIDE * np.array([np.cos(way), np.sin(way)]) + 0.3 * stray[:, :2]
    rows[:, 2] = 1.0
    rows[:, 2] += lopsided * SIDE
    rows[:, :3] *= RING_G * (0.5 + looseness)
    turned = RING_DEG * float(rng.lognormal(0.0, RING_TURN_SPREAD))
    rows[:, 3:] = turned * (0.3 + looseness) * stray[:, 3:]
    return rows * FELT[:, None]


def _swings(gait: str, rng: np.random.Generator) -> FloatArray:
    """Rows of the trunk's swings, cosine and sine, once and twice a stride, shape (4, 6)."""
    rows = np.zeros((WAVES - 12, 6))
    for row, swing_deg in zip((0, 2), SWING_DEG[gait], strict=True):
        phase = rng.normal(0.0, SWING_PHASE_RAD) + rng.normal(0.0, ONE_AXIS_RAD, 3)
        size = np.array(swing_deg) * rng.lognormal(0.0, SWING_SPREAD)
        rows[row, 3:], rows[row + 1, 3:] = size * np.cos(phase), size * np.sin(phase)
    rows[:2, 1] = 0.06 * rng.standard_normal(2)
    bob = rng.normal(0.0, ONE_AXIS_RAD)
    rows[2:, 2] = BOB_G[gait] * np.array([np.sin(bob), np.cos(bob)])
    rows[1, 0] = LUNGE_G[gait]
    return rows
