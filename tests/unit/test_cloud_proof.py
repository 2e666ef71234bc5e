"""The quick hash of a disclosed row is the wire's hash."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.proof import row_hash
from gateway.wire.seal import disclose, disclosed_hash, leaves_of
from gateway.wire.topics import Kind

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(st.text(min_size=1, max_size=12), values, max_size=8)


@given(fields, st.binary(min_size=32, max_size=32), st.data())
def test_the_quick_hash_is_the_wires(
    more: dict[str, Any], seed: bytes, data: st.DataObject
) -> None:
    header = {"collar_id": "c1", "boot": 1, "seq": 7, "observed_at": "2026-01-01T00:00:00Z"}
    leaves = leaves_of(Kind.EPOCH, more | header)
    granted = data.draw(st.sets(st.sampled_from(sorted(leaves))) | st.just(set(leaves)))
    shown = disclose(Kind.EPOCH, 7, leaves, seed, granted)
    assert row_hash(shown) == disclosed_hash(shown)
