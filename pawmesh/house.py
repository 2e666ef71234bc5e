"""The data folder of one installation: where each part keeps what, and what runs in it now."""

import fcntl
import json
import os
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from platformdirs import user_data_path

from gateway.secret_file import write_private
from pawmesh.errors import NoAccess, PawmeshError

SITE = "home"
OWNER_EMAIL = "owner@pawmesh.local"


class AlreadyRunning(PawmeshError):
    """Pawmesh runs on this data folder already. See ``pawmesh status``, or use another folder."""


class NotRunning(PawmeshError):
    """Pawmesh does not run on this data folder. Start it: ``pawmesh up``."""


def default_data_dir() -> Path:
    """The user's own data folder."""
    return user_data_path("pawmesh")


@dataclass(frozen=True)
class House:
    """A data folder and the places in it."""

    data_dir: Path

    @property
    def logs(self) -> Path:
        """Each part's output."""
        return self.data_dir / "logs"

    @property
    def gateway(self) -> Path:
        """The gateway's store, key and token."""
        return self.data_dir / "gateway"

    @property
    def fleet(self) -> Path:
        """The simulated collars: their keys, flash, and the record of what they published."""
        return self.data_dir / "fleet"

    @property
    def operator_token_file(self) -> Path:
        """What lets us speak to the cloud as its operator."""
        return self.data_dir / "cloud" / "operator.token"

    @property
    def owner_password_file(self) -> Path:
        """Of the owner that ``up`` makes at the first start."""
        return self.data_dir / "owner.password"

    @property
    def running_file(self) -> Path:
        """What runs now; gone when nothing does."""
        return self.data_dir / "running.json"

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            NoAccess: It cannot be made or written.
        """
        try:
            for folder in (self.data_dir, self.logs, self.gateway, self.fleet):
                folder.mkdir(parents=True, exist_ok=True)
            self.operator_token_file.parent.mkdir(exist_ok=True)
            for private in (self.gateway, self.fleet, self.logs, self.operator_token_file.parent):
                private.chmod(0o700)
        except OSError as error:
            raise NoAccess(
                f"{self.data_dir} cannot be written: {error.strerror}. "
                "Use --data-dir with a folder of yours"
            ) from error

    @contextmanager
    def occupied(self) -> Generator[None]:
        """Hold the folder for one ``up`` at a time.

        Raises:
            AlreadyRunning: Another holds it.
        """
        descriptor = os.open(self.data_dir / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        with os.fdopen(descriptor, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AlreadyRunning(
                    f"Pawmesh already runs on {self.data_dir}. "
                    "See pawmesh status, or use another --data-dir"
                ) from None
            try:
                yield
            finally:
                self.running_file.unlink(missing_ok=True)

    def note_running(self, running: dict[str, Any], ready_file: Path | None) -> None:
        """Say, to whoever may read this folder, what runs and where."""
        text = json.dumps(running, indent=1) + "\n"
        for target in filter(None, (self.running_file, ready_file)):
            write_private(target.absolute(), text)

    def running(self) -> dict[str, Any]:
        """What runs on this folder now.

        Raises:
            NotRunning: Nothing does.
        """
        try:
            running: dict[str, Any] = json.loads(self.running_file.read_text())
            os.kill(running["supervisor_pid"], 0)
        except (OSError, ValueError, KeyError):
            raise NotRunning(
                f"Pawmesh does not run on {self.data_dir}. Start it: {self.start}"
            ) from None
        return running

    @property
    def start(self) -> str:
        """The command that starts Pawmesh on this folder, to be copied as it is."""
        if self.data_dir.absolute() == default_data_dir().absolute():
            return "pawmesh up"
        return shlex.join(["pawmesh", "up", "--data-dir", str(self.data_dir)])

    def gateway_api(self, url: str) -> httpx2.Client:
        """The gateway's API, as its owner."""
        token = (self.gateway / "gateway.token").read_text().strip()
        return httpx2.Client(base_url=url, timeout=30, headers={"authorization": f"Bearer {token}"})

    def operator_api(self, url: str) -> httpx2.Client:
        """The cloud's API, as its operator."""
        token = self.operator_token_file.read_text().strip()
        return httpx2.Client(base_url=url, timeout=60, headers={"authorization": f"Bearer {token}"})


def require(response: httpx2.Response, *accepted: int) -> Any:
    """The JSON of an answer that was hoped for.

    Raises:
        PawmeshError: The answer is another; its problem says why.
    """
    if response.status_code >= 400 and response.status_code not in accepted:
        try:
            detail = response.json().get("detail", response.text)
        except ValueError:
            detail = response.text
        raise PawmeshError(
            f"{response.request.method} {response.request.url.path}: "
            f"{response.status_code}, {str(detail)[:300]}"
        )
    return response.json() if response.content else None
