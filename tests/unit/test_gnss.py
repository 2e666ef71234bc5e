"""The receiver: how wrong it is where, when it lies, and how long it takes."""

import numpy as np
import pytest

from collar_sim.animal.place.ground import METRES_PER_DEG, Ground, Neighbourhood, neighbourhood
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals import gnss
from collar_sim.animal.signals.gnss import Sky, gnss_minute
from collar_sim.animal.signals.receiver import Start, first_fix_s, start_of

HOMES = [(lat / 10, 0.0) for lat in range(0, 200)]
ZEROS = np.zeros(60)


def walk_on(here: Neighbourhood, ground: Ground, rng: np.random.Generator) -> Track:
    """A minute's walk on that ground; in a canyon along a street, the length of it."""
    along, across = rng.uniform(-800, 800) + np.arange(60.0), np.full(60, 9.0)
    if ground is Ground.CANYON:
        across = np.full(60, here.streets_m[rng.integers(len(here.streets_m))] + 5.0)
        while (here.ground(along, across) == Ground.CANYON).sum() < 60:
            across = np.full(60, here.streets_m[rng.integers(len(here.streets_m))] + 5.0)
            along = rng.uniform(-800, 800) + np.arange(60.0)
    east, north = here.to_east_north(along, across)
    ones = np.ones(60)
    return Track(east, north, ZEROS, ones, along, across, np.full(60, ground, np.int8))


def heard_on(ground: Ground) -> dict[str, np.ndarray]:
    """Two minutes on that ground near each of many homes; the second is kept."""
    found: dict[str, list[np.ndarray]] = {}
    for number, home in enumerate(HOMES):
        rng = np.random.default_rng(number)
        here = neighbourhood(home)
        if not here.street_is_canyon.any():
            continue
        track = walk_on(here, ground, rng)
        minute, sky = gnss_minute(gnss.first_sky(rng), here, home, track, rng)
        minute, _ = gnss_minute(sky, here, home, track, rng)
        north_m = (minute.lat_deg - home[0]) * METRES_PER_DEG - track.north_m
        east_m = (minute.lon_deg - home[1]) * METRES_PER_DEG * np.cos(np.deg2rad(home[0]))
        error = np.stack([east_m - track.east_m, north_m])
        for name in ("accuracy_m", "valid", "astray"):
            found.setdefault(name, []).append(getattr(minute, name))
        found.setdefault("error_m", []).append(np.hypot(*error))
        turned = np.array([[np.cos(here.bearing_rad), np.sin(here.bearing_rad)]]) @ error
        found.setdefault("along_m", []).append(turned[0])
    return {name: np.stack(parts) for name, parts in found.items()}


@pytest.mark.parametrize(
    ("ground", "typical_m"),
    [
        (Ground.HOUSE, (12, 24)),
        (Ground.GARDEN, (2, 5)),
        (Ground.STREET, (2, 5)),
        (Ground.CANYON, (8, 16)),
        (Ground.PARK, (1.5, 3.5)),
        (Ground.ROAD, (2.5, 6)),
    ],
)
def test_two_of_three_positions_lie_within_the_claimed_radius(ground, typical_m):
    heard = heard_on(ground)
    honest = ~heard["astray"]
    within = heard["error_m"] <= heard["accuracy_m"]
    assert np.mean(within[honest]) == pytest.approx(0.68, abs=0.06)  # 200 independent minutes
    assert typical_m[0] < np.median(heard["error_m"][honest]) < typical_m[1]


def test_between_tall_buildings_the_error_is_across_the_street_and_stays():
    heard = heard_on(Ground.CANYON)
    across_m = np.sqrt(heard["error_m"] ** 2 - heard["along_m"] ** 2)
    assert np.median(across_m) > 1.3 * np.median(np.abs(heard["along_m"]))
    # a minute's walk: the error at its end is still that of its middle, which the fast part is not
    middle, end = across_m[:, 30], across_m[:, 59]
    assert np.corrcoef(middle, end)[0, 1] > 0.5


def test_indoors_there_is_seldom_a_fix_and_in_the_park_always():
    assert 0.02 < np.mean(heard_on(Ground.HOUSE)["valid"]) < 0.15
    assert 0.88 < np.mean(heard_on(Ground.CANYON)["valid"]) < 0.99
    assert heard_on(Ground.PARK)["valid"].all()


def test_over_confident_bursts_come_at_their_rate_and_last_seconds():
    track = walk_on(neighbourhood(HOMES[0]), Ground.PARK, np.random.default_rng(0))
    track.ground[:] = Ground.CANYON
    rng = np.random.default_rng(5)
    astray, seconds = None, []
    for _ in range(30_000):
        now, astray = gnss._gone_astray(astray, track, rng)
        seconds.append(now)
        astray = astray if astray is not None and astray.left_s else None
    line = np.concatenate([[False], *seconds, [False]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(line) == 1), np.flatnonzero(np.diff(line) == -1)
    lengths_s = ends - starts
    # 250 expected: three standard deviations of a Poisson count
    assert len(starts) == pytest.approx(0.5 * 500, abs=48)
    assert lengths_s.min() >= 5
    assert lengths_s.max() <= 60
    assert np.mean(lengths_s) == pytest.approx(17.0, rel=0.2)


def test_over_confident_means_two_metres_claimed_and_two_hundred_off():
    home = HOMES[0]
    track = walk_on(neighbourhood(home), Ground.PARK, np.random.default_rng(0))
    burst = gnss.Astray(20, 200.0, 0.0, 2.0)
    minute, sky = gnss_minute(
        Sky(astray=burst), neighbourhood(home), home, track, np.random.default_rng(0)
    )
    off_m = (minute.lon_deg - home[1]) * METRES_PER_DEG - track.east_m
    assert minute.astray.sum() == 20
    assert off_m[:20] == pytest.approx(200.0, abs=0.1)
    assert (minute.accuracy_m[:20] == 2.0).all()
    assert np.abs(off_m[20:]).max() < 20.0
    assert sky.astray is None


def test_the_first_fix_takes_longer_the_longer_it_was_off():
    def median_s(off_s: float | None, *, aided: bool = False, accuracy_m: float = 4.0) -> float:
        start = start_of(off_s, aided)
        rng = np.random.default_rng(1)
        return float(np.median([first_fix_s(start, accuracy_m, rng) for _ in range(200)]))

    assert median_s(60.0) == pytest.approx(1.0, rel=0.1)
    assert median_s(5 * 3600.0) == pytest.approx(20.0, rel=0.1)
    assert median_s(5 * 3600.0, aided=True) == pytest.approx(2.0, rel=0.1)
    assert median_s(None) == pytest.approx(23.0, rel=0.1)
    assert median_s(60 * 86_400.0) == pytest.approx(23.0, rel=0.1)
    assert median_s(None, accuracy_m=15.0) > 60.0
    assert [start_of(t, False) for t in (1.0, 1e5, 1e7)] == [Start.HOT, Start.WARM, Start.COLD]
