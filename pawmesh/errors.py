"""What can go wrong around the command, and what the reader should do.

The exit codes are part of the contract (``docs/how-to/install.md``): scripts rely on them.
"""

from typing import ClassVar


class PawmeshError(Exception):
    """Ran, but what was asked did not hold; the message says what and where to look."""

    exit_code: ClassVar[int] = 1


class PartFailed(PawmeshError):
    """A part did not start or did not answer. Read the end of its log, which the message quotes."""


class UsageError(PawmeshError):
    """The options cannot be read, or contradict each other. The message says how to write them."""

    exit_code: ClassVar[int] = 2


class MissingInstall(PawmeshError):
    """Something to install is missing. Run the one command that the message names."""

    exit_code: ClassVar[int] = 3


class PortInUse(PawmeshError):
    """Another program listens on a port of ours. Stop it, or choose others with ``--port-base``."""

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, port: int | None = None) -> None:
        super().__init__(message)
        self.port = port
        """None where only the message of the part that wanted it names the port."""


class IncompatibleData(PawmeshError):
    """The data folder is of another version. Use that version, or another ``--data-dir``."""

    exit_code: ClassVar[int] = 5


class NoAccess(PawmeshError):
    """A folder cannot be used: permission, or a full disk. Do what the message says about it."""

    exit_code: ClassVar[int] = 6
