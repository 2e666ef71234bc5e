"""A stranger's collar that takes models: by the contract alone, as slow as a radio."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from gateway.wire.codec import MSGPACK, decode, encode
from gateway.wire.errors import SessionLost
from gateway.wire.messages import (
    Ack,
    Birth,
    Desired,
    Message,
    ModelAnswer,
    ModelChunk,
    ModelOffer,
    ModelState,
    Presence,
    Slot,
    Slots,
    Status,
)
from gateway.wire.release import ModelRefusal
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import Kind, Topic, downlink_filters
from tests.system.home import SITE

SHIPPED = Slot(slot="activity", package="activity", version="0.1.0", sha256="0" * 64)


@dataclass
class Device:
    """Keeps ``chunks`` and what it ``runs`` through every loss of the connection."""

    collar_id: str
    url: str
    chunk_s: float = 0.0
    """How long it writes one chunk."""
    form: str = MSGPACK
    deaf: bool = False
    """Hears nothing, though it is connected."""
    runs: Slot = SHIPPED
    installed: list[str] = field(default_factory=list[str])
    """Rollouts, once for each time that a model was switched to."""
    offers: int = 0
    missed: int = 0
    chunks_taken: int = 0
    desired: list[Desired] = field(default_factory=list[Desired])
    seq: int = 0
    owed: list[tuple[Kind, Message]] = field(default_factory=list[tuple[Kind, Message]])
    offer: ModelOffer | None = None
    flash: bytes = b""

    async def live(self) -> None:
        """Connect, and connect again, until cancelled."""
        while True:
            try:
                async with connect(BrokerUrl.parse(self.url), self.collar_id) as session:
                    await session.subscribe(*downlink_filters(SITE, self.collar_id))
                    self.say(session, Kind.STATUS, self.status(Presence.ONLINE), retain=True)
                    if self.seq == 0:
                        self.write(Kind.BIRTH, Birth, **self.birth())
                    async with asyncio.TaskGroup() as tasks:
                        repeating = tasks.create_task(self._repeat(session))
                        await self._listen(session)
                        repeating.cancel()
            except* SessionLost:
                pass  # the broker is away
            await asyncio.sleep(0.1)

    def status(self, state: Presence) -> Status:
        return Status(collar_id=self.collar_id, state=state, boot=1)

    def birth(self) -> dict[str, Any]:
        return {"hardware": "t", "firmware": "1", "slots": [self.runs]}

    def write(self, kind: Kind, cls: type[Message], **fields: Any) -> None:
        """Into the log, which is sent until it is acknowledged."""
        message = cls(
            collar_id=self.collar_id,
            boot=1,
            seq=self.seq,
            observed_at=datetime.now(UTC),
            **fields,
        )
        self.seq += 1
        self.owed.append((kind, message))

    async def _repeat(self, session: Session) -> None:
        while True:
            for kind, message in self.owed:
                self.say(session, kind, message)
            await asyncio.sleep(0.3)

    def say(self, session: Session, kind: Kind, message: Any, *, retain: bool = False) -> None:
        topic = str(Topic(SITE, self.collar_id, kind))
        session.publish(topic, encode(message, self.form), content_type=self.form, retain=retain)

    async def _listen(self, session: Session) -> None:
        async for batch in session.batches(100, 0):
            for each in batch:
                each.settle()
                said = decode(Topic.parse(each.topic), each.payload, each.content_type).message
                match said:
                    case Ack(boot=int(), seq=int()):
                        key = said.key
                        self.owed = [each for each in self.owed if key and each[1].key > key]
                    case Desired():
                        self.desired.append(said)
                    case ModelOffer() if self.deaf:
                        self.missed += 1
                    case ModelOffer():
                        self.offers += 1
                        self.say(session, Kind.MODEL, self._offered(said))
                    case ModelChunk() if not self.deaf:
                        await asyncio.sleep(self.chunk_s)
                        if (answer := self._received(said)) is not None:
                            self.say(session, Kind.MODEL, answer)
                            if answer.state is ModelState.INSTALLED:
                                slots = {"slots": [self.runs], "rollout": answer.rollout}
                                self.write(Kind.SLOTS, Slots, **slots)
                    case _:
                        pass  # our own, which it did not subscribe to

    def _offered(self, offer: ModelOffer) -> ModelAnswer:
        if offer.release.sha256 == self.runs.sha256:
            return self._answer(offer.rollout, ModelState.INSTALLED)
        if self.offer is None or self.offer.rollout != offer.rollout:
            self.offer, self.flash = offer, b""
        return self._stands(self.offer)

    def _received(self, chunk: ModelChunk) -> ModelAnswer | None:
        offer = self.offer
        if offer is None or offer.rollout != chunk.rollout:
            return None
        if chunk.index * offer.chunk_bytes == len(self.flash):
            self.flash += chunk.data
            self.chunks_taken += 1
        if len(self.flash) < offer.release.size:
            return self._stands(offer)
        self.offer, model, self.flash = None, self.flash, b""
        if sha256(model).hexdigest() != offer.release.sha256:
            return self._answer(
                offer.rollout, ModelState.REFUSED, reason=ModelRefusal.CORRUPT, detail="not it"
            )
        release = offer.release
        self.runs = Slot(
            slot=release.slot,
            package=release.package,
            version=release.version,
            sha256=release.sha256,
        )
        self.installed.append(offer.rollout)
        return self._answer(offer.rollout, ModelState.INSTALLED)

    def _stands(self, offer: ModelOffer) -> ModelAnswer:
        taken = len(self.flash) // offer.chunk_bytes
        return self._answer(offer.rollout, ModelState.RECEIVING, next_chunk=taken)

    def _answer(self, rollout: str, state: ModelState, **fields: Any) -> ModelAnswer:
        return ModelAnswer(collar_id=self.collar_id, rollout=rollout, state=state, **fields)
