"""What every bench prints and writes: a figure beside its limit or its peer, from one run."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure; ``ratio`` is the value beside its baseline of the same run."""

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    bar: float
    """What the ratio must reach."""
    passed: bool
    n: int
    """How many rounds or messages it rests on."""
    notes: str


def run(measure: Callable[[], Iterable[Figure]]) -> int:
    """Measure, print, write ``--json FILE``; 0 when every bar is reached, else 1.

    ``measure`` may be a generator: each figure is told as it comes, whatever becomes of the next.
    """
    called = f"python -m bench.{Path(sys.argv[0]).stem}"
    parser = argparse.ArgumentParser(called, description=measure.__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    figures: list[Figure] = []
    for figure in measure():
        figures.append(figure)
        print(line(figure), flush=True)
        if options.json:
            found = [asdict(each) for each in figures]
            options.json.write_text(json.dumps(found[0] if len(found) == 1 else found, indent=1))
    return 0 if figures and all(figure.passed for figure in figures) else 1


def line(figure: Figure) -> str:
    """A figure as it is printed."""
    verdict = "reached" if figure.passed else "NOT reached"
    return (
        f"{figure.name}: {figure.value:,.4g} {figure.unit} beside {figure.baseline:,.4g}: "
        f"ratio {figure.ratio:.2f}, bar {figure.bar:g} {verdict} (n={figure.n})\n"
        f"  {figure.notes}"
    )
