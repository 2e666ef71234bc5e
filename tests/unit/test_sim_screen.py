"""What `pawmesh sim` shows of a fleet of which a part has died."""

import io
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from collar_sim.tally import Pulse
from pawmesh.sim import screen as screen_module
from pawmesh.sim.screen import Screen
from pawmesh.sim.workforce import Worker, Workforce

BEGAN_AT = datetime(2026, 5, 1, 8, tzinfo=UTC)


def pulse(minutes: int, *, is_live: bool = True) -> Pulse:
    """Of a part of a hundred collars, all connected, so many minutes after the beginning."""
    return Pulse(
        simulated_until=BEGAN_AT + timedelta(minutes=minutes),
        present=BEGAN_AT + timedelta(minutes=10),
        is_live=is_live,
        collars=100,
        connected=100,
        published=1000,
        acked=990,
        owed=10,
        transmissions=1100,
        radio_lost=100,
        lag_s=0.0,
        seconds=60.0,
    )


def shown(workers: list[Worker], capsys: pytest.CaptureFixture[str]) -> str:
    """The line of a fleet that has just become live, where there is no terminal."""
    with Screen(workers) as screen:
        screen.refresh()
    return re.sub(r"\s+", " ", capsys.readouterr().err)  # the console breaks long lines


def worker(name: str, latest: Pulse | None, returncode: int | None = None) -> Worker:
    """A part of the fleet; its process is not needed."""
    return Worker(name, [], Path(), Path(), pulse=latest, returncode=returncode)


def test_collars_of_a_part_that_died_are_not_connected_and_hold_up_no_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = shown(
        [worker("1/2", pulse(10)), worker("2/2", pulse(3, is_live=False), returncode=-9)], capsys
    )
    assert "simulated 2026-05-01 08:10:00 UTC" in said
    assert "connected 100 of 200 collars" in said


def test_messages_of_a_part_that_died_stay_counted(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown([worker("1/2", pulse(10)), worker("2/2", pulse(3), returncode=-9)], capsys)
    assert "messages 2,000 published" in said
    assert "acknowledged 1,980; owed 20" in said


def test_the_slowest_part_says_how_far_the_fleet_is(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown([worker("1/2", pulse(10)), worker("2/2", pulse(9))], capsys)
    assert "simulated 2026-05-01 08:09:00 UTC" in said
    assert "connected 200 of 200 collars" in said


def test_nothing_is_said_while_no_part_that_runs_has_told_how_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not shown([worker("1/2", None), worker("2/2", pulse(3), returncode=-9)], capsys)


async def test_what_workers_log_is_passed_on_without_the_interpreters_chatter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = 'INFO: Created TensorFlow Lite XNNPACK delegate.\n{"event":"fleet.live"}\n'
    argv = [sys.executable, "-c", f"import sys; sys.stderr.write({said!r})"]
    one = Worker("1/1", argv, tmp_path, tmp_path / "report")
    screen = Screen([one])
    workforce = Workforce(
        [one], on_pulse=screen.refresh, on_line=screen.log_line, on_death=screen.died
    )
    await workforce.run()
    assert capsys.readouterr().err == '{"event":"fleet.live"}\n'


def test_the_table_keeps_its_looks_while_a_log_line_passes_by(monkeypatch: pytest.MonkeyPatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(screen_module, "console", terminal)
    with Screen([worker("1/1", pulse(1))]) as screen:
        screen.refresh()
        screen.log_line('{"event":"fleet.live","place":"[dim]"}')
    written = terminal.file.getvalue()
    assert "place=[dim]" in written
    assert written.count("[dim]") == 1
