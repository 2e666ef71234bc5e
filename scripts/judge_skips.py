"""Refuse skipped tests that could have run here: ``judge_skips.py JUNIT_XML``.

Only two kinds may skip: those marked ``timescale`` while PAWMESH_TIMESCALE_URL is not set, and
those marked ``recordings`` while there is no folder of recordings.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Skipped:
    """A test that did not run."""

    name: str
    reason: str
    marks: frozenset[str]
    """Which it carries, of those that may excuse it; tests/conftest.py tells the report."""


def skipped(report: Path) -> list[Skipped]:
    """All that skipped; an expected failure did run, and is none of them."""
    found: list[Skipped] = []
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None and skip.get("type") != "pytest.xfail":
            name = f"{case.get('classname')}.{case.get('name')}"
            marks = (each.get("value", "") for each in case.iterfind("properties/property"))
            found.append(Skipped(name, skip.get("message", ""), frozenset(marks)))
    return found


def excuses() -> set[str]:
    """The marks whose tests cannot run on this machine."""
    found: set[str] = set()
    if not os.environ.get("PAWMESH_TIMESCALE_URL"):
        found.add("timescale")
    if not Path(os.environ.get("PAWMESH_RECORDINGS") or ROOT.parent / "shared/data").is_dir():
        found.add("recordings")
    return found


def unexcused(tests: list[Skipped], marks: set[str]) -> list[Skipped]:
    """What is left of the skipped tests without those that carry one of the marks."""
    return [test for test in tests if not test.marks & marks]


def main() -> int:
    """Print what should have run, and fail if there is any."""
    left = unexcused(skipped(Path(sys.argv[1])), excuses())
    for test in left:
        print(f"skipped, but could run here: {test.name} ({test.reason})", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
