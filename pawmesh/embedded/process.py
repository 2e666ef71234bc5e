"""The parts of the house as child processes: started in order, watched, restarted, stopped.

A part may die at any time, by its own fault or ours; the others do not notice more than a
connection that comes back. No part outlives the supervisor, however that one ends.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process, create_subprocess_exec
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from pawmesh.errors import (
    IncompatibleData,
    MissingInstall,
    NoAccess,
    PartFailed,
    PawmeshError,
    PortInUse,
)

READY_S = 60.0  # a first start on a slow disk, TensorFlow imported beside it
POLL_S = 0.05
GRACE_S = 10.0  # for SIGINT; SIGTERM then has a third of it, and SIGKILL the last word
BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 4.0)
DEATHS = 5
DEATHS_WITHIN_S = 60.0
LOG_BYTES = 10_000_000  # a larger log becomes NAME.log.1 when its part starts
TAIL_LINES = 15

# a part that cannot start says why by its exit code, and ours is the same
REASONS: dict[int, type[PawmeshError]] = {
    kind.exit_code: kind for kind in (MissingInstall, PortInUse, IncompatibleData, NoAccess)
}
LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A program of the house."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    """Whether the part answers; an ``OSError`` counts as not yet."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to our own environment."""
    restart: bool = True
    """Whether a death is followed by another life."""
    prepare: Callable[[], None] | None = None
    """Runs in a thread before each life, such as to wait for the remains of the last one."""
    farewell: signal.Signals = signal.SIGKILL
    """What the kernel sends the part when the supervisor is gone."""


@dataclass
class _Life:
    """What the supervisor knows of one part."""

    part: Part
    process: Process | None = None
    watcher: asyncio.Task[None] | None = None
    deaths: list[float] = field(default_factory=list[float])
    """When it died, of the last minute."""


class Supervisor:
    """Keeps the parts alive while its ``async with`` lasts, and ends them in reverse order.

    Enter it on the main thread: the kernel ties children to the *thread* that started them.

    Args:
        logs: Folder of the parts' outputs, one ``NAME.log`` each.
        say: Told in a sentence when a part died, came back or was given up.
        ready_s: How long a part may take to answer.
        grace_s: How long a part may take to end.
        deaths: How many within a minute are too many.
    """

    def __init__(
        self,
        logs: Path,
        say: Callable[[str], None],
        *,
        ready_s: float = READY_S,
        grace_s: float = GRACE_S,
        deaths: int = DEATHS,
    ) -> None:
        self._logs = logs
        self._say = say
        self._ready_s = ready_s
        self._grace_s = grace_s
        self._deaths = deaths
        self._lives: dict[str, _Life] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process of each part that runs now."""
        return {
            name: life.process.pid
            for name, life in self._lives.items()
            if life.process is not None and life.process.returncode is None
        }

    async def __aenter__(self) -> Self:
        """Nothing runs yet; ``start`` the parts."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all parts, the last started first."""
        await asyncio.shield(asyncio.ensure_future(self.stop()))

    async def start(self, part: Part) -> None:
        """Start a part and return when it answers.

        Raises:
            PartFailed: It ended, or did not answer in time; the message ends with its log's tail.
            PawmeshError: It ended with the exit code of this kind, such as 5: data of another
                version.
        """
        life = self._lives[part.name] = _Life(part)
        await self._live(life)
        life.watcher = asyncio.create_task(self._watch(life), name=f"watch {part.name}")

    async def wait(self) -> None:
        """Return when no part is left that would be restarted; normally, when cancelled."""
        watchers = [life.watcher for life in self._lives.values() if life.watcher is not None]
        await asyncio.gather(*watchers)

    async def ended(self, name: str) -> None:
        """Return when a part has ended for good: given up, or never to be restarted."""
        watcher = self._lives[name].watcher
        if watcher is not None:
            await asyncio.wait([watcher])

    async def end(self, name: str) -> Part:
        """End one part and leave it ended; ``start`` what this returns to have it back."""
        life = self._lives[name]
        if life.watcher is not None:
            life.watcher.cancel()
            await asyncio.wait([life.watcher])
        await self._end(life)
        return life.part

    async def stop(self) -> None:
        """End all parts in reverse order: SIGINT, SIGTERM, SIGKILL, each with its time."""
        for life in self._lives.values():
            if life.watcher is not None:
                life.watcher.cancel()
                await asyncio.wait([life.watcher])
        for life in reversed(self._lives.values()):
            await self._end(life)

    async def _live(self, life: _Life) -> None:
        part = life.part
        if part.prepare is not None:
            await asyncio.to_thread(part.prepare)
        log = self._logs / f"{part.name}.log"
        with open_log(log) as output:
            life.process = await create_subprocess_exec(
                *leashed(part.argv, part.farewell),
                env={**os.environ, **part.env},
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C is ours to pass on, in order
            )
        await self._until_ready(part, life.process, log)

    async def _until_ready(self, part: Part, process: Process, log: Path) -> None:
        kind: type[PawmeshError] = PartFailed
        try:
            async with asyncio.timeout(self._ready_s):
                while process.returncode is None:
                    with suppress(OSError):
                        if await part.ready():
                            return
                    await asyncio.sleep(POLL_S)
                kind = REASONS.get(process.returncode, PartFailed)
                what = f"ended ({ending(process.returncode)}) before it answered"
        except TimeoutError:
            what = f"did not answer within {self._ready_s:g} s"
        raise kind(f"The {part.name} {what}. The end of {log}:\n{tail(log)}")

    async def _watch(self, life: _Life) -> None:
        """See the part die, again and again, until once too often."""
        name = life.part.name
        while life.process is not None:
            returncode = await life.process.wait()
            _end_group(life.process.pid)
            now = time.monotonic()
            life.deaths = [*(at for at in life.deaths if now - at < DEATHS_WITHIN_S), now]
            if not life.part.restart:
                self._say(f"The {name} ended ({ending(returncode)}).")
                return
            if len(life.deaths) >= self._deaths:
                self._say(
                    f"The {name} died {self._deaths} times within a minute and is given up; the "
                    f"rest goes on. See {self._logs / name}.log, then start again."
                )
                return
            self._say(f"The {name} ended ({ending(returncode)}); starting it again.")
            await asyncio.sleep(BACKOFF_S[min(len(life.deaths), len(BACKOFF_S)) - 1])
            try:
                await self._live(life)
            except Exception as error:  # whatever it was, the next round or the limit ends it
                self._say(str(error))
                await self._end(life)
            else:
                self._say(f"The {name} is back.")

    async def _end(self, life: _Life) -> None:
        process = life.process
        if process is None or process.returncode is not None:
            return
        steps = ((signal.SIGINT, self._grace_s), (signal.SIGTERM, self._grace_s / 3))
        for number, patience_s in steps:
            if process.returncode is not None:
                break
            with suppress(ProcessLookupError):
                process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience_s)
        _end_group(process.pid)
        await process.wait()


def leashed(argv: Sequence[str], farewell: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command line of a program that gets ``farewell`` when this process ends.

    Linux ties it to the thread that starts the program, so from any thread but the main one,
    which lives as long as the process, the program is left untied.
    """
    if threading.current_thread() is not threading.main_thread():
        return list(argv)
    return [
        *(sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(farewell))),
        *argv,
    ]


def open_log(path: Path) -> BinaryIO:
    """A log to append to, its folder made, a large predecessor moved to ``NAME.log.1``.

    Raises:
        NoAccess: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES:
                path.replace(f"{path}.1")
        return path.open("ab")
    except OSError as error:
        raise NoAccess(f"Cannot write {path}: {error.strerror}. Choose --data-dir") from error


def ending(returncode: int) -> str:
    """How a process ended, in words.

    >>> ending(-9), ending(3)
    ('SIGKILL', 'exit code 3')
    """
    return signal.Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented; a remark where there are none."""
    try:
        found = log.read_bytes()[-20_000:].decode(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return f"  (cannot be read: {error.strerror})"
    return "\n".join(f"  {line}" for line in found) or "  (nothing)"


def _end_group(pid: int) -> None:
    """Kill what a part's own children left running; each part leads a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
