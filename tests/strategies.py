"""Hypothesis strategies: one per wire message, within physical ranges."""

import string
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from gateway.wire.codec import AnyMessage
from gateway.wire.grants import Grant, Precision, Stream
from gateway.wire.messages import (
    Ack,
    ActivityEpoch,
    Batch,
    Birth,
    Choice,
    ClockQuality,
    Desired,
    Event,
    Fix,
    FixSource,
    Gap,
    Key,
    ModelAnswer,
    ModelChunk,
    ModelOffer,
    ModelState,
    Power,
    Presence,
    Seal,
    Slot,
    Slots,
    Status,
    Window,
)
from gateway.wire.release import ModelRefusal, Release
from gateway.wire.topics import Kind

SAFE = 2**53 - 1
BEHAVIOURS = (
    *("sleep", "rest", "sniff", "walk", "run", "play"),
    *("eat", "drink", "scratch", "vehicle", "unsure"),
)

ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
counters = st.integers(0, SAFE)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=48)
instants = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
shares = st.floats(0, 1)
keys = st.builds(Key, boot=counters, seq=counters)


def seconds(most: float = 1e6) -> st.SearchStrategy[float]:
    return st.floats(0, most)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def headers(**fixed: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """What every message has."""
    common = {
        "collar_id": ids,
        "boot": counters,
        "seq": counters,
        "observed_at": instants,
        "uptime_s": seconds(),
        "clock": st.sampled_from(ClockQuality),
    }
    return common | fixed


sha256s = st.text(string.hexdigits[:16], min_size=64, max_size=64)
slots = st.builds(Slot, slot=names, package=names, version=names, sha256=sha256s)


def births(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Birth]:
    return st.builds(
        Birth,
        **headers(**fixed),
        hardware=names,
        firmware=names,
        sample_rate_hz=maybe(st.floats(1, 400)),
        slots=st.lists(slots, max_size=2),
        seals=st.booleans(),
        previous=maybe(keys),
    )


@st.composite
def _epochs(draw: st.DrawFn, fixed: dict[str, st.SearchStrategy[Any]]) -> ActivityEpoch:
    period_s = draw(st.sampled_from([1.0, 60.0, 600.0, 3600.0]))
    behaviours = draw(st.lists(st.sampled_from(BEHAVIOURS), unique=True))
    each_s = seconds(period_s / max(len(behaviours), 1))
    windows = draw(st.integers(0, 1000))
    return ActivityEpoch(
        **{name: draw(values) for name, values in headers(**fixed).items()},
        period_s=period_s,
        seconds={behaviour: draw(each_s) for behaviour in behaviours},
        odba_g=draw(st.floats(0, 16)),
        vedba_g=draw(st.floats(0, 16)),
        steps=draw(st.integers(0, 10_000)),
        scratch_bouts=draw(st.integers(0, 60)),
        drink_bouts=draw(st.integers(0, 60)),
        anomaly=draw(shares),
        windows=windows,
        windows_unsure=draw(st.integers(0, windows)),
        battery_pct=draw(maybe(st.floats(0, 100))),
    )


def epochs(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[ActivityEpoch]:
    return _epochs(fixed)


def fixes(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Fix]:
    return st.builds(
        Fix,
        **headers(**fixed),
        lat_deg=st.floats(-90, 90),
        lon_deg=st.floats(-180, 180),
        accuracy_m=st.floats(0, 5_000),
        source=st.sampled_from(FixSource),
        age_s=seconds(),
        hdop=maybe(st.floats(0, 50)),
        speed_mps=maybe(st.floats(0, 30)),
    )


def events(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        **headers(**fixed),
        name=names,
        confidence=shares,
        duration_s=seconds(),
        package=maybe(names),
    )


def windows(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Window]:
    return st.builds(
        Window,
        **headers(**fixed),
        rate_hz=st.floats(1, 400),
        acc_g_per_lsb=st.floats(1e-5, 1e-2),
        gyr_dps_per_lsb=st.floats(1e-3, 1),
        samples=st.binary(min_size=1, max_size=20).map(lambda raw: raw * 12),
        label=maybe(names),
        confidence=maybe(shares),
        choice=maybe(st.sampled_from(Choice)),
    )


def slots_after(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Slots]:
    return st.builds(
        Slots, **headers(**fixed), slots=st.lists(slots, max_size=2), rollout=maybe(ids)
    )


def powers(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Power]:
    components = st.sampled_from(["sleep", "mcu", "imu", "gnss", "wifi", "lte", "losses"])
    return st.builds(
        Power,
        **headers(**fixed),
        period_s=st.floats(1, 3_600),
        battery_pct=st.floats(0, 100),
        days_left=maybe(st.floats(0, 365)),
        charging=st.booleans(),
        joules=st.dictionaries(components, st.floats(0, 10_000)),
    )


@st.composite
def _seals(draw: st.DrawFn, fixed: dict[str, st.SearchStrategy[Any]]) -> Seal:
    first, last, seq = sorted(draw(st.sets(st.integers(0, 10_000), min_size=3, max_size=3)))
    header = {name: draw(values) for name, values in headers(**fixed).items()}
    return Seal(
        **header | {"seq": seq},
        first_seq=first,
        last_seq=last,
        root=draw(st.binary(min_size=32, max_size=32)),
        signature=draw(st.binary(min_size=64, max_size=64)),
    )


def seals(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Seal]:
    return _seals(fixed)


gaps = st.builds(
    lambda boot, ends, previous: Gap(
        boot=boot,
        first_seq=min(ends),
        last_seq=max(ends),
        previous=None if min(ends) or previous.boot >= boot else previous,
    ),
    counters,
    st.tuples(counters, counters),
    keys,
)
statuses = st.builds(
    Status,
    collar_id=ids,
    state=st.sampled_from(Presence),
    boot=counters,
    log_start=maybe(keys),
    gaps=st.lists(gaps, max_size=3),
    dropped=st.dictionaries(names, counters, max_size=3),
)
acks = st.builds(
    Ack,
    collar_id=ids,
    boot=maybe(counters),
    seq=maybe(counters),
    refused=st.lists(st.text(max_size=200), max_size=3),
)

batches = st.builds(
    Batch,
    collar_id=ids,
    sent_at=maybe(instants),
    dictionary=st.integers(1, 255),
    deflated=st.binary(min_size=1, max_size=200),
)
desireds = st.builds(
    Desired,
    collar_id=ids,
    version=counters,
    windows_per_hour=st.integers(0, 3600),
    batches=st.booleans(),
    dictionary=st.integers(1, 255),
)
releases = st.builds(
    Release,
    slot=names,
    package=names,
    version=names,
    manifest=st.binary(min_size=2, max_size=200),
    sha256=sha256s,
    size=st.integers(1, 2**18),
    golden=st.binary(max_size=200),
    key_id=st.text(string.hexdigits[:16], min_size=16, max_size=16),
    signature=st.binary(min_size=64, max_size=64),
)
offers = st.builds(
    ModelOffer, collar_id=ids, rollout=ids, release=releases, chunk_bytes=st.integers(64, 8192)
)
chunks = st.builds(
    ModelChunk,
    collar_id=ids,
    rollout=ids,
    index=st.integers(0, 4095),
    data=st.binary(min_size=1, max_size=200),
)
answers = st.builds(
    ModelAnswer,
    collar_id=ids,
    rollout=ids,
    state=st.sampled_from(ModelState),
    next_chunk=st.integers(0, 4096),
    reason=maybe(st.sampled_from(ModelRefusal)),
    detail=st.text(max_size=200),
)

MESSAGE_OF: dict[Kind, st.SearchStrategy[AnyMessage]] = {
    Kind.BIRTH: births(),
    Kind.EPOCH: epochs(),
    Kind.FIX: fixes(),
    Kind.EVENT: events(),
    Kind.WINDOW: windows(),
    Kind.SEAL: seals(),
    Kind.SLOTS: slots_after(),
    Kind.POWER: powers(),
    Kind.STATUS: statuses,
    Kind.MODEL: answers,
    Kind.BATCH: batches,
    Kind.ACK: acks,
    Kind.DESIRED: desireds,
    Kind.OFFER: offers,
    Kind.CHUNK: chunks,
}
sent = st.sampled_from(sorted(MESSAGE_OF)).flatmap(
    lambda kind: MESSAGE_OF[kind].map(lambda message: (kind, message))
)
"""A kind and a message of it."""

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    # JSON has no infinities, so a round trip through it would lose them
    .filter(lambda number: abs(number) != float("inf"))
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
"""What a newer sender may put into a field that we do not know."""

grants = st.builds(
    Grant,
    grant_id=ids,
    pet_id=ids,
    stream=st.sampled_from(Stream),
    purpose=names,
    recipient=names,
    precision=st.sampled_from(Precision),
    valid_from=instants,
    expires_at=maybe(instants),
    withdrawn_at=maybe(instants),
)
