"""The plugin host with real processes: what a plugin does wrong stays with that plugin."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from gateway.host import FaultKind, Limits, PluginFault, PluginHost, PluginState
from plugins.sdk import FindingState, Input, Inputs, Outputs, Record, Zone
from plugins.sdk.testkit import START, epoch, fix, fix_from

ROOT = Path(__file__).parents[2]
HOME = Zone(zone_id="home", name="Home", lat_deg=52.5, lon_deg=13.4, radius_m=100.0)
LIMITS = Limits(call_deadline_s=5.0, crashes=3)  # room for a machine under load
HASTY = replace(LIMITS, call_deadline_s=2.0)  # where the deadline is what is tested

COUNT = """
    from plugins.sdk import Inputs, Outputs

    def predict(batch: Inputs) -> Outputs:
        return Outputs(state={"n": batch.state.get("n", 0) + 1})
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a plugin and returns the folder of plugins."""

    def write_plugin(plugin_id: str, code: str = COUNT, **manifest: str) -> Path:
        folder = tmp_path / plugin_id
        folder.mkdir()
        inputs = manifest.pop("inputs", 'fix = ["lat_deg"]')
        fields = {
            "id": plugin_id,
            "version": "1.0.0",
            "name": plugin_id,
            "summary": "A test.",
            "runs_on": "gateway",
            "entry": "plugin:predict",
            **manifest,
        }
        lines = [*(f'{name} = "{value}"' for name, value in fields.items()), "[inputs]", inputs]
        (folder / "plugin.toml").write_text("\n".join(lines))
        (folder / "plugin.py").write_text(dedent(code))
        return tmp_path

    return write_plugin


def inputs(pet_id: str = "luna", **fields: Any) -> Inputs:
    given: dict[str, Any] = {"records": {Input.FIX: [fix(0, 1.0, 2.0)]}, **fields}
    return Inputs(pet_id=pet_id, species="dog", now=START + timedelta(days=1), **given)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - another process makes it true
        await asyncio.sleep(0.01)


def counted(answers: list[Outputs | PluginFault]) -> list[int | FaultKind]:
    return [a.state["n"] if isinstance(a, Outputs) else a.kind for a in answers]


async def fault_of(host: PluginHost, plugin_id: str, pet_id: str = "luna") -> PluginFault:
    (answer,) = await host.judge(plugin_id, [inputs(pet_id)])
    assert isinstance(answer, PluginFault)
    return answer


async def test_a_plugin_gets_its_state_back(write: Write) -> None:
    async with PluginHost.open([write("good")], limits=LIMITS) as host:
        state: dict[str, Any] = {}
        for _ in range(3):
            (answer,) = await host.judge("good", [inputs(state=state)])
            assert isinstance(answer, Outputs)
            state = answer.state
        assert state == {"n": 3}
        good = host.plugins["good"]
        assert (good.state, good.calls, good.failures) == (PluginState.RUNNING, 3, 0)
        assert good.cpu_s > 0


async def test_many_pets_are_judged_in_order(write: Write) -> None:
    async with PluginHost.open([write("good")], limits=LIMITS) as host:
        many = [inputs(f"pet-{n}", state={"n": n}) for n in range(500)]
        assert counted(await host.judge("good", many)) == list(range(1, 501))
        assert await host.judge("good", []) == []


async def test_only_granted_fields_arrive(write: Write) -> None:
    code = """
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            return Outputs(state={
                "seen": {s: [r.values for r in rs] for s, rs in batch.records.items()},
                "zones": len(batch.zones),
                "settings": batch.settings,
            })
    """
    records = {
        Input.FIX: [fix(0, 1.0, 2.0, hdop=None)],
        Input.EPOCH: [epoch(0, {"rest": 60.0})],
        Input.EVENT: [Record(START, {"name": "scratch", "confidence": 0.9})],
    }
    everything = inputs(records=records, zones=[HOME], settings={"loud": 5, "other": 1})
    write("steps", code, inputs='epoch = ["odba_g"]\nfix = ["hdop"]\n[settings]\nloud = 1\nlow = 2')
    folder = write("place", code, inputs='fix = ["lat_deg", "lon_deg"]')
    async with PluginHost.open([folder], limits=LIMITS) as host:
        (steps,) = await host.judge("steps", [everything])
        (place,) = await host.judge("place", [everything])
    assert isinstance(steps, Outputs)
    assert isinstance(place, Outputs)
    assert steps.state["seen"] == {"epoch": [{"odba_g": 0.1}], "fix": [{"hdop": None}]}
    assert steps.state["zones"] == 0  # they tell where home is
    assert steps.state["settings"] == {"loud": 5, "low": 2}
    assert place.state["seen"] == {"fix": [{"lat_deg": 1.0, "lon_deg": 2.0}]}
    assert place.state["zones"] == 1


async def test_an_exception_costs_its_own_call_only(write: Write) -> None:
    folder = write(
        "raises",
        """
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            if batch.pet_id == "rex":
                raise ValueError("no such dog")
            return Outputs(state={"n": 1})
        """,
    )
    async with PluginHost.open([folder], limits=LIMITS) as host:
        first_pid = host.plugins["raises"].pid
        answers = await host.judge("raises", [inputs(), inputs("rex"), inputs()])
        assert counted(answers) == [1, FaultKind.RAISED, 1]
        assert answers[1] == PluginFault(
            "raises", FaultKind.RAISED, "ValueError: no such dog", line=6
        )
        assert host.plugins["raises"].pid == first_pid
        assert (host.plugins["raises"].calls, host.plugins["raises"].failures) == (3, 1)


async def test_an_endless_loop_is_killed_and_the_other_pets_are_judged(write: Write) -> None:
    folder = write(
        "loops",
        """
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            while batch.pet_id == "rex":
                pass
            return Outputs(state={"n": 1})
        """,
    )
    async with PluginHost.open([folder], limits=HASTY) as host:
        answers = await host.judge("loops", [inputs(), inputs("rex"), inputs()])
        assert counted(answers) == [1, FaultKind.DEADLINE, 1]
        assert host.plugins["loops"].state is PluginState.RUNNING
        assert host.plugins["loops"].restarts == 1


async def test_what_it_prints_goes_nowhere_but_its_own_log(write: Write) -> None:
    folder = write(
        "prints",
        """
        import os, sys
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            print("to standard output", flush=True)
            sys.stdout.buffer.write(b"\\x00\\x00\\x00\\x01\\xc0" * 20_000)
            sys.stdout.flush()
            os.write(1, b"to file 1")
            return Outputs(state={"n": 1, "read": sys.stdin.read()})
        """,
    )
    async with PluginHost.open([folder], limits=LIMITS) as host:
        assert counted(await host.judge("prints", [inputs()] * 3)) == [1, 1, 1]
        await until(lambda: "to file 1" in host.plugins["prints"].printed)
        assert host.plugins["prints"].restarts == 0


@pytest.mark.parametrize("how", ["sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)"])
async def test_one_that_exits_is_started_again_and_given_up_at_last(write: Write, how: str) -> None:
    folder = write(
        "exits",
        f"""
        import os, sys
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            if batch.pet_id == "rex":
                {how}
            return Outputs(state={{"n": 1}})
        """,
    )
    write("good")
    async with PluginHost.open([folder], limits=LIMITS) as host:
        answers = await host.judge("exits", [inputs(), inputs("rex"), inputs()])
        assert counted(answers) == [1, FaultKind.ENDED, 1]
        answers = await host.judge("exits", [inputs("rex")] * 3)
        assert counted(answers) == [FaultKind.ENDED, FaultKind.DISABLED, FaultKind.DISABLED]
        exits = host.plugins["exits"]
        assert exits.state is PluginState.DISABLED
        assert re.search("3 crashes in a row.*(exit code 3|SIGKILL)", exits.reason)
        assert exits.pid is None
        assert counted(await host.judge("exits", [inputs()])) == [FaultKind.DISABLED]
        assert counted(await host.judge("good", [inputs()])) == [1]


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        ("None", "NoneType, not Outputs"),
        ("{'findings': []}", "dict, not Outputs"),
        ("Outputs(findings=7)", "findings"),
        ("Outputs(findings=[finding()] * 101)", "findings"),
        ("Outputs(observations=[look()] * 101)", "observations"),
        ("Outputs(findings=[finding(title='x' * 121)])", "title"),
        ("Outputs(findings=[finding(title='a\\nb')])", "title"),
        ("Outputs(findings=[finding(key='Out Side')])", "key"),
        ("Outputs(findings=[finding(severity='fatal')])", "severity"),
        ("Outputs(findings=[finding(confidence=float('nan'))])", "confidence"),
        ("Outputs(findings=[finding(detail={'d': float('inf')})])", "detail"),
        ("Outputs(findings=[finding(detail={'d': 'x' * 201})])", "detail"),
        ("Outputs(findings=[finding(detail={'d%d' % n: n for n in range(17)})])", "detail"),
        ("Outputs(findings=[finding(observed_at=datetime(2026, 1, 1))])", "time zone"),
        ("Outputs(findings=[finding(observed_at=datetime(9999, 1, 1, tzinfo=UTC))])", "future"),
        ("Outputs(observations=[look(label='Happy!')])", "label"),
        ("Outputs(observations=[look(confidence=2)])", "confidence"),
        ("Outputs(state={'x': 'x' * 16_384})", "state"),
        ("Outputs(state={1: 2})", "state"),
        ("Outputs(state={'x': object()})", "object"),
        ("Outputs(state={'x': deep()})", "recursion"),
    ],
)
async def test_what_is_no_outputs_is_refused_by_name(
    write: Write, returned: str, named: str
) -> None:
    folder = write(
        "garbage",
        f"""
        from datetime import UTC, datetime
        from plugins.sdk import *

        def finding(**other):
            given = dict(key="x", state=FindingState.RAISED, title="X", severity=Severity.INFO,
                         observed_at=datetime(2026, 1, 1, tzinfo=UTC))
            return Finding(**{{**given, **other}})

        def look(**other):
            given = dict(name="x", label="y", confidence=0.5,
                         observed_at=datetime(2026, 1, 1, tzinfo=UTC))
            return Observation(**{{**given, **other}})

        def deep():
            value = []
            for _ in range(5_000):
                value = [value]
            return value

        def predict(batch: Inputs) -> Outputs:
            return {returned}
        """,
    )
    async with PluginHost.open([folder], limits=LIMITS) as host:
        fault = await fault_of(host, "garbage")
        assert fault.kind in (FaultKind.INVALID, FaultKind.RAISED)
        assert named in fault.message
        assert host.plugins["garbage"].state is PluginState.RUNNING


@pytest.mark.parametrize(
    "sent",
    [
        r"b'\x00\x00\x00\x02no'",  # no answer
        r"b'\x00\x00\x00\x01\x80' * 1000",  # answers that nobody asked for
        r"b'\xff\xff\xff\xff' + bytes(100)",  # a huge one
        r"b'\x00\x00\xff\xff\xdd\xff\xff\xff\xff' + bytes(65530)",  # a list of 4 billion
    ],
)
async def test_garbage_in_the_hosts_own_pipe_ends_the_process(write: Write, sent: str) -> None:
    folder = write(
        "forges",
        f"""
        import fcntl, os, time
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            if batch.pet_id == "rex":
                for fd in range(3, 32):
                    try:
                        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                            os.write(fd, {sent})
                    except OSError:
                        pass
                time.sleep(60)
            return Outputs(state={{"n": 1}})
        """,
    )
    write("good")
    async with PluginHost.open([folder], limits=LIMITS) as host:
        assert (await fault_of(host, "forges", "rex")).kind is FaultKind.INVALID
        assert counted(await host.judge("forges", [inputs()])) == [1]
        assert counted(await host.judge("good", [inputs()])) == [1]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def predict(:\n", r"SyntaxError.*\(line 1\)"),
        ("import nothing_of_this_name\n", r"ModuleNotFoundError.*\(line 1\)"),
        ("x = 1\n", "AttributeError.*predict"),
        ("def setup(context):\n    raise OSError('no model')\npredict = print\n", "no model"),
    ],
)
async def test_code_that_cannot_be_loaded_is_disabled_at_once(
    write: Write, code: str, reason: str
) -> None:
    write("good")
    folder = write("unloadable", code)
    async with PluginHost.open([folder], limits=LIMITS) as host:
        unloadable = host.plugins["unloadable"]
        assert unloadable.state is PluginState.DISABLED
        assert re.search(reason, unloadable.reason)
        assert (await fault_of(host, "unloadable")).kind is FaultKind.DISABLED
        assert counted(await host.judge("good", [inputs()])) == [1]


async def test_one_that_dies_or_hangs_while_starting_does_not_hold_up_the_others(
    write: Write,
) -> None:
    write("good")
    write("dies", "import os; os._exit(4)")
    folder = write("hangs", "while True: pass")
    limits = replace(LIMITS, start_deadline_s=5.0, crashes=1)
    async with PluginHost.open([folder], limits=limits) as host:
        assert counted(await host.judge("good", [inputs()])) == [1]
        assert "exit code 4" in (await fault_of(host, "dies")).message
        assert "did not start" in (await fault_of(host, "hangs")).message


async def test_a_broken_manifest_is_told_and_the_good_ones_run(write: Write) -> None:
    write("good")
    folder = write("broken", version="one")
    async with PluginHost.open([folder], limits=LIMITS) as host:
        assert list(host.plugins) == ["good"]
        (broken,) = host.broken
        assert broken.folder.name == "broken"
        assert "version" in broken.reason
        assert counted(await host.judge("good", [inputs()])) == [1]


async def test_killed_in_the_middle_of_a_call_it_loses_nothing(
    write: Write, tmp_path: Path
) -> None:
    write(
        "slow",
        f"""
        import pathlib, time
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            if batch.pet_id == "rex" and pathlib.Path({str(tmp_path / "wait")!r}).exists():
                print("in the call", flush=True)
                time.sleep(60)
            return Outputs(state={{"n": batch.state["n"] + 1}})
        """,
    )
    (tmp_path / "wait").touch()
    async with PluginHost.open([tmp_path], limits=replace(LIMITS, call_deadline_s=60.0)) as host:
        slow = host.plugins["slow"]
        pets = [inputs(name, state={"n": n}) for n, name in enumerate(["luna", "rex", "milo"])]
        judging = asyncio.create_task(host.judge("slow", pets))
        await until(lambda: "in the call" in slow.printed)
        (tmp_path / "wait").unlink()
        first_pid = slow.pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)
        assert counted(await judging) == [1, 2, 3]
        assert slow.pid != first_pid
        assert (slow.state, slow.restarts) == (PluginState.RUNNING, 1)
        assert "SIGKILL" in slow.reason


async def test_killed_between_calls_it_is_started_again(write: Write) -> None:
    async with PluginHost.open([write("good")], limits=LIMITS) as host:
        for _ in range(6):  # more than crashes in a row would allow
            pid = host.plugins["good"].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert counted(await host.judge("good", [inputs(state={"n": 41})])) == [42]


async def test_memory_files_and_environment_are_bounded(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAWMESH_SECRET", "token")
    folder = write(
        "greedy",
        """
        import os, tempfile
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            said = {}
            try:
                bytearray(8 << 30)
            except MemoryError:
                said["memory"] = "refused"
            try:
                with tempfile.TemporaryFile(buffering=0) as file:
                    file.write(b"x")
            except OSError:
                said["file"] = "refused"
            try:
                files = [os.open(os.devnull, 0) for _ in range(100)]
            except OSError:
                said["files"] = "refused"
            said["secret"] = os.environ.get("PAWMESH_SECRET")
            return Outputs(state=said)
        """,
    )
    async with PluginHost.open([folder], limits=LIMITS) as host:
        (answer,) = await host.judge("greedy", [inputs()])
    assert isinstance(answer, Outputs)
    refused = dict.fromkeys(("memory", "file", "files"), "refused")
    assert answer.state == {**refused, "secret": None}


async def test_a_plugin_has_modules_of_its_own_numpy_and_setup(write: Write) -> None:
    folder = write(
        "numbers",
        """
        import numpy as np
        from helper import double
        from plugins.sdk import Context, Inputs, Outputs

        def setup(context: Context) -> None:
            global weights
            weights = np.loadtxt(context.folder / "weights.txt")

        def predict(batch: Inputs) -> Outputs:
            return Outputs(state={"sum": double(weights.sum()), "all": weights})
        """,
    )
    (folder / "numbers/helper.py").write_text("def double(x): return 2 * x\n")
    (folder / "numbers/weights.txt").write_text("1 2 3")
    async with PluginHost.open([folder], limits=LIMITS) as host:
        assert host.plugins["numbers"].reason == ""
        (answer,) = await host.judge("numbers", [inputs()])
        assert answer == Outputs(state={"sum": 12.0, "all": [1.0, 2.0, 3.0]})
    assert not (folder / "numbers/__pycache__").exists()


async def test_a_cancelled_call_does_not_answer_the_next_one(write: Write) -> None:
    folder = write(
        "sleeps",
        """
        import time
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            time.sleep(batch.state.get("sleep_s", 0))
            return Outputs(state={"n": batch.state["n"]})
        """,
    )
    async with PluginHost.open([folder], limits=LIMITS) as host:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await host.judge("sleeps", [inputs(state={"sleep_s": 2.0, "n": 1})])
        assert counted(await host.judge("sleeps", [inputs(state={"n": 2})])) == [2]


async def test_closing_the_host_ends_every_process_and_what_it_started(write: Write) -> None:
    folder = write(
        "forks",
        """
        import os, time
        from plugins.sdk import Inputs, Outputs

        def predict(batch: Inputs) -> Outputs:
            if not (child := os.fork()):
                time.sleep(600)
            return Outputs(state={"child": child})
        """,
    )
    write("good")
    write("dies", "import os; os._exit(1)")
    async with PluginHost.open([folder], limits=LIMITS) as host:
        (answer,) = await host.judge("forks", [inputs()])
        assert isinstance(answer, Outputs)
        pids = [answer.state["child"], host.plugins["forks"].pid, host.plugins["good"].pid]
        assert all(psutil.pid_exists(pid) for pid in pids)
    _, alive = psutil.wait_procs([psutil.Process(p) for p in pids if psutil.pid_exists(p)], 10)
    assert [p.pid for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_killed_gateway_takes_a_looping_plugin_with_it(
    write: Write, tmp_path: Path
) -> None:
    folder = write("loops", "def predict(batch):\n    while True: pass\n")
    gateway = f"""
import asyncio, pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from gateway.host import Limits, PluginHost
from tests.system.test_plugin_host import inputs
async def main():
    folder, limits = pathlib.Path({str(folder)!r}), Limits(call_deadline_s=600)
    async with PluginHost.open([folder], limits=limits) as host:
        print(host.plugins["loops"].pid, flush=True)
        await host.judge("loops", [inputs()])
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", gateway, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    plugin = psutil.Process(int(await process.stdout.readline()))
    await until(lambda: plugin.cpu_times().user > 0.2)  # it is in its loop
    process.kill()
    await process.communicate()
    gone, _ = psutil.wait_procs([plugin], 10)
    assert gone


async def test_our_own_plugins_run_on_the_host() -> None:
    path = [fix_from(HOME, 30.0 * n, 60.0 * n) for n in range(6)]
    async with PluginHost.open([ROOT / "plugins"], limits=LIMITS) as host:
        (fence,) = await host.judge("geofence", [inputs(records={Input.FIX: path}, zones=[HOME])])
        (mood,) = await host.judge(
            "emotion", [inputs(records={Input.EPOCH: [epoch(0, {"rest": 60.0})]})]
        )
    assert isinstance(fence, Outputs)
    assert isinstance(mood, Outputs)
    assert [(f.key, f.state) for f in fence.findings] == [("outside:home", FindingState.RAISED)]
    assert [o.label for o in mood.observations] == ["unsure"]


async def test_the_tutorials_plugin_runs_when_dropped_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/tutorials/first-plugin.md").read_text("utf-8")
    manifest, code, trial = re.findall(r"```(?:toml|python)\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "long-walk"
    folder.mkdir()
    (folder / "plugin.toml").write_text(manifest)
    (folder / "plugin.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    tried = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", trial], cwd=folder, env=env, check=False
    )
    assert tried.returncode == 0
    walk = [epoch(60.0 * n, {"walk": 60.0}, steps=90) for n in range(60)]
    async with PluginHost.open([tmp_path], limits=LIMITS) as host:
        assert host.broken == []
        (answer,) = await host.judge("long-walk", [inputs(records={Input.EPOCH: walk})])
    assert isinstance(answer, Outputs)
    assert [finding.title for finding in answer.findings] == ["Walked an hour today"]
