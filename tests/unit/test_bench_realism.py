"""How two sides' windows are told apart: by whole groups, and by what gives them away."""

import numpy as np

from bench.telling_apart import MOST, Side, tell_apart

NAMES = ["pace", "sway", "tilt"]


def side(seed: int, *, groups: int = 6, windows: int = 30, of_group: float = 0.0) -> Side:
    """Noise; ``tilt`` is that of its group, so far from another's."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0.0, 1.0, (groups * windows, len(NAMES)))
    features[:, 2] += of_group * np.repeat(rng.normal(0.0, 1.0, groups), windows)
    return Side(features, np.repeat([f"{seed}-{group}" for group in range(groups)], windows))


def test_what_is_alike_is_not_told_apart_though_each_group_is_known_by_its_tilt() -> None:
    told = tell_apart(side(1, of_group=50.0), side(2, of_group=50.0), NAMES, 3, why=False)
    assert told.auc < 0.75, "windows of one group in both halves would give it away"
    assert told.lowest <= told.auc <= told.highest
    assert told.giveaways == []


def test_what_differs_is_told_apart_by_the_feature_that_gives_it_away() -> None:
    other = side(2)
    other.features[:, 1] += 4.0
    told = tell_apart(side(1), other, NAMES, 3, why=True)
    assert told.auc > 0.98
    assert told.giveaways[0][0] == "sway"
    assert told.giveaways[0][1] > 0.2


def test_a_group_is_in_one_fold_and_counts_for_no_more_than_its_cap() -> None:
    rng = np.random.default_rng(0)
    many = side(3, groups=4, windows=3 * MOST)
    folds = many.folds(2, rng)
    assert all(len(set(folds[many.groups == group])) == 1 for group in set(many.groups))
    assert set(folds) == {0, 1}
    capped = many.capped(rng)
    assert [int(np.sum(capped.groups == group)) for group in set(many.groups)] == [MOST] * 4


def test_one_animal_at_a_time_is_as_long_as_its_peer_and_cut_in_parts_of_its_time() -> None:
    ours = side(4, groups=3, windows=50)
    short = Side(ours.features[40:], ours.groups[40:])  # of the first, ten windows are left
    singles = short.singles(2, least=20, most=30)
    assert [set(each.groups) for each in singles] == [{"4-1"}, {"4-2"}]
    assert [len(each.features) for each in singles] == [30, 30]
    parts = singles[0].in_parts(4)
    assert parts.groups.tolist() == sorted(parts.groups.tolist())
    assert len(set(parts.groups)) == 4
    assert np.array_equal(parts.features, ours.features[50:80])
