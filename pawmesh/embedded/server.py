"""What the embedded servers share: a folder, a port, and two ways to run them."""

import asyncio
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

from pawmesh.embedded.ports import require_free
from pawmesh.embedded.process import Part, ending, leashed, open_log, tail
from pawmesh.errors import PartFailed

START_S = 60.0  # recovery of a crashed database on a slow disk
STOP_S = 20.0
POLL_S = 0.05


class Server(ABC):
    """A server that lives in a folder of its own and listens on a loopback port.

    ``pawmesh up`` hands ``part()`` to its supervisor; tests and tools use ``running``.

    Args:
        folder: Made when missing; holds all that the server keeps, secrets with mode 0600.
        port: Where to listen, on loopback only.
    """

    name: ClassVar[str]
    env: ClassVar[Mapping[str, str]] = {}
    farewell: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the server is, with the password; known once ``prepare`` has run."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what a start needs; quick when it has been made before.

        Raises:
            PawmeshError: Of the kind that names the remedy.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Whether this very server, which knows our password, accepts connections."""

    @abstractmethod
    def argv(self) -> list[str]:
        """The server's command line; known once ``prepare`` has run."""

    def before_each_life(self) -> None:  # noqa: B027 - most servers have nothing to do here
        """Wait for what an earlier life left behind."""

    @property
    def pid(self) -> int:
        """The process that ``start`` made, 0 when there is none."""
        return self._process.pid if self._process else 0

    def part(self) -> Part:
        """The server as a part of the house; it is prepared when this returns."""
        self.prepare()
        return Part(
            name=self.name,
            argv=self.argv(),
            env=self.env,
            ready=partial(asyncio.to_thread, self.answers),
            prepare=self.before_each_life,
            farewell=self.farewell,
        )

    def start(self) -> str:
        """Start the server, again if it runs, and return its URL when it answers.

        Raises:
            PortInUse: Another program listens on the port.
            PartFailed: The server ended, or does not answer.
            PawmeshError: Whatever ``prepare`` raises.
        """
        self.stop()
        self.prepare()
        self.before_each_life()
        require_free(self.port, self.name)
        log = self.folder / f"{self.name}.log"
        with open_log(log) as output:
            self._process = subprocess.Popen(
                leashed(self.argv(), self.farewell),
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        what = "does not answer"
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if (returncode := self._process.poll()) is not None:
                what = f"ended ({ending(returncode)})"
                break
            if self.answers():
                return self.url
            time.sleep(POLL_S)
        self.stop()
        raise PartFailed(f"The {self.name} {what}. The end of {log}:\n{tail(log)}")

    def stop(self) -> None:
        """Stop what ``start`` started."""
        if self._process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
                break
        self._process = None

    @contextmanager
    def running(self) -> Generator[str]:
        """The server's URL, for as long as the block lasts."""
        url = self.start()
        try:
            yield url
        finally:
            self.stop()
