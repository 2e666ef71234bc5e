"""``pawmesh sim``: more simulated collars, on a platform that runs."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from collar_sim.animal import Scenario
from pawmesh.errors import UsageError
from pawmesh.options import NOTHING_SPECIAL, Common, Duration
from pawmesh.platform import fleet_command
from pawmesh.provision import ensure_fleet
from pawmesh.up import BEFORE_HISTORY


def sim_command(
    *,
    collars: int = 5,
    shard: str | None = None,
    scenario: Scenario = Scenario.CALM_DAY,
    start_at: str | None = None,
    history: Duration = timedelta(0),
    duration: Annotated[str | None, Parameter(help="How long after the present is met")] = None,
    speed: float = 1.0,
    seed: int = 1,
    truth: Path | None = None,
    report: Path | None = None,
    common: Common = NOTHING_SPECIAL,
) -> int:
    """Simulate more collars on the platform that runs on this data folder.

    They are enrolled at the first run and go on where they left off at the next.

    Args:
        collars: How many.
        shard: ``i/n``: simulate only the i-th of n parts of the fleet; run the others elsewhere.
        scenario: Course of events: what befalls the animals and their collars.
        start_at: First simulated instant, ISO 8601.
        history: How far in the past they begin.
        duration: Such as 5m; without it, until Ctrl-C.
        speed: Simulated seconds per second, once the present is met.
        seed: Of the animals.
        truth: Folder for what really happened, as Parquet.
        report: File for the counts, as JSON.
        common: What every command takes.
    """
    house = common.house
    running = house.running()
    since = begin_of(start_at, history) - BEFORE_HISTORY
    index, parts = shard_of(shard)
    name = f"sim{seed}" + (f"-{index}of{parts}" if parts > 1 else "")
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        share = collars // parts + (1 if index <= collars % parts else 0)
        path = ensure_fleet(
            house, cloud, gateway, collars=share, since=since, seed=seed + index - 1, name=name
        )
    flags: dict[str, object] = {
        "scenario": scenario.value,
        "start_at": start_at,
        "history": f"{history.total_seconds():.0f}s",
        "duration": duration,
        "speed": speed,
        "seed": seed,
        "truth": truth,
        "report": report,
    }
    os.environ["SIM_BROKER"] = running["broker_url"]
    command = fleet_command(path, house.fleet / name, **flags)
    os.execv(command[0], command + (["--json"] if common.json else []))


def begin_of(start_at: str | None, history: timedelta) -> datetime:
    """When a simulation begins."""
    if start_at is None:
        return datetime.now(UTC) - history
    try:
        begin = datetime.fromisoformat(start_at)
    except ValueError as error:
        raise UsageError(f"--start-at {start_at}: {error}") from error
    return begin if begin.tzinfo else begin.replace(tzinfo=UTC)


def shard_of(text: str | None) -> tuple[int, int]:
    """Which of how many: ``2/3``.

    >>> shard_of("2/3")
    (2, 3)
    """
    index, _, parts = (text or "1/1").partition("/")
    if not (index.isdigit() and parts.isdigit() and 1 <= int(index) <= int(parts)):
        raise UsageError(f"--shard {text}: write i/n with 1 <= i <= n")
    return int(index), int(parts)
