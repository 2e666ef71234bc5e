"""``python -m collar_sim``: run a fleet of simulated collars against a broker."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
from cyclopts import App, Parameter
from pydantic import ValidationError

from collar_sim.animal import Scenario
from collar_sim.assembly import EngineChoice, FleetOptions, assemble
from collar_sim.errors import (
    FlashError,
    FlashNewer,
    FleetFileError,
    OutputError,
    SimulatorError,
)
from collar_sim.firmware.log.flash import Flash
from collar_sim.fleet import Fleet
from collar_sim.fleet_file import read_fleet
from collar_sim.output import require_writable, write_whole
from collar_sim.report import Report
from collar_sim.settings import Settings
from collar_sim.tally import Pulse
from collar_sim.truth import Truth
from gateway.logs import log_to_stderr
from gateway.wire.session import BrokerUrl

if sys.platform != "win32":
    import resource

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SWITCH_S = 0.0005  # the thread that makes minutes lets the connections in ten times as often

EXIT_USAGE, EXIT_MISSING, EXIT_OTHER_VERSION, EXIT_NO_ACCESS = 2, 3, 5, 6

app = App(name="collar_sim", help="Simulated collars, with animals in them.")


async def run(settings: Settings) -> Report:
    """Run the fleet for its duration, or until SIGINT or SIGTERM; both end it in good order."""
    path = settings.fleet_file
    members = read_fleet(path)
    if members.refused and not members.members:
        name, why = next(iter(members.refused.items()))
        raise FleetFileError(f"{path}: not one collar can run. Of {name}: {why}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        log.warning("fleet_file.readable", path=str(path), advice="it holds keys: chmod 600")
    if settings.report is not None:
        require_writable(settings.report)
    truth = None if settings.truth is None else Truth(settings.truth)
    allow_many_connections()
    with Flash.open(settings.data_dir) as flash:
        parts = assemble(options_of(settings), members, flash)
        fleet = Fleet(parts, flash, truth)
        if settings.pulse:
            fleet.on_pulse = lambda pulse: _print_pulse(pulse, fleet)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: there asyncio.run cancels us
                loop.add_signal_handler(number, fleet.stop)
        wait = settings.duration
        try:
            report = await fleet.run(None if wait is None else wait.total_seconds())
        except ExceptionGroup as group:
            raise _full_disk(group) or group from group
    if settings.report is not None:
        write_whole(settings.report, msgspec.json.format(msgspec.json.encode(report)))
    log.info("fleet.ended", published=report.published, acked=report.acked, owed=report.owed)
    return report


def _full_disk(group: ExceptionGroup) -> Exception | None:
    """What kept the fleet's tasks from writing, if nothing else ended them."""
    found, others = group.split((OutputError, sqlite3.OperationalError))
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return None if others else found


def options_of(settings: Settings) -> FleetOptions:
    """How the fleet of these settings runs.

    Raises:
        ValueError: The broker's URL is none, or its authority cannot be read.
    """
    ca_file = settings.broker_ca_file
    if ca_file is not None and not os.access(ca_file, os.R_OK):
        raise ValueError(f"--broker-ca-file {ca_file}: there is none that we may read")
    return FleetOptions(
        broker=BrokerUrl.parse(settings.broker.get_secret_value(), ca_file),
        site=settings.site,
        models=settings.models,
        seed=settings.seed,
        start_at=settings.start_at,
        history=settings.history,
        speed=settings.speed,
        scenario=settings.scenario,
        engine=settings.engine,
        micro_collars=settings.micro_collars,
        log_bytes=settings.log_bytes,
        upload_every=settings.upload_every,
        radio_loss=settings.radio_loss,
    )


@app.default
def simulate(
    *,
    fleet_file: Path | None = None,
    broker: str | None = None,
    broker_ca_file: Path | None = None,
    site: str | None = None,
    data_dir: Path | None = None,
    seed: int | None = None,
    start_at: str | None = None,
    history: str | None = None,
    duration: str | None = None,
    speed: float | None = None,
    scenario: Scenario | None = None,
    truth: Path | None = None,
    report: Path | None = None,
    pulse: Annotated[bool, Parameter(negative="")] = False,
    engine: EngineChoice | None = None,
    micro_collars: int | None = None,
    log_bytes: int | None = None,
    upload_every: str | None = None,
    radio_loss: float | None = None,
    models: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Simulate collars: a day of history at once, then live.

    Each flag can also be given as an environment variable, ``SIM_`` and its name; a password in
    the broker's URL belongs there. Logs go to stderr.

    Args:
        fleet_file: JSON list of the collars with their keys and animals (mode 0600).
        broker: mqtt://user:password@host:port, or mqtts.
        broker_ca_file: Authority that the broker's certificate is checked against.
        site: The site of the gateway that the collars belong to.
        data_dir: Holds the collars' flash; a fleet goes on where it left off.
        seed: Gives every animal of the file another life.
        start_at: First simulated instant, ISO 8601; without it, the history before now.
        history: How far before its present the fleet starts: 90s, 5m, 24h, 30d.
        duration: Time to run once the present is met; without it, until stopped.
        speed: Simulated seconds per second in the live phase.
        scenario: Course of events, where the fleet file names none.
        truth: Folder for what really happened, as Parquet.
        report: File for the run's counts, as JSON.
        pulse: Print each second how things stand, as a line of JSON on stdout.
        engine: Interpreter of the models.
        micro_collars: With the engine auto, how many collars run on TFLite-Micro.
        log_bytes: Payload that one collar's flash log holds.
        upload_every: Keep what can wait and send it together this often: 1m, 10m.
        radio_loss: Share of transmissions lost in the long run; they come in bursts.
        models: Folder of the packages "activity" and "anomaly".
        as_json: Print the report on stdout.
    """
    flags: dict[str, Any] = dict(locals())
    given = {k: v for k, v in flags.items() if v is not None and k != "as_json"}
    log_to_stderr()
    sys.setswitchinterval(SWITCH_S)
    try:
        done = asyncio.run(run(Settings(**given)))
    except ValidationError as error:
        flaws = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return _fail(EXIT_USAGE, "; ".join(flaws))
    except (FleetFileError, ValueError) as error:
        return _fail(EXIT_USAGE, str(error))
    except FlashNewer as error:
        return _fail(EXIT_OTHER_VERSION, str(error))
    except (FlashError, OutputError) as error:
        return _fail(EXIT_NO_ACCESS, str(error))
    except SimulatorError as error:
        return _fail(EXIT_MISSING, str(error))
    if as_json:
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
    return 0


def allow_many_connections() -> None:
    """Take as many file descriptors as we may: each collar's connection is one."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _print_pulse(pulse: Pulse, fleet: Fleet) -> None:
    try:
        sys.stdout.write(msgspec.json.encode(pulse).decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever started us is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fleet.stop()


def _fail(code: int, reason: str) -> int:
    sys.stderr.write(f"pawmesh sim: {reason}\n")
    return code
