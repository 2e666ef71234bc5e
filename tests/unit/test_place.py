"""Where the animal goes: sidewalks, fences, streets; on neighbourhoods of many homes."""

import math

import numpy as np
import pytest

from collar_sim.animal.ethogram.bout import Bout, Segment
from collar_sim.animal.ethogram.species import Species
from collar_sim.animal.place.ground import SIDEWALK_M, Ground, Neighbourhood, neighbourhood
from collar_sim.animal.place.movement import Track, Wandering, wander
from collar_sim.animal.place.streets import FLIGHT_M, Kind, Trip, way_of
from plugins.sdk.behaviours import Behaviour

HERES = [neighbourhood((lat / 10, 11.5)) for lat in range(450, 470)]
WALK = Bout(Behaviour.WALK, 1.2, froude=0.3, speed_mps=1.2)
SNIFF = Bout(Behaviour.SNIFF, 1.2, froude=0.05, speed_mps=0.4)
RUN = Bout(Behaviour.RUN, 2.0, froude=3.0, speed_mps=6.0)
REST = Bout(Behaviour.REST, 1.0)


def minute_of(*bouts: Bout) -> list[Segment]:
    """A minute shared evenly."""
    span = 60 // len(bouts)
    return [Segment(n * span, (n + 1) * span, bout) for n, bout in enumerate(bouts)]


def life(
    here: Neighbourhood,
    species: Species,
    minutes: int,
    *,
    hour: float = 12.0,
    bouts: tuple[Bout, ...] = (WALK, SNIFF, RUN, REST),
) -> list[Track]:
    """Of one that does this about home, every minute."""
    home = Wandering(here, species, hour)
    rng = np.random.default_rng(7)
    place, tracks = home.at_first(rng), []
    for _ in range(minutes):
        track, place = wander(place, minute_of(*bouts), home, rng)
        tracks.append(track)
    return tracks


def joined(tracks: list[Track], name: str) -> np.ndarray:
    return np.concatenate([getattr(track, name) for track in tracks])


def test_a_garden_dog_stays_inside_its_fence_and_uses_house_and_garden():
    for here in HERES[:6]:
        ground = joined(life(here, Species.DOG, 60), "ground")
        assert set(ground) == {Ground.HOUSE, Ground.GARDEN}


def test_who_is_at_home_by_night_is_indoors():
    for hour, share in ((2.0, (0.85, 1.0)), (14.0, (0.3, 0.8))):
        tracks = [
            track
            for here in HERES[:6]
            for track in life(here, Species.DOG, 60, hour=hour, bouts=(WALK, REST))[10:]
        ]
        assert share[0] < np.mean(joined(tracks, "ground") == Ground.HOUSE) <= share[1]


def test_a_wall_is_passed_at_the_door_alone():
    for here in HERES[:6]:
        tracks = life(here, Species.DOG, 60)
        along, across = joined(tracks, "along_m"), joined(tracks, "across_m")
        inside = here.house.holds(along, across)
        through = np.flatnonzero(inside[1:] != inside[:-1])
        assert len(through) > 5
        before, after = across[through], across[through + 1]
        share = (here.house.far - before) / (after - before)
        passed_m = along[through] + share * (along[through + 1] - along[through])
        assert np.abs(passed_m - here.door_m).max() < 1.6


def test_cats_roam_over_fences_and_come_home():
    tracks = [
        track
        for here in HERES[:6]
        for track in life(here, Species.CAT, 120, bouts=(WALK, REST, SNIFF, REST))
    ]
    ground = joined(tracks, "ground")
    away_m = np.hypot(joined(tracks, "east_m"), joined(tracks, "north_m"))
    assert np.mean(ground == Ground.PLOTS) > 0.1
    assert np.mean(ground == Ground.HOUSE) > 0.2
    assert np.quantile(away_m, 0.95) < 126.0  # the radius of 5 ha, the median range of real cats


def test_nobody_gets_further_in_a_second_than_the_speed_says():
    for species in Species:
        tracks = life(HERES[0], species, 60)
        step_m = np.hypot(np.diff(joined(tracks, "east_m")), np.diff(joined(tracks, "north_m")))
        speed_mps = joined(tracks, "speed_mps")[1:]
        assert (step_m <= speed_mps + 1e-9).all()
        assert np.mean(np.isclose(step_m, speed_mps)) > 0.9


@pytest.mark.parametrize("draw", range(8))
def test_walks_keep_to_sidewalks_and_the_park_and_end_where_they_began(draw: int):
    for here in HERES:
        start = here.garden.spot(np.random.default_rng(draw))
        way = way_of(here, Trip(Kind.WALK, *start, draw))
        along, across = way.at(np.arange(0.0, way.length_m, 0.5))
        front_m = float(here.streets_m[here.front])
        at_home = (np.abs(along) < 10.0) & (across > front_m) & (across <= here.house.far)
        at_home |= here.garden.holds(along, across)
        in_park = here.park.holds(along, across)
        row = np.abs(across - here.streets_m[here.nearest(here.streets_m, across)])
        column = np.abs(along - here.crossings_m[here.nearest(here.crossings_m, along)])
        on_sidewalk = np.isclose(row, SIDEWALK_M, atol=0.05)
        on_sidewalk |= np.isclose(column, SIDEWALK_M, atol=0.05)
        to_park = (np.abs(column - 5.0) <= 2.1) | (np.abs(row - 5.0) <= 2.1)  # through its gate
        assert (at_home | in_park | on_sidewalk | to_park).all()
        assert on_sidewalk[~at_home & ~in_park].mean() > 0.95
        assert math.dist(start, (way.along_m[-1], way.across_m[-1])) == 0.0


def test_walks_are_as_long_as_owners_say():
    lengths_m = [
        way_of(here, Trip(Kind.WALK, 0.0, 0.0, draw)).length_m
        for here in HERES
        for draw in range(9)
    ]
    assert 900 < np.median(lengths_m) < 1_400  # half an hour


def test_who_runs_off_gets_ever_further_through_streets_and_over_ground():
    grounds = np.zeros(len(Ground))
    for here in HERES:
        for draw, start in enumerate([here.garden.spot(np.random.default_rng(1)), (1.0, 0.0)]):
            way = way_of(here, Trip(Kind.FLIGHT, *start, draw))
            assert way.length_m > FLIGHT_M
            along, across = way.at(np.arange(0.0, 800.0, 3.0))
            away_m = np.hypot(along, across)
            assert (np.diff(away_m[3:]) > 0).all()
            assert away_m[-1] > 500.0
            grounds += np.bincount(here.ground(along, across), minlength=len(Ground))
    share = grounds / grounds.sum()
    assert share[Ground.STREET] + share[Ground.CANYON] > 0.5
    assert share[Ground.PLOTS] > 0.1


def test_an_outing_leaves_comes_back_and_life_at_home_goes_on():
    here = HERES[3]
    home = Wandering(here, Species.DOG, 9.0)
    rng = np.random.default_rng(3)
    place, out_min = home.at_first(rng), 0
    leave = Bout(Behaviour.WALK, 1.2, froude=0.3, speed_mps=1.2, leaving=True)
    _, place = wander(place, minute_of(REST, leave), home, rng)
    assert place.is_out
    while place.is_out:
        track, place = wander(place, minute_of(WALK, REST, SNIFF, WALK), home, rng)
        out_min += 1
    assert 10 < out_min < 90
    track, place = wander(place, minute_of(WALK), home, rng)
    assert set(track.ground) <= {Ground.HOUSE, Ground.GARDEN}


def test_pets_of_one_household_share_their_streets_and_others_do_not():
    here, beside, far = (neighbourhood((48.1, lon)) for lon in (11.5, 11.50003, 11.6))
    assert np.array_equal(here.streets_m, beside.streets_m)
    assert here.bearing_rad != far.bearing_rad
