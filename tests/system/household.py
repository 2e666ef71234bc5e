"""A fleet, a broker and the least gateway that keeps its word, for tests of the collars."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from gateway.wire.codec import MSGPACK, decode, digest, encode
from gateway.wire.errors import Rejected, SessionLost
from gateway.wire.messages import Ack, Birth, Key, Message, Status
from gateway.wire.session import BrokerUrl, Delivery, Session, connect
from gateway.wire.topics import Kind, Topic, site_filter
from tests.patience import PATIENCE_S

SITE = "home"
START_AT = "2026-05-01T08:00:00Z"


class Acknowledger:
    """Holds what it is sent, and acknowledges each collar's run without a gap.

    ``deaf`` makes it hear nothing; ``mute`` makes it keep everything and say nothing.
    """

    def __init__(self, url: str, *, name: str = "gateway") -> None:
        self.broker = BrokerUrl.parse(url)
        self.name = name
        self.held: dict[tuple[str, Key], tuple[Kind, bytes]] = {}
        self.conflicts: list[tuple[str, Key]] = []
        self.statuses: dict[str, list[Status]] = {}
        self.acked: dict[str, Key] = {}
        self.received = 0
        self.mute = False
        self.next: dict[str, Key] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Consume until cancelled, through outages of the broker."""
        while True:
            with suppress(SessionLost):
                async with connect(self.broker, self.name) as session:
                    await session.subscribe(site_filter(SITE))
                    async for batch in session.batches(500, 0.002):
                        self._take(session, batch)
            await asyncio.sleep(0.1)

    async def until(self, condition, timeout_s: float = PATIENCE_S) -> None:
        """Wait until something holds of what was received."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def keys(self, collar_id: str) -> list[Key]:
        return sorted(key for owner, key in self.held if owner == collar_id)

    def digests(self) -> dict[tuple[str, int, int], bytes]:
        return {(c, k.boot, k.seq): digest(body) for (c, k), (_, body) in self.held.items()}

    def _take(self, session: Session, batch: list[Delivery]) -> None:
        touched: set[str] = set()
        for delivery in batch:
            delivery.settle()
            with suppress(Rejected):
                topic = Topic.parse(delivery.topic)
                if topic.kind is not Kind.ACK:
                    touched.add(topic.collar_id)
                    self._keep(topic, delivery)
        for collar_id in touched:
            self._advance(collar_id)
            key = self.acked.get(collar_id)
            if key is not None and not self.mute:
                ack = Ack(collar_id=collar_id, boot=key.boot, seq=key.seq)
                topic = str(Topic(SITE, collar_id, Kind.ACK))
                session.publish(topic, encode(ack), content_type=MSGPACK)
        self._changed.set()

    def _keep(self, topic: Topic, delivery: Delivery) -> None:
        message = decode(topic, delivery.payload, delivery.content_type).message
        if isinstance(message, Status):
            self.statuses.setdefault(message.collar_id, []).append(message)
            start, owed = message.log_start, self.next.get(message.collar_id)
            if start is not None and (owed is None or start > owed):
                self.next[message.collar_id] = start
        elif isinstance(message, Message):
            self.received += 1
            slot = message.collar_id, message.key
            if slot in self.held and self.held[slot][1] != delivery.payload:
                self.conflicts.append(slot)
            self.held[slot] = topic.kind, delivery.payload

    def _advance(self, collar_id: str) -> None:
        at = self.next.setdefault(collar_id, Key(1, 0))
        while True:
            if (collar_id, at) in self.held:
                self.acked[collar_id] = at
                at = Key(at.boot, at.seq + 1)
            elif (collar_id, Key(at.boot + 1, 0)) in self.held and self._follows(collar_id, at):
                at = Key(at.boot + 1, 0)
            else:
                break
        self.next[collar_id] = at

    def _follows(self, collar_id: str, at: Key) -> bool:
        payload = self.held[collar_id, Key(at.boot + 1, 0)][1]
        birth = decode(Topic(SITE, collar_id, Kind.BIRTH), payload).message
        return isinstance(birth, Birth) and (birth.previous is None or birth.previous < at)


def write_fleet(path: Path, count: int, **changes: object) -> list[str]:
    """A fleet file of so many collars; ``changes`` go to the first."""
    collars = [
        {
            "collar_id": f"c{n}",
            "signing_key": f"{n + 1:064x}",
            "salt_secret": f"{n + 1001:064x}",
            "animal_seed": n,
            "lat_deg": 48.1,
            "lon_deg": 11.5,
        }
        for n in range(count)
    ]
    collars[0] |= changes
    path.write_text(json.dumps({"collars": collars}))
    path.chmod(0o600)
    return [f"c{n}" for n in range(count)]


class Simulator:
    """``python -m collar_sim`` as a child process."""

    def __init__(self, folder: Path, url: str, *flags: str) -> None:
        self.folder = folder
        self.report_path = folder / "report.json"
        self.argv = [sys.executable, "-m", "collar_sim", "--fleet-file", str(folder / "fleet.json")]
        self.argv += ["--site", SITE, "--data-dir", str(folder / "sim"), *flags]
        self.argv += ["--report", str(self.report_path)]
        self.env = {**os.environ, "SIM_BROKER": url}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        log = (self.folder / "sim.log").open("ab")
        with log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv, env=self.env, stderr=log, stdout=subprocess.DEVNULL
            )

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await self.process.wait()

    async def finish(self) -> dict:
        """Wait for its own end, and read its report."""
        assert self.process is not None
        code = await self.process.wait()
        assert code == 0, (self.folder / "sim.log").read_text()[-3000:]
        return json.loads(self.report_path.read_text())
