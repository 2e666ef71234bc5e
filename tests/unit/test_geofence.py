"""The laws of the safe zones."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.geofence.plugin import (
    BAD_ACCURACY_M,
    BAD_AGE_S,
    CONFIRMING_FIXES,
    HYSTERESIS_M,
    OUTAGE,
    predict,
)
from plugins.sdk import Finding, FindingState, Outputs, Record, Severity, Zone
from plugins.sdk.testkit import fix, fix_from, run

HOME = Zone(zone_id="home", name="Home", lat_deg=52.5, lon_deg=13.4, radius_m=100.0)
PARK = Zone(zone_id="park", name="Park", lat_deg=52.51, lon_deg=13.4, radius_m=50.0)
ACCURACY_M = 5.0
BEYOND_M = HOME.radius_m + HYSTERESIS_M + ACCURACY_M + 1.0
WITHIN_M = HOME.radius_m - HYSTERESIS_M - ACCURACY_M - 1.0


def at(*distances_m: float, start_s: float = 0.0, step_s: float = 30.0) -> list[Record]:
    return [fix_from(HOME, start_s + i * step_s, each) for i, each in enumerate(distances_m)]


def judge(*batches: list[Record], zones: tuple[Zone, ...] = (HOME,), **state: object) -> Outputs:
    return run(predict, batches, zones=zones, **state)


def changes(outputs: Outputs) -> list[tuple[str, FindingState]]:
    return [(finding.key, finding.state) for finding in outputs.findings]


INSIDE = at(0.0, 0.0, start_s=-60.0)
RAISED = ("outside:home", FindingState.RAISED)
CLEARED = ("outside:home", FindingState.CLEARED)

# degrees round: at the very edge a fix lies either side of it
BAND_END_M = HOME.radius_m + HYSTERESIS_M - 1e-6

accuracies_m = st.floats(0, BAD_ACCURACY_M)


@st.composite
def walks(draw: st.DrawFn, least_m: float, most_m: float) -> list[Record]:
    """Good fixes at such distances from home, in order."""
    distances = draw(st.lists(st.floats(least_m, most_m), min_size=1, max_size=30))
    return [
        fix_from(HOME, i * 30.0, distance_m, accuracy_m=draw(accuracies_m))
        for i, distance_m in enumerate(distances)
    ]


@given(walks(HOME.radius_m - HYSTERESIS_M, BAND_END_M))
def test_there_is_no_crossing_while_all_fixes_stay_inside_the_band(walk: list[Record]) -> None:
    assert judge(INSIDE, walk).findings == []
    outside = judge(INSIDE, at(BEYOND_M, BEYOND_M, start_s=-20.0, step_s=10.0))
    assert changes(outside) == [RAISED]
    assert judge(walk, state=outside.state).findings == []


@given(walks(0.0, HOME.radius_m), st.floats(0, 100_000), st.integers(0, 30))
def test_one_noisy_fix_never_raises(walk: list[Record], off_m: float, place: int) -> None:
    noisy = fix_from(HOME, place * 30.0 - 15.0, off_m)
    fixes = sorted([*walk, noisy], key=lambda each: each.observed_at)
    assert judge(INSIDE, fixes).findings == []
    assert judge(fixes).findings == []


@given(st.lists(st.floats(0, 400), max_size=60))
def test_raised_and_cleared_take_turns_and_state_carries_any_split(path: list[float]) -> None:
    fixes = at(*path)
    whole = judge(fixes)
    one_by_one = judge(*([each] for each in fixes))
    assert whole.findings == one_by_one.findings
    states = [finding.state for finding in whole.findings]
    assert all(one is not other for one, other in pairwise(states))
    assert states[:1] in ([], [FindingState.RAISED])


@given(st.lists(st.floats(0, 400), max_size=30), st.randoms(use_true_random=False))
def test_repeated_and_late_fixes_change_nothing(path: list[float], random: object) -> None:
    fixes = at(*path)
    muddled = [late for i, each in enumerate(fixes) for late in (each, *fixes[max(0, i - 2) : i])]
    assert judge(muddled).findings == judge(fixes).findings


def test_exit_needs_two_fixes_beyond_the_hysteresis() -> None:
    assert CONFIRMING_FIXES == 2
    assert judge(INSIDE, at(BEYOND_M)).findings == []
    assert judge(INSIDE, at(BEYOND_M, 0.0, BEYOND_M, 0.0)).findings == []
    edge_m = HOME.radius_m  # a good fix in the band between them breaks the row
    assert judge(INSIDE, at(BEYOND_M, edge_m, BEYOND_M, edge_m)).findings == []
    findings = judge(INSIDE, at(BEYOND_M, BEYOND_M)).findings
    assert changes(Outputs(findings=findings)) == [RAISED]


def test_the_exit_says_what_where_and_how_sure() -> None:
    fixes = at(BEYOND_M, 150.0)
    (finding,) = judge(INSIDE, fixes).findings
    assert (finding.title, finding.severity) == ("Left Home", Severity.CRITICAL)
    assert finding.observed_at == fixes[1].observed_at
    assert finding.detail["distance_m"] == pytest.approx(150.0, abs=0.2)
    assert finding.detail["beyond_m"] == pytest.approx(50.0, abs=0.2)
    assert finding.detail["accuracy_m"] == ACCURACY_M
    assert finding.confidence > 0.99


def test_return_needs_two_fixes_within_the_hysteresis() -> None:
    out = judge(INSIDE, at(200.0, 200.0))
    assert judge(at(WITHIN_M, start_s=90.0), state=out.state).findings == []
    back = judge(at(WITHIN_M, WITHIN_M, start_s=90.0), state=out.state)
    assert changes(back) == [CLEARED]
    assert changes(judge(at(300.0, 300.0, start_s=200.0), state=back.state)) == [RAISED]


def test_a_worse_accuracy_widens_the_band() -> None:
    vague = [fix_from(HOME, i * 30.0, BEYOND_M, accuracy_m=40.0) for i in range(5)]
    assert judge(INSIDE, vague).findings == []


@pytest.mark.parametrize("fault", [{"accuracy_m": BAD_ACCURACY_M + 1}, {"age_s": BAD_AGE_S + 1}])
def test_bad_fixes_never_confirm(fault: dict[str, float]) -> None:
    bad = [fix_from(HOME, i * 90.0, 5_000.0, **fault) for i in range(10)]
    assert judge(INSIDE, bad).findings == []
    assert judge(INSIDE, at(BEYOND_M), bad).findings == []


def test_a_reading_sent_again_with_its_age_is_one_reading() -> None:
    repeats = [fix_from(HOME, i * 10.0, 500.0, age_s=i * 10.0) for i in range(5)]
    assert judge(INSIDE, repeats).findings == []


def test_the_start_inside_is_silent_and_the_start_outside_is_told() -> None:
    assert judge(at(0.0, 0.0, 0.0)).findings == []
    (finding,) = judge(at(300.0, 300.0)).findings
    assert finding.title == "Outside Home"


def test_an_outage_forgets_inside_but_keeps_an_alert() -> None:
    late_s = OUTAGE.total_seconds() + 60.0
    (finding,) = judge(INSIDE, at(300.0, 300.0, start_s=late_s)).findings
    assert finding.title == "Outside Home"  # nobody saw it leave
    assert judge(INSIDE, at(BEYOND_M), at(300.0, start_s=late_s)).findings == []
    out = judge(INSIDE, at(300.0, 300.0))
    assert judge(at(300.0, 300.0, start_s=late_s), state=out.state).findings == []
    assert changes(judge(at(0.0, 0.0, start_s=late_s), state=out.state)) == [CLEARED]


def test_a_small_zone_can_be_entered_with_a_poor_receiver() -> None:
    small = msgspec.structs.replace(HOME, radius_m=15.0)
    out = judge(at(200.0, 200.0), zones=(small,))
    inside = [fix_from(small, 90.0 + i, 2.0, accuracy_m=20.0) for i in range(2)]
    assert changes(judge(inside, zones=(small,), state=out.state)) == [CLEARED]


def test_a_removed_zone_clears_its_alert_and_a_moved_one_is_learnt_anew() -> None:
    out = judge(INSIDE, at(300.0, 300.0))
    assert changes(judge(at(300.0, start_s=90.0), zones=(), state=out.state)) == [CLEARED]
    wider = msgspec.structs.replace(HOME, radius_m=500.0)
    moved = judge(at(300.0, 300.0, start_s=90.0), zones=(wider,), state=out.state)
    assert changes(moved) == [CLEARED]
    inside = judge(INSIDE)
    narrow = msgspec.structs.replace(HOME, lat_deg=52.6)
    (finding,) = judge(at(0.0, 0.0), zones=(narrow,), state=inside.state).findings
    assert finding.title == "Outside Home"


def test_each_zone_has_its_own_finding() -> None:
    keys = {finding.key for finding in judge(at(5e5, 5e5), zones=(HOME, PARK)).findings}
    assert keys == {"outside:home", "outside:park"}


def test_the_owner_may_widen_the_hysteresis() -> None:
    wide = judge(INSIDE, at(BEYOND_M, BEYOND_M), settings={"hysteresis_m": 60.0})
    assert wide.findings == []


def test_predict_is_pure() -> None:
    state = judge(INSIDE).state
    before = msgspec.msgpack.encode(state)
    assert judge(at(300.0, 300.0), state=state) == judge(at(300.0, 300.0), state=state)
    assert msgspec.msgpack.encode(state) == before


def test_an_odd_zone_name_does_not_silence_the_alert() -> None:
    odd = msgspec.structs.replace(HOME, name="Ho\nme" * 50)
    (finding,) = judge(at(300.0, 300.0), zones=(odd,)).findings
    assert isinstance(finding, Finding)
    assert finding.title.startswith("Outside Home")


def test_distance_holds_across_the_antimeridian() -> None:
    fiji = msgspec.structs.replace(HOME, lat_deg=-17.0, lon_deg=180.0)
    across = [fix(i * 30.0, -17.0, -179.9995) for i in range(2)]
    assert judge(across, zones=(fiji,)).findings == []
