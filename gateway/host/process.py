"""One child process that runs one plugin: started, limited, spoken to, killed."""

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from typing import Self

from gateway.host.answers import printable, read_answer
from gateway.host.faults import FaultKind, ProcessEnded, StartRefused
from gateway.host.limits import Launch, Limits
from plugins.sdk.frames import HEADER_BYTES, Answer, Start, frame

PRINTED_BYTES = 4096  # of what a plugin printed last, kept for whoever debugs it


class PluginProcess(asyncio.SubprocessProtocol):
    """A plugin's process, from its start to its end; ``HostedPlugin`` starts the next one."""

    def __init__(self, limits: Limits) -> None:
        self.pid = 0
        self.cpu_s = 0.0
        """CPU time so far, as the kernel counts it."""
        self.printed = b""
        """The end of what the plugin printed."""
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._buffer = bytearray()
        self._frames: deque[bytes] = deque()
        self._owed = 0  # answers that were asked for and are still to come
        self._waiter: asyncio.Future[None] | None = None
        self._end: ProcessEnded | None = None
        self._drained = False  # all that it sent has been read
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def start(cls, launch: Launch, limits: Limits) -> Self:
        """A process that has loaded its plugin and waits for calls.

        Raises:
            StartRefused: The plugin's code cannot be loaded.
            ProcessEnded: It died, or did not answer in time.
        """
        process = cls(limits)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: process,
                *launch.argv,
                env=launch.env,
                cwd=launch.cwd,
                start_new_session=True,  # a Ctrl-C in the gateway's terminal is not for plugins
            )
        except OSError as error:
            raise StartRefused(str(error)) from error
        try:
            start = Start(
                memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, open_files=limits.open_files
            )
            process.send(frame(start), 1)
            async with asyncio.timeout(limits.start_deadline_s):
                answer = await process.receive()
            if failure := answer.failure:
                where = "" if failure.line is None else f" (line {failure.line})"
                raise StartRefused(printable(f"{failure.error}: {failure.message}") + where)
        except TimeoutError:
            await process.kill()
            raise ProcessEnded(
                FaultKind.DEADLINE, f"did not start within {limits.start_deadline_s:g} s"
            ) from None
        except BaseException:
            await process.kill()
            raise
        return process

    def send(self, packed: bytes | bytearray, answers: int) -> None:
        """Send a frame that is to be answered by so many."""
        if self._end is not None or self._transport is None:
            return  # ``receive`` tells
        pipe = self._transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        self._owed += answers
        pipe.write(packed)

    async def receive(self) -> Answer:
        """The next answer.

        Raises:
            ProcessEnded: There will be none.
        """
        while not self._frames:
            if self._end is not None:
                raise self._end
            self._waiter = self._loop.create_future()
            await self._waiter
        return read_answer(self._frames.popleft())

    async def kill(self) -> None:
        """End the process and what it started; ``predict`` is pure, so nothing is lost."""
        assert self._transport is not None
        self.measure()
        if self._transport.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        await self._exited  # before ``close``, which would race asyncio for the exit code
        self._transport.close()
        await self._closed

    def measure(self) -> None:
        """Bring ``cpu_s`` up to date."""
        with contextlib.suppress(OSError):  # it has ended: the last figure stands
            self.cpu_s = time.clock_gettime(~self.pid << 3 | 2)  # CPUCLOCK_SCHED of a process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It answered, or printed something."""
        if fd != 1:
            self.printed = (self.printed + data)[-PRINTED_BYTES:]
            return
        if self._end is not None:
            return
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if end > self._limits.answer_bytes or self._owed == 0:
                self._give_up(FaultKind.INVALID, f"sent {end} bytes that are no answer it owes")
                return
            if len(self._buffer) < end:
                break
            self._owed -= 1
            self._frames.append(bytes(self._buffer[HEADER_BYTES:end]))
            del self._buffer[:end]
        self._wake()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It closed a pipe."""
        self._drained |= fd == 1
        self._end_if_over()

    def process_exited(self) -> None:
        """It ended."""
        self._exited.set_result(None)
        self._end_if_over()

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended and all its pipes are closed."""
        if not self._closed.done():
            self._closed.set_result(None)

    def _end_if_over(self) -> None:
        """Its last answer may be read after its exit is known, so wait for both."""
        if self._drained and self._exited.done() and self._transport is not None:
            code = self._transport.get_returncode() or 0
            how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            self._give_up(FaultKind.ENDED, f"the process ended with {how}")

    def _give_up(self, kind: FaultKind, reason: str) -> None:
        """Nothing more that this process sends is listened to."""
        if self._end is None:
            self._end = ProcessEnded(kind, reason)
            self._buffer.clear()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
