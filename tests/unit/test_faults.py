"""What breaks on a collar, in its firmware: sensor, clock, power, and a neighbour that fails."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import plugins
from collar_sim.animal import Animal, Scenario
from collar_sim.animal.life.scenario import POWER_CUT_S
from collar_sim.duty import PowerChange
from collar_sim.faults import Fault, FaultKind, Faults
from collar_sim.firmware.clock import CollarClock
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link import reconnect
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.flash_log import FlashLog
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.minute import SENSOR_FAULT, Draft, look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.power.gauge import Worked
from collar_sim.firmware.sensing.positioning import ALERT_S
from collar_sim.firmware.sensing.sensor_check import SensorWatch, sound_seconds, without
from collar_sim.fleet_file import Member
from collar_sim.production import FleetMinute, Production
from collar_sim.wearer import Wearer
from gateway.wire.messages import MESSAGES, Birth, ClockQuality, Event
from gateway.wire.session import BrokerUrl
from gateway.wire.topics import Kind
from pawmesh.embedded.ports import free_ports

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
SLOTS = ModelSlots.load(Path(plugins.__path__[0]))
KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), b"s" * 32)


@pytest.fixture
def flash(tmp_path: Path) -> Iterator[Flash]:
    with Flash.open(tmp_path) as flash:
        flash.boot(["c1"], 16_384)
        yield flash


@pytest.fixture
def collar(flash: Flash) -> Collar:
    return Collar(flash.logs["c1"], KEY, AT)


def wearer(seed: int, *faults: Fault, scenario: Scenario = Scenario.CALM_DAY) -> Wearer:
    member = Member(
        collar_id=f"c{seed}",
        signing_key="1" * 64,
        salt_secret="2" * 64,
        animal_seed=seed,
        lat_deg=48.1,
        lon_deg=11.5,
        faults=list(faults),
        incident_after_s=60.0,
    )
    log = FlashLog(seed, member.collar_id, 1, 65_536)
    made = Wearer(member, Collar(log, KEY, AT), SLOTS, 0, scenario)
    made.go_live(AT)
    return made


def live(wearers: list[Wearer], minutes: int) -> list[FleetMinute]:
    production = Production(wearers, AT - timedelta(seconds=1))
    return [production.minute(AT + timedelta(minutes=n)) for n in range(minutes)]


def said(minutes: list[FleetMinute], collar_id: str) -> list[Draft | PowerChange]:
    return [d for each in minutes for d, c in each.drafts if c.collar_id == collar_id]


def of_kind(drafts: list[Draft | PowerChange], kind: Kind) -> list[Draft]:
    return [each for each in drafts if isinstance(each, Draft) and each.kind is kind]


class TestSensor:
    @pytest.mark.parametrize("kind", [FaultKind.IMU_NAN, FaultKind.IMU_STUCK])
    def test_a_fault_is_said_as_it_begins_and_ends_and_its_seconds_are_unsure(
        self, kind: FaultKind
    ) -> None:
        minutes = live([wearer(1, Fault(kind=kind, after_s=70, for_s=100))], 4)
        events = [
            each
            for each in of_kind(said(minutes, "c1"), Kind.EVENT)
            if each.fields["name"] == SENSOR_FAULT
        ]
        assert [(each.release_at - AT).total_seconds() for each in events] == [71.0, 200.0]
        assert [each.fields["duration_s"] for each in events] == [0.0, 100.0]
        unsure = [
            each.fields["seconds"].get("unsure", 0.0)
            for each in of_kind(said(minutes, "c1"), Kind.EPOCH)
        ]
        assert unsure[1] >= 50.0
        assert unsure[2] >= 50.0
        for draft in said(minutes, "c1"):
            assert isinstance(draft, Draft)
            header = {"collar_id": "c1", "boot": 1, "seq": 1, "observed_at": draft.observed_at}
            numbers = msgspec.to_builtins(MESSAGES[draft.kind](**header, **draft.fields))
            assert "nan" not in str(numbers).lower()

    def test_its_neighbours_in_the_batch_say_the_same_bytes(self) -> None:
        broken = Fault(kind=FaultKind.IMU_NAN, after_s=5, for_s=80)
        beside = live([wearer(n, *([broken] if n == 2 else [])) for n in range(5)], 2)
        without_it = live([wearer(n) for n in range(5)], 2)
        for n in (0, 1, 3, 4):
            assert said(beside, f"c{n}") == said(without_it, f"c{n}")
        assert said(beside, "c2") != said(without_it, "c2")

    def test_a_living_sensor_never_stands_still(self) -> None:
        for seed in range(12):
            for minute in Animal.draw(seed, home=(48.1, 11.5)).minutes(AT - timedelta(hours=5), 4):
                assert sound_seconds(minute.imu).all()

    def test_what_cannot_be_believed_is_still_and_a_number(self) -> None:
        imu = np.random.default_rng(1).normal(0, 1, (1500, 6)).astype(np.float32)
        imu[100:130] = np.nan
        sound = sound_seconds(imu)
        assert np.flatnonzero(~sound).tolist() == [4, 5]
        assert np.isfinite(without(imu, sound)).all()
        assert without(imu, np.zeros(60, np.bool_)).std(axis=0).max() == 0.0

    def test_means_are_of_what_was_heard_and_of_the_rest_no_model_is_sure(self) -> None:
        imu = np.random.default_rng(1).normal((0, 0, 1, 0, 0, 0), 0.2, (1500, 6))
        imu = imu.astype(np.float32)
        sound = np.arange(60) < 30
        (all_of_it,) = look(SLOTS, [SimpleNamespace(imu=imu)])
        (half,) = look(SLOTS, [SimpleNamespace(imu=without(imu, sound))], sound[None])
        for name in ("odba_g", "vedba_g"):
            assert half.epoch[name] == pytest.approx(all_of_it.epoch[name], rel=0.1)
        assert [bool(each) for each in half.confidence] == half.heard
        assert sum(half.heard) == 7

    def test_a_loose_contact_is_one_fault(self) -> None:
        watch, on = SensorWatch(), np.ones(60, np.bool_)
        flicker = np.arange(60) % 3 > 0
        told = [
            *watch.minute(flicker, on, AT),
            *watch.minute(flicker, on, AT + timedelta(minutes=1)),
            *watch.minute(on, on, AT + timedelta(minutes=2)),
            *watch.minute(on, on, AT + timedelta(minutes=3)),
        ]
        assert [lasted_s for _, lasted_s in told] == [0.0, 118.0]

    def test_a_fault_that_stays_is_said_once_a_day(self) -> None:
        watch, on = SensorWatch(), np.ones(60, np.bool_)
        days = [AT + timedelta(minutes=n) for n in range(3 * 24 * 60)]
        told = [at for day in days for at, lasted_s in watch.minute(~on, on, day) if not lasted_s]
        assert told[0] == AT + timedelta(seconds=1)
        for now in (AT + timedelta(hours=h) for h in range(1, 72)):
            assert any(now - timedelta(days=1) < at <= now for at in told)
        assert len(told) == 4
        again = watch.minute(on, on, AT + timedelta(days=3))
        assert [lasted_s for _, lasted_s in again] == [3 * 86_400.0]

    def test_raw_windows_hold_no_second_that_cannot_be_believed(self) -> None:
        one = wearer(1, Fault(kind=FaultKind.IMU_NAN, after_s=0, for_s=30))
        one.collar.windows_per_hour = 3_600
        windows = of_kind(said(live([one], 1), "c1"), Kind.WINDOW)
        assert [(each.observed_at - AT).total_seconds() for each in windows] == [
            32.0 + 4 * n for n in range(7)
        ]


class TestNeighbours:
    def test_an_animal_or_a_sensor_that_fails_hurts_no_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone = live([wearer(n) for n in (0, 3)], 2)
        fleet = [wearer(n) for n in range(4)]
        live_2 = fleet[2].live

        def raises(_start_at: datetime) -> None:
            raise RuntimeError("no such leg")

        monkeypatch.setattr(fleet[1], "live", raises)
        monkeypatch.setattr(
            fleet[2], "live", lambda at: replace(live_2(at), imu=np.zeros((7, 6), np.float32))
        )
        production = Production(fleet, AT - timedelta(seconds=1))
        with structlog.testing.capture_logs() as logs:
            minutes = [production.minute(AT + timedelta(minutes=n)) for n in range(2)]
        assert [(each["event"], each["collar_id"]) for each in logs] == [
            ("collar.failed", "c1"),
            ("collar.failed", "c2"),
        ]
        assert production.failed.keys() == {"c1", "c2"}
        assert "no such leg" in production.failed["c1"]
        for name in ("c0", "c3"):
            assert said(minutes, name) == said(alone, name)


class TestPower:
    def test_off_nothing_is_said_and_the_first_epoch_begins_with_the_boot(self) -> None:
        crash = Fault(kind=FaultKind.REBOOT, after_s=90, for_s=45)
        drafts = said(live([wearer(1, crash)], 4), "c1")
        off, on = (each for each in drafts if isinstance(each, PowerChange))
        assert (off.is_on, on.is_on, on.clock_is_set) == (False, True, True)
        assert [(each.release_at - AT).total_seconds() for each in (off, on)] == [90.0, 135.0]
        between = drafts[drafts.index(off) + 1 : drafts.index(on)]
        assert between == []
        epochs = of_kind(drafts, Kind.EPOCH)
        assert [
            ((each.observed_at - AT).total_seconds(), each.fields["period_s"]) for each in epochs
        ] == [(0.0, 60.0), (135.0, 45.0), (180.0, 60.0)]
        assert [sum(each.fields["seconds"].values()) for each in epochs] == [60.0, 45.0, 60.0]
        assert epochs[1].fields["windows"] == 11
        assert not any(
            90 <= (f.observed_at - AT).total_seconds() < 135 for f in of_kind(drafts, Kind.FIX)
        )

    @settings(max_examples=20)
    @given(st.lists(st.tuples(st.integers(0, 130), st.integers(0, 40)), min_size=1, max_size=4))
    def test_whenever_it_crashes_its_epochs_add_up_and_off_it_is_silent(
        self, crashes: list[tuple[int, int]]
    ) -> None:
        faults = [Fault(kind=FaultKind.REBOOT, after_s=at, for_s=for_s) for at, for_s in crashes]
        drafts = said(live([wearer(2, *faults, scenario=Scenario.BUSY)], 3), "c2")
        off = {at + n for at, for_s in crashes for n in range(max(1, for_s))}
        for epoch in of_kind(drafts, Kind.EPOCH):
            begin_s = int((epoch.observed_at - AT).total_seconds())
            period_s = epoch.fields["period_s"]
            assert sum(epoch.fields["seconds"].values()) == period_s
            assert (begin_s + period_s) % 60 == 0
            assert off.isdisjoint(range(begin_s, begin_s + int(period_s)))
            assert begin_s % 60 == 0 or begin_s - 1 in off
            assert epoch.fields["steps"] <= 6 * period_s
            assert epoch.fields["windows_unsure"] <= epoch.fields["windows"] <= period_s / 4
        is_on = True
        for each in drafts:
            is_on = each.is_on if isinstance(each, PowerChange) else is_on
            assert isinstance(each, PowerChange) or is_on

    def test_nothing_that_a_crash_lost_is_told_after_it(self) -> None:
        crash = Fault(kind=FaultKind.REBOOT, after_s=50, for_s=0)
        other = Fault(kind=FaultKind.IMU_NAN, after_s=0, for_s=48)  # another past, lost as well
        (whole,), (lost,), (unlike,) = (
            live([wearer(2, *faults, scenario=Scenario.BUSY)], 1)
            for faults in ([], [crash], [other, crash])
        )
        before, after = (of_kind(said([each], "c2"), Kind.EPOCH)[0] for each in (whole, lost))
        assert before.fields["steps"] > 6 * 9, "so that a leak would show"
        assert after.fields["period_s"] == sum(after.fields["seconds"].values()) == 9.0
        assert 0 < after.fields["steps"] <= 6 * 9
        assert after.fields["windows"] == 2
        assert said([lost], "c2") == said([unlike], "c2")
        assert lost.carried == unlike.carried

    def test_a_boot_knows_of_no_fault_and_of_no_satellite(self) -> None:
        broken = Fault(kind=FaultKind.IMU_NAN, after_s=240, for_s=90)
        crash = Fault(kind=FaultKind.REBOOT, after_s=300, for_s=5)
        minutes = live([wearer(1, broken, crash, scenario=Scenario.ESCAPE)], 7)
        told = [
            (each.kind, (each.release_at - AT).total_seconds(), each.fields)
            for each in said(minutes, "c1")
            if isinstance(each, Draft)
        ]
        faults = [(at_s, f["duration_s"]) for _, at_s, f in told if f.get("name") == SENSOR_FAULT]
        assert faults == [(241.0, 0.0), (306.0, 0.0), (360.0, 25.0)]
        fixes_s = [at_s for kind, at_s, _ in told if kind is Kind.FIX]
        after_s = [at_s for at_s in fixes_s if at_s > 300]
        assert 300 - max(set(fixes_s) - set(after_s)) <= ALERT_S
        assert min(after_s) - 305 > 3 * ALERT_S, "a cold start"
        assert after_s[1] - after_s[0] == ALERT_S

    def test_what_it_did_not_live_to_say_is_not_paid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = wearer(1, Fault(kind=FaultKind.REBOOT, after_s=55, for_s=30))
        paid: list[Draft] = []
        minute = one._gauge.minute

        def noting(worked: Worked, lived: list[Draft], slots: ModelSlots) -> list[Draft]:
            paid.extend(lived)
            return minute(worked, lived, slots)

        monkeypatch.setattr(one._gauge, "minute", noting)
        told = [each for each in said(live([one], 3), "c1") if isinstance(each, Draft)]
        assert {each.kind for each in paid} == {Kind.FIX, Kind.EPOCH}
        assert sorted(paid, key=lambda each: each.release_at) == told

    def test_the_scenarios_power_cut_stops_the_clock_too(self) -> None:
        one = wearer(1, scenario=Scenario.POWER_CUT)
        minutes = live([one], 2 + POWER_CUT_S // 60)
        changes = [each for each in said(minutes, "c1") if isinstance(each, PowerChange)]
        assert [each.is_on for each in changes] == [False, True]
        assert not changes[1].clock_is_set
        assert changes[0].release_at == AT + timedelta(seconds=60)

    def test_the_dead_are_silent_for_good(self) -> None:
        drafts = said(live([wearer(1, Fault(kind=FaultKind.DEAD, after_s=61))], 4), "c1")
        assert isinstance(drafts[-1], PowerChange)
        assert len(of_kind(drafts, Kind.EPOCH)) == 1


class TestClock:
    @pytest.mark.parametrize("size_s", [7_200, -7_200])
    def test_messages_follow_the_clock_and_say_how_sure_it_is(
        self, collar: Collar, size_s: int
    ) -> None:
        jump = Fault(kind=FaultKind.CLOCK_JUMP, after_s=60, for_s=60, size_s=size_s)
        collar.clock.jumps = Faults([jump], AT).jumps
        for minute in range(3):
            at = AT + timedelta(minutes=minute, seconds=1)
            collar.say(Draft(at, Kind.EVENT, at, {"name": "scratch", "confidence": 1.0}))
        told = [msgspec.msgpack.decode(collar.flash[n].payload, type=Event) for n in range(3)]
        assert [(each.observed_at - AT).total_seconds() for each in told] == [1, 61 + size_s, 121]
        assert [each.clock for each in told] == ["network", "rtc", "network"]
        assert [each.uptime_s for each in told] == [1.0, 61.0, 121.0], "no jump changes it"

    def test_what_is_of_the_boots_own_instant_does_not_say_that_its_uptime_is_unknown(
        self, collar: Collar
    ) -> None:
        collar.clock = CollarClock(AT, is_set=False)
        collar.be_born([])
        birth = msgspec.msgpack.decode(collar.flash[0].payload, type=Birth)
        assert (birth.uptime_s, birth.clock) == (0.001, ClockQuality.UNSET)

    def test_after_a_power_cut_it_counts_from_1970_until_the_network_speaks(self) -> None:
        clock = CollarClock(AT, is_set=False)
        at = AT + timedelta(seconds=9)
        assert clock.dated(at, at) == datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
        assert clock.quality(at) is ClockQuality.UNSET
        clock.is_set = True
        assert (clock.dated(at, at), clock.quality(at)) == (at, ClockQuality.NETWORK)

    @pytest.mark.parametrize(("size_s", "year"), [(-1e9, 1970), (1e9, 2106)])
    def test_however_far_it_jumps_it_stays_on_its_calendar(self, size_s: float, year: int) -> None:
        clock = CollarClock(AT, is_set=True)
        jump = Fault(kind=FaultKind.CLOCK_JUMP, after_s=0, size_s=size_s)
        clock.jumps = Faults([jump] * 1_000, AT).jumps
        assert clock.dated(AT, AT).year == year


class TestReboot:
    def test_memory_is_lost_and_flash_is_kept(self, flash: Flash, collar: Collar) -> None:
        collar.be_born([])
        flash.commit()
        at = AT + timedelta(seconds=3)
        collar.say(Draft(at, Kind.EVENT, at, {"name": "lost", "confidence": 1.0}))
        positions = collar.flash.end
        flash.boot(["c1"], 16_384)
        collar.reboot(flash.logs["c1"], AT + timedelta(seconds=9), clock_is_set=True)
        collar.be_born([])
        collar.seal(AT + timedelta(seconds=10))
        log = collar.flash
        kinds = [log[at].kind for at in range(log.first, log.end)]
        assert kinds == [Kind.BIRTH, Kind.BIRTH, Kind.SEAL], "the open batch went with the memory"
        assert [log[at].key.boot for at in range(log.first, log.end)] == [1, 2, 2]
        assert log.end >= positions, "positions go on"
        assert log.committed == log.end - 2

    def test_without_power_nothing_is_written(self, collar: Collar) -> None:
        collar.is_on = False
        collar.say(Draft(AT, Kind.EVENT, AT, {"name": "x", "confidence": 1.0}))
        collar.seal(AT)
        assert collar.flash.end == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "imu_nan", "after_s": -1},
        {"kind": "earthquake", "after_s": 1},
        {"kind": "dead", "after_s": 1, "size_s": 5},
        {"kind": "dead"},
        {"kind": "reboot", "after_s": 1, "for": 5},
    ],
)
def test_a_fault_that_says_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Fault)


class TestUplink:
    async def test_tries_in_vain_become_rarer_and_are_said_once(
        self, collar: Collar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        longest_s: list[float] = []

        def at_once(_low: float, high: float) -> float:
            longest_s.append(high)
            return 0.0

        monkeypatch.setattr(reconnect.random, "uniform", at_once)
        (port,) = free_ports(1)  # where nobody listens
        link = Link(BrokerUrl("127.0.0.1", port), "home")
        lone = Uplink(link, collar)
        with structlog.testing.capture_logs() as logs:
            running = asyncio.create_task(lone.run())
            async with asyncio.timeout(20):
                while len(longest_s) < 7:  # noqa: ASYNC110 - it is awaited below
                    await asyncio.sleep(0.01)
            lone.leave()
            await running
        assert longest_s[:7] == [4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
        assert [each["event"] for each in logs] == ["broker.lost"]

    async def test_without_power_it_looks_for_no_broker(
        self, collar: Collar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reconnect.random, "uniform", lambda *_: 0.0)
        met = asyncio.Event()

        async def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            met.set()
            writer.close()

        server = await asyncio.start_server(meet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        lone = Uplink(Link(BrokerUrl("127.0.0.1", port), "home"), collar)
        lone.power_off()
        running = asyncio.create_task(lone.run())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not met.is_set()
        lone.power_on()
        async with asyncio.timeout(10):
            await met.wait()
        lone.leave()
        await running
        server.close()
