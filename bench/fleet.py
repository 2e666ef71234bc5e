"""How many collars two cores simulate in real time: 25 Hz, real inference, real connections.

Twice: 5,000 collars with mosquitto and a gateway beside, and 15,000 with a broker alone, so that
nothing is ever acknowledged. The fleet is first held in step with the wall for some minutes; the
figure is what that took of two cores, and that no message was late. Then it runs as fast as it can:
the real-time factor that it really reaches, with everything it has to share the cores with.

``FLEET_MINUTES`` (2) is how long it is held; ``FLEET_COLLARS`` (5000,15000) how many each time.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from bench.mosquitto import Mosquitto
from bench.report import Figure, run
from collar_sim.report import Report
from gateway.registry import Household, save_registry
from gateway.store import Store
from gateway.wire.uplink import EnrolledCollar, Registry
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Part, Supervisor
from pawmesh.platform import fleet_command
from pawmesh.provision import CollarKeys
from pawmesh.shards import WHOLE
from pawmesh.sim.outcome import outcome_of
from pawmesh.sim.workforce import Worker, Workforce

CORES = 2
MINUTES = float(os.environ.get("FLEET_MINUTES", "2"))
WITH_GATEWAY, ALONE = map(int, os.environ.get("FLEET_COLLARS", "5000,15000").split(","))
START_S = 300.0  # to boot, connect and fall in step, on a busy machine
LATE_S = 5.0  # a message is written at most so late: epochs are spread over ten seconds anyway
SPRINT_S = 60.0
SPRINT_SPEED = 100.0  # beyond what two cores can
SITE = "home"


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
    all_acked = steady.acked == steady.published if has_gateway else steady.acked == 0
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
        passed=in_step and found.sprint >= 1.0 and all_acked and not steady.died,
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
    (folder / "gateway").mkdir()
    mosquitto = Mosquitto(folder / "mosquitto", free_ports(1)[0])
    async with Supervisor(folder, print) as supervisor:
        await supervisor.start(mosquitto.part())
        if has_gateway:
            await _register(folder / "gateway", keys)
            await supervisor.start(_gateway(folder / "gateway", mosquitto.url))
        files = _fleet_files(folder, keys)
        found = Measured()
        workers = _workers(folder, files, mosquitto.url, speed=1.0)
        with _working(workers) as (workforce, ended):
            await _hold(found, workers, supervisor, ended)
            workforce.stop()
            await ended
        found.steady = outcome_of(workers).report
        workers = _workers(folder, files, mosquitto.url, speed=SPRINT_SPEED)
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
        await asyncio.sleep(1)
    found.start_s = time.monotonic() - began_s
    before, then_s, then_at = _load(workers, supervisor), time.monotonic(), _reached(workers)
    while time.monotonic() - then_s < MINUTES * 60:
        _require_running(ended)
        await asyncio.sleep(1)
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
    while _reached(workers) == reached:
        _require_running(ended)
        await asyncio.sleep(0.2)


@contextmanager
def _working(workers: list[Worker]) -> Generator[tuple[Workforce, asyncio.Task[None]]]:
    workforce = Workforce(
        workers,
        on_pulse=lambda: None,
        on_line=lambda line: print(line, file=sys.stderr) if "error" in line else None,
        on_death=lambda worker: None,
    )
    task = asyncio.create_task(workforce.run())
    try:
        yield workforce, task
    finally:
        task.cancel()


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


async def _register(folder: Path, keys: Sequence[CollarKeys]) -> None:
    """Make the collars known to a gateway that has no cloud."""
    worn_since = datetime.now(UTC) - timedelta(days=1)
    collars = [
        EnrolledCollar(
            collar_id=each.collar_id,
            pet_id=f"pet-{each.collar_id}",
            pet_name=f"Pet {each.collar_id}",
            assigned_at=worn_since,
        )
        for each in keys
    ]
    registry = Registry(site=SITE, version=1, collars=collars, grants=[])
    secrets = [(each.collar_id, bytes.fromhex(each.salt_secret)) for each in keys]
    async with Store.open(folder / "gateway.db") as store:
        await store.write(lambda db: save_registry(db, registry))
        await store.write(
            lambda db: db.executemany("INSERT INTO collar_secret VALUES (?, ?)", secrets)
        )
        await store.read(Household(SITE).load)


def _gateway(folder: Path, url: str) -> Part:
    port = free_ports(1)[0]

    async def answers() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    env = {"GATEWAY_SITE": SITE, "GATEWAY_BROKER_URL": url, "GATEWAY_DATA_DIR": str(folder)}
    env |= {"GATEWAY_PORT": str(port), "GATEWAY_BROKER_SESSION_S": "3600"}
    argv = [sys.executable, "-P", "-m", "gateway"]
    return Part(name="gateway", argv=argv, env=env, ready=answers, restart=False)


def _fleet_files(folder: Path, keys: Sequence[CollarKeys]) -> list[Path]:
    """One file a core; the pets live in one town."""
    files: list[Path] = []
    for shard in WHOLE.split(CORES):
        members = [
            {**asdict(keys[n]), "animal_seed": n, "lat_deg": 48.1, "lon_deg": 11.5 + n * 1e-5}
            for n in shard.members(len(keys))
        ]
        file = folder / f"{shard.name('fleet')}.json"
        file.write_text(json.dumps({"collars": members}))
        file.chmod(0o600)
        files.append(file)
    return files


def _workers(folder: Path, files: Sequence[Path], url: str, speed: float) -> list[Worker]:
    workers: list[Worker] = []
    for shard, file in zip(WHOLE.split(CORES), files, strict=True):
        data_dir, report = folder / file.stem, folder / f"{file.stem}.report"
        argv = fleet_command(file, data_dir, history="0", speed=speed, report=report)
        env = {"SIM_BROKER": url}
        workers.append(Worker(str(shard), [*argv, "--pulse"], data_dir, report, env))
    return workers


if __name__ == "__main__":
    sys.exit(run(measure))
