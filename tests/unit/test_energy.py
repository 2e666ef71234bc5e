"""Where a collar's energy goes: the parts add up, the gauge converges, and saving saves."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugins
from collar_sim.firmware.link.uploads import Uploads, exchanges
from collar_sim.firmware.minute import Draft
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.power.battery import CHARGE_W, Battery
from collar_sim.firmware.power.energy import (
    CAPACITY_J,
    IMU_W,
    LTE_CONNECT_J,
    LTE_TAIL_S,
    LTE_TAIL_W,
    Exchange,
    Part,
    Use,
    joules,
    lte_tail_s,
)
from collar_sim.firmware.power.gauge import Gauge, Worked, macs_of_minute
from collar_sim.firmware.sensing.positioning import ReceiverUse
from gateway.wire.topics import Kind

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = Uploads(timedelta(minutes=10))
AT_HOME, AWAY = [True] * 60, [False] * 60
WORKED = Worked(
    start_at=AT, powered_s=60.0, windows=15, receiver=ReceiverUse(2, 1), at_home=AT_HOME
)


@pytest.fixture(scope="module")
def slots() -> ModelSlots:
    return ModelSlots.load(Path(plugins.__path__[0]))


def draft(kind: Kind, at_s: float, **fields: Any) -> Draft:
    at = AT + timedelta(seconds=at_s)
    return Draft(at, kind, at, fields)


EPOCH = draft(Kind.EPOCH, 60.0, seconds={"sleep": 60.0}, odba_g=0.01, vedba_g=0.01, windows=15)
FIX = draft(Kind.FIX, 12.0, lat_deg=48.1, lon_deg=11.5, accuracy_m=3.0)
WIFI_FIX = replace(FIX, fields=FIX.fields | {"source": "wifi"})

uses = st.builds(
    Use,
    powered_s=st.floats(0, 60),
    windows=st.integers(0, 50),
    macs=st.integers(0, 10**7),
    messages=st.integers(0, 20),
    acquiring_s=st.floats(0, 30),
    tracking_s=st.floats(0, 30),
    wifi_s=st.floats(0, 60),
    wifi_scans=st.integers(0, 4),
    exchanges=st.lists(
        st.builds(Exchange, st.floats(0, 60), st.floats(0, 1e5), st.booleans()), max_size=9
    ).map(lambda found: tuple(sorted(found, key=lambda each: each.at_s))),
)


# the budget


@settings(max_examples=25)
@given(st.lists(uses, max_size=30))
def test_what_the_parts_took_is_what_the_battery_lost(minutes: list[Use]) -> None:
    battery, charged_j = Battery(90.0), 0.0
    for use in minutes:
        charged_j += CHARGE_W * 60.0 * battery.charging
        battery = battery.after(joules(use), 60.0)
    if 0.0 < battery.pct < 100.0:
        lost_j = (90.0 - battery.pct) / 100 * CAPACITY_J + charged_j
        assert sum(battery.joules.values()) == pytest.approx(lost_j, abs=1e-6)


@settings(max_examples=50)
@given(uses)
def test_no_part_gives_energy_back(use: Use) -> None:
    assert min(joules(use).values()) >= 0.0


def test_a_collar_without_power_loses_only_what_its_cell_loses() -> None:
    spent = joules(Use(powered_s=0.0))
    assert {part for part, each in spent.items() if each} == {Part.LOSSES}


def test_packets_that_follow_each_other_share_the_networks_patience() -> None:
    def lte_j(*at_s: float) -> float:
        sent = tuple(Exchange(each, 0.0, by_wifi=False) for each in at_s)
        return joules(Use(powered_s=0.0, exchanges=sent))[Part.LTE]

    alone = LTE_CONNECT_J + LTE_TAIL_S * LTE_TAIL_W
    assert lte_j(5.0) == pytest.approx(alone)
    assert lte_j(5.0, 50.0) == pytest.approx(2 * alone)
    assert lte_j(5.0, 8.0) == pytest.approx(alone + 3.0 * LTE_TAIL_W)


def test_inference_is_paid_by_its_multiplications(slots: ModelSlots) -> None:
    macs = {
        name: json.loads((Path(plugins.__path__[0]) / name / "card.json").read_text())["macs"]
        for name in ("activity", "anomaly")
    }
    assert macs_of_minute(slots, 15) == 29 * macs["activity"] + 15 * macs["anomaly"]
    assert macs_of_minute(ModelSlots(), 15) == 0


@settings(max_examples=50)
@given(st.lists(st.floats(0, 600), unique=True, max_size=12).map(sorted))
def test_minutes_take_together_what_their_hour_takes(at_s: list[float]) -> None:
    sent = [Exchange(each, 900.0, by_wifi=False) for each in at_s]
    whole = joules(Use(span_s=660.0, powered_s=660.0, exchanges=tuple(sent)))
    total, tail_s = 0.0, 0.0
    for begin_s in range(0, 660, 60):
        now = [replace(e, at_s=e.at_s - begin_s) for e in sent if 0 <= e.at_s - begin_s < 60]
        use = Use(lte_tail_s=tail_s, exchanges=tuple(now))
        total, tail_s = total + joules(use)[Part.LTE], lte_tail_s(use)
    assert total == pytest.approx(whole[Part.LTE], abs=1e-5)


# the battery


def test_days_left_is_unknown_at_first_and_then_exact_at_a_constant_load() -> None:
    battery, watts = Battery(80.0), 5e-3
    for minute in range(3 * 1_440):
        battery = battery.after({"imu": 60.0 * watts}, 60.0)
        known = battery.days_left
        assert (known is None) == (minute < 59)
        if known is not None:
            assert known == pytest.approx(battery.pct / 100 * CAPACITY_J / watts / 86_400)


def test_after_a_day_of_another_load_most_of_what_is_told_is_the_new_one() -> None:
    def days(pct: float, watts: float) -> float:
        return pct / 100 * CAPACITY_J / watts / 86_400

    battery = Battery(100.0)
    for watts in [2e-3] * 2_880 + [8e-3] * 1_440:
        battery = battery.after({"lte": 60.0 * watts}, 60.0)
    assert battery.days_left is not None
    assert days(battery.pct, 8e-3) < battery.days_left < days(battery.pct, 5e-3)


def test_it_is_charged_when_it_is_low_and_until_it_is_full() -> None:
    battery, seen = Battery(16.0), list[Battery]()
    for _ in range(400):
        battery = battery.after({"lte": 20.0}, 60.0)
        seen.append(battery)
    assert 14.0 < min(each.pct for each in seen) < 15.0
    assert max(each.pct for each in seen) == 100.0
    assert {each.charging for each in seen} == {True, False}


# the gauge


def test_an_hour_is_reported_once_with_all_that_it_took(slots: ModelSlots) -> None:
    gauge, reports = Gauge(Battery(50.0), Uploads(), phase=7), list[tuple[int, dict[str, Any]]]()
    for minute in range(130):
        before = gauge.battery.joules
        worked = replace(WORKED, start_at=AT + timedelta(minutes=minute))
        epoch = replace(EPOCH, release_at=worked.start_at)
        said = gauge.minute(worked, [epoch], slots)
        reports += [(minute, each.fields | {"before": sum(before.values())}) for each in said]
    assert [minute for minute, _ in reports] == [6, 66, 126]
    assert [fields["period_s"] for _, fields in reports] == [420.0, 3_600.0, 3_600.0]
    assert [fields["days_left"] is None for _, fields in reports] == [True, False, False]
    hour = reports[1][1]
    assert sum(hour["joules"].values()) == pytest.approx(hour["before"] * 60 / 59, rel=1e-3)
    assert set(hour["joules"]) == set(Part)


def test_what_a_collar_does_not_live_to_report_is_in_its_next_report(slots: ModelSlots) -> None:
    gauge = Gauge(Battery(50.0), Uploads(), phase=1)
    off = Worked(
        start_at=AT, powered_s=0.0, ends_on=False, windows=0, receiver=ReceiverUse(), at_home=AWAY
    )
    assert gauge.minute(off, [], slots) == []
    assert gauge.battery.pct < 50.0
    dies = replace(WORKED, start_at=AT + timedelta(hours=1), at_home=AWAY, ends_on=False)
    assert gauge.minute(dies, [replace(EPOCH, release_at=dies.start_at)], slots) == []
    assert gauge.lte_tail_s == 0.0, "its connection died with it"
    (report,) = gauge.minute(replace(WORKED, start_at=AT + timedelta(hours=2)), [], slots)
    assert report.fields["period_s"] == 180.0
    assert report.fields["joules"][Part.IMU] == pytest.approx(2 * 60 * IMU_W, rel=1e-2)


def test_an_exchange_after_the_full_minute_finds_the_radio_connected(slots: ModelSlots) -> None:
    def lte_j(carried_on: bool) -> float:
        gauge = Gauge(Battery(50.0), Uploads(), phase=30)
        gauge.minute(replace(WORKED, at_home=AWAY), [EPOCH], slots)
        if not carried_on:
            gauge.resume(gauge.battery, gauge.kept_bytes, 0.0)
        gauge.minute(replace(WORKED, at_home=AWAY), [replace(EPOCH, release_at=AT)], slots)
        return gauge.battery.joules[Part.LTE]

    saved_j = lte_j(carried_on=False) - lte_j(carried_on=True)
    assert saved_j == pytest.approx(LTE_CONNECT_J + LTE_TAIL_S * LTE_TAIL_W)


def test_uploads_in_batches_take_less_and_so_do_nights_without_the_receiver(
    slots: ModelSlots,
) -> None:
    def taken(uploads: Uploads, worked: Worked) -> float:
        gauge = Gauge(Battery(100.0), uploads, phase=0)
        for minute in range(60):
            at = AT + timedelta(minutes=minute)
            gauge.minute(replace(worked, start_at=at), [replace(EPOCH, release_at=at)], slots)
        return 100.0 - gauge.battery.pct

    dark = replace(WORKED, receiver=ReceiverUse())
    assert taken(TEN, dark) < taken(Uploads(), dark) < taken(Uploads(), WORKED)
    away = replace(WORKED, at_home=AWAY)
    assert taken(TEN, away) < 0.6 * taken(Uploads(), away)


# the radio


def test_without_a_setting_each_thing_wakes_the_radio_when_it_is_known() -> None:
    sent, kept = exchanges(Uploads(), AT, [FIX, EPOCH], 0.0, [True] * 30 + [False] * 30)
    assert [(each.at_s, each.by_wifi) for each in sent] == [(12.0, True), (60.0, False)]
    assert kept == 0.0


def test_a_collar_that_saves_keeps_what_can_wait() -> None:
    sent, kept = exchanges(TEN, AT, [WIFI_FIX, EPOCH], 100.0, AT_HOME)
    assert sent == ()
    assert kept > 100.0
    (late,), rest = exchanges(TEN, AT + timedelta(minutes=9), [], kept, AT_HOME)
    assert (late.at_s, rest) == (60.0, 0.0)
    assert late.wire_bytes > kept


def test_what_cannot_wait_takes_with_it_what_was_kept() -> None:
    for urgent in (FIX, draft(Kind.EVENT, 12.0, name="anomaly", confidence=0.9)):
        (now,), kept = exchanges(TEN, AT, [urgent, EPOCH], 5_000.0, AT_HOME)
        assert now.at_s == 12.0
        assert now.wire_bytes > 5_000.0
        assert 0.0 < kept < 1_000.0
