"""Refuse skipped tests that could have run here: ``judge_skips.py JUNIT_XML``.

Only two kinds may skip: those marked ``timescale`` while PAWMESH_TIMESCALE_URL is not set, and
those marked ``recordings`` while there is no folder of recordings.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent


def skipped(report: Path) -> dict[str, str]:
    """Reason by test of all that skipped; an expected failure did run, and is none of them."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        mark = case.find("skipped")
        if mark is not None and mark.get("type") != "pytest.xfail":
            found[f"{case.get('classname')}.{case.get('name')}"] = mark.get("message", "")
    return found


def excuses() -> list[str]:
    """The marks whose tests cannot run on this machine."""
    found: list[str] = []
    if not os.environ.get("PAWMESH_TIMESCALE_URL"):
        found.append("timescale")
    if not Path(os.environ.get("PAWMESH_RECORDINGS") or ROOT.parent / "shared/data").is_dir():
        found.append("recordings")
    return found


def marked(mark: str) -> set[str]:
    """The tests with a mark, named as in the report."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", mark]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {as_reported(line) for line in said.splitlines() if "::" in line}


def as_reported(node_id: str) -> str:
    """The name that a test of this node id has in the report.

    >>> as_reported("tests/unit/test_fix.py::TestFix::test_age[1.5]")
    'tests.unit.test_fix.TestFix.test_age[1.5]'
    """
    path, _, test = node_id.partition("::")
    names, bracket, parameters = test.partition("[")
    return f"{path.removesuffix('.py').replace('/', '.')}.{names.replace('::', '.')}" + (
        bracket + parameters
    )


def unexcused(
    tests: dict[str, str], marks: list[str], marked: Callable[[str], set[str]] = marked
) -> dict[str, str]:
    """What is left of the skipped tests without those that carry one of the marks."""
    if not tests:
        return {}
    allowed = set[str]().union(*(marked(mark) for mark in marks))
    return {test: reason for test, reason in tests.items() if test not in allowed}


def main() -> int:
    """Print what should have run, and fail if there is any."""
    left = unexcused(skipped(Path(sys.argv[1])), excuses())
    for test, reason in left.items():
        print(f"skipped, but could run here: {test} ({reason})", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
