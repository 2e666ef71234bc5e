"""What the receiver says of where the collar is, once it has a fix (`receiver`).

The error of each axis is a first-order Gauss-Markov process (Brown & Hwang, Introduction to Random
Signals, ch. 5): it wanders over a minute or two, so averaging a few fixes does not remove it. How
large it is depends on the ground. Between tall buildings reflections add an error across the
street that stays the same for tens of metres: in central London a phone was within 5 m across the
street in 25 of 100 cases (Wang, Groves & Ziebart 2014, "Smartphone shadow matching for better
cross-street GNSS positioning in urban environments", Journal of Navigation); here in 28.
Indoors there is seldom any fix.

Now and then a receiver is over-confident: for some seconds it is far off and claims metres. A phone
at rest was seen to claim 1.9 m when 200 m off, and one such pair a day on another (Ikolvi/Tracelet
issue 294).
"""

import math
from dataclasses import dataclass

import numpy as np

from collar_sim.animal.drift import Drift, Settling
from collar_sim.animal.place.ground import Ground, Neighbourhood, to_degrees
from collar_sim.animal.place.movement import Track
from collar_sim.arrays import BoolArray, FloatArray

TAU_S = 90.0  # multipath and ionosphere as a small moving receiver sees them
SETTLING_S = 8.0  # the receiver's filter, when the sky opens or closes
UERE_M = 3.0  # horizontal error at hdop 1
RADIUS_68 = math.sqrt(-2.0 * math.log(1.0 - 0.68))  # of a round Gaussian, in sigmas: 1.51
ESTIMATE_SPREAD = 0.1  # log; how well a receiver knows its own error
ECHO_M = 12.0  # standard deviation of what reflections add across a canyon
ECHO_ALONG_M = (70.0, 113.0)  # that far one walks until they are others, by eye

SIGMA_M = np.zeros(len(Ground))  # per axis, worn on a neck: by eye; SAM-M10Q's own is 1.3 m
SIGMA_M[Ground.HOUSE] = 14.0
SIGMA_M[Ground.GARDEN] = 3.0
SIGMA_M[Ground.PLOTS] = 3.5
SIGMA_M[Ground.STREET] = 3.0
SIGMA_M[Ground.CANYON] = 7.0
SIGMA_M[Ground.PARK] = 2.1
SIGMA_M[Ground.ROAD] = 3.5
SEEN = np.full(len(Ground), -9.0)  # the slow drift of the view must lie above for a fix
SEEN[Ground.HOUSE] = 1.4  # 8 of 100: by a window
SEEN[Ground.CANYON] = -1.65  # 95 of 100
ASTRAY_PER_H = np.full(len(Ground), 1.0 / 24.0)  # one a day: Tracelet 294
ASTRAY_PER_H[Ground.HOUSE] = 0.25  # that report's other phone had three in as many minutes
ASTRAY_PER_H[Ground.CANYON] = 0.5
ASTRAY_S = (5, 60)  # shortest and longest
ASTRAY_MEAN_S = 12.0  # beyond the shortest
ASTRAY_M, ASTRAY_M_SPREAD, ASTRAY_M_RANGE = 180.0, 0.5, (60.0, 700.0)  # 94 to 718 m were reported
ASTRAY_CLAIMS_M = (1.5, 3.0)

_drift = Drift(TAU_S)
_settle = Settling(SETTLING_S)


@dataclass(frozen=True)
class Astray:
    """A burst of over-confidence."""

    left_s: int
    east_m: float
    north_m: float
    claims_m: float


@dataclass(frozen=True)
class Sky:
    """What the receiver's error carries from minute to minute."""

    drift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of the error east and north, and of the view through windows; unit variance."""
    settled: tuple[float, float, float, float] = (2.1, 2.1, 0.0, 0.0)
    """True and claimed sigma, what reflections add east and north; metres."""
    astray: Astray | None = None


@dataclass(frozen=True)
class Measurement:
    """One position as the receiver reports it."""

    lat_deg: float
    lon_deg: float
    accuracy_m: float
    """Holds the true position in 68 of 100 cases; not in a burst of over-confidence."""
    hdop: float
    speed_mps: float


@dataclass(frozen=True)
class GnssMinute:
    """What the receiver would report at each second of a minute, were it on and had a fix."""

    lat_deg: FloatArray
    lon_deg: FloatArray
    accuracy_m: FloatArray
    hdop: FloatArray
    speed_mps: FloatArray
    valid: BoolArray
    """Whether there is a fix to be had."""
    astray: BoolArray
    """Truth, not for firmware: the receiver is over-confident."""

    def at(self, second: int) -> Measurement:
        """The report at one second, 0 to 59."""
        return Measurement(
            lat_deg=float(self.lat_deg[second]),
            lon_deg=float(self.lon_deg[second]),
            accuracy_m=float(self.accuracy_m[second]),
            hdop=float(self.hdop[second]),
            speed_mps=float(self.speed_mps[second]),
        )


def first_sky(rng: np.random.Generator) -> Sky:
    """A receiver that has been on for long."""
    east, north, view = rng.standard_normal(3).tolist()
    return Sky(drift=(east, north, view))


def gnss_minute(
    sky: Sky,
    here: Neighbourhood,
    home: tuple[float, float],
    track: Track,
    rng: np.random.Generator,
) -> tuple[GnssMinute, Sky]:
    """What there is to report of a minute, and what to carry on.

    Args:
        sky: From the minute before.
        here: Where it is.
        home: Latitude and longitude in degrees of the track's origin.
        track: Of the collar itself.
        rng: Of this minute and stream.
    """
    noise = rng.standard_normal((60, 5))
    unit = _drift.minute(np.array(sky.drift), noise[:, :3])
    towards = _conditions(here, track)
    settled = _settle.minute(np.array(sky.settled), towards)
    sigma_m, claimed_m = settled[:, 0], settled[:, 1]
    east_m = sigma_m * unit[:, 0] + settled[:, 2]
    north_m = sigma_m * unit[:, 1] + settled[:, 3]
    accuracy_m = RADIUS_68 * claimed_m * np.exp(ESTIMATE_SPREAD * noise[:, 3])
    hdop = math.sqrt(2.0) * claimed_m / UERE_M
    valid = unit[:, 2] > SEEN[track.ground]
    is_astray, astray = _gone_astray(sky.astray, track, rng)
    if astray is not None and is_astray.any():
        east_m[is_astray], north_m[is_astray] = astray.east_m, astray.north_m
        accuracy_m[is_astray], hdop[is_astray] = astray.claims_m, 0.8
        valid = valid | is_astray
    lat_deg, lon_deg = to_degrees(home, track.east_m + east_m, track.north_m + north_m)
    # Doppler: far better than the position
    speed_mps = np.maximum(0.0, track.speed_mps + 0.05 * claimed_m * noise[:, 4])
    minute = GnssMinute(lat_deg, lon_deg, accuracy_m, hdop, speed_mps, valid, is_astray)
    last = unit[-1].tolist(), settled[-1].tolist()
    kept = None if astray is None or astray.left_s == 0 else astray
    return minute, Sky(tuple(last[0]), tuple(last[1]), kept)


def _conditions(here: Neighbourhood, track: Track) -> FloatArray:
    """What true and claimed sigma and reflections settle to, shape (60, 4)."""
    towards = np.zeros((60, 4))
    towards[:, 0] = towards[:, 1] = SIGMA_M[track.ground]
    inside = track.ground == Ground.CANYON
    if inside.any():
        along, across = track.along_m[inside], track.across_m[inside]
        row, column = here.nearest(here.streets_m, across), here.nearest(here.crossings_m, along)
        off_row = np.abs(across - here.streets_m[row])
        on_row = off_row < np.abs(along - here.crossings_m[column])
        echo_m = np.where(
            on_row,
            _echo_m(here.street_echo[row], along),
            _echo_m(here.crossing_echo[column], across),
        )
        added = here.to_east_north(np.where(on_row, 0.0, echo_m), np.where(on_row, echo_m, 0.0))
        towards[inside, 2], towards[inside, 3] = added
        # as round as the claim is: both axes share the variance that reflections add to one
        towards[inside, 1] = math.hypot(SIGMA_M[Ground.CANYON], ECHO_M / math.sqrt(2.0))
    return towards


def _echo_m(phases_rad: FloatArray, at_m: FloatArray) -> FloatArray:
    """What reflections add across a street: standard deviation `ECHO_M` over all streets."""
    waves = np.cos(at_m[:, None] / ECHO_ALONG_M + phases_rad)
    return ECHO_M * waves.sum(axis=1)


def _gone_astray(
    astray: Astray | None, track: Track, rng: np.random.Generator
) -> tuple[BoolArray, Astray | None]:
    """In which seconds the receiver is over-confident, and how."""
    seconds = np.zeros(60, np.bool_)
    chance, length, bearing, claim = rng.random(4).tolist()  # always as many
    size = float(rng.standard_normal())
    begins = 0
    if astray is None:
        hazard = np.cumsum(ASTRAY_PER_H[track.ground]) / 3600.0
        reached = -math.log1p(-chance)
        if reached >= hazard[-1]:
            return seconds, None
        begins = int(np.searchsorted(hazard, reached, side="right"))
        shortest, longest = ASTRAY_S
        left_s = min(longest, shortest + round(-ASTRAY_MEAN_S * math.log1p(-length)))
        off_m = float(np.clip(ASTRAY_M * math.exp(ASTRAY_M_SPREAD * size), *ASTRAY_M_RANGE))
        east_m, north_m = off_m * math.cos(math.tau * bearing), off_m * math.sin(math.tau * bearing)
        low_m, high_m = ASTRAY_CLAIMS_M
        astray = Astray(left_s, east_m, north_m, low_m + claim * (high_m - low_m))
    ends = min(60, begins + astray.left_s)
    seconds[begins:ends] = True
    return seconds, Astray(
        astray.left_s - (ends - begins), astray.east_m, astray.north_m, astray.claims_m
    )
