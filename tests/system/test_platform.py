"""The command as people run it: real processes that are killed, interrupted and started again."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from cyclopts import App

from pawmesh.cli import app, main
from pawmesh.embedded.ports import free_ports, is_free, recall
from pawmesh.embedded.process import Part, Supervisor
from pawmesh.errors import IncompatibleData, NoAccess, PortInUse
from pawmesh.house import House, require
from tests.patience import PATIENCE_S
from tests.system.mosquitto import Mosquitto

PAWMESH = (sys.executable, "-m", "pawmesh")
PARTS = ("broker", "database", "cloud", "gateway", "collars")
NOTED = {
    *("dashboard_url", "cloud_url", "gateway_url", "broker_url", "database_url"),
    *("gateway_db", "pids"),
}


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes true; no judgement on how fast."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def pawmesh(*words: object) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [*PAWMESH, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@dataclass
class Up:
    """``pawmesh up`` as a process."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    ready_file: Path
    log: Path
    family: list[psutil.Process] = field(default_factory=list)

    @property
    def noted(self) -> dict[str, Any]:
        return json.loads(self.ready_file.read_text())

    def said(self, text: str) -> bool:
        return text in " ".join(self.log.read_text().split())

    def command(self, *words: object) -> Any:
        """What a command with ``--json`` answers about this platform."""
        done = pawmesh(*words, "--json", "--data-dir", self.data_dir)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stored(self) -> int:
        with closing(sqlite3.connect(f"file:{self.noted['gateway_db']}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM message").fetchone()[0]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it in the good way; returns its exit code."""
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def left(self) -> list[str]:
        """Of the family when it was interrupted, who lives on."""
        return [str(each) for each in self.family if alive(each)]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def families(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextmanager
def running(folder: Path, *words: object) -> Iterator[Up]:
    """``up`` on ``folder/data``, answering; nothing of it is left in the end."""
    log, ready_file = folder / "up.log", folder / "ready.json"
    log.touch()
    ready_file.unlink(missing_ok=True)
    command = [*PAWMESH, "up", "--data-dir", folder / "data", "--ready-file", ready_file]
    command += ["--no-dashboard", *words]
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    up = Up(folder / "data", process, ready_file, log)
    try:
        assert eventually(lambda: ready_file.exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield up
    finally:
        left = families(process)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for each in [*left, *up.family]:
            if alive(each):
                each.kill()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform with three collars that runs for as long as this module's tests."""
    folder = tmp_path_factory.mktemp("up")
    with running(folder, "--collars", 3, "--history", "10m", "--port-base", 0) as started:
        yield started


class TestRunning:
    def test_the_ready_file_says_all_and_only_its_owner_reads_it(self, up: Up) -> None:
        noted = up.noted
        assert noted.keys() >= NOTED
        assert noted["dashboard_url"] is None
        assert set(noted["pids"]) == set(PARTS)
        assert all(psutil.pid_exists(pid) for pid in noted["pids"].values())
        assert Path(noted["gateway_db"]).is_file()
        assert up.ready_file.stat().st_mode & 0o777 == 0o600
        with psycopg.connect(noted["database_url"]) as db:
            assert db.execute("SELECT count(*) FROM pet").fetchone() == (3,)

    def test_status_and_doctor_tell_how_it_is(self, up: Up) -> None:
        assert eventually(lambda: up.stored() > 30)
        status = up.command("status")
        assert status["ok"] is True
        assert status["pids"] == up.noted["pids"]
        assert status["gateway"]["stored"] > 30
        assert len(status["pets"]) == 3
        doctor = up.command("doctor")
        assert doctor["ok"] is True
        assert {"python", "data folder", "disk", "running"} <= {c["name"] for c in doctor["checks"]}

    def test_an_owner_is_created_once(self, up: Up, tmp_path: Path) -> None:
        password = tmp_path / "password"
        password.write_text("correct horse\n")
        words = ("owner", "create", "ada@example.org", "--password-file", password)
        assert up.command(*words)["owner_id"]
        again = pawmesh(*words, "--data-dir", up.data_dir)
        assert again.returncode == 1
        assert "409" in again.stderr
        nothing = pawmesh(*words[:4], tmp_path / "none", "--data-dir", up.data_dir)
        assert nothing.returncode == 2

    def test_a_strangers_collar_is_enrolled_and_moved(self, up: Up) -> None:
        others(up)
        made = up.command("collar", "add", "--pet", "Momo")
        assert {"collar_id", "key_file", "mqtt"} <= made.keys()
        assert {"host", "port", "username", "password_file"} <= made["mqtt"].keys()
        for secret in (made["key_file"], made["mqtt"]["password_file"]):
            assert Path(secret).stat().st_mode & 0o777 == 0o600

        def wearer() -> str | None:
            pets = up.command("status")["pets"]
            return next((p["name"] for p in pets if p["collar_id"] == made["collar_id"]), None)

        assert wearer() == "Momo"
        other = up.command("collar", "add", "--pet", "Mimi")
        assert other["pet_id"] != made["pet_id"]
        words = ("collar", "move", other["collar_id"], "--pet", "nobody")
        assert pawmesh(*words, "--data-dir", up.data_dir).returncode == 1
        moved = up.command("collar", "move", made["collar_id"], "--pet", "Luna")
        assert moved["collar_id"] == made["collar_id"]
        assert wearer() == "Luna"

    def test_a_second_up_on_the_same_folder_says_so(self, up: Up) -> None:
        second = pawmesh("up", *at(up))
        assert second.returncode == 1
        assert "already runs" in second.stderr
        assert up.process.poll() is None

    @pytest.mark.parametrize("part", PARTS)
    def test_a_killed_part_is_noticed_and_lives_again(self, up: Up, part: str) -> None:
        pid = up.noted["pids"][part]
        os.kill(pid, signal.SIGKILL)

        def renewed() -> bool:
            pids = up.noted["pids"]
            return set(pids) == set(PARTS) and pids[part] != pid

        assert eventually(renewed), up.log.read_text()
        assert eventually(lambda: up.said(f"The {part} ended (SIGKILL); starting it again."))
        assert eventually(lambda: up.said(f"The {part} is back."))
        assert eventually(lambda: pawmesh("status", *at(up)).returncode == 0)


def others(up: Up) -> None:
    """More people on this cloud, with a household and a Momo each."""
    with House(up.data_dir).operator_api(up.noted["cloud_url"]) as cloud:
        for number in range(6):
            new = {"email": f"other{number}@example.org", "password": "correct horse"}
            owner = require(cloud.post("/v1/owners", json=new))
            new = {"name": "Theirs", "owner_id": owner["owner_id"]}
            household = require(cloud.post("/v1/households", json=new))
            new = {"name": "Momo", "household_id": household["household_id"]}
            require(cloud.post("/v1/pets", json=new))


def at(up: Up) -> tuple[str, Path]:
    return "--data-dir", up.data_dir


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, int, list[str]]]:
    """A folder whose platform was interrupted; how much it held then, and what was wrong."""
    folder = tmp_path_factory.mktemp("lived")
    wrong: list[str] = []
    with running(folder, "--collars", 2, "--history", "5m", "--port-base", 0) as up:
        assert eventually(lambda: up.stored() > 20)
        stored = up.stored()
        code = up.interrupt()
        if code != 0:
            wrong.append(f"exit code {code}")
        wrong += up.left()
        if not up.said("the data stays"):
            wrong.append(up.log.read_text())
        yield up, stored, wrong


class TestAgain:
    """One folder, through the ends and starts of a life; the tests leave it as they found it."""

    def test_ctrl_c_ends_all_cleanly(self, lived: tuple[Up, int, list[str]]) -> None:
        up, _, wrong = lived
        assert not wrong
        assert not (up.data_dir / "running.json").exists()
        assert pawmesh("status", *at(up)).returncode == 1

    def test_sigterm_is_as_good_and_the_data_is_found_again(
        self, lived: tuple[Up, int, list[str]]
    ) -> None:
        before, stored, _ = lived
        ports = recall(before.data_dir)
        with running(before.data_dir.parent, "--collars", 2) as up:
            assert recall(up.data_dir) == ports
            assert up.stored() >= stored
            assert len(up.command("status")["pets"]) == 2
            assert up.interrupt(signal.SIGTERM) == 0
            assert not up.left()

    def test_a_port_that_another_program_has_is_named(
        self, lived: tuple[Up, int, list[str]]
    ) -> None:
        ports = recall(lived[0].data_dir)
        assert ports is not None
        with socket.create_server(("127.0.0.1", ports.gateway)):
            done = pawmesh("up", "--no-dashboard", *at(lived[0]))
        assert done.returncode == 4
        assert str(ports.gateway) in done.stderr
        assert is_free(ports.gateway)

    def test_a_store_of_a_newer_version_is_refused(self, lived: tuple[Up, int, list[str]]) -> None:
        with closing(sqlite3.connect(lived[0].data_dir / "gateway" / "gateway.db")) as db:
            held = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute("PRAGMA user_version = 99")
            try:
                done = pawmesh("up", "--no-dashboard", "--collars", 0, *at(lived[0]))
            finally:
                db.execute(f"PRAGMA user_version = {held}")
        assert done.returncode == 5
        assert "the store has version 99" in " ".join(done.stderr.split())


class TestRefusals:
    def test_a_database_of_a_newer_version_is_refused(self, tmp_path: Path, database: str) -> None:
        with psycopg.connect(database) as db:
            db.execute("INSERT INTO schema_migration VALUES ('9999_from_tomorrow.sql', 'x')")
        words = ("--no-dashboard", "--port-base", 0, "--database", database)
        done = pawmesh("up", *words, "--data-dir", tmp_path)
        assert done.returncode == 5
        assert "9999_from_tomorrow.sql" in done.stderr

    def test_a_broker_that_is_not_there_is_named(self, tmp_path: Path, database: str) -> None:
        port = free_ports(1)[0]
        words = ("--no-dashboard", "--port-base", 0, "--database", database)
        words += ("--broker", f"mqtt://ada:secret@127.0.0.1:{port}", "--data-dir", tmp_path)
        done = pawmesh("up", *words)
        assert done.returncode == 1
        assert f"127.0.0.1:{port}" in " ".join(done.stderr.split())
        assert "secret" not in done.stderr

    def test_a_folder_that_cannot_be_written_is_named(self) -> None:
        done = pawmesh("up", "--data-dir", "/proc/nowhere")
        assert done.returncode == 6
        assert "/proc/nowhere" in done.stderr

    @pytest.mark.parametrize(
        "words",
        [
            ("up", "--collars", "many"),
            ("up", "--history", "long"),
            ("up", "--collars", "1", "--pets", "2"),
            ("up", "--collars=-1"),
            ("up", "--no-such-option"),
            ("up", "--broker", "nonsense"),
            ("up", "--database", "nonsense"),
            ("up", "--port-base", "80000"),
            ("demo", "--seed", "1.5"),
            ("sim", "--seed", "1.5"),
            ("no-such-command",),
            ("owner", "create"),
        ],
        ids=" ".join,
    )
    @pytest.mark.filterwarnings("ignore:Cyclopts application invoked without")  # as it should
    def test_wrong_usage_is_told_from_other_failures(
        self,
        words: tuple[str, ...],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        where = ("--data-dir", str(tmp_path / "none")) if words[0] == "up" else ()
        monkeypatch.setattr(sys, "argv", ["pawmesh", *words, *where])
        with pytest.raises(SystemExit, check=lambda ended: ended.code == 2):
            main()
        assert capsys.readouterr().err.strip()

    @pytest.mark.parametrize(
        ("code", "kind"), [(4, PortInUse), (5, IncompatibleData), (6, NoAccess)]
    )
    async def test_why_a_part_did_not_start_is_handed_on(
        self, tmp_path: Path, code: int, kind: type[Exception]
    ) -> None:
        async def never() -> bool:
            return False

        argv = [sys.executable, "-c", f"raise SystemExit({code})"]
        async with Supervisor(tmp_path, lambda _: None) as supervisor:
            with pytest.raises(kind, match=f"exit code {code}"):
                await supervisor.start(Part(name="part", argv=argv, ready=never))


class TestHelp:
    def test_every_command_explains_itself_and_each_option(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for words, command in _commands(app):
            app([*words, "--help"], result_action="return_value", exit_on_error=False)
            said = capsys.readouterr().out
            assert said.strip(), words
            for argument in command.assemble_argument_collection():
                for name in argument.names:
                    if name.startswith("--"):
                        assert name in said, (words, name)

    def test_asking_for_help_is_no_failure(self) -> None:
        for words in ((), ("up",), ("collar", "add")):
            done = pawmesh(*words, "--help")
            assert done.returncode == 0
            assert "Usage" in done.stdout


def _commands(parent: App, *words: str) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in parent:
        if name.startswith("-"):
            continue
        command = parent[name]
        if command.default_command is not None:
            yield (*words, name), command
        yield from _commands(command, *words, name)


class TestOwnServers:
    def test_a_broker_and_a_database_of_the_users_own_are_used(
        self, tmp_path: Path, empty_database: str
    ) -> None:
        mosquitto = Mosquitto(tmp_path / "mosquitto", free_ports(1)[0])
        words = ("--collars", 2, "--history", "3m", "--port-base", 0, "--database", empty_database)
        with mosquitto.running() as broker, running(tmp_path, *words, "--broker", broker) as up:
            noted = up.noted
            assert noted["broker_url"] == broker
            assert noted["database_url"] == empty_database
            assert set(noted["pids"]) == {"cloud", "gateway", "collars"}
            assert not (up.data_dir / "database").exists()
            assert eventually(lambda: up.stored() > 10)
            with psycopg.connect(empty_database) as db:
                assert db.execute("SELECT count(*) FROM collar").fetchone() == (2,)
            os.kill(mosquitto.pid, signal.SIGKILL)
            mosquitto.start()
            stored = up.stored()
            made = up.command("collar", "add", "--pet", "Momo")
            assert made["mqtt"]["port"] == mosquitto.port
            assert made["mqtt"]["username"] == "pawmesh"
            assert eventually(lambda: up.stored() > stored)  # an epoch a minute, a fix every 30 s
            assert up.interrupt() == 0
