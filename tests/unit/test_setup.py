"""What the set-up script decides, without a network and without touching this machine."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / f"scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


setup = script("setup")
judge = script("judge_skips")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    return tmp_path


def stamp(checkout: Path, **facts: str) -> None:
    (checkout / ".venv" / setup.STAMP).write_text(json.dumps(facts))


def finish(checkout: Path, installed: str) -> None:
    stamp(checkout, set=installed, digest=setup.digest(checkout), root=str(checkout))


def python(command: str, minor: int, *, whole: bool = True) -> object:
    return setup.Python(command, (3, minor), whole, f"/usr/bin/{command}")


def test_the_newest_python_that_fits_is_chosen() -> None:
    found = [python("python3", 14), python("python3.13", 13), python("python3.12", 12)]
    assert setup.choose(found).command == "python3.13"
    assert setup.choose([python("python3", 14), python("python3.9", 9)]) is None


def test_an_older_python_with_venv_is_better_than_a_newer_one_without() -> None:
    found = [python("python3.13", 13, whole=False), python("python3", 11)]
    assert setup.choose(found).command == "python3"
    assert setup.missing_python(setup.choose(found)) == []


def test_debians_bare_python_needs_its_venv_package() -> None:
    bare = [python("python3.11", 11, whole=False), python("python3", 11, whole=False)]
    assert setup.missing_python(setup.choose(bare)) == ["python3.11-venv"]
    assert setup.missing_python(setup.choose(bare[1:])) == ["python3-venv"]
    assert "python3.11-venv" in setup.missing_python(None)


def test_a_python_that_does_not_start_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho no such version >&2\nexit 127\n")
    shim.chmod(0o755)
    (tmp_path / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [one.command for one in setup.pythons()] == ["python3"]


def test_inside_another_environment_the_python_beneath_it_is_used() -> None:
    if sys.prefix != sys.base_prefix:
        said = subprocess.check_output([sys.executable, "-I", "-c", setup.PROBE], text=True)
        assert not said.split(maxsplit=3)[3].startswith(sys.prefix + os.sep)


def test_the_limits_are_those_of_pyproject() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    low, high = (".".join(map(str, limit)) for limit in (setup.OLDEST, setup.TOO_NEW))
    assert wanted == f">={low},<{high}"


@pytest.mark.parametrize(
    ("installed", "wanted", "enough"),
    [
        ("dev", "platform", True),
        ("platform", "dev", False),
        ("platform", "platform", True),
        ("dev", "dev", True),
    ],
)
def test_a_larger_set_is_enough(checkout: Path, installed: str, wanted: str, enough: bool) -> None:
    finish(checkout, installed)
    assert setup.is_done(checkout, wanted) is enough


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_other_pins_are_another_set_up_in_the_same_venv(checkout: Path, name: str) -> None:
    finish(checkout, "dev")
    (checkout / name).write_text((checkout / name).read_text() + "# changed\n")
    assert not setup.is_done(checkout, "dev")
    assert not setup.must_begin_anew(checkout)


def test_a_venv_without_interpreter_is_not_set_up(checkout: Path) -> None:
    finish(checkout, "dev")
    (checkout / ".venv/bin/python").unlink()
    assert not setup.is_done(checkout, "dev")
    assert setup.must_begin_anew(checkout)


def test_a_half_done_or_moved_set_up_begins_anew(checkout: Path) -> None:
    stamp(checkout, begun="")
    assert setup.must_begin_anew(checkout)
    stamp(checkout, set="dev", digest="", root="/somewhere/else")
    assert setup.must_begin_anew(checkout)


def test_a_link_to_another_venv_is_never_removed(checkout: Path) -> None:
    (checkout / ".venv").rename(checkout / "theirs")
    (checkout / ".venv").symlink_to("theirs")
    stamp(checkout, begun="")
    assert not setup.must_begin_anew(checkout)


def test_an_ordinary_user_is_told_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    with pytest.raises(setup.Stop) as caught:
        setup.install_packages(["python3-venv", "mosquitto"])
    assert caught.value.code == 3
    command = "sudo sh -c 'apt-get update && apt-get install -y python3-venv mosquitto'"
    assert command in str(caught.value)


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup.shutil, "which", lambda name, **_: None)
    with pytest.raises(setup.Stop, match=r"bubblewrap.*package manager") as caught:
        setup.install_packages(["bubblewrap"])
    assert caught.value.code == 3


def test_programs_are_found_under_any_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ALSO_LOOK_IN", (str(tmp_path),))
    monkeypatch.setenv("PATH", "")
    everything = ["mosquitto", "mosquitto-clients", "chromium", "bubblewrap"]
    assert setup.missing_programs() == everything
    for name in ("mosquitto", "mosquitto_sub", "google-chrome"):
        (tmp_path / name).touch(mode=0o755)
    assert setup.missing_programs() == ["bubblewrap"]


def test_a_checkout_that_cannot_be_written_is_exit_6(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup.os, "access", lambda *_: False)
    assert setup.main([]) == 6
    assert "cannot be written" in capsys.readouterr().err


def test_too_little_room_is_said_before_anything_is_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup, "SETS", {"platform": 10**9, "dev": 10**9})
    stamp(checkout, begun="")
    assert setup.main(["--set", "platform"]) == 6
    assert "of room" in capsys.readouterr().err
    assert (checkout / ".venv").exists()


def test_a_failed_installation_is_not_taken_for_done(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    monkeypatch.setattr(setup, "SETS", {"platform": 0, "dev": 0})
    answers = iter([(0, ""), (1, "[Errno 28] No space left on device")])
    monkeypatch.setattr(setup, "run_and_listen", lambda *_: next(answers))
    monkeypatch.setattr(setup, "pythons", lambda: [python("python3", 11)])
    stamp(checkout, begun="")
    assert setup.main([]) == 6
    assert "the disk is full" in capsys.readouterr().err
    assert not setup.is_done(checkout, "dev")
    assert setup.must_begin_anew(checkout)


@pytest.mark.parametrize(
    ("said", "code", "word"),
    [
        ("ERROR: [Errno 28] No space left on device", 6, "full"),
        ("[Errno 13] Permission denied: 'x'", 6, "cannot be written"),
        ("Temporary failure in name resolution", 1, "network"),
        ("No matching distribution found for x==1", 1, "see above"),
    ],
)
def test_what_pip_said_becomes_one_plain_sentence(said: str, code: int, word: str) -> None:
    assert setup.explain(said)[0] == code
    assert word in setup.explain(said)[1]


def test_another_environments_settings_do_not_reach_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_CONSTRAINT"):
        monkeypatch.setenv(name, "/elsewhere")
    assert "/elsewhere" not in setup.environment().values()
    assert setup.environment()["PIP_CONSTRAINT"] == "constraints.txt"


def test_the_script_starts_whatever_the_surroundings() -> None:
    odd = {**os.environ, "PYTHONPATH": "/nonexistent", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-E", "-s", "scripts/setup.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=odd, capture_output=True, text=True, check=True)
    assert "--system" in done.stdout


def test_the_pins_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.+!]+", line)] == []
    names = [pin.partition("==")[0] for pin in pins]
    assert names == sorted(set(names))
    assert len(pins) > 100


def test_only_excused_tests_may_skip(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(
        "<testsuites><testsuite>"
        "<testcase classname='tests.unit.test_a' name='test_ran'/>"
        "<testcase classname='tests.unit.test_a' name='test_lazy'>"
        "<skipped type='pytest.skip' message='later'/></testcase>"
        "<testcase classname='tests.system.test_b.TestTime' name='test_hyper[1]'>"
        "<properties><property name='excuse' value='timescale'/></properties>"
        "<skipped type='pytest.skip' message='no server'/></testcase>"
        "<testcase classname='tests.unit.test_a' name='test_known'>"
        "<skipped type='pytest.xfail' message=''/></testcase>"
        "</testsuite></testsuites>"
    )
    tests = judge.skipped(report)
    (left,) = judge.unexcused(tests, {"timescale"})
    assert (left.name, left.reason) == ("tests.unit.test_a.test_lazy", "later")
    assert len(judge.unexcused(tests, set())) == 2


def test_recordings_excuse_only_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAWMESH_TIMESCALE_URL", "postgresql://here")
    monkeypatch.setenv("PAWMESH_RECORDINGS", str(tmp_path))
    assert judge.excuses() == set()
    monkeypatch.setenv("PAWMESH_RECORDINGS", str(tmp_path / "none"))
    monkeypatch.delenv("PAWMESH_TIMESCALE_URL")
    assert judge.excuses() == {"timescale", "recordings"}


def test_the_report_of_a_real_run_names_what_excuses_a_skip(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    environment = {n: v for n, v in os.environ.items() if n != "PAWMESH_TIMESCALE_URL"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "timescale", f"--junitxml={report}"]
    command += ["-p", "no:cacheprovider", "tests/system/test_cloud_db.py"]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    (test,) = judge.skipped(report)
    assert test.marks == {"timescale"}
