"""A fleet in parts, and its report from theirs."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collar_sim.clock import SimClock
from collar_sim.errors import FleetFileError
from collar_sim.firmware.link.link import Link
from collar_sim.main import run
from collar_sim.pace import Pace
from collar_sim.report import Report, merged
from collar_sim.settings import Settings, duration
from gateway.wire.session import BrokerUrl
from pawmesh.errors import NoAccess, UsageError
from pawmesh.shards import WHOLE, Shard, kept_parts, shards_of
from pawmesh.sim.command import begin_of, require_past
from pawmesh.sim.outcome import outcome_of, require_places, table, write_report
from pawmesh.sim.workforce import Worker

sizes = st.integers(1, 500)
parts = st.integers(1, 12)


@given(sizes, parts, parts)
def test_parts_of_parts_hold_every_member_once(collars: int, machines: int, processes: int):
    shards = [each for one in WHOLE.split(machines) for each in one.split(processes)]
    assert len(set(shards)) == machines * processes
    held = [number for shard in shards for number in shard.members(collars)]
    assert sorted(held) == list(range(collars))
    for whole in WHOLE.split(machines):
        own = [n for shard in whole.split(processes) for n in shard.members(collars)]
        assert sorted(own) == list(whole.members(collars))


@given(sizes, st.integers(0, 100), parts)
def test_a_fleet_that_grows_moves_no_member(collars: int, more: int, count: int):
    for shard in WHOLE.split(count):
        before = list(shard.members(collars))
        assert list(shard.members(collars + more))[: len(before)] == before


@pytest.mark.parametrize(
    "text",
    ["0/2", "3/2", "1", "1/", "/", "", "a/b", "1/0", "-1/2", "²/³", "١/٢", "1/1\n", "9" * 5_000],
)
def test_what_is_no_shard_is_said(text: str):
    with pytest.raises(UsageError, match="i/n"):
        Shard.parse(text)


def test_the_parts_of_the_first_run_are_kept(tmp_path: Path):
    assert kept_parts(tmp_path, "sim1") is None
    for shard in shards_of(tmp_path, "sim1", WHOLE, 2, 100):
        (tmp_path / f"{shard.name('sim1')}.json").touch()
    (tmp_path / "sim10.json").touch()  # another fleet
    assert kept_parts(tmp_path, "sim1") == 2
    assert [str(each) for each in shards_of(tmp_path, "sim1", WHOLE, None, 9_000)] == ["1/2", "2/2"]
    assert [str(each) for each in shards_of(tmp_path, "sim1", Shard(2, 2), None, 9)] == ["2/2"]
    with pytest.raises(UsageError, match="begun with 2"):
        shards_of(tmp_path, "sim1", WHOLE, 3, 100)
    with pytest.raises(UsageError, match="begun in 2 parts"):
        shards_of(tmp_path, "sim1", Shard(1, 3), None, 100)
    (tmp_path / "sim1.json").touch()
    with pytest.raises(UsageError, match="1 and 2 parts"):
        kept_parts(tmp_path, "sim1")


def report(**changes: object) -> Report:
    numbers = dict.fromkeys(
        (
            *("collars", "published", "transmissions", "radio_lost", "overwritten", "acked"),
            *("owed", "off", "too_large", "boots", "windows", "updated", "windows_sent"),
        ),
        1,
    )
    fields: dict[str, object] = {
        **numbers,
        "by_kind": {"fix": 2},
        "dropped": {},
        "seconds": 10.0,
        "windows_per_s": 5.0,
        "simulated_until": datetime(2026, 5, 1, 9, tzinfo=UTC),
        "is_live": True,
        "refused": {},
        "refused_models": {},
        "real_time_factor": 1.0,
        "cpu_s": {"start": 1.0, "animal": 3.0, "models": 1.0},
    }
    return Report(**(fields | changes))


def test_counts_are_summed_and_a_fleet_is_as_far_as_its_last_part():
    early = datetime(2026, 5, 1, 8, tzinfo=UTC)
    both = merged(
        [
            report(by_kind={"fix": 2, "epoch": 1}, lag_s=0.5, refused={"c1": "no key"}),
            report(
                by_kind={"fix": 3},
                messages_refused=2,
                simulated_until=early,
                real_time_factor=0.7,
                boots=4,
            ),
        ]
    )
    assert both.by_kind == {"fix": 5, "epoch": 1}
    assert (both.collars, both.published, both.boots, both.processes) == (2, 2, 4, 2)
    assert (both.simulated_until, both.real_time_factor, both.lag_s) == (early, 0.7, 0.5)
    assert both.cpu_share == {"animal": 0.75, "models": 0.25}
    assert both.refused == {"c1": "no key"}
    assert ("Gateway refused", "2 messages") in [(a, b[:10]) for a, b in table(both)]


def test_a_dead_part_counts_but_sets_no_pace():
    both = merged([report(), report(died={"2/2": "SIGKILL"}, is_live=False, real_time_factor=0.0)])
    assert both.died == {"2/2": "SIGKILL"}
    assert (both.published, both.is_live, both.real_time_factor) == (2, True, 1.0)


CATCHING_UP = [(0.0, 0.0), (20.0, 20.0), (21.0, 0.5), (24.0, 3.5), (40.0, 20.0)]
"""When something is reached, and how late; for a moment, once a minute is made, it is not."""


@pytest.mark.parametrize(
    ("speed", "reached", "max_lag_s", "factor"),
    [
        (10.0, CATCHING_UP[:2], 20.0, 0.0),
        (10.0, [*CATCHING_UP[:2], (21.0, 1.0), (31.0, 2.0), (41.0, 1.5)], 2.0, 10.0 * 19.5 / 20),
        (1.0, CATCHING_UP[:3], 20.0, 20.5 / 21),  # it ends as it falls in step
        (1.0, [*CATCHING_UP[:3], (21.02, 0.02)], 20.0, 21.0 / 21.02),  # and at once after
        (1.0, [*CATCHING_UP[:3], (31.0, 1.5)], 1.5, 9 / 10),  # and soon after
        (1.0, CATCHING_UP, 20.0, 20 / 40),
        (1.0, [*CATCHING_UP, (41.0, 1.0), (80.0, 2.0)], 20.0, 78 / 80),
        (1.0, [*CATCHING_UP, (41.0, 1.0), (81.0, 2.0), (103.0, 1.0)], 2.0, 62 / 62),
        (1.0, [*CATCHING_UP, (41.0, 1.0), (102.0, 2.0), (104.0, 4.0)], 4.0, 60 / 63),
    ],
)
def test_a_fleet_is_judged_from_where_it_fell_in_step_for_a_whole_minute(
    monkeypatch: pytest.MonkeyPatch,
    speed: float,
    reached: list[tuple[float, float]],
    max_lag_s: float,
    factor: float,
):
    start_at = datetime(2026, 5, 1, 8, tzinfo=UTC)
    clock = SimClock.starting(start_at, speed)
    passed_s = 0.0
    monkeypatch.setattr("collar_sim.pace.time.monotonic", lambda: passed_s)
    monkeypatch.setattr(
        SimClock, "now", lambda self: self.sim_at + timedelta(seconds=passed_s) * self.speed
    )
    pace = Pace(clock)
    for passed_s, late_s in reached:
        pace.reached(start_at + timedelta(seconds=passed_s - late_s) * speed)
    assert (pace.lag_s, pace.max_lag_s) == (reached[-1][1], max_lag_s)
    assert pace.real_time_factor == pytest.approx(factor)


def worker(folder: Path, returncode: int, left: bytes | None) -> Worker:
    name = f"{len(list(folder.glob('*.report'))) + 1}/2"
    ended = Worker(name, [], folder, folder / f"{name[0]}.report", returncode=returncode)
    if left is not None:
        ended.report_path.write_bytes(left)
    return ended


@pytest.mark.parametrize(
    ("code", "left", "exit_code", "why"),
    [
        (0, msgspec.json.encode(report()), 0, None),
        (0, None, 1, "it left no report: No such file or directory"),
        (0, b'{"collars": 1', 1, "its report cannot be read: Input data was truncated"),
        (0, b'{"collars": "many"}', 1, "its report cannot be read: Expected `int`"),
        (-9, None, 1, "SIGKILL"),
        (6, None, 1, "exit code 6"),
    ],
)
def test_a_part_that_left_no_report_is_named_and_the_fleet_did_not_hold(
    tmp_path: Path, code: int, left: bytes | None, exit_code: int, why: str | None
):
    workers = [worker(tmp_path, 0, msgspec.json.encode(report())), worker(tmp_path, code, left)]
    outcome = outcome_of(workers)
    assert outcome.exit_code == exit_code
    assert outcome.report.died.get("2/2", "").startswith(why or "")
    assert set(outcome.report.died) == ({"2/2"} if why else set())


@pytest.mark.parametrize(("codes", "exit_code"), [((2, 2), 2), ((2, 6), 1), ((-9, -9), 1)])
def test_a_fleet_that_could_not_begin_ends_as_its_parts_did(
    tmp_path: Path, codes: tuple[int, int], exit_code: int
):
    assert outcome_of([worker(tmp_path, code, None) for code in codes]).exit_code == exit_code


def test_a_fleet_that_never_reached_its_broker_did_not_hold_and_says_why(tmp_path: Path):
    link = Link(BrokerUrl("127.0.0.1", 9), "home")
    assert link.unreached == ""
    link.lost("c1", "connection refused")
    alone = report(unreached=link.unreached)
    outcome = outcome_of([worker(tmp_path, 0, msgspec.json.encode(alone))])
    assert outcome.exit_code == 1
    assert any("connection refused" in how for _, how in table(outcome.report))
    link.found("c2")
    link.lost("c2", "closed")
    assert link.unreached == "", "an outage is no wrong address"
    assert merged([alone, report(unreached=link.unreached)]).unreached == ""


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1999-12-31T23:59Z", "noon", ""])
def test_a_beginning_outside_our_years_is_refused(text: str):
    with pytest.raises(UsageError, match="--start-at"):
        begin_of(text, timedelta())


@pytest.mark.parametrize("text", ["999999d", "9" * 400 + "d", "3651d"])
def test_no_duration_leaves_the_calendar(text: str):
    with pytest.raises(ValueError, match="ten years"):
        duration(text)
    assert begin_of(None, duration("3650d")) < datetime.now(UTC)


def test_a_present_that_has_not_come_is_refused_before_a_gateway_does():
    now = datetime.now(UTC)
    require_past(now + timedelta(minutes=4), 1.0, None)
    with pytest.raises(UsageError, match="earlier --start-at"):
        require_past(now + timedelta(minutes=6), 1.0, None)


def test_what_a_run_leaves_is_its_owners_alone(tmp_path: Path):
    (tmp_path / "a-file").touch()
    with pytest.raises(NoAccess, match="a-file"):
        require_places(tmp_path / "a-file" / "report.json", None)
    with pytest.raises(NoAccess, match="is a folder"):
        require_places(tmp_path, None)
    require_places(tmp_path / "reports" / "sim.json", tmp_path / "truth")
    assert stat.S_IMODE((tmp_path / "truth").stat().st_mode) == 0o700
    write_report(tmp_path / "reports" / "sim.json", report())
    assert stat.S_IMODE((tmp_path / "reports" / "sim.json").stat().st_mode) == 0o600
    assert [each.name for each in (tmp_path / "reports").iterdir()] == ["sim.json"]


async def test_a_fleet_file_of_which_no_collar_can_run_is_refused(tmp_path: Path):
    fleet = tmp_path / "fleet.json"
    fleet.write_text('{"collars": [{"collar_id": "c1"}]}')
    with pytest.raises(FleetFileError, match=r"not one collar can run. Of c1: .*signing_key"):
        await run(Settings(fleet_file=fleet, data_dir=tmp_path / "flash"))
    assert not (tmp_path / "flash").exists()
