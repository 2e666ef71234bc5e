"""``pawmesh status``: what runs on a data folder, and how it is."""

from typing import Any

import httpx2

from pawmesh.console import print_json, print_line
from pawmesh.house import House, require
from pawmesh.options import NOTHING_SPECIAL, Common


def status_command(*, common: Common = NOTHING_SPECIAL) -> int:
    """Show what runs on this data folder, and how it is."""
    found = look(common.house)
    if common.json:
        print_json(found)
    else:
        show_status(found)
    return 0 if found["ok"] else 1


def look(house: House) -> dict[str, Any]:
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
        doing = pet["behaviour"] or "no activity yet"
        print_line(f"  pet        {pet['name']} ({pet['collar_id']}): {doing}")


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
