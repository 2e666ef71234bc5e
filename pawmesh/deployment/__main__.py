"""``python -m pawmesh.deployment``: the same as ``pawmesh deploy``, with nothing else loaded.

The image holds the services and not the simulator; this runs there.
"""

import sys
from collections.abc import Sequence

import httpx2
from cyclopts import CycloptsError

from pawmesh.console import say
from pawmesh.deployment.commands import deploy_app
from pawmesh.errors import PawmeshError

EXIT_FAILED, EXIT_USAGE = 1, 2


def main(words: Sequence[str]) -> int:
    """Run one command; the exit code is as every command of ``pawmesh`` has it."""
    try:
        deploy_app(words, result_action="return_value", exit_on_error=False, print_error=True)
    except CycloptsError:  # it has said what is wrong
        return EXIT_USAGE
    except PawmeshError as error:
        say(str(error))
        return error.exit_code
    except httpx2.HTTPError as error:
        say(f"A service does not answer: {error!r}. See docker compose ps")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
