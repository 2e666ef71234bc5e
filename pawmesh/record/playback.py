"""Gives a recording back to a broker: the same bytes on the same topics, in the same order.

The gateway's own words are left out, since it will find its own. At speed 0 as much is under way
as a collar's flash would send unacknowledged; the gateway's acknowledgements make room for more.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec import Struct

from gateway.wire.codec import MSGPACK, decode, encode, salvage_key
from gateway.wire.errors import Rejected
from gateway.wire.messages import Ack, Key, Presence, Status
from gateway.wire.session import BrokerUrl, Session, connect
from gateway.wire.topics import DOWNLINK_KINDS, UNKEYED_KINDS, Kind, Topic, ack_filter
from pawmesh.record.tape import Message, Tape

WINDOW = 500  # messages under way: below any broker's in-flight limit
STALL_S = 15.0  # without an acknowledgement: what is missing on the tape will not come
POLL_S = 0.01
RETAINED = frozenset({Kind.BIRTH, Kind.STATUS})
CLIENT = "pawmesh-tape"


class Playback(Struct, kw_only=True):
    """What came of playing a recording."""

    published: int = 0
    skipped: int = 0
    """The gateway's own words."""
    collars: int = 0
    unacknowledged: dict[str, str] = {}
    """Collars whose last message the gateway does not have without a gap, and which that is."""
    seconds: float = 0.0


@dataclass
class _Pending:
    """What is under way."""

    acked: dict[str, Key] = field(default_factory=dict[str, Key])
    sent: dict[str, deque[Key]] = field(default_factory=dict[str, deque[Key]])
    last: dict[str, Key] = field(default_factory=dict[str, Key])
    count: int = 0
    progress_s: float = field(default_factory=time.monotonic)

    def send(self, collar_id: str, key: Key) -> None:
        """A message is on its way."""
        self.last[collar_id] = max(key, self.last.get(collar_id, key))
        if key > self.acked.get(collar_id, Key(-1, 0)):
            self.sent.setdefault(collar_id, deque()).append(key)
            self.count += 1

    def take(self, ack: Ack) -> None:
        """The gateway has everything up to a key."""
        if ack.key is None or ack.key <= self.acked.get(ack.collar_id, Key(-1, 0)):
            return
        self.acked[ack.collar_id] = ack.key
        under_way = self.sent.get(ack.collar_id, deque())
        kept = deque(key for key in under_way if key > ack.key)
        self.count -= len(under_way) - len(kept)
        self.sent[ack.collar_id] = kept
        self.progress_s = time.monotonic()

    def owed(self) -> dict[str, str]:
        """By collar, the last message that is not acknowledged."""
        return {
            collar_id: f"{key.boot}/{key.seq}"
            for collar_id, key in sorted(self.last.items())
            if key > self.acked.get(collar_id, Key(-1, 0))
        }


async def play(
    tape: Tape, broker: BrokerUrl, *, speed: float = 0.0, client_id: str = CLIENT
) -> Playback:
    """Publish a recording; its collars must be enrolled.

    Args:
        tape: The recording.
        broker: Where its site's gateway listens.
        speed: Recorded seconds a second; 0 for as fast as the gateway acknowledges.
        client_id: Ours, at the broker.

    Raises:
        SessionLost: The broker went away.
    """
    began_s = time.monotonic()
    done, pending = Playback(), _Pending()
    site = tape.header.site
    firsts = _firsts(tape)
    done.collars = len(firsts)
    async with connect(broker, client_id) as session:
        for collar_id in sorted(firsts):
            await session.subscribe(ack_filter(site, collar_id))
        hearing = asyncio.create_task(_hear(session, pending), name="tape-acks")
        try:
            announced: set[str] = set()
            for message in tape.messages():
                topic = _topic(message)
                if topic is not None and topic.kind in DOWNLINK_KINDS:
                    done.skipped += 1
                    continue
                if speed:
                    due_s = began_s + message.offset_s / speed
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                if topic is not None and not message.retained and topic.kind not in UNKEYED_KINDS:
                    first = firsts.get(topic.collar_id)
                    if first is not None and topic.collar_id not in announced:
                        announced.add(topic.collar_id)
                        _announce(session, topic, first)
                await _room(pending, hearing)
                _publish(session, topic, message, pending)
                done.published += 1
            await session.drained()
            await _settled(pending, hearing)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    done.unacknowledged = pending.owed()
    done.seconds = round(time.monotonic() - began_s, 2)
    return done


def _firsts(tape: Tape) -> dict[str, Key | None]:
    """By collar, the first message that it said itself, not the broker from memory."""
    found: dict[str, Key | None] = {}
    for message in tape.messages():
        topic = _topic(message)
        if topic is None or topic.kind in UNKEYED_KINDS or topic.kind in DOWNLINK_KINDS:
            continue
        known = found.setdefault(topic.collar_id, None)
        if known is None and not message.retained:
            found[topic.collar_id] = salvage_key(
                message.payload, message.content_type, topic.collar_id
            )
    return found


def _topic(message: Message) -> Topic | None:
    """None for one that no gateway understands; it is given back all the same."""
    try:
        return Topic.parse(message.topic)
    except Rejected:
        return None


def _announce(session: Session, topic: Topic, first: Key) -> None:
    """The tape begins here: what this collar said before will not come."""
    status = Status(
        collar_id=topic.collar_id, state=Presence.ONLINE, boot=first.boot, log_start=first
    )
    session.publish(
        str(Topic(topic.site, topic.collar_id, Kind.STATUS)),
        encode(status),
        content_type=MSGPACK,
        retain=True,
    )


def _publish(session: Session, topic: Topic | None, message: Message, pending: _Pending) -> None:
    session.publish(
        message.topic,
        message.payload,
        content_type=message.content_type or "",
        sent_at=message.sent_at,
        retain=topic is not None and topic.kind in RETAINED,
    )
    if topic is not None and topic.kind not in UNKEYED_KINDS:
        key = salvage_key(message.payload, message.content_type, topic.collar_id)
        if key is not None:
            pending.send(topic.collar_id, key)


async def _hear(session: Session, pending: _Pending) -> None:
    async for batch in session.batches(limit=200, linger_s=0.0):
        for delivery in batch:
            delivery.settle()
            with suppress(Rejected):  # whoever speaks nonsense as the gateway acknowledges nothing
                topic = Topic.parse(delivery.topic)
                said = decode(topic, delivery.payload, delivery.content_type).message
                if isinstance(said, Ack):
                    pending.take(said)


async def _room(pending: _Pending, hearing: asyncio.Task[None]) -> None:
    while pending.count >= WINDOW and time.monotonic() - pending.progress_s < STALL_S:
        if hearing.done():
            hearing.result()
        await asyncio.sleep(POLL_S)


async def _settled(pending: _Pending, hearing: asyncio.Task[None]) -> None:
    pending.progress_s = time.monotonic()
    while pending.owed() and time.monotonic() - pending.progress_s < STALL_S:
        if hearing.done():
            hearing.result()
        await asyncio.sleep(POLL_S)
