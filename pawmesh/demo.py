"""``pawmesh demo``: the loop from published to paid, in a few minutes, and counted.

Some pets share, some do not, a few run away. The collars live two hours in a minute, then about a
minute with us; then every message they ever wrote is looked for in both stores.
"""

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

import plugins
from gateway.wire.grants import Precision, Stream
from pawmesh.console import print_line, say
from pawmesh.errors import PawmeshError
from pawmesh.house import House, require
from pawmesh.platform import Plan, Platform, running_platform
from pawmesh.provision import ensure_fleet, sign_in
from pawmesh.reckoning import Reckoning, reckon
from pawmesh.up import BEFORE_HISTORY
from plugins.sdk.package import Package

LIVE_S = 75  # a dog at a trot is out of the zone, and out of doubt, in about 40 s
ESCAPE_AFTER_S = 5.0
SETTLED_WITHIN_S = 120.0
SHARING = 0.75  # of the pets; the others' data must stay at home
ENVIRONMENT = {"CLOUD_EMISSION_PERIOD_S": "20", "CLOUD_SETTLE_EVERY_S": "2"}


@dataclass(frozen=True)
class Outcome:
    """What the services say after the run; the reckoning says what is true."""

    wallet: dict[str, Any]
    ledger_ok: bool
    sim: dict[str, Any]


async def run_demo(
    data_dir: Path | None,
    *,
    collars: int,
    seed: int,
    history: timedelta,
    report_file: Path | None,
) -> dict[str, Any]:
    """Run the demo and return its report; the data folder stays, for whoever wants to recount."""
    began = time.monotonic()
    folder = data_dir or Path(tempfile.mkdtemp(prefix="pawmesh-demo-"))
    house = House(folder)
    say(f"The demo's data is in {folder}")
    plan = Plan(house=house, port_base=0, dashboard=False, environment=ENVIRONMENT)
    async with running_platform(plan, lambda part: say(f"  {part} ..."), say) as platform:
        house.note_running(platform.running(), None)
        granted = await asyncio.to_thread(prepare, platform, collars, seed, history)
        say(f"{collars} collars live {history} of the past, then {LIVE_S} s with us ...")
        sim = await _live(platform, seed, history)
        say("Waiting until all that is granted has reached the cloud ...")
        await asyncio.to_thread(wait_until_settled, platform)
        outcome = await asyncio.to_thread(_pay, platform, sim)
        gateway_db = house.gateway / "gateway.db"
        found = await asyncio.to_thread(
            reckon, house.fleet / "fleet", gateway_db, platform.database_url, granted
        )
    report = _report(found, outcome, granted, time.monotonic() - began, folder)
    for target in filter(None, (report_file, folder / "report.json")):
        target.write_text(json.dumps(report, indent=1) + "\n")
    return report


def show_report(report: dict[str, Any]) -> None:
    """The numbers for a person."""
    for name, done in report["steps"].items():
        print_line(f"  {'seen' if done else 'NOT SEEN':<9} {name.replace('_', ' ')}")
    alert_ms = report["alert_ms"]
    print_line(
        f"{report['published']} messages published, {report['acknowledged']} acknowledged, "
        f"{report['stored_gateway']} stored at home, {report['stored_cloud']} in the cloud, "
        f"{report['withheld']} withheld"
    )
    print_line(
        f"lost {report['lost']}, duplicates {report['duplicates']}; {report['alerts']} alerts, "
        f"{alert_ms['n']} live with p50 {alert_ms['p50']:.0f} ms, p99 {alert_ms['p99']:.0f} ms"
    )
    print_line(
        f"{report['tokens_paid'] / 1e6:.2f} tokens paid; {report['seconds']:.0f} s; "
        f"recount it from {report['data_dir']}"
    )


def prepare(
    platform: Platform, collars: int, seed: int, history: timedelta
) -> set[tuple[str, str]]:
    """Enrol the fleet and give the grants; returns the pairs of collar and stream they allow."""
    house = platform.house
    since = datetime.now(UTC) - history - BEFORE_HISTORY
    runaways = range(0, collars, 4)
    escapes = {number: ESCAPE_AFTER_S + number for number in runaways}
    with (
        house.operator_api(platform.cloud_url) as cloud,
        house.gateway_api(platform.gateway_url) as gateway,
        sign_in(house, platform.cloud_url) as owner,
    ):
        path = ensure_fleet(
            house, cloud, gateway, collars=collars, since=since, seed=seed, escapes=escapes
        )
        ids = [each["collar_id"] for each in json.loads(path.read_text())["collars"]]
        sharing = ids[: max(1, round(len(ids) * SHARING))]
        half = max(1, len(sharing) // 2)
        _give(owner, since, sharing, Stream.ACTIVITY)
        _give(owner, since, sharing[:half], Stream.EVENTS)
        _give(owner, since, sharing[:half], Stream.POSITION, Precision.KM1)
        require(gateway.post("/v1/registry/refresh"))
    return {(each, Stream.ACTIVITY.value) for each in sharing} | {
        (each, stream.value)
        for each in sharing[:half]
        for stream in (Stream.EVENTS, Stream.POSITION)
    }


def _give(
    owner: httpx2.Client,
    since: datetime,
    collar_ids: list[str],
    stream: Stream,
    precision: Precision = Precision.EXACT,
) -> None:
    grant = {
        "pet_ids": [f"pet-{each}" for each in collar_ids],
        "stream": stream.value,
        "purpose": "research",
        "recipient": "pawmesh",
        "precision": precision.value,
        "valid_from": since.isoformat(),
    }
    require(owner.post("/v1/grants", json=grant))


async def _live(platform: Platform, seed: int, history: timedelta) -> dict[str, Any]:
    """Let the fleet live, and return its own report."""
    house = platform.house
    report = house.fleet / "sim-report.json"
    report.unlink(missing_ok=True)
    part = platform.fleet_part(
        house.fleet / "fleet.json",
        history=f"{history.total_seconds():.0f}s",
        seed=seed,
        duration=f"{LIVE_S}s",
        truth=house.fleet / "truth",
        report=report,
    )
    await platform.supervisor.start(replace(part, restart=False))
    await platform.supervisor.ended(part.name)
    if not report.exists():
        raise PawmeshError(f"The collars ended early; see {house.logs / part.name}.log")
    return json.loads(report.read_text())


def wait_until_settled(platform: Platform, within_s: float = SETTLED_WITHIN_S) -> None:
    """Until the consent filter and the sync have nothing left to do.

    Raises:
        PawmeshError: They do not come to an end.
    """
    deadline = time.monotonic() + within_s
    still, status = -1, dict[str, Any]()
    with platform.house.gateway_api(platform.gateway_url) as gateway:
        while time.monotonic() < deadline:
            status = require(gateway.get("/v1/status"))
            waiting = status["undecided"] + sum(status["queued"].values()) + status["unjudged"]
            if waiting == 0 and still == status["stored"]:
                return
            still = status["stored"]
            time.sleep(1.0)
    raise PawmeshError(f"After {within_s:.0f} s messages still wait: {status}")


def _pay(platform: Platform, sim: dict[str, Any]) -> Outcome:
    house = platform.house
    with house.operator_api(platform.cloud_url) as cloud:
        require(cloud.post("/v1/rewards/settle", params={"close_current": True}))
        verified = require(cloud.get("/v1/rewards/verify"))
    with sign_in(house, platform.cloud_url) as owner:
        return Outcome(require(owner.get("/v1/wallet")), verified["ok"], sim)


def _report(
    found: Reckoning,
    outcome: Outcome,
    granted: set[tuple[str, str]],
    seconds: float,
    folder: Path,
) -> dict[str, Any]:
    steps = {
        "published": found.published > 0,
        "acknowledged": found.acknowledged == found.published,
        "stored_at_home": found.stored_gateway == found.published,
        "judged_by_plugins": found.observations > 0,
        "alerted_live": found.alert_ms["n"] > 0,
        "ungranted_withheld": found.withheld > 0 and not found.ungranted_in_cloud,
        "synced": bool(granted) and found.synced == found.stored_cloud > 0,
        "seals_verified": found.sealed_cloud > 0,
        "tokens_paid": outcome.wallet["balance"] > 0,
        "ledger_recomputed": outcome.ledger_ok,
        "nothing_lost": found.lost == 0,
        "nothing_doubled": found.duplicates == 0,
    }
    return {
        "published": found.published,
        "acknowledged": found.acknowledged,
        "stored_gateway": found.stored_gateway,
        "stored_cloud": found.stored_cloud,
        "sealed_cloud": found.sealed_cloud,
        "rejected": found.rejected,
        "lost": found.lost,
        "duplicates": found.duplicates,
        "alerts": found.alerts,
        "withheld": found.withheld,
        "synced": found.synced,
        "tokens_paid": outcome.wallet["balance"],
        "radio_lost": outcome.sim["radio_lost"],
        "model_before": _shipped_model(),
        "model_after": None,
        "collars_updated": 0,
        "alert_ms": found.alert_ms,
        "seconds": round(seconds, 1),
        "steps": steps,
        "sim": outcome.sim,
        "data_dir": str(folder.absolute()),
    }


def _shipped_model() -> dict[str, Any]:
    folder = Path(plugins.__path__[0]) / "activity"
    manifest = Package.load(folder).manifest
    card = json.loads((folder / "card.json").read_text())
    return {
        "id": f"{manifest.id}@{manifest.version}",
        "sha256": manifest.model.sha256 if manifest.model else None,
        "macro_f1": card["int8"]["macro_f1"] if "int8" in card else None,
    }
