"""``pawmesh sim``: more simulated collars, on a platform that runs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from collar_sim.animal import Scenario
from collar_sim.settings import instant
from gateway.wire.messages import MAX_FUTURE_S
from gateway.wire.session import BrokerUrl
from pawmesh.console import print_json, print_line, say
from pawmesh.embedded.broker import HOUSE, Broker
from pawmesh.errors import UsageError
from pawmesh.house import SITE, House
from pawmesh.options import NOTHING_SPECIAL, Common, Duration, Whole
from pawmesh.platform import fleet_command
from pawmesh.provision import ensure_fleet
from pawmesh.shards import Shard, shards_of
from pawmesh.sim.outcome import outcome_of, require_places, table, write_report
from pawmesh.sim.screen import Screen
from pawmesh.sim.workforce import Worker, Workforce
from pawmesh.up import BEFORE_HISTORY

MAX_COLLARS = 100_000
MAX_AHEAD = timedelta(seconds=MAX_FUTURE_S)
MAX_SPEED = 1_000.0
MANY_COLLARS = 1_000  # cost the embedded broker a fifth of a core; twice as many, four times
N = TypeVar("N", int, float)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What fleet, and how it shall run."""

    collars: int
    shard: Shard
    processes: int | None
    seed: int
    begin_at: datetime
    flags: dict[str, object]
    """Of ``python -m collar_sim``."""

    @property
    def fleet(self) -> str:
        """Its name: fleets of different seeds share nothing."""
        return f"sim{self.seed}"


async def sim_command(
    *,
    collars: Whole = 5,
    shard: str | None = None,
    scenario: Scenario = Scenario.CALM_DAY,
    start_at: str | None = None,
    history: Duration = timedelta(0),
    duration: Duration | None = None,
    speed: float = 1.0,
    upload_every: Duration | None = None,
    seed: Whole = 1,
    processes: Whole | None = None,
    truth: Path | None = None,
    report: Path | None = None,
    common: Common = NOTHING_SPECIAL,
) -> int:
    """Simulate more collars on the platform that runs on this data folder.

    Every collar has a connection of its own, flash that survives a kill, and real int8 models on
    samples at 25 Hz. The fleet is enrolled at its first run and goes on where it left off at the
    next; another seed is another fleet. Ctrl-C ends it in good order.

    Thousands run best without a past: history is simulated at some 500 collar-minutes a second.

    Exit codes: 0 done; 1 no platform runs on this data folder, a process of the fleet died, or no
    collar ever reached the broker; 2 usage; 3 something to install is missing; 6 no access.

    Examples:
      pawmesh sim --collars 100 --duration 10m
      pawmesh sim --collars 20 --scenario lame_left_front --history 2h --truth truth/
      pawmesh sim --collars 5000 --processes 2 --duration 5m --report sim.json
      pawmesh sim --collars 20000 --shard 1/4 --seed 7

    Args:
        collars: How many.
        shard: ``i/n``: simulate only the i-th of n parts of the fleet; run the others elsewhere.
        scenario: Course of events: what befalls the animals and their collars.
        start_at: First simulated instant, ISO 8601 [default: now, less the history].
        history: How far in the past they begin: 30m, 24h, 30d.
        duration: How long to run once the present is met: 90s, 5m, 2h [default: until Ctrl-C].
        speed: Simulated seconds per second, once the present is met.
        upload_every: Keep what can wait and send it together this often [default: at once].
        seed: Of the animals: the same seed gives the same fleet.
        processes: How many share the work [default: one for 1,250 collars, at most one a core].
        truth: Folder for what really happened, as Parquet.
        report: File for the counts, as JSON.
        common: What every command takes.
    """
    asked = Asked(
        collars=_within("--collars", collars, 1, MAX_COLLARS),
        shard=Shard.parse(shard),
        processes=None if processes is None else _within("--processes", processes, 1, collars),
        seed=_within("--seed", seed, 0, 2**30),
        begin_at=begin_of(start_at, history),
        flags={
            "scenario": scenario.value.replace("_", "-"),
            "start_at": start_at,
            "history": f"{history.total_seconds():.0f}s",
            "duration": None if duration is None else f"{duration.total_seconds():g}s",
            "upload_every": None if upload_every is None else f"{upload_every.total_seconds():g}s",
            "speed": _within("--speed", speed, 0.001, MAX_SPEED),
            "seed": seed,
            "truth": truth,
        },
    )
    require_past(asked.begin_at + history, speed, duration)
    require_places(report, truth)
    workers = enrolled(common.house, asked)
    with Screen(workers) as screen:
        workforce = Workforce(
            workers, on_pulse=screen.refresh, on_line=screen.log_line, on_death=screen.died
        )
        await workforce.run()
    outcome = outcome_of(workers)
    if report is not None:
        write_report(report, outcome.report)
    if common.json:
        print_json(msgspec.to_builtins(outcome.report))
    else:
        for what, how in table(outcome.report):
            print_line(f"{what:<16} {how}")
    return outcome.exit_code


def enrolled(house: House, asked: Asked) -> list[Worker]:
    """The processes that shall run, each with collars that everyone knows.

    Raises:
        PawmeshError: Nothing runs here, or the fleet was begun in other parts.
    """
    running = house.running()
    shards = shards_of(house.fleet, asked.fleet, asked.shard, asked.processes, asked.collars)
    here = len(asked.shard.members(asked.collars))
    url = str(running["broker_url"])
    embedded = Broker(house.data_dir / "broker", BrokerUrl.parse(url).port, (HOUSE, SITE))
    if here > MANY_COLLARS and embedded.is_at(url):
        say(
            f"The embedded broker is made for a home: {here:,} collars keep it busy. "
            "For thousands, start the platform with a mosquitto of yours: pawmesh up --broker URL"
        )
    say(f"{here:,} {'collar is' if here == 1 else 'collars are'} enrolled ...")
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        files = [
            ensure_fleet(
                house,
                cloud,
                gateway,
                collars=asked.collars,
                since=asked.begin_at - BEFORE_HISTORY,
                seed=asked.seed,
                name=asked.fleet,
                shard=shard,
            )
            for shard in shards
        ]
    env = {"SIM_BROKER": url}
    return [
        worker_of(house, shard, file, env, asked.flags)
        for shard, file in zip(shards, files, strict=True)
    ]


def worker_of(
    house: House, shard: Shard, file: Path, env: dict[str, str], flags: dict[str, Any]
) -> Worker:
    """The process that runs the collars of a fleet's file."""
    data_dir = house.fleet / file.stem
    report_path = house.fleet / f"{file.stem}.report"
    own = {"report": report_path, "micro_collars": shard.micro_collars}
    command = fleet_command(file, data_dir, **own, **flags)
    return Worker(str(shard), [*command, "--pulse"], data_dir, report_path, env)


def begin_of(start_at: str | None, history: timedelta) -> datetime:
    """When a simulation begins.

    Raises:
        UsageError: It is no instant.
    """
    if start_at is None:
        return datetime.now(UTC) - history
    try:
        return instant(start_at)
    except ValueError as error:
        raise UsageError(f"--start-at: {error}") from error


def require_past(present: datetime, speed: float, duration: timedelta | None) -> None:
    """See that nothing is simulated that has not happened yet: a gateway takes no such message.

    Args:
        present: What the fleet's clock shows when it goes live.
        speed: Simulated seconds a second from then on.
        duration: How long; None: until someone ends it.

    Raises:
        UsageError: It begins ahead of now.
    """
    ahead = timedelta(seconds=round((present - datetime.now(UTC)).total_seconds()))
    if ahead > MAX_AHEAD:
        raise UsageError(
            f"The fleet would begin {ahead} ahead of now, and gateways refuse what has not "
            "happened yet. Give an earlier --start-at, or less --history"
        )
    if speed > 1 and (duration is None or ahead + (speed - 1) * duration > MAX_AHEAD):
        say(
            f"At --speed {speed:g} the fleet runs ahead of now, and gateways refuse what has not "
            "happened yet. Give it a present in the past: --start-at, and no --history"
        )


def _within(flag: str, value: N, low: N, high: N) -> N:
    if not low <= value <= high:
        raise UsageError(f"{flag} {value:,}: from {low:,} to {high:,}")
    return value
