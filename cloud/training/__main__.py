"""``python -m cloud.training``: one training run; settings come from ``CLOUD_...``.

Exit codes: 0 promoted, 1 refused by the gate or failed, 2 usage, 3 TensorFlow is missing,
5 the database is of another version, 6 a file cannot be used.
"""

import argparse
import importlib.util
import json
import os
import sys
import time

from pydantic import ValidationError
from rich.console import Console

from cloud.errors import (
    CloudError,
    DatabaseNewer,
    KeyFileUnusable,
    MigrationChanged,
    TrainingUnavailable,
)
from cloud.settings import Settings
from gateway.logs import log_to_stderr

EXIT_REFUSED, EXIT_USAGE, EXIT_MISSING, EXIT_VERSION, EXIT_ACCESS = 1, 2, 3, 5, 6
NEEDED = {"tensorflow": "tensorflow-cpu", "sklearn": "scikit-learn"}
NICENESS = 10  # a household on this machine comes first

console = Console(stderr=True, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Run one training and return its exit code."""
    given = _parser().parse_args(arguments)
    log_to_stderr()
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] - filled from the environment
    except ValidationError as error:
        say(str(error))
        return EXIT_USAGE
    os.nice(NICENESS)
    try:
        report = _retrain(settings, given)
    except TrainingUnavailable as error:
        say(str(error))
        return EXIT_MISSING
    except (DatabaseNewer, MigrationChanged) as error:
        say(f"{error.title}. {error}")
        return EXIT_VERSION
    except (KeyFileUnusable, PermissionError) as error:
        say(str(error))
        return EXIT_ACCESS
    except (CloudError, OSError) as error:
        say(str(error))
        return EXIT_REFUSED
    except KeyboardInterrupt:
        say("Interrupted; nothing of this run is kept.")
        return EXIT_REFUSED
    if given.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0 if report["state"] == "promoted" else EXIT_REFUSED


def say(text: str) -> None:
    """A line for the person at the terminal, with the time."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] ", end="")
    console.print(text, markup=False, soft_wrap=True)


def _retrain(settings: Settings, given: argparse.Namespace) -> dict[str, object]:
    missing = [name for module, name in NEEDED.items() if not importlib.util.find_spec(module)]
    if missing:
        raise TrainingUnavailable(
            f"Training needs {' and '.join(missing)}. In a checkout: make setup. "
            "Elsewhere: pip install 'pawmesh[training]'"
        )
    from cloud.training.challenger import Recipe  # these need what was just looked for
    from cloud.training.retrain import retrain

    recipe = Recipe(seed=given.seed, epochs=given.epochs or Recipe.epochs)
    return retrain(settings, recipe, say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloud.training", description=__doc__)
    parser.add_argument("--seed", type=_seed, default=1, help="of the training [default: 1]")
    parser.add_argument("--epochs", type=_epochs, help="passes over the windows")
    parser.add_argument("--json", action="store_true", help="the report on stdout")
    return parser


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise ValueError
    return seed


def _epochs(text: str) -> int:
    epochs = int(text)
    if not 1 <= epochs <= 1_000:
        raise ValueError
    return epochs


if __name__ == "__main__":
    sys.exit(main())
