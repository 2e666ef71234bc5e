"""The demo's course of events.

Some pets share, some do not, a few run away, and all wear the unit on a harness, as none of the
animals did that the shipped model learned from. The collars live two hours in a minute, then along
with us. An owner answers for the pets that share; a model is trained from that, judged on pets it
never saw, and sent back. Then every message ever written is looked for in both stores.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.wire.topics import Kind
from pawmesh.console import say
from pawmesh.demo.cast import Cast, prepare
from pawmesh.demo.report import Outcome, make_report
from pawmesh.demo.watcher import answer, bouts, seen_until
from pawmesh.embedded.process import Part
from pawmesh.errors import MissingInstall, PawmeshError
from pawmesh.house import House, require
from pawmesh.platform import Plan, Platform, running_platform
from pawmesh.provision import sign_in
from pawmesh.reckoning import reckon

LIVE_S = 75  # a dog at a trot is out of the zone, and out of doubt, in about 40 s
PRESENT_WITHIN_S = 600.0
SETTLED_WITHIN_S = 120.0
UPDATED_WITHIN_S = 120.0
POLL_S = 1.0
ENVIRONMENT = {"CLOUD_EMISSION_PERIOD_S": "20", "CLOUD_SETTLE_EVERY_S": "2"}


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
        cast = await asyncio.to_thread(prepare, platform, collars, seed, history)
        say(f"{collars} collars live {history} of the past, then along with us ...")
        async with living_fleet(platform, seed, history) as sim:
            await asyncio.to_thread(wait_for_the_present, platform, cast)
            alerts_end_s = time.monotonic() + LIVE_S
            labels = await asyncio.to_thread(correct, platform, cast)
            say(f"{labels} owners' answers are in the cloud; a model is trained from them ...")
            lesson = await train(house, seed)
            updated = await asyncio.to_thread(wait_until_updated, platform, lesson)
            await asyncio.sleep(max(0.0, alerts_end_s - time.monotonic()))
        say("Waiting until all that is granted has reached the cloud ...")
        await asyncio.to_thread(wait_until_settled, platform)
        wallet, ledger_ok = await asyncio.to_thread(pay, platform)
        gateway_db = house.gateway / "gateway.db"
        found = await asyncio.to_thread(
            reckon, house.fleet / "fleet", gateway_db, platform.database_url, cast.granted
        )
    outcome = Outcome(wallet, ledger_ok, sim, lesson, labels, updated)
    report = make_report(found, outcome, collars, time.monotonic() - began, folder)
    for target in filter(None, (report_file, folder / "report.json")):
        target.write_text(json.dumps(report, indent=1) + "\n")
    return report


@asynccontextmanager
async def living_fleet(
    platform: Platform, seed: int, history: timedelta
) -> AsyncGenerator[dict[str, Any]]:
    """The collars, for as long as the block lasts; afterwards what it gave holds their report."""
    house = platform.house
    path = house.fleet / "sim-report.json"

    def part(duration: str | None = None) -> Part:
        path.unlink(missing_ok=True)
        collars = platform.fleet_part(
            house.fleet / "fleet.json",
            history=f"{history.total_seconds():.0f}s",
            seed=seed,
            truth=house.fleet / "truth",
            report=path,
            duration=duration,
        )
        return replace(collars, restart=False)

    report: dict[str, Any] = {}
    await platform.supervisor.start(part())
    yield report
    await platform.supervisor.end("collars")
    report.update(_read_report(platform, path))
    if report["owed"]:  # the last words were lost on the air: another life says them again
        await platform.supervisor.start(part(duration="1s"))
        await platform.supervisor.ended("collars")
        again = _read_report(platform, path)
        report.update(again | {"radio_lost": report["radio_lost"] + again["radio_lost"]})


def _read_report(platform: Platform, path: Path) -> dict[str, Any]:
    if not path.exists():
        raise PawmeshError(f"The collars ended early; see {platform.house.logs / 'collars.log'}")
    return json.loads(path.read_text())


def wait_for_the_present(platform: Platform, cast: Cast) -> None:
    """Until the last collar tells of now, and what really happened until then is written."""
    truth = platform.house.fleet / "truth"
    with platform.house.gateway_api(platform.gateway_url) as gateway:

        def all_are_here() -> bool:
            recently = datetime.now(UTC) - timedelta(minutes=3)
            until = {
                each["collar_id"]: each["behaviour_until"]
                for each in require(gateway.get("/v1/pets"))
            }
            written = seen_until(truth)
            return (
                written is not None
                and written >= recently
                and all(
                    (told := until.get(each)) and datetime.fromisoformat(told) >= recently
                    for each in cast.collars
                )
            )

        _wait(all_are_here, PRESENT_WITHIN_S, "Some collars have not come to the present")


def correct(platform: Platform, cast: Cast) -> int:
    """Answer for the pets that share; returns how many answers reached the cloud."""
    house = platform.house
    seen = bouts(house.fleet / "truth", cast.sharing)
    with house.gateway_api(platform.gateway_url) as gateway:
        answer(gateway, cast.pet_of, seen)

        def all_left() -> bool:
            status = require(gateway.get("/v1/status"))
            return not status["labels_queued"] and not status["queued"].get(Kind.WINDOW)

        _wait(all_left, SETTLED_WITHIN_S, "The owner's answers do not reach the cloud")
    with sign_in(house, platform.cloud_url) as owner:
        return len(require(owner.get("/v1/labels", params={"limit": 10_000})))


async def train(house: House, seed: int) -> dict[str, Any]:
    """What ``pawmesh models retrain`` reports; its progress goes to our own stderr.

    Raises:
        PawmeshError: It did not come to a verdict; it has said why.
    """
    command = [sys.executable, "-P", "-m", "pawmesh", "models", "retrain", "--json"]
    command += ["--seed", str(seed), "--data-dir", str(house.data_dir)]
    training = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        said, _ = await training.communicate()
    finally:
        if training.returncode is None:
            training.terminate()
    if training.returncode == MissingInstall.exit_code:
        raise MissingInstall("The demo trains a model; install what that needs: make setup")
    try:
        return json.loads(said)
    except ValueError:
        raise PawmeshError(f"The training ended with exit code {training.returncode}") from None


def wait_until_updated(platform: Platform, lesson: dict[str, Any]) -> list[str]:
    """The collars that run a promoted model, once all have answered; none if none was promoted."""
    if lesson["state"] != "promoted":
        return []
    sha256 = lesson["challenger"]["sha256"]
    with platform.house.gateway_api(platform.gateway_url) as gateway:

        def updated() -> list[str]:
            return [
                each["collar_id"]
                for each in require(gateway.get("/v1/collars"))
                if any(slot["sha256"] == sha256 for slot in each["slots"])
            ]

        def all_answered() -> bool:
            collars = require(gateway.get("/v1/collars"))
            refused = [
                each
                for each in collars
                if each["delivery"] and each["delivery"]["state"] == "refused"
            ]
            return len(updated()) + len(refused) >= len(collars)

        _wait(all_answered, UPDATED_WITHIN_S, "Some collars do not answer for the new model")
        return updated()


def wait_until_settled(platform: Platform, within_s: float = SETTLED_WITHIN_S) -> None:
    """Until the consent filter and the sync have nothing left to do.

    Raises:
        PawmeshError: They do not come to an end.
    """
    stored = -1
    with platform.house.gateway_api(platform.gateway_url) as gateway:

        def nothing_waits() -> bool:
            nonlocal stored
            status = require(gateway.get("/v1/status"))
            waiting = status["undecided"] + sum(status["queued"].values()) + status["unjudged"]
            before, stored = stored, status["stored"]
            return waiting + status["labels_queued"] == 0 and before == stored

        _wait(nothing_waits, within_s, "Messages still wait")


def pay(platform: Platform) -> tuple[dict[str, Any], bool]:
    """Pay what was earned: the owner's wallet, and whether the ledger can be computed again."""
    house = platform.house
    with house.operator_api(platform.cloud_url) as cloud:
        require(cloud.post("/v1/rewards/settle", params={"close_current": True}))
        verified = require(cloud.get("/v1/rewards/verify"))
    with sign_in(house, platform.cloud_url) as owner:
        return require(owner.get("/v1/wallet")), bool(verified["ok"])


def _wait(holds: Callable[[], bool], within_s: float, else_: str) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise PawmeshError(f"{else_}, after {within_s:.0f} s. See pawmesh status, and the logs")
        time.sleep(POLL_S)
