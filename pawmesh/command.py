"""What all commands share: the application, its groups, and the options of every command."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from collar_sim.settings import duration
from pawmesh.errors import PawmeshError
from pawmesh.house import House, default_data_dir

app = App(
    name="pawmesh",
    help="""Smart collars, end to end: models on the collar, plugins at the edge, consent and
    rewards in the cloud.

    Begin with **pawmesh up**: it starts everything on this machine and prints the page's address.
    Exit codes: 0 done, 1 what was asked did not hold, 2 usage, 3 something to install is missing,
    4 port in use, 5 data of another version, 6 permission or disk.""",
    help_format="markdown",
    suppress_keyboard_interrupt=False,  # Ctrl-C is how `up` ends, and no failure
)
owner_app = App(name="owner", help="The people whose pets wear the collars.")
collar_app = App(name="collar", help="Collars: yours, and a stranger's own device.")
models_app = App(name="models", help="The models that run on the collar.")
for each in (owner_app, collar_app, models_app):
    app.command(each)


def _duration(_type: object, tokens: object) -> timedelta:
    return duration(tokens[0].value)  # type: ignore[index,attr-defined]


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


class UsageError(PawmeshError):
    """The options contradict each other; the message says which."""

    exit_code = 2
