"""The command ``pawmesh``: where to find each of its parts, and what comes of an error."""

import asyncio
import inspect
import os
import sys
import textwrap

import httpx2
from cyclopts import App, CycloptsError

from pawmesh.backup.commands import backup_command, restore_command
from pawmesh.collars import collar_app
from pawmesh.console import say
from pawmesh.demo.commands import demo_command
from pawmesh.deployment.commands import deploy_app
from pawmesh.doctor import doctor_command
from pawmesh.errors import PawmeshError, UsageError
from pawmesh.models.commands import models_app
from pawmesh.owner import owner_app
from pawmesh.record.commands import record_app
from pawmesh.replay.commands import replay_command
from pawmesh.services import cloud_command, gateway_command
from pawmesh.sim import sim_command
from pawmesh.status import status_command
from pawmesh.up import up_command

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

app.command(up_command, name="up")
app.command(demo_command, name="demo")
app.command(status_command, name="status")
app.command(doctor_command, name="doctor")

app.command(sim_command, name="sim")
app.command(replay_command, name="replay")
app.command(record_app)

app.command(owner_app)
app.command(collar_app)
app.command(models_app)

app.command(backup_command, name="backup")
app.command(restore_command, name="restore")

app.command(gateway_command, name="gateway")
app.command(cloud_command, name="cloud")
app.command(deploy_app)


def show_examples(parent: App) -> None:
    """Put the ``Examples:`` of each command's docstring below its options: cyclopts drops them."""
    for name in parent:
        if name.startswith("-"):
            continue
        command = parent[name]
        show_examples(command)
        doc = inspect.getdoc(command.default_command) or ""
        _, found, rest = doc.partition("\nExamples:\n")
        if found:
            lines = textwrap.dedent(rest.partition("\n\n")[0])
            command.help_epilogue = f"**Examples**\n\n```console\n{lines}\n```"


show_examples(app)


def main() -> None:
    """The command ``pawmesh``."""
    try:
        result = app(result_action="return_value", exit_on_error=False, print_error=True)
    except CycloptsError:  # it has said what is wrong
        sys.exit(UsageError.exit_code)
    except PawmeshError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except httpx2.HTTPError as error:
        say(f"A part does not answer: {error!r}. See pawmesh status and the logs")
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has enough of it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Everything has ended; the data stays.")
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)
