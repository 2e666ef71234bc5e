"""How many collars two cores simulate in real time: 25 Hz, real inference, real connections.

Twice: 5,000 collars with mosquitto and a gateway beside, and 15,000 with a broker alone, so that
nothing is ever acknowledged. All processes are held to two cores. The fleet is first held in step
with the wall for some minutes: what that took of the cores, and that no message was late. Then the
clock runs off and the fleet runs after it. The figure is the simulated time that it covers in a
second of the wall, with all it has to share the cores with; it ends before a gateway would refuse
what is dated so far ahead. Without a gateway each collar repeats what it owes, as its firmware
does: what that can grow to is bounded by its flash, and the sprint by a minute.

``FLEET_MINUTES`` (2) is how long it is held; ``FLEET_COLLARS`` (5000,15000) how many each time.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from bench.crew import LATE_S, Crew, at_work, tell
from bench.report import Figure, run
from collar_sim.report import Report
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Supervisor
from pawmesh.provision import CollarKeys
from pawmesh.sim.outcome import outcome_of
from tests.system.fleet_kit import gateway_part, register, workers_of
from tests.system.mosquitto import Mosquitto

CORES = 2
CORES_S = CORES * 60  # of CPU that they have in a minute
MINUTES = int(os.environ.get("FLEET_MINUTES", "2"))  # whole ones: each is made in one go
WITH_GATEWAY, ALONE = map(int, os.environ.get("FLEET_COLLARS", "5000,15000").split(","))
START_S = 900.0  # to boot, connect and fall in step: 15,000 gain some ten seconds a minute
IN_STEP_S = 60.0  # through a whole minute: who only just made the next one will be late again
ACKED_SHARE = 0.995  # acknowledged when it is told to end; the radio may be in a bad hour for some
SPRINT_S = 60.0
SPRINT_SPEED = 100.0  # beyond what two cores can
SPRINT_AHEAD = timedelta(minutes=4)  # of the wall; five are more than a gateway believes


@dataclass
class Measured:
    """Of one fleet."""

    start_s: float = 0.0
    """Until all were connected and in step."""
    cpu_s: dict[str, float] = field(default_factory=dict[str, float])
    """A simulated minute, by program."""
    late_s: float = 0.0
    """At worst, while held in step."""
    kept_step: float = 0.0
    """Simulated seconds a second, while held in step."""
    sprint: float = 0.0
    """The same, as fast as it can."""
    steady: Report | None = None

    @property
    def used_s(self) -> float:
        """CPU seconds a simulated minute, of all programs."""
        return sum(self.cpu_s.values())


def has_passed(found: Measured, *, has_gateway: bool) -> bool:
    """Whether a fleet kept step on its cores, could have run faster, and lost nothing."""
    said = found.steady
    if said is None or said.died:
        return False
    in_step = found.late_s <= LATE_S and found.used_s <= CORES_S
    kept = said.published == said.acked + said.owed + said.overwritten
    acked = said.acked > ACKED_SHARE * said.published if has_gateway else said.acked == 0
    return in_step and found.sprint >= 1.0 and kept and acked


def measure() -> Iterator[Figure]:
    """Collars in real time on two cores, with a gateway and without."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # all that we start inherits it
    yield _figure("fleet", WITH_GATEWAY, has_gateway=True)
    yield _figure("fleet_without_gateway", ALONE, has_gateway=False)


def _figure(name: str, collars: int, *, has_gateway: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="pawmesh-fleet-") as folder:
        found = asyncio.run(_measure(Path(folder), collars, has_gateway))
    steady, used_s = found.steady, found.used_s
    assert steady is not None
    by_program = ", ".join(f"{name} {s:.1f}" for name, s in found.cpu_s.items())
    stages = ", ".join(f"{stage} {share:.0%}" for stage, share in steady.cpu_share.items())
    beside = "gateway beside" if has_gateway else "a broker alone"
    return Figure(
        name=name,
        value=found.sprint,
        unit=f"simulated s a second of {collars:,} collars, {beside}, all on {CORES} cores",
        baseline=1.0,
        ratio=found.sprint,
        bar=1.0,
        passed=has_passed(found, has_gateway=has_gateway),
        n=collars * MINUTES,
        notes=f"held in step for {MINUTES} min: {found.kept_step:.3f} simulated s a second, at "
        f"most {found.late_s:.1f} s late; CPU-s a simulated minute: {by_program}, together "
        f"{used_s:.0f} of {CORES_S} ({1e3 * used_s / collars:.1f} ms a collar); the fleet's: "
        f"{stages}; {steady.rss_mb / collars * 1024:.0f} KiB a collar; {steady.published:,} "
        f"published, {steady.acked:,} acknowledged, {steady.radio_lost:,} of "
        f"{steady.transmissions:,} transmissions lost by radio, {steady.overwritten} overwritten; "
        f"connected and in step after {found.start_s:.0f} s",
    )


async def _measure(folder: Path, collars: int, has_gateway: bool) -> Measured:
    keys = [CollarKeys.make(f"c{number:05d}") for number in range(collars)]
    mosquitto = Mosquitto(folder / "mosquitto", free_ports(1)[0])
    async with Supervisor(folder, tell) as supervisor:
        await supervisor.start(mosquitto.part())
        if has_gateway:
            await asyncio.to_thread((folder / "gateway").mkdir)
            await register(folder / "gateway", keys)
            await supervisor.start(gateway_part(folder / "gateway", mosquitto.url))
        found = Measured()
        url = mosquitto.url
        tell(f"{collars:,} collars fall in step with the wall ...")
        workers = workers_of(folder, keys, url, parts=CORES, history="0")
        async with at_work(workers) as crew:
            await _hold(found, crew, supervisor)
            await crew.end(in_order=True)
        found.steady = outcome_of(workers).report
        tell("as fast as they can ...")
        workers = workers_of(folder, keys, url, parts=CORES, history="0", speed=SPRINT_SPEED)
        async with at_work(workers) as crew:
            found.sprint = await _sprint(crew)
            await crew.end(in_order=False)  # what it still owes is of no interest
    return found


async def _hold(found: Measured, crew: Crew, supervisor: Supervisor) -> None:
    began_s = since_s = time.monotonic()
    while (now_s := time.monotonic()) - since_s < IN_STEP_S:
        crew.require_running()
        if not crew.is_in_step:
            since_s = now_s
        if now_s - began_s > START_S:
            raise RuntimeError(f"not in step after {START_S:.0f} s: {crew.standing()}")
        await asyncio.sleep(1)
    found.start_s = since_s - began_s
    tell(f"in step since {found.start_s:.0f} s; held for {MINUTES} min ...")
    before, then_s, then_at = _load(crew, supervisor), time.monotonic(), crew.reached
    while time.monotonic() - then_s < MINUTES * 60:
        crew.require_running()
        await asyncio.sleep(1)
        found.late_s = max(found.late_s, crew.late_s)
    simulated_s = (crew.reached - then_at).total_seconds()
    after = _load(crew, supervisor)
    found.kept_step = simulated_s / (time.monotonic() - then_s)
    found.cpu_s = {name: (s - before[name]) * 60 / simulated_s for name, s in after.items()}


async def _sprint(crew: Crew) -> float:
    """The clock runs off, and the fleet runs after it, minute by minute."""
    while not crew.is_connected:
        crew.require_running()
        await asyncio.sleep(0.2)
    await _next(crew)
    then_s, then_at = time.monotonic(), crew.reached
    while True:  # from the end of a minute to another's
        await _next(crew)
        took_s = time.monotonic() - then_s
        if took_s > SPRINT_S or crew.reached > datetime.now(UTC) + SPRINT_AHEAD:
            return (crew.reached - then_at).total_seconds() / took_s


async def _next(crew: Crew) -> None:
    """Return when all have got further."""
    reached = crew.reached
    while crew.reached == reached:
        crew.require_running()
        await asyncio.sleep(0.2)


def _load(crew: Crew, supervisor: Supervisor) -> dict[str, float]:
    """CPU seconds of each program so far, its children included."""
    programs = {name: [pid] for name, pid in supervisor.pids.items()}
    programs["fleet"] = [worker.pid for worker in crew.workers]
    return {name: sum(map(_cpu_s, pids)) for name, pids in programs.items()}


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    spent = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in spent)


if __name__ == "__main__":
    sys.exit(run(measure))
