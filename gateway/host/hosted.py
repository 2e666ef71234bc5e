"""A plugin under supervision: asked one call at a time, restarted when it dies, given up at last.

``predict`` is pure and the host keeps the state, so a call can be asked again of a new process.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

import structlog

from gateway.host.answers import outputs_of
from gateway.host.discovery import FoundPlugin
from gateway.host.faults import FaultKind, PluginFault, ProcessEnded, StartRefused
from gateway.host.granted import granted_inputs
from gateway.host.limits import Launcher, Limits
from gateway.host.process import PluginProcess
from plugins.sdk import Inputs, Outputs
from plugins.sdk.frames import frame

CALLS_A_FRAME = 64  # enough to spread the cost of a frame; few enough to stay small
TRIES = 2  # of a call during which the process died: the second time it is the call's fault
BACKOFF_S = 0.1  # before the third start in a row, then doubling; the second follows at once
MAX_BACKOFF_S = 5.0

log = structlog.get_logger(__name__)

Answers = list[Outputs | PluginFault]


class PluginState(StrEnum):
    """Whether a plugin can be asked."""

    RUNNING = "running"
    RESTARTING = "restarting"
    DISABLED = "disabled"
    """It crashed too often in a row, or its code cannot be loaded; ``reason`` says which."""


class HostedPlugin:
    """A discovered plugin, its process and what it has cost so far."""

    def __init__(self, found: FoundPlugin, limits: Limits, launcher: Launcher) -> None:
        self.manifest = found.manifest
        self.folder = found.folder
        self.state = PluginState.RESTARTING
        self.reason = ""
        """Of the last crash, or of being disabled."""
        self.calls = 0
        self.failures = 0
        """Calls that ended in a fault."""
        self.restarts = 0
        self._limits = limits
        self._launcher = launcher
        self._process: PluginProcess | None = None
        self._crashes = 0  # in a row
        self._past_cpu_s = 0.0  # of the processes before this one
        self._past_printed = b""
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self._process.pid if self._process else None

    @property
    def cpu_s(self) -> float:
        """CPU time of all its processes."""
        return self._past_cpu_s + (self._process.cpu_s if self._process else 0.0)

    @property
    def printed(self) -> str:
        """The end of what it printed, in this process or the one before."""
        printed = self._process.printed if self._process else self._past_printed
        return printed.decode("utf-8", "replace")

    async def open(self) -> None:
        """Start the process, so that a plugin that cannot start is known at once."""
        async with self._lock:
            await self._start()

    async def close(self) -> None:
        """End the process."""
        async with self._lock:
            await self._drop_process()

    async def judge(self, inputs: Sequence[Inputs]) -> Answers:
        """One answer per input, in order; a fault where there is none."""
        granted = [granted_inputs(self.manifest, one) for one in inputs]
        answers: Answers = []
        tries = 0
        async with self._lock:
            while len(answers) < len(granted):
                if self.state is PluginState.DISABLED:
                    fault = self._fault(FaultKind.DISABLED, self.reason)
                    answers += [fault] * (len(granted) - len(answers))
                    break
                done = len(answers)
                try:
                    process = self._process or await self._start()
                    if process is not None:
                        await self._ask(process, granted[done : done + CALLS_A_FRAME], answers)
                except ProcessEnded as end:
                    await self._crashed(end.reason)
                    tries = tries + 1 if len(answers) == done else 1
                    if tries == TRIES or end.kind is FaultKind.DEADLINE:  # it would hang again
                        answers.append(self._fault(end.kind, end.reason))
                        tries = 0
                except BaseException:
                    await self._drop_process()  # cancelled: its answers belong to nobody
                    raise
        self.calls += len(answers)
        self.failures += sum(isinstance(answer, PluginFault) for answer in answers)
        return answers

    async def _ask(
        self, process: PluginProcess, inputs: Sequence[Inputs], answers: Answers
    ) -> None:
        """Have ``process`` judge ``inputs``, and append an answer for each as it comes."""
        deadline_s = self._limits.call_deadline_s
        clock = asyncio.get_running_loop().time
        process.send(frame(inputs), len(inputs))
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                for one in inputs:
                    answer = await process.receive()
                    deadline.reschedule(clock() + deadline_s)
                    answers.append(outputs_of(self.manifest.id, answer, one))
                    self._crashes = 0
        except TimeoutError:
            raise ProcessEnded(FaultKind.DEADLINE, f"no answer within {deadline_s:g} s") from None
        process.measure()

    async def _start(self) -> PluginProcess | None:
        """A new process, after waiting as long as the crashes before it ask for."""
        if self._crashes > 1:
            await asyncio.sleep(min(BACKOFF_S * 2 ** (self._crashes - 2), MAX_BACKOFF_S))
        launch = self._launcher(self.folder, self.manifest)
        try:
            self._process = await PluginProcess.start(launch, self._limits)
        except StartRefused as refused:
            self._disable(str(refused))
            return None
        except ProcessEnded as end:
            await self._crashed(f"while starting: {end.reason}")
            return None
        self.state = PluginState.RUNNING
        return self._process

    async def _crashed(self, reason: str) -> None:
        await self._drop_process()
        self._crashes += 1
        self.restarts += 1
        self.state, self.reason = PluginState.RESTARTING, reason
        log.warning("plugin.crashed", plugin_id=self.manifest.id, reason=reason)
        if self._crashes >= self._limits.crashes:
            self._disable(f"{self._crashes} crashes in a row, the last: {reason}")

    def _disable(self, reason: str) -> None:
        self.state, self.reason = PluginState.DISABLED, reason
        log.error("plugin.disabled", plugin_id=self.manifest.id, reason=reason)

    async def _drop_process(self) -> None:
        if process := self._process:
            await process.kill()
            self._past_cpu_s += process.cpu_s
            self._past_printed = process.printed
            self._process = None

    def _fault(self, kind: FaultKind, message: str) -> PluginFault:
        return PluginFault(self.manifest.id, kind, message)
