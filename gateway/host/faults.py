"""What can go wrong with a call to a plugin. A fault is an answer: the other calls go on."""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """Why a call has no outputs."""

    RAISED = "raised"
    """``predict`` let an exception out; message and line name it."""
    INVALID = "invalid"
    """What came back is no ``Outputs``, or breaks a limit; the message names the field."""
    DEADLINE = "deadline"
    """No answer in time. The process was killed."""
    ENDED = "ended"
    """The process ended during this call, and again when it was asked once more."""
    DISABLED = "disabled"
    """The plugin is not running; the message says why."""


@dataclass(frozen=True, slots=True)
class PluginFault:
    """Instead of ``Outputs``: nothing is known from this call, and the state is as it was."""

    plugin_id: str
    kind: FaultKind
    message: str
    line: int | None = None
    """In the plugin's own file."""

    def __str__(self) -> str:
        where = "" if self.line is None else f" (line {self.line})"
        return f"{self.plugin_id}: {self.kind.value}: {self.message}{where}"


class ProcessEnded(Exception):
    """The plugin's process is gone or out of step; it is to be killed and started afresh."""

    def __init__(self, kind: FaultKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class StartRefused(Exception):
    """The plugin's own code failed while it was loaded: starting it again would change nothing."""
