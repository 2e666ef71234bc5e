"""An MQTT 5 broker without an installation: rumqttd in a child process of ours.

It keeps everything in memory: what it acknowledged is lost when it dies, which the collars' flash
logs and the gateway's own acknowledgements are made for. On a wrong password it closes the
connection without an answer.

``python -m pawmesh.embedded.broker CONFIG`` is that child.
"""

import importlib.util
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.secret_file import write_private
from pawmesh.embedded.server import Server
from pawmesh.errors import MissingInstall, NoAccess

HOUSE = "pawmesh"  # the user that our own parts are
ANSWER_S = 5.0
MAX_PAYLOAD_BYTES = 65_536
# The backlog of one subscription: 100,000 messages of 200 B fit, a home machine's memory is safe.
SEGMENT_BYTES = 10_485_760
SEGMENTS = 10
SETTINGS = f"""\
# Written by Pawmesh at each start; changes are lost.
id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = {SEGMENT_BYTES}
max_segment_count = {SEGMENTS}

[v5.main]
name = "main"
listen = "127.0.0.1:%d"
next_connection_delay_ms = 0

[v5.main.connections]
connection_timeout_ms = 60000
max_payload_size = {MAX_PAYLOAD_BYTES}
max_inflight_count = 1000
dynamic_filters = true

[v5.main.connections.auth]
"""


class Broker(Server):
    """One broker; its ``url`` is that of its first user.

    Args:
        folder: Made when missing; holds settings and passwords, mode 0600.
        port: Where to listen, on loopback only.
        users: Who may connect; a password is generated for each and kept.
    """

    name = "broker"

    def __init__(self, folder: Path, port: int, users: Sequence[str] = (HOUSE,)) -> None:
        super().__init__(folder, port)
        self._users = tuple(users)
        self._config = self.folder / "broker.toml"
        self._passwords = self.folder / "passwords.json"

    @property
    def url(self) -> str:
        """``mqtt://USER:PASSWORD@127.0.0.1:PORT``; known once ``prepare`` has run."""
        user = self._users[0]
        return f"mqtt://{user}:{self.password(user)}@127.0.0.1:{self.port}"

    def is_at(self, url: str) -> bool:
        """Whether this is our URL, and not that of a broker of the user's own."""
        return self._passwords.exists() and url == self.url

    def password(self, user: str = HOUSE) -> str:
        """A user's password; known once ``prepare`` has run."""
        return str(json.loads(self._passwords.read_text())[user])

    def prepare(self) -> None:
        """Write the settings, and passwords for users who have none.

        Raises:
            MissingInstall: The broker's wheel is not installed.
            NoAccess: The folder cannot be written.
        """
        if importlib.util.find_spec("iotcore") is None:
            raise MissingInstall(
                "The embedded broker is not installed. Run: pip install 'pawmesh[embedded]'. "
                "Or use a broker of your own: --broker URL"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            known: dict[str, str] = {}
            with suppress(FileNotFoundError, ValueError):
                known = json.loads(self._passwords.read_text())
            for user in self._users:
                known.setdefault(user, secrets.token_urlsafe(24))
            write_private(self._passwords, json.dumps(known, indent=1) + "\n")
            # a JSON string is a TOML string too
            lines = [f"{json.dumps(u)} = {json.dumps(known[u])}\n" for u in self._users]
            write_private(self._config, SETTINGS % self.port + "".join(lines))
        except OSError as error:
            raise NoAccess(
                f"Cannot write {error.filename or self.folder}: {error.strerror}. "
                "Choose another --data-dir, or make room"
            ) from error

    def answers(self) -> bool:
        """Whether our first user can connect."""
        user = self._users[0]
        return accepts_login("127.0.0.1", self.port, user, self.password(user))

    def argv(self) -> list[str]:
        """The command line of the child."""
        return [sys.executable, "-P", "-m", "pawmesh.embedded.broker", str(self._config)]


def accepts_login(host: str, port: int, user: str, password: str) -> bool:
    """Whether a broker answers an MQTT 5 CONNECT of this user with success.

    By hand, since it is 30 bytes: the clients reconnect, retry and log where a probe must not.
    """

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(2, "big") + value.encode()

    user_password_clean_start, keep_alive_s, no_properties = b"\xc2", b"\x00\x3c", b"\x00"
    head = text("MQTT") + b"\x05" + user_password_clean_start + keep_alive_s + no_properties
    body = head + text(f"probe-{os.getpid()}") + text(user) + text(password)
    if len(body) > 127:
        raise ValueError("the probe's packet needs a longer length field")
    try:
        with socket.create_connection((host, port), ANSWER_S) as link:
            link.sendall(bytes([0x10, len(body)]) + body)
            connack = link.recv(4)
            if len(connack) == 4:
                link.sendall(b"\xe0\x00")  # DISCONNECT, so that it logs no lost client
    except OSError:
        return False
    return len(connack) == 4 and connack[0] == 0x20 and connack[3] == 0  # type, reason code


def main() -> None:
    """Be the broker until a signal ends it; nothing is kept, so nothing needs closing."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler never runs inside Rust
    logging.basicConfig(level=logging.WARNING)
    # rumqttd logs each packet's span as an error, two lines a message: a day would fill the disk
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    from iotcore import IotCoreBroker

    # once a connection was lost, it would tell of every packet: gigabytes in a year of a home
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


if __name__ == "__main__":
    main()
