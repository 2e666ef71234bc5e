"""Write ``constraints.txt``: names and versions of all that ``pawmesh[dev]`` needs, as installed.

Run it with the environment's Python after an upgrade that the tests have passed with. Pins of
packages that this machine has no use for (another system's, another Python's) are kept.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PINS = Path(__file__).resolve().parent.parent / "constraints.txt"
BUILD = ("hatchling", "editables")  # what an editable install builds with
HEAD = """\
# What Pawmesh is tested with. Written by `make pins`; pyproject.toml has the lower bounds.
"""


def installed(roots: list[Requirement]) -> dict[str, str]:
    """Version by name of everything that the requirements reach in this environment."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    open_ = list(roots)
    while open_:
        wanted = open_.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            print(f"not installed, so not pinned: {wanted}", file=sys.stderr)
            continue
        found[key[0]] = package.version
        for text in package.requires or ():
            needed = Requirement(text)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                open_.append(needed)
        if wanted.extras:
            open_.append(Requirement(wanted.name))
    return found


def main() -> None:
    """Read the old pins, put the installed versions over them, write."""
    old = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)$", PINS.read_text() if PINS.exists() else ""))
    now = installed([Requirement("pawmesh[dev]"), *map(Requirement, BUILD)])
    pins = {**old, **now}
    pins.pop("pawmesh", None)
    PINS.write_text(HEAD + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))


if __name__ == "__main__":
    main()
