"""Whatever clocks do: nothing from before a grant leaves, and what is honest leaves in the end."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.consent import ConsentFilter
from gateway.downlink import Downlink
from gateway.ingest.admission import Admission
from gateway.ingest.archive import Archive
from gateway.ingest.dating import DRIFT, Dating
from gateway.registry import Household, save_registry
from gateway.store import Store, from_us
from gateway.store.store import MIGRATIONS
from gateway.wire.codec import JSON
from gateway.wire.grants import Grant, Stream
from gateway.wire.session import Delivery
from gateway.wire.uplink import EnrolledCollar, Registry
from tests.unit.door import LONG_AGO, birth, event

START = datetime(2026, 1, 1, tzinfo=UTC)
UNSET = datetime(1970, 1, 1, tzinfo=UTC)
JITTER = timedelta(seconds=3)  # of the network's stamps, and of a quartz within a day
LIVE = timedelta(seconds=120)
Told = tuple[str, dict[str, Any]]


class Direct:
    """A store's writing end, without its threads."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return work(self._db)


@dataclass(frozen=True)
class Said:
    """A message, and the truth about it."""

    at: datetime
    message: Told
    honest: bool
    """Its date is right, and its boot tells the time."""


@st.composite
def boots(draw: st.DrawFn) -> list[Said]:
    """What a collar says in some boots, of which some never tell the time."""
    said: list[Said] = []
    at, previous = START, None
    for boot in range(1, draw(st.integers(1, 3)) + 1):
        began_at = at = at + timedelta(minutes=draw(st.integers(1, 60)))
        rate = 1 + draw(st.integers(-20, 20)) * 1e-6
        off_s = draw(st.sampled_from([0, 20, -7_200, 3_600, 7_200]) | st.integers(-20_000, 20_000))
        quality = draw(st.sampled_from(["unset", "rtc"]))
        fields = {"previous": previous} if previous else {}
        drafts = [(began_at, "birth", quality, off_s)]
        for _ in range(draw(st.integers(1, 12))):
            at += timedelta(minutes=draw(st.sampled_from([1, 5, 30, 60])))
            what = draw(st.sampled_from(["go on"] * 6 + ["network", "jump"]))
            if what == "network":
                quality, off_s = "rtc", draw(st.integers(-1, 1))  # from the next one on
            elif what == "jump" and quality == "rtc":
                off_s = draw(st.integers(-20_000, 20_000))
            drafts.append((at, "event", "network" if what == "network" else quality, off_s))
        tells = any(clock == "network" for _, _, clock, _ in drafts)
        for seq, (when, kind, clock, wrong_s) in enumerate(drafts):
            uptime = (when - began_at) * rate
            own_at = UNSET + uptime if clock == "unset" else when + timedelta(seconds=wrong_s)
            header: dict[str, Any] = {"observed_at": own_at.isoformat(), "clock": clock}
            header["uptime_s"] = uptime.total_seconds()
            kind_and_fields = birth(boot, **fields) if kind == "birth" else event(boot, seq)
            message = kind, kind_and_fields[1] | header
            honest = clock == "network" or (clock == "rtc" and tells and abs(wrong_s) < 50)
            said.append(Said(when, message, honest))
        previous = {"boot": boot, "seq": len(drafts) - 1}
    return said


@st.composite
def lists(draw: st.DrawFn) -> list[tuple[datetime, list[Said], bool]]:
    """The same as it arrives: when, what, and whether the gateway has restarted before."""
    said = draw(boots())
    if draw(st.booleans()):
        said = draw(st.permutations(said))
    cuts = sorted({0, len(said), *draw(st.lists(st.integers(0, len(said)), max_size=6))})
    received_at, arrived = START, list[tuple[datetime, list[Said], bool]]()
    for first, end in pairwise(cuts):
        part = said[first:end]
        wait = timedelta(seconds=draw(st.sampled_from([0, 1, 3_600, 7_200])))
        received_at = max(received_at, *(each.at for each in part)) + wait + timedelta(seconds=1)
        arrived.append((received_at, part, draw(st.booleans())))
    return arrived


@contextmanager
def home(granted_at: datetime) -> Generator[tuple[sqlite3.Connection, Household]]:
    with sqlite3.connect(":memory:", isolation_level=None) as db:
        db.row_factory = sqlite3.Row
        for file in sorted(MIGRATIONS.glob("*.sql")):
            db.executescript(file.read_text())
        collar = EnrolledCollar(collar_id="c1", pet_id="p1", pet_name="R", assigned_at=LONG_AGO)
        grant = Grant(
            grant_id="g1",
            pet_id="p1",
            stream=Stream.EVENTS,
            purpose="p",
            recipient="r",
            valid_from=granted_at,
        )
        save_registry(db, Registry(site="home", version=1, collars=[collar], grants=[grant]))
        household = Household("home")
        household.load(db)
        yield db, household
    db.close()


def packet(told: Told) -> Delivery:
    kind, fields = told
    payload = json.dumps(fields).encode()
    return Delivery(f"pawmesh/v1/home/c1/{kind}", payload, JSON, None, False, cast(Any, None))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrived=lists(), granted_min=st.integers(0, 720), patient=st.booleans())
def test_consent_fails_closed_alerts_fail_open_and_what_is_honest_is_shared(
    arrived: list[tuple[datetime, list[Said], bool]], granted_min: int, patient: bool
) -> None:
    granted_at = START + timedelta(minutes=granted_min)
    with home(granted_at) as (db, household):
        dating = Dating()
        archive = Archive(household, dating, Downlink(household))
        admission = Admission(household)
        consent = ConsentFilter(cast(Store, Direct(db)), household, 1e9 if patient else -1.0)
        truth: dict[tuple[int, int], Said] = {}
        for received_at, part, restarted in arrived:
            if restarted:
                archive.load(db)
            for each in part:
                truth[each.message[1]["boot"], each.message[1]["seq"]] = each
            archive.commit(db, admission.judge([packet(e.message) for e in part], received_at))
            for row in db.execute("SELECT * FROM message WHERE kind = 'event'"):
                own_at = truth[row["boot"], row["seq"]].message[1]["observed_at"]
                arrived_at = from_us(row["received_us"])
                if abs(datetime.fromisoformat(own_at) - arrived_at) <= DRIFT:
                    assert arrived_at - from_us(row["observed_us"]) <= LIVE, "an escape is told"
            asyncio.run(consent.decide())
        rows = db.execute(
            "SELECT boot, seq FROM message WHERE id IN (SELECT message_id FROM outbox)"
        )
        shared = {(row["boot"], row["seq"]) for row in rows.fetchall()}
        for key, each in truth.items():
            if key in shared:
                assert each.at >= granted_at - DRIFT - JITTER, "from before the grant"
            elif each.message[0] == "event" and each.honest:
                assert each.at <= granted_at + DRIFT, "honest, and granted"
