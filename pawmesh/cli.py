"""The commands of ``pawmesh``; each docstring is that command's help."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx2
from cyclopts import CycloptsError, Parameter

import plugins
from collar_sim.animal import Scenario
from pawmesh import health, learning, record, replay
from pawmesh.backup import commands as backup
from pawmesh.command import (
    NOTHING_SPECIAL,
    Common,
    Duration,
    UsageError,
    app,
    collar_app,
    models_app,
    owner_app,
)
from pawmesh.console import print_json, print_line, say
from pawmesh.demo import run_demo, show_report
from pawmesh.deployment.commands import deploy_app
from pawmesh.errors import MissingInstall, PawmeshError
from pawmesh.house import SITE, require
from pawmesh.platform import Plan, fleet_command, site_login
from pawmesh.provision import add_collar, ensure_fleet, ensure_owner, pets_called
from pawmesh.up import BEFORE_HISTORY, Fleet, up

app.command(deploy_app)
ELSEWHERE = (backup, learning, record, replay)
"""Modules whose commands joined the application as they were imported."""


@app.command(name="up")
async def up_command(
    *,
    collars: int | None = None,
    pets: int | None = None,
    history: Duration = timedelta(hours=24),
    seed: int = 1,
    broker: str | None = None,
    database: str | None = None,
    ready_file: Path | None = None,
    dashboard: bool = True,
    port_base: int | None = None,
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
    health.require_usable(broker, database, port_base)
    plan = Plan(
        house=common.house,
        broker_url=broker,
        database_url=database,
        port_base=port_base,
        dashboard=dashboard,
    )
    await up(plan, Fleet(collars=asked, history=history, seed=seed), ready_file)


@app.command(name="demo")
async def demo_command(
    *,
    collars: int = 20,
    seed: int = 1,
    history: Duration = timedelta(hours=2),
    report: Path | None = None,
    common: Common = NOTHING_SPECIAL,
) -> int:
    """See the whole loop in a few minutes, and have it counted.

    Collars publish, the gateway stores and alerts, the owner's grants decide what leaves, the
    cloud stores and pays. In the end every message is looked for in both stores. Exit code 0 means
    that nothing was lost or doubled and every step was seen.

    Args:
        collars: How many take part.
        seed: Of the animals; another seed gives other numbers.
        history: How far in the past they begin.
        report: File for the numbers, as JSON.
        common: What every command takes. Without --data-dir a new folder is made, and kept.
    """
    found = await run_demo(
        common.data_dir, collars=collars, seed=seed, history=history, report_file=report
    )
    if common.json:
        print_json(found)
    else:
        show_report(found)
    return 0 if all(found["steps"].values()) else 1


@app.command(name="sim")
def sim_command(
    *,
    collars: int = 5,
    shard: str | None = None,
    scenario: Scenario = Scenario.HOME,
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
        scenario: home, escape or anomaly.
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
    since = health.begin_of(start_at, history) - BEFORE_HISTORY
    index, parts = health.shard_of(shard)
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


@app.command(name="gateway")
def gateway_command() -> int:
    """Run one gateway alone, configured by GATEWAY_ variables (see docs/reference/settings.md)."""
    from gateway.__main__ import main

    return main()


@app.command(name="cloud")
def cloud_command() -> int:
    """Run the cloud alone, configured by CLOUD_ variables (see docs/reference/settings.md)."""
    from cloud.__main__ import main

    return main()


@app.command(name="status")
def status_command(*, common: Common = NOTHING_SPECIAL) -> int:
    """Show what runs on this data folder, and how it is."""
    found = health.status(common.house)
    if common.json:
        print_json(found)
    else:
        health.show_status(found)
    return 0 if found["ok"] else 1


@app.command(name="doctor")
def doctor_command(*, common: Common = NOTHING_SPECIAL) -> int:
    """Check that this machine has what Pawmesh needs, and say how to get what is missing."""
    checks = health.examine(common.house)
    if common.json:
        print_json({"ok": all(check.ok for check in checks), "checks": [vars(c) for c in checks]})
    else:
        for check in checks:
            print_line(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    return max((check.exit_code for check in checks if not check.ok), default=0)


@owner_app.command(name="create")
def owner_create(email: str, *, password_file: Path, common: Common = NOTHING_SPECIAL) -> None:
    """Create an owner, who can then sign in.

    Args:
        email: The owner's address, to sign in with.
        password_file: Holds the password, of at least 8 characters, in its first line.
        common: What every command takes.
    """
    house = common.house
    try:
        password = password_file.read_text("utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {password_file} holds no password: {error}") from error
    with house.operator_api(house.running()["cloud_url"]) as cloud:
        made = require(cloud.post("/v1/owners", json={"email": email, "password": password}))
        body = {"name": "Home", "owner_id": made["owner_id"]}
        made |= {"household_id": require(cloud.post("/v1/households", json=body))["household_id"]}
    if common.json:
        print_json(made)
    else:
        print_line(f"{email} can sign in (owner {made['owner_id']})")


@collar_app.command(name="add")
def collar_add(*, pet: str, species: str = "dog", common: Common = NOTHING_SPECIAL) -> None:
    """Enrol a collar of your own make, and print how it connects.

    Args:
        pet: Name or id of the pet that wears it; a new name makes a new pet.
        species: Of a new pet: dog or cat.
        common: What every command takes.
    """
    house = common.house
    running = house.running()
    broker, username, password = site_login(house, running["broker_url"])
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        keys, key_file, pet_id = add_collar(house, cloud, gateway, pet, species)
    password_file = None
    if password is not None:
        password_file = house.data_dir / "collars" / "mqtt.password"
        health.write_secret(password_file, password)
    mqtt: dict[str, Any] = {"host": broker.host, "port": broker.port, "username": username}
    if password_file is not None:
        mqtt["password_file"] = str(password_file.absolute())
    if broker.ca_file is not None:
        mqtt["ca_file"] = str(broker.ca_file)
    made: dict[str, Any] = {
        "collar_id": keys.collar_id,
        "pet_id": pet_id,
        "site": SITE,
        "topic_prefix": f"pawmesh/v1/{SITE}/{keys.collar_id}",
        "key_file": str(key_file.absolute()),
        "mqtt": mqtt,
    }
    if common.json:
        print_json(made)
        return
    print_line(f"{made['collar_id']} is on {pet} ({pet_id}). It publishes under")
    print_line(f"  {made['topic_prefix']}/...  at {broker.host}:{broker.port} as {username}")
    print_line(f"  password in {password_file}, its own keys in {key_file}")
    print_line("Next: docs/how-to/bring-your-own-collar.md")


@collar_app.command(name="move")
def collar_move(collar_id: str, *, pet: str, common: Common = NOTHING_SPECIAL) -> None:
    """Put a collar on another pet; each pet keeps its history.

    Args:
        collar_id: The collar.
        pet: Name or id of the pet that wears it from now on.
        common: What every command takes.
    """
    house = common.house
    running = house.running()
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        pets = pets_called(cloud, ensure_owner(house, cloud), pet)
        if len(pets) != 1:
            raise PawmeshError(f"{len(pets)} pets are called {pet}; see pawmesh status")
        body = {"pet_id": pets[0]}
        require(cloud.post(f"/v1/collars/{collar_id}/assign", json=body))
        require(gateway.post("/v1/registry/refresh"))
    if common.json:
        print_json({"collar_id": collar_id, "pet_id": pets[0]})
        return
    print_line(f"{collar_id} is now on {pet}")


@models_app.command(name="train")
def models_train(
    *, out: Path | None = None, seed: int = 1, common: Common = NOTHING_SPECIAL
) -> None:
    """Train both collar models on simulated animals; a few minutes, and repeatable.

    Args:
        out: Folder for ``activity/`` and ``anomaly/`` [default: the ones that are shipped].
        seed: Of the animals and the training.
        common: What every command takes.
    """
    try:
        from pawmesh.models import train
    except ModuleNotFoundError as error:
        raise MissingInstall(f"Training needs {error.name}. Install it with: make setup") from error
    trained = train(out or Path(plugins.__path__[0]), seed)
    if common.json:
        print_json({"activity": trained.activity, "anomaly": trained.anomaly})
    else:
        print_line(f"{trained.activity}\n{trained.anomaly}")


def main() -> None:
    """The command ``pawmesh``."""
    try:
        result = app(result_action="return_value", exit_on_error=False, print_error=True)
    except CycloptsError:  # it has said what is wrong
        sys.exit(UsageError.exit_code)
    except PawmeshError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except httpx2.HTTPError as error:
        say(f"A part does not answer: {error!r}. See pawmesh status and the logs")
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has enough of it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Everything has ended; the data stays.")
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)
