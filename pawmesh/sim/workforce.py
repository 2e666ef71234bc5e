"""The processes of a simulated fleet: one that dies takes no other along."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from collar_sim.tally import Pulse
from pawmesh.embedded.process import ending, leashed

LINE_BYTES = 2**20  # a traceback on one line of JSON
CHATTER = b"INFO: "  # the interpreter's own, among lines of JSON; no setting ends it

_pulse = msgspec.json.Decoder(Pulse)


@dataclass
class Worker:
    """One process, which runs one part of a fleet."""

    name: str
    """Of the part, such as ``1/2``."""
    argv: Sequence[str]
    """``python -m collar_sim ..`` with ``--pulse`` and ``--report``."""
    data_dir: Path
    report_path: Path
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    pulse: Pulse | None = None
    """The last one."""
    pid: int = 0
    returncode: int | None = None

    @property
    def died(self) -> str | None:
        """How it ended, if that was not as it should."""
        return None if self.returncode in (None, 0) else ending(self.returncode or 0)


class Workforce:
    """Starts the workers, listens to them, and waits for the last. Run it on the main thread.

    Args:
        workers: What runs.
        on_pulse: Told that a worker said how it stands.
        on_line: Told what a worker logs, without the interpreter's chatter.
        on_death: Told of a worker that ended before its time.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        *,
        on_pulse: Callable[[], None],
        on_line: Callable[[str], None],
        on_death: Callable[[Worker], None],
    ) -> None:
        self.workers = list(workers)
        self._on_pulse = on_pulse
        self._on_line = on_line
        self._on_death = on_death
        self._processes: list[Process] = []
        self._stops = 0

    def stop(self) -> None:
        """Ask all to end in good order; asked again, end them."""
        self._stops += 1
        number = signal.SIGINT if self._stops == 1 else signal.SIGKILL
        for process in self._processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    async def run(self) -> None:
        """Return when all have ended; SIGINT and SIGTERM are passed on meanwhile."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                for worker in self.workers:
                    process = await _started(worker)
                    self._processes.append(process)
                    tasks.create_task(self._attend(worker, process), name=f"shard {worker.name}")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            for process in self._processes:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def _attend(self, worker: Worker, process: Process) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear(worker, process))
            tasks.create_task(self._read(process))
        worker.returncode = await process.wait()
        if worker.died:
            self._on_death(worker)

    async def _hear(self, worker: Worker, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            with suppress(msgspec.DecodeError):  # a line that a kill cut short
                worker.pulse = _pulse.decode(line)
                self._on_pulse()

    async def _read(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            if not line.startswith(CHATTER):
                self._on_line(line.decode(errors="replace").rstrip("\n"))


async def _started(worker: Worker) -> Process:
    worker.report_path.unlink(missing_ok=True)  # or that of the last run would pass for this one's
    process = await create_subprocess_exec(
        *leashed(worker.argv, signal.SIGTERM),
        env={**os.environ, **worker.env},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        limit=LINE_BYTES,
        start_new_session=True,  # the terminal's Ctrl-C is ours to pass on
    )
    worker.pid = process.pid
    return process
