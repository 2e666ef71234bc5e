"""A fleet in several processes, against mosquitto: with a real gateway, and part by part."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.process import Supervisor
from pawmesh.provision import CollarKeys
from pawmesh.sim.outcome import Outcome, outcome_of
from pawmesh.sim.workforce import Worker, Workforce
from tests.patience import PATIENCE_S
from tests.system.fleet_kit import gateway_part, register, workers_of
from tests.system.household import START_AT, Acknowledger
from tests.system.mosquitto import Mosquitto

COLLARS, PARTS = 300, 3


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with Mosquitto(tmp_path / "mosquitto", free_ports(1)[0]).running() as url:
        yield url


class Watched:
    """Workers at work, and what they logged."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers
        self.lines: list[str] = []
        self.deaths: list[str] = []
        self._changed = asyncio.Event()
        self.workforce = Workforce(
            workers,
            on_pulse=self._changed.set,
            on_line=self.lines.append,
            on_death=self._note_death,
        )

    def _note_death(self, worker: Worker) -> None:
        self.deaths.append(worker.name)
        self._changed.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def run(self) -> Outcome:
        await self.workforce.run()
        return outcome_of(self.workers)


def records(folders: list[Path]) -> dict[tuple[str, int, int], bytes]:
    held: dict[tuple[str, int, int], bytes] = {}
    for folder in folders:
        with closing(sqlite3.connect(folder / "published.sqlite")) as db:
            rows = db.execute("SELECT collar_id, boot, seq, digest FROM published")
            held |= {(c, boot, seq): bytes(digest) for c, boot, seq, digest in rows}
    return held


def stored(gateway: Path) -> dict[tuple[str, int, int], bytes]:
    with closing(sqlite3.connect(gateway / "gateway.db")) as db:
        rows = db.execute("SELECT collar_id, boot, seq, digest FROM message")
        return {(c, boot, seq): bytes(digest) for c, boot, seq, digest in rows}


async def test_a_process_that_is_killed_is_named_and_what_it_owes_is_sent_when_it_is_back(
    url: str, tmp_path: Path
):
    keys = [CollarKeys.make(f"c{number:03d}") for number in range(COLLARS)]
    gateway = tmp_path / "gateway"
    gateway.mkdir()
    await register(gateway, keys)
    async with Supervisor(tmp_path, print) as supervisor:
        await supervisor.start(gateway_part(gateway, url))
        workers = workers_of(tmp_path, keys, url, parts=PARTS, history="0")
        watched = Watched(workers)
        running = asyncio.create_task(watched.run())
        await watched.until(lambda: all(w.pulse and w.pulse.acked for w in workers))
        os.kill(workers[1].pid, signal.SIGKILL)
        await watched.until(lambda: bool(watched.deaths))
        watched.workforce.stop()
        killed = await running
        assert killed.exit_code == 1
        assert killed.report.died == {"2/3": "SIGKILL"}
        assert watched.deaths == ["2/3"]
        assert killed.report.collars == COLLARS
        assert killed.report.published == len(records([w.data_dir for w in workers]))
        assert killed.report.owed == killed.report.published - killed.report.acked

        back = workers_of(tmp_path, keys, url, parts=PARTS, history="0", duration="0")
        again = await Watched(back).run()
    report, written = again.report, records([w.data_dir for w in back])
    assert again.exit_code == 0, watched.lines[-5:]
    assert report.published == report.acked == len(written)
    assert (report.owed, report.overwritten, report.boots) == (0, 0, 2)
    assert stored(gateway) == written
    assert len({collar_id for collar_id, _, _ in written}) == COLLARS
    assert report.cpu_share.keys() == {"animal", "models", "writing", "flash", "connections"}
    assert sum(report.cpu_share.values()) == pytest.approx(1.0, abs=0.01)


async def test_the_parts_of_a_fleet_live_the_life_of_the_whole(url: str, tmp_path: Path):
    keys = [CollarKeys.make(f"c{number}") for number in range(5)]
    truths: list[pa.Table] = []
    for parts in (1, 2):
        folder, truth = tmp_path / f"in-{parts}", tmp_path / f"truth-{parts}"
        folder.mkdir()
        gateway = Acknowledger(url)
        hearing = asyncio.create_task(gateway.run())
        workers = workers_of(
            folder, keys, url, parts=parts,
            start_at=START_AT, history="3m", duration="0", seed=4, truth=truth,
        )  # fmt: skip
        outcome = await Watched(workers).run()
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        assert outcome.exit_code == 0
        assert outcome.report.processes == parts
        table = pa.concat_tables(pq.read_table(file) for file in sorted(truth.glob("*.parquet")))
        truths.append(table.sort_by([("collar_id", "ascending"), ("at", "ascending")]))
    assert truths[0].num_rows >= 5 * 3 * 60
    assert truths[0].equals(truths[1])


async def test_parts_that_cannot_begin_say_why_and_the_fleet_ends_with_their_code(tmp_path: Path):
    keys = [CollarKeys.make("c0"), CollarKeys.make("c1")]
    workers = workers_of(tmp_path, keys, "http://nowhere", parts=2, history="0", duration="0")
    watched = Watched(workers)
    outcome = await watched.run()
    assert outcome.exit_code == 2
    assert outcome.report.died == {"1/2": "exit code 2", "2/2": "exit code 2"}
    assert any("is no broker" in line for line in watched.lines)
