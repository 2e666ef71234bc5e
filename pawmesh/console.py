"""What the command says: progress and words on stderr, results on stdout."""

import json
import sys
import time
from typing import Any

from rich.console import Console

console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line for the person at the terminal, with the time."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] ", end="")
    console.print(text, markup=False, soft_wrap=True)  # a path stays whole


def print_json(value: Any) -> None:
    """The one document of ``--json``."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """A result for people, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
