"""``pawmesh up``: everything on one machine, until Ctrl-C."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pawmesh.console import console, say
from pawmesh.errors import UsageError
from pawmesh.house import OWNER_EMAIL
from pawmesh.options import NOTHING_SPECIAL, Common, Duration, Whole, require_usable
from pawmesh.platform import Plan, Platform, running_platform
from pawmesh.provision import ensure_fleet

BEFORE_HISTORY = timedelta(minutes=5)  # the pets wear their collars before the first message
REWRITE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The simulated collars that come along."""

    collars: int
    history: timedelta
    seed: int


async def up_command(
    *,
    collars: Whole | None = None,
    pets: Whole | None = None,
    history: Duration = timedelta(hours=24),
    seed: Whole = 1,
    broker: str | None = None,
    database: str | None = None,
    ready_file: Path | None = None,
    dashboard: bool = True,
    port_base: Whole | None = None,
    common: Common = NOTHING_SPECIAL,
) -> None:
    """Start everything on this machine, until Ctrl-C.

    The first start makes the data folder, an owner and simulated collars; the next finds them
    again. A part that dies is started again, and that is said.

    Examples:
      pawmesh up
      pawmesh up --collars 20 --history 2h --data-dir /tmp/try
      pawmesh up --broker mqtt://user:password@host:1883 --database postgresql://user@host/pawmesh

    Args:
        collars: Simulated collars, each on a pet of its own; 0 for none [default: 5].
        pets: The same, counted in pets.
        history: How far in the past the simulated pets begin: 30m, 24h, 30d.
        seed: Of the simulated animals; the same seed gives the same animals.
        broker: An MQTT 5 broker of yours in place of the embedded one.
        database: A PostgreSQL or TimescaleDB of yours in place of the embedded one.
        ready_file: Written when everything answers: addresses and process ids, as JSON.
        dashboard: Serve the page, or not.
        port_base: First of five ports; 0 for any that are free [default: 8600, or the next free].
        common: What every command takes.
    """
    if collars is not None and pets is not None and collars != pets:
        raise UsageError("--collars and --pets differ: every simulated collar is on one pet")
    asked = next((n for n in (collars, pets) if n is not None), 5)
    if asked < 0:
        raise UsageError(f"--collars {asked}: 0 or more")
    require_usable(broker, database, port_base)
    plan = Plan(
        house=common.house,
        broker_url=broker,
        database_url=database,
        port_base=port_base,
        dashboard=dashboard,
    )
    await up(plan, Fleet(collars=asked, history=history, seed=seed), ready_file)


async def up(plan: Plan, fleet: Fleet, ready_file: Path | None) -> None:
    """Run until cancelled."""
    say(f"Pawmesh starts; its data is in {plan.house.data_dir}")
    began = asyncio.get_running_loop().time()
    async with running_platform(plan, lambda part: say(f"  {part} ..."), say) as platform:
        if fleet.collars:
            say(f"  {fleet.collars} collars, with {_text(fleet.history)} of history ...")
            await start_fleet(platform, fleet)
        took_s = asyncio.get_running_loop().time() - began
        say(f"Everything answers after {took_s:.0f} s.")
        _show_addresses(platform)
        await _keep_noted(platform, ready_file)


async def start_fleet(platform: Platform, fleet: Fleet) -> None:
    """Enrol the simulated collars and start them."""
    since = datetime.now(UTC) - fleet.history - BEFORE_HISTORY
    house = platform.house
    with (
        house.operator_api(platform.cloud_url) as cloud,
        house.gateway_api(platform.gateway_url) as gateway,
    ):
        path = await asyncio.to_thread(
            lambda: ensure_fleet(
                house, cloud, gateway, collars=fleet.collars, since=since, seed=fleet.seed
            )
        )
    history = f"{fleet.history.total_seconds():.0f}s"
    await platform.supervisor.start(
        platform.fleet_part(path, history=history, seed=fleet.seed, truth=house.fleet / "truth")
    )


async def _keep_noted(platform: Platform, ready_file: Path | None) -> None:
    """Keep the ready file true while parts die and come back."""
    noted: dict[str, int] = {}
    while True:
        if platform.supervisor.pids != noted:
            noted = platform.supervisor.pids
            platform.house.note_running(platform.running(), ready_file)
        await asyncio.sleep(REWRITE_S)


def _show_addresses(platform: Platform) -> None:
    console.print()
    if platform.dashboard_url:
        console.print(f"  Dashboard   [bold]{platform.dashboard_url}[/bold]")
    console.print(f"  Gateway     {platform.gateway_url}", soft_wrap=True)
    console.print(f"  Cloud       {platform.cloud_url}", soft_wrap=True)
    password = platform.house.owner_password_file
    console.print(f"  Owner       {OWNER_EMAIL}, password in {password}", soft_wrap=True)
    console.print(f"  Logs        {platform.house.logs}", soft_wrap=True)
    console.print("\n  [dim]Ctrl-C ends everything; the data stays.[/dim]\n")


def _text(duration: timedelta) -> str:
    hours = duration.total_seconds() / 3600
    return f"{hours:g} h" if hours >= 1 else f"{hours * 60:g} min"
