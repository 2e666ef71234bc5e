"""A mosquitto of our own, with the settings of production: it can be killed and started again."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from gateway.secret_file import write_private
from pawmesh.embedded.broker import accepts_login
from pawmesh.embedded.server import Server
from pawmesh.errors import MissingInstall

USER = "pawmesh"
# mosquitto's defaults lose acknowledged messages in bursts when it is killed
SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file {passwords}
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
max_inflight_messages {max_inflight}
"""
MAX_INFLIGHT = 1000


class Mosquitto(Server):
    """Debian's broker on a loopback port, with one user."""

    name = "mosquitto"

    def __init__(self, folder: Path, port: int, *, max_inflight: int = MAX_INFLIGHT) -> None:
        """One that takes so many unacknowledged messages of a client; its own default is 20."""
        super().__init__(folder, port)
        self._max_inflight = max_inflight
        self._password = secrets.token_urlsafe(12)
        self._config = self.folder / "mosquitto.conf"

    @property
    def url(self) -> str:
        """``mqtt://pawmesh:PASSWORD@127.0.0.1:PORT``."""
        return f"mqtt://{USER}:{self._password}@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the settings and the password."""
        self.folder.mkdir(parents=True, exist_ok=True)
        passwords = self.folder / "passwords"
        write_private(passwords, "")
        subprocess.run(
            [_program("mosquitto_passwd"), "-b", passwords, USER, self._password], check=True
        )
        settings = SETTINGS.format(
            port=self.port,
            passwords=passwords,
            folder=self.folder,
            max_inflight=self._max_inflight,
        )
        if os.geteuid() == 0:
            settings += "user root\n"  # or it could not read what is ours
        write_private(self._config, settings)

    def answers(self) -> bool:
        """Whether our user can connect."""
        return accepts_login("127.0.0.1", self.port, USER, self._password)

    def argv(self) -> list[str]:
        """The command line."""
        return [_program("mosquitto"), "-c", str(self._config)]


def _program(name: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingInstall(f"{name} is not installed. On Debian: apt-get install mosquitto")
    return found
