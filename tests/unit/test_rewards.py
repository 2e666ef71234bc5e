"""Laws of scores and payments."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.rewards.emission import payments
from cloud.rewards.score import PPM, UNITS, GroupFacts, Reason, score

counts = st.integers(0, 5_000)
accounts = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 10**12), max_size=20)


@st.composite
def group_facts(draw: st.DrawFn) -> GroupFacts:
    streams = draw(st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(1, 500), max_size=4))
    rows = sum(streams.values())
    windows = draw(counts)
    return GroupFacts(
        sealed=draw(st.booleans()),
        units_by_stream=streams,
        stale=draw(st.integers(0, rows)),
        duplicates=draw(counts),
        windows=windows,
        windows_unsure=draw(st.integers(0, windows)),
        partial=draw(st.integers(0, rows)),
    )


@given(accounts, st.integers(0, 10**15), st.integers(0, 10**6))
def test_payments_never_exceed_the_budget(units: dict[str, int], budget: int, rate: int) -> None:
    paid = payments(units, budget, rate)
    assert sum(paid.values()) <= budget
    assert all(0 < amount <= units[account] * rate for account, amount in paid.items())


@given(accounts, st.integers(0, 10**15), st.integers(0, 10**6))
def test_postings_of_a_payment_sum_to_zero(units: dict[str, int], budget: int, rate: int) -> None:
    for amount in payments(units, budget, rate).values():
        assert sum({"emission": -amount, "account": amount}.values()) == 0


@given(accounts, st.integers(0, 10**15), st.integers(1, 10**6))
def test_who_has_more_units_is_never_paid_less(
    units: dict[str, int], budget: int, rate: int
) -> None:
    paid = payments(units, budget, rate)
    ranked = sorted(units, key=lambda account: units[account])
    amounts = [paid.get(account, 0) for account in ranked]
    assert amounts == sorted(amounts)


@given(accounts, st.integers(0, 10**15), st.integers(1, 10**6))
def test_pro_rata_loses_less_than_one_micro_token_an_account(
    units: dict[str, int], budget: int, rate: int
) -> None:
    due = min(budget, sum(units.values()) * rate)
    assert due - sum(payments(units, budget, rate).values()) <= len(units)


@given(group_facts())
def test_a_score_is_within_its_bounds_and_only_sealed_rows_earn(facts: GroupFacts) -> None:
    found = score(facts)
    worth = sum(UNITS[stream] * rows for stream, rows in facts.units_by_stream.items())
    assert 0 <= found.quality_ppm <= PPM
    assert 0 <= found.novelty_ppm <= PPM
    assert 0 <= found.units <= worth
    assert (Reason.SEALED in found.reasons) == facts.sealed
    assert (Reason.UNSEALED in found.reasons) != facts.sealed
    assert facts.sealed or found.units == 0


@given(group_facts())
def test_the_same_facts_always_score_the_same(facts: GroupFacts) -> None:
    assert score(facts) == score(facts)
