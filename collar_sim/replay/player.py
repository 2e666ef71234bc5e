"""Plays recordings through collars: each step into flash, and from there over the air as ever.

How far each animal is, and what the models said so far, is committed together with the messages
that tell it. So a replay that is killed goes on where its flash says, and doubles nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from collar_sim.errors import SimulatorError
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.replay.labels import Tally
from collar_sim.replay.source import Source, Step
from gateway.wire.messages import Slot

ROOM_POLL_S = 0.02
DEAF_S = 60.0  # without any acknowledgement, nobody listens
PAUSE = timedelta(minutes=15)  # longer ones between two steps are not waited for, at any speed
LEAVE_S = 10.0


class Deaf(SimulatorError):
    """The gateway acknowledged nothing for a minute. See that it runs; the replay can go on."""


class Progress(Struct, frozen=True):
    """How far an animal's recording was played, and what the models made of it."""

    steps: int = 0
    """Said whole."""
    said: int = 0
    """Messages of the step after these."""
    tally: Tally = {}


@dataclass
class Actor:
    """One animal's recording, and the collar that takes it for real."""

    animal: str
    source: Source
    collar: Collar
    progress: Progress
    uplink: Uplink

    @property
    def is_done(self) -> bool:
        """Everything was said."""
        return self.progress.steps >= self.source.steps


@dataclass(frozen=True)
class Casting:
    """One animal before its collar has booted."""

    animal: str
    source: Source
    collar_id: str
    key: SealingKey
    slots: list[Slot] = field(default_factory=list[Slot])


def progress_of(flash: Flash, collar_id: str) -> Progress:
    """What the flash remembers of a collar's recording."""
    blob = flash.nvm(_nvm(collar_id))
    return Progress() if blob is None else msgspec.msgpack.decode(blob, type=Progress)


class Player:
    """Plays some animals' recordings at once."""

    def __init__(
        self,
        flash: Flash,
        link: Link,
        cast: list[Casting],
        speed: float = 0.0,
        told: Callable[[str, int], None] = lambda animal, steps: None,
    ) -> None:
        """Boots the collars.

        Args:
            flash: Theirs.
            link: To the broker.
            cast: The animals.
            speed: Recorded seconds a second; 0: as fast as the gateway acknowledges.
            told: Called with an animal and how many steps it is now.
        """
        self._flash = flash
        self._speed = speed
        self._told = told
        self._thinking = asyncio.Lock()  # an interpreter is used by one thread at a time
        flash.boot([each.collar_id for each in cast])
        self.actors = [self._booted(each, link) for each in cast]
        flash.commit()

    async def run(self) -> None:
        """Play to the end, and until everything is acknowledged.

        Raises:
            Deaf: Nobody acknowledges.
        """
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(actor.uplink.run(), name=f"uplink-{actor.collar.collar_id}")
                for actor in self.actors
            ]
            try:
                async with asyncio.TaskGroup() as playing:
                    for actor in self.actors:
                        playing.create_task(self._play(actor), name=f"play-{actor.animal}")
                await self._until(self._is_acknowledged)
                for actor in self.actors:
                    actor.uplink.leave()
                await asyncio.wait(running, timeout=LEAVE_S)
            finally:
                for task in running:
                    task.cancel()
        self._flash.commit()

    def _booted(self, each: Casting, link: Link) -> Actor:
        progress = progress_of(self._flash, each.collar_id)
        collar = Collar(self._flash.logs[each.collar_id], each.key, each.source.first_at)
        collar.be_born(each.slots)
        return Actor(each.animal, each.source, collar, progress, Uplink(link, collar))

    async def _play(self, actor: Actor) -> None:
        batches = actor.source.batches(actor.progress.steps)
        pace = _Pace(self._speed)
        while True:
            async with self._thinking:
                batch = await asyncio.to_thread(next, batches, None)
            if batch is None:
                break
            await self._until(lambda: not actor.collar.flash.is_nearly_full)
            if self._speed:
                for step in batch:
                    await self._say_in_time(actor, step, pace)
            else:
                for step in batch:
                    self._say(actor, step)
                self._commit(actor)
            self._told(actor.animal, actor.progress.steps)
        actor.collar.seal(actor.source.last_at)
        self._commit(actor)

    def _say(self, actor: Actor, step: Step) -> None:
        for draft in step.drafts[actor.progress.said :]:
            actor.collar.say(draft)
        actor.progress = _after(actor.progress, step)

    async def _say_in_time(self, actor: Actor, step: Step, pace: "_Pace") -> None:
        for draft in step.drafts[actor.progress.said :]:
            await pace.until(step.began_at, draft.release_at)
            await self._until(lambda: not actor.collar.flash.is_nearly_full)
            actor.collar.say(draft)
            was = actor.progress
            actor.progress = Progress(was.steps, was.said + 1, was.tally)
            self._commit(actor)
        actor.progress = _after(actor.progress, step)
        self._commit(actor)

    def _commit(self, actor: Actor) -> None:
        blob = msgspec.msgpack.encode(actor.progress)
        self._flash.commit({_nvm(actor.collar.collar_id): blob})
        actor.uplink.wake()

    def _is_acknowledged(self) -> bool:
        return not any(map(len, self._flash.logs.values()))

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that the gateway's acknowledgements bring about."""
        acked, since_s = self._acked(), time.monotonic()
        while not holds():
            await asyncio.sleep(ROOM_POLL_S)
            if (now := self._acked()) != acked:
                acked, since_s = now, time.monotonic()
            elif time.monotonic() - since_s > DEAF_S:
                raise Deaf(
                    f"For {DEAF_S:.0f} s the gateway acknowledged nothing. See pawmesh status; "
                    "the same command goes on where this one ended"
                )

    def _acked(self) -> int:
        return sum(log.acked for log in self._flash.logs.values())


class _Pace:
    """Waits as the recording did, but for its long pauses."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._anchor: tuple[datetime, float] | None = None
        self._last_at: datetime | None = None

    async def until(self, began_at: datetime, at: datetime) -> None:
        now_s = time.monotonic()
        last_at = self._last_at
        # time goes back where a session overlaps the one before
        follows = last_at is not None and at >= last_at and began_at - last_at <= PAUSE
        if self._anchor is None or not follows:
            self._anchor = began_at, now_s
        self._last_at = at
        anchor_at, anchor_s = self._anchor
        due_s = anchor_s + (at - anchor_at).total_seconds() / self._speed
        await asyncio.sleep(max(0.0, due_s - now_s))


def _after(progress: Progress, step: Step) -> Progress:
    tally = {word: dict(row) for word, row in progress.tally.items()}
    for word, row in step.tally.items():
        into = tally.setdefault(word, {})
        for said, count in row.items():
            into[said] = into.get(said, 0) + count
    return Progress(progress.steps + 1, 0, tally)


def _nvm(collar_id: str) -> str:
    return f"progress-{collar_id}"
