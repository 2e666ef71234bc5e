"""The options of every command, and what is seen to before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import psycopg
from cyclopts import Parameter, Token
from psycopg.conninfo import conninfo_to_dict

from collar_sim.settings import duration
from gateway.wire.session import BrokerUrl
from pawmesh.embedded.ports import PARTS
from pawmesh.errors import UsageError
from pawmesh.house import House, default_data_dir


def _duration(_type: object, tokens: object) -> timedelta:
    return duration(tokens[0].value)  # type: ignore[index,attr-defined]


def _whole(_type: object, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value} is no whole number") from None


Whole = Annotated[int, Parameter(converter=_whole)]
"""A number that is not rounded if it is none."""
Duration = Annotated[timedelta, Parameter(converter=_duration, accepts_keys=False, n_tokens=1)]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    data_dir: Annotated[Path | None, Parameter(help="Data folder [default: the user's own]")] = None
    json: Annotated[
        bool, Parameter(negative="", help="One JSON document on stdout; words on stderr")
    ] = False

    @property
    def house(self) -> House:
        """The folder the command works on."""
        return House(self.data_dir or default_data_dir())


NOTHING_SPECIAL = Common()


def require_usable(broker: str | None, database: str | None, port_base: int | None) -> None:
    """See that what ``up`` was told can be used at all, before anything starts.

    Raises:
        UsageError: It cannot.
    """
    try:
        if broker is not None:
            BrokerUrl.parse(broker)
    except ValueError as error:
        raise UsageError(f"--broker: {error}") from error
    try:
        if database is not None:
            conninfo_to_dict(database)
    except psycopg.ProgrammingError as error:
        raise UsageError("--database: write postgresql://user:password@host/name") from error
    if port_base is not None and not 0 <= port_base <= 65_536 - len(PARTS):
        raise UsageError(f"--port-base {port_base}: 0, or a port of which four more follow")
