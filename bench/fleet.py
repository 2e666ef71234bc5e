"""How many collars two cores simulate in real time: 25 Hz, real inference, real connections.

Twice: 5,000 collars with mosquitto and a gateway beside, and 15,000 with a broker alone, so that
nothing is ever acknowledged. The fleet is first held in step with the wall for some minutes; the
figure is what that took of two cores, and that no message was late. Then it runs as fast as it can:
the real-time factor that it really reaches, with everything it has to share the cores with.

``FLEET_MINUTES`` (2) is how long it is held; ``FLEET_COLLARS`` (5000,15000) how many each time.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from bench.report import Figure, run
from collar_sim.report import Report
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Supervisor
from pawmesh.provision import CollarKeys
from pawmesh.sim.outcome import outcome_of
from pawmesh.sim.workforce import Worker, Workforce
from tests.system.fleet_kit import gateway_part, register, workers_of
from tests.system.mosquitto import Mosquitto

CORES = 2
MINUTES = float(os.environ.get("FLEET_MINUTES", "2"))
WITH_GATEWAY, ALONE = map(int, os.environ.get("FLEET_COLLARS", "5000,15000").split(","))
START_S = 300.0  # to boot, connect and fall in step, on a busy machine
LATE_S = 5.0  # a message is written at most so late: epochs are spread over ten seconds anyway
ACKED_SHARE = 0.995  # acknowledged when it is told to end; the radio may be in a bad hour for some
SPRINT_S = 60.0
SPRINT_SPEED = 100.0  # beyond what two cores can


@dataclass
class Load:
    """CPU seconds of each program so far, its children included."""

    by_program: dict[str, float]

    def __sub__(self, before: "Load") -> dict[str, float]:
        return {name: s - before.by_program[name] for name, s in self.by_program.items()}


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


def measure() -> list[Figure]:
    """Collars in real time on two cores, with a gateway and without."""
    return [
        _figure("fleet", WITH_GATEWAY, has_gateway=True),
        _figure("fleet_without_gateway", ALONE, has_gateway=False),
    ]


def _figure(name: str, collars: int, *, has_gateway: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="pawmesh-fleet-") as folder:
        found = asyncio.run(_measure(Path(folder), collars, has_gateway))
    steady = found.steady
    assert steady is not None
    used_s = sum(found.cpu_s.values())
    kept = steady.published == steady.acked + steady.owed + steady.overwritten
    all_acked = steady.acked > ACKED_SHARE * steady.published if has_gateway else steady.acked == 0
    in_step = found.late_s <= LATE_S
    by_program = ", ".join(f"{name} {s:.1f}" for name, s in found.cpu_s.items())
    stages = ", ".join(f"{stage} {share:.0%}" for stage, share in steady.cpu_share.items())
    beside = "gateway beside" if has_gateway else "a broker alone"
    return Figure(
        name=name,
        value=collars if in_step else 0,
        unit=f"collars in real time, {beside}",
        baseline=collars,
        ratio=found.sprint,
        bar=1.0,
        passed=in_step and found.sprint >= 1.0 and all_acked and kept and not steady.died,
        n=round(collars * MINUTES),
        notes=f"held for {MINUTES:g} min: {found.kept_step:.3f} simulated s a second, at most "
        f"{found.late_s:.1f} s late; CPU-s a simulated minute: {by_program}, together {used_s:.0f} "
        f"of {CORES * 60} ({1e3 * used_s / collars:.1f} ms a collar); the fleet's: {stages}; "
        f"{steady.rss_mb / collars * 1024:.0f} KiB a collar; {steady.published:,} published, "
        f"{steady.acked:,} acknowledged, {steady.radio_lost:,} of {steady.transmissions:,} "
        f"transmissions lost by radio, {steady.overwritten} overwritten; connected and in step "
        f"after {found.start_s:.0f} s; the ratio is the real-time factor it reached as fast as it "
        f"could on {os.cpu_count()} cores",
    )


async def _measure(folder: Path, collars: int, has_gateway: bool) -> Measured:
    keys = [CollarKeys.make(f"c{number:05d}") for number in range(collars)]
    mosquitto = Mosquitto(folder / "mosquitto", free_ports(1)[0])
    async with Supervisor(folder, print) as supervisor:
        await supervisor.start(mosquitto.part())
        if has_gateway:
            await asyncio.to_thread((folder / "gateway").mkdir)
            await register(folder / "gateway", keys)
            await supervisor.start(gateway_part(folder / "gateway", mosquitto.url))
        found = Measured()
        url = mosquitto.url
        workers = workers_of(folder, keys, url, parts=CORES, history="0")
        with _working(workers) as (workforce, ended):
            await _hold(found, workers, supervisor, ended)
            workforce.stop()
            await ended
        found.steady = outcome_of(workers).report
        workers = workers_of(folder, keys, url, parts=CORES, history="0", speed=SPRINT_SPEED)
        with _working(workers) as (workforce, ended):
            found.sprint = await _sprint(workers, ended)
            workforce.stop()
            workforce.stop()  # what it still owes is of no interest
            await ended
    return found


async def _hold(
    found: Measured, workers: Sequence[Worker], supervisor: Supervisor, ended: asyncio.Task[None]
) -> None:
    began_s = time.monotonic()
    while not _in_step(workers):
        _require_running(ended)
        if time.monotonic() - began_s > START_S:
            raise RuntimeError(f"not in step after {START_S:.0f} s: {_standing(workers)}")
        if int(time.monotonic()) % 10 == 0:
            _tell(_standing(workers))
        await asyncio.sleep(1)
    found.start_s = time.monotonic() - began_s
    before, then_s, then_at = _load(workers, supervisor), time.monotonic(), _reached(workers)
    while time.monotonic() - then_s < MINUTES * 60:
        _require_running(ended)
        await asyncio.sleep(1)
        if int(time.monotonic()) % 10 == 0:
            _tell(_standing(workers))
        found.late_s = max(found.late_s, *map(_late_s, workers))
    simulated_s = (_reached(workers) - then_at).total_seconds()
    used = _load(workers, supervisor) - before
    found.kept_step = simulated_s / (time.monotonic() - then_s)
    found.cpu_s = {name: seconds * 60 / simulated_s for name, seconds in used.items()}


async def _sprint(workers: Sequence[Worker], ended: asyncio.Task[None]) -> float:
    """The clock runs off, and the fleet runs after it, minute by minute."""
    while not all(w.pulse and w.pulse.connected == w.pulse.collars for w in workers):
        _require_running(ended)
        await asyncio.sleep(0.2)
    await _next(workers, ended)
    then_s, then_at = time.monotonic(), _reached(workers)
    while (took_s := time.monotonic() - then_s) < SPRINT_S:  # from the end of a minute to another's
        await _next(workers, ended)
    return (_reached(workers) - then_at).total_seconds() / took_s


async def _next(workers: Sequence[Worker], ended: asyncio.Task[None]) -> None:
    """Return when all have got further."""
    reached = _reached(workers)
    _tell(_standing(workers))
    while _reached(workers) == reached:
        _require_running(ended)
        await asyncio.sleep(0.2)


@contextmanager
def _working(workers: list[Worker]) -> Generator[tuple[Workforce, asyncio.Task[None]]]:
    workforce = Workforce(
        workers,
        on_pulse=lambda: None,
        on_line=_tell_if_grave,
        on_death=lambda worker: _tell(f"part {worker.name} {worker.died}"),
    )
    task = asyncio.create_task(workforce.run())
    try:
        yield workforce, task
    finally:
        task.cancel()


def _tell(line: str) -> None:
    """On stderr, for whoever waits: a fleet takes minutes."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _tell_if_grave(line: str) -> None:
    if '"info"' not in line:
        _tell(line)


def _require_running(ended: asyncio.Task[None]) -> None:
    if ended.done():
        ended.result()
        raise RuntimeError("the fleet ended by itself")


def _in_step(workers: Sequence[Worker]) -> bool:
    return all(
        w.pulse and w.pulse.is_live and w.pulse.connected == w.pulse.collars and _late_s(w) < LATE_S
        for w in workers
    )


def _late_s(worker: Worker) -> float:
    """How far what is written lies behind the clock; up to a second of it is the tick's."""
    pulse = worker.pulse
    return (pulse.present - pulse.simulated_until).total_seconds() if pulse else START_S


def _standing(workers: Sequence[Worker]) -> str:
    return "; ".join(f"{worker.name}: {worker.pulse}" for worker in workers)


def _reached(workers: Sequence[Worker]) -> datetime:
    return min(worker.pulse.simulated_until for worker in workers if worker.pulse)


def _load(workers: Sequence[Worker], supervisor: Supervisor) -> Load:
    programs = {name: [pid] for name, pid in supervisor.pids.items()}
    programs["fleet"] = [worker.pid for worker in workers]
    return Load({name: sum(map(_cpu_s, pids)) for name, pids in programs.items()})


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    spent = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in spent)


if __name__ == "__main__":
    sys.exit(run(measure))
