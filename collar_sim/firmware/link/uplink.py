"""A collar's connection: sends its flash log in order until the gateway says that it has it.

Three things are repaired. A transmission that the radio loses gets no PUBACK: that message alone
is sent again after `PUBACK_TIMEOUT_S`. A lost connection, or broker: from the oldest message still
owed, as soon as there is a broker again. A broker that forgot what it had acknowledged, or a
gateway that died before its commit: when the gateway's own acknowledgement makes no progress
for `ACK_TIMEOUT_S`, the oldest message knocks, ever more patiently, and once that is acknowledged
everything owed is sent again (go-back-N); and what is not owed any longer is said again, so that a
gateway that knows of no gaps passes one each time.

Where there is no broker, or it refuses, a collar tries ever more rarely, at random, so that a fleet
is no storm; and once one collar of the process gets through, the others try soon.

Answers about models are sent once: the gateway asks again for what it does not hear.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from collar_sim.animal import Radio
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.downlink import Downlink
from collar_sim.firmware.log.flash_log import Entry
from gateway.wire.batch import pack
from gateway.wire.codec import JSON, MSGPACK, AnyMessage, content_type_of, decode, encode
from gateway.wire.errors import Rejected, SessionLost
from gateway.wire.messages import (
    Ack,
    Batch,
    Desired,
    ModelAnswer,
    ModelChunk,
    ModelOffer,
    Presence,
    Status,
)
from gateway.wire.session import BrokerUrl, Delivery, Session, Will, connect
from gateway.wire.topics import Kind, Topic, ack_filter, downlink_filters

log: structlog.stdlib.BoundLogger = structlog.get_logger()

WINDOW = (
    200  # messages sent and not acknowledged by the gateway: below any broker's in-flight limit
)
PUBACK_TIMEOUT_S = 1.0  # ten times a slow mobile round trip
ACK_TIMEOUT_S = 10.0  # a gateway commits in 50 ms; one that is slower is busy, not deaf
MAX_ACK_TIMEOUT_S = 60.0
SILENT_S = 3.0  # a gateway that speaks after that, and acknowledges nothing, is back from somewhere
ANNOUNCE_S = 1.0  # a full flash moves its start with each message; say so this often at most
RECONNECT_S = 2.0  # mean wait before the next try, so that a fleet does not return as one
MAX_RECONNECT_S = 30.0  # the longest, after many in vain
STABLE_S = 10.0  # a session that lasted so long was one: the next try is soon
BATCH_BYTES = 14_000  # of JSON in a batch: whatever it is, it fits its packet
MAX_CONNECTING = 64  # handshakes at once, of all collars
FAREWELL_S = 3.0  # for the broker to take the last word


@dataclass
class Link:
    """What the collars of a process share: where the broker is, and counters of its use."""

    broker: BrokerUrl
    site: str
    transmissions: int = 0
    radio_lost: int = 0
    refused: int = 0
    """Messages that the gateway said it would not take."""
    connecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONNECTING))
    recoveries: int = 0
    """How often a collar found the broker again."""
    resting: set[asyncio.Event] = field(default_factory=set[asyncio.Event])
    """To be set when there is a broker again, of those who wait for their next try."""
    _away: set[str] = field(default_factory=set[str])
    _recovered_s: float = 0.0

    def lost(self, collar_id: str, reason: str) -> None:
        """Note that a collar has no connection; said once per outage, not once per collar."""
        if not self._away:
            log.warning("broker.lost", collar_id=collar_id, reason=reason)
        self._away.add(collar_id)

    def found(self, collar_id: str) -> None:
        """Note that a collar is connected."""
        if collar_id in self._away:
            self.let_go(collar_id)
            now_s = time.monotonic()
            if now_s - self._recovered_s >= RECONNECT_S:  # not each of thousands tells all others
                self.recoveries, self._recovered_s = self.recoveries + 1, now_s
                for each in self.resting:
                    each.set()

    def let_go(self, collar_id: str) -> None:
        """Note that a collar is not away any more, or not looking for the broker."""
        if collar_id in self._away:
            self._away.discard(collar_id)
            if not self._away:
                log.info("broker.back", host=self.broker.host, port=self.broker.port)


class Uplink:
    """Keeps one collar connected. Run `run` as a task; `wake` it when there is more to send."""

    def __init__(
        self,
        link: Link,
        collar: Collar,
        radio: Radio | None = None,
        downlink: Downlink | None = None,
    ) -> None:
        """Of a collar; without a downlink it listens to acknowledgements alone."""
        self._link = link
        self._downlink = downlink
        self._session_now: Session | None = None
        self._unreadable: set[str] = set()
        """Topics on which something malformed was said; each is told once."""
        self._collar = collar
        self._radio = radio
        self._wake = asyncio.Event()
        self._leaving = False
        self._is_on = True
        self._tries = 0
        """Sessions in vain since the last one that lasted."""
        self._cursor = 0
        self._repeats: deque[tuple[float, int]] = deque()
        self._announced = (0, 0.0)
        self._first = 0
        self._progress_s = 0.0
        self._patience_s = ACK_TIMEOUT_S
        self._heard_s = time.monotonic()
        """When the gateway last spoke."""
        self._knocking, self._acked = False, 0
        """Nobody answers; and how much was acknowledged when we began to knock."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a session with the broker now."""
        return self._session_now is not None

    def wake(self) -> None:
        """There is more to send."""
        self._wake.set()

    def leave(self) -> None:
        """Say goodbye and end `run`."""
        self._leaving = True
        self._wake.set()

    def power_off(self) -> None:
        """Vanish in the middle of whatever is being sent, until `power_on`."""
        self._is_on = False
        if self._session_now is not None:
            self._session_now.abort()
        self._link.let_go(self._collar.collar_id)
        self._wake.set()

    def power_on(self) -> None:
        """Look for the broker again, as after a boot."""
        self._is_on = True
        self._tries = 0
        self._wake.set()

    def answer(self, answers: Iterable[ModelAnswer]) -> None:
        """Send these as far as there is a connection, and radio."""
        for answer in answers:
            if self._session_now is None:
                return
            if self._radio is not None and not self._radio.delivers(time.monotonic()):
                self._link.radio_lost += 1
                continue
            with suppress(SessionLost):
                self._session_now.publish(
                    self._topic(Kind.MODEL), encode(answer), content_type=MSGPACK
                )

    async def run(self) -> None:
        """Stay connected until told to leave."""
        while not self._leaving:
            began_s = time.monotonic()
            try:
                if self._is_on:
                    async with self._session() as session:
                        await self._converse(session)
            except SessionLost as error:
                self._note_lost(str(error))
            except Exception as error:  # one collar's trouble is not the fleet's
                self._note_lost(repr(error))
                log.exception("collar.failed", collar_id=self._collar.collar_id)
            lasted = time.monotonic() - began_s >= STABLE_S
            self._tries = 0 if lasted else min(self._tries + 1, 8)
            await self._rest()

    def _note_lost(self, reason: str) -> None:
        if self._is_on:
            self._link.lost(self._collar.collar_id, reason)

    async def _rest(self) -> None:
        """Wait for the next try, or for the power."""
        while not self._is_on and not self._leaving:
            self._wake.clear()
            await self._wake.wait()
        longest_s = min(RECONNECT_S * 2**self._tries, MAX_RECONNECT_S)
        before = self._link.recoveries
        self._link.resting.add(self._wake)
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0.2, longest_s)):
                while not self._leaving and self._link.recoveries == before:
                    self._wake.clear()
                    await self._wake.wait()
                if not self._leaving:
                    await asyncio.sleep(random.uniform(0.0, RECONNECT_S))
        self._link.resting.discard(self._wake)

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[Session]:
        topic = self._topic(Kind.STATUS)
        will = Will(topic, self._status(Presence.OFFLINE), MSGPACK)
        connecting = connect(
            self._link.broker,
            f"{self._link.site}-{self._collar.collar_id}",
            will=will,
            keepalive_s=self._collar.uploads.keepalive_s,
        )
        async with self._link.connecting:
            session = await connecting.__aenter__()
        try:
            yield session
        finally:
            if not session.is_lost:
                session.publish(
                    topic, self._status(Presence.OFFLINE), content_type=MSGPACK, retain=True
                )
                with suppress(SessionLost, TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await session.drained()
            await connecting.__aexit__(None, None, None)

    async def _converse(self, session: Session) -> None:
        site, collar_id = self._link.site, self._collar.collar_id
        if self._downlink is None:
            await session.subscribe(ack_filter(site, collar_id), qos=0)
        else:  # one packet: what is lost of it, the gateway says again
            self._downlink.opened()
            await session.subscribe(*downlink_filters(site, collar_id))
        if not self._is_on:  # the power went while we were connecting
            session.abort()
            return
        self._link.found(collar_id)
        self._collar.clock.is_set = True  # the network says what time it is
        self._session_now = session
        self._go_back(ACK_TIMEOUT_S)
        self._send_birth(session)
        self._announce(session)
        hearing = asyncio.create_task(self._hear(session), name=f"hear-{collar_id}")
        hearing.add_done_callback(lambda _: self._wake.set())
        try:
            while not self._leaving:
                if hearing.done():
                    hearing.result()
                    raise SessionLost("the broker closed the connection")
                rest_s = self._send(session)
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await self._wake.wait()
        finally:
            self._session_now = None
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, session: Session) -> None:
        async for batch in session.batches(limit=50, linger_s=0.0):
            said: list[Desired | ModelOffer | ModelChunk] = []
            for delivery in batch:
                delivery.settle()
                message = self._read(delivery)
                if isinstance(message, Ack):
                    self._take(message)
                elif isinstance(message, Desired | ModelOffer | ModelChunk):
                    said.append(message)
            if self._downlink is not None and said:
                self.answer(self._downlink.take(said))
                self._wake.set()

    def _read(self, delivery: Delivery) -> AnyMessage | None:
        try:
            topic = Topic.parse(delivery.topic)
            return decode(topic, delivery.payload, delivery.content_type).message
        except Rejected as error:
            if delivery.topic not in self._unreadable:
                self._unreadable.add(delivery.topic)
                log.warning("downlink.unreadable", topic=delivery.topic, detail=error.detail)
            return None

    def _take(self, ack: Ack) -> None:
        if ack.refused:
            self._link.refused += len(ack.refused)
            log.warning(
                "messages.refused", collar_id=self._collar.collar_id, reasons=ack.refused[:3]
            )
        now_s, flash = time.monotonic(), self._collar.flash
        silent_s, self._heard_s = now_s - self._heard_s, now_s
        if ack.key is not None and flash.prune(ack.key):
            self._wake.set()
        elif silent_s >= SILENT_S and self._cursor > flash.first:
            self._go_back(ACK_TIMEOUT_S)  # a gateway that was away lacks what was sent meanwhile
            self._wake.set()

    def _send(self, session: Session) -> float | None:
        """Send what may be sent now; returns after how many seconds to look again."""
        self._wake.clear()
        now_s = time.monotonic()
        flash = self._collar.flash
        if self._collar.opens_batches is False:  # a gateway of 0.2: it knows no `power` either,
            flash.pass_over(Kind.POWER)  # and would wait for its key for ever
        if flash.first != self._first or self._cursor <= flash.first:  # progress, or none owed
            self._first, self._progress_s = flash.first, now_s
            self._patience_s = ACK_TIMEOUT_S
        elif any(position == flash.first for _, position in self._repeats):
            self._progress_s = now_s  # the gateway cannot have it yet: that is the radio's doing
        self._cursor = max(self._cursor, flash.first)
        if self._knocking and flash.acked != self._acked:  # somebody listens
            self._go_back(ACK_TIMEOUT_S)
        if now_s - self._progress_s >= self._patience_s:
            self._knocking, self._acked = True, flash.acked
            self._progress_s = now_s
            self._patience_s = min(2 * self._patience_s, MAX_ACK_TIMEOUT_S)
            self._transmit(session, [flash.first])
            self._announce(session)
        if flash.overwritten != self._announced[0] and now_s - self._announced[1] >= ANNOUNCE_S:
            self._announce(session)
        again: list[int] = []
        while self._repeats and self._repeats[0][0] <= now_s:
            again.append(self._repeats.popleft()[1])
        self._transmit(session, again)
        if self._cursor < self._collar.sendable:
            until = min(self._collar.sendable, flash.behind(WINDOW))
            fresh = range(self._cursor, until)
            self._cursor = max(self._cursor, until)
            self._transmit(session, fresh)
        return self._rest_s(now_s)

    def _rest_s(self, now_s: float) -> float | None:
        due_s: list[float] = []
        if self._repeats:
            due_s.append(self._repeats[0][0])
        flash = self._collar.flash
        if self._cursor > flash.first:
            due_s.append(self._progress_s + self._patience_s)
        if flash.overwritten != self._announced[0]:
            due_s.append(self._announced[1] + ANNOUNCE_S)
        return max(0.0, min(due_s) - now_s) if due_s else None

    def _go_back(self, patience_s: float) -> None:
        self._cursor = self._first = self._collar.flash.first
        self._progress_s, self._patience_s = time.monotonic(), patience_s
        self._knocking = False
        self._repeats.clear()

    def _transmit(self, session: Session, positions: Iterable[int]) -> None:
        """Send what of these is still kept."""
        flash = self._collar.flash
        for packet in self._packets([each for each in positions if each in flash]):
            now_s = time.monotonic()
            self._link.transmissions += 1
            if self._radio is not None and not self._radio.delivers(now_s):
                self._link.radio_lost += 1
                self._repeats.extend((now_s + PUBACK_TIMEOUT_S, each) for each in packet)
                continue
            entries = [flash[position] for position in packet]
            if self._collar.packs and entries[0].is_json:
                self._publish_batch(session, entries)
            else:
                self._publish(session, entries[0])

    def _packets(self, positions: list[int]) -> Iterator[list[int]]:
        """The positions by the packets in which they are sent."""
        packet, size_bytes = list[int](), 0
        for position in positions:
            entry = self._collar.flash[position]
            goes_alone = not (self._collar.packs and entry.is_json)
            size_bytes += len(entry.payload)
            if packet and (goes_alone or size_bytes > BATCH_BYTES):
                yield packet
                packet, size_bytes = [], len(entry.payload)
            packet.append(position)
            if goes_alone:
                yield packet
                packet, size_bytes = [], 0
        if packet:
            yield packet

    def _publish(self, session: Session, entry: Entry) -> None:
        session.publish(
            self._topic(entry.kind),
            entry.payload,
            content_type=JSON if entry.is_json else MSGPACK,
            sent_at=datetime.now(UTC),
            retain=entry.kind is Kind.BIRTH and entry.key.boot == self._collar.flash.boot,
        )

    def _publish_batch(self, session: Session, entries: list[Entry]) -> None:
        deflated = pack((entry.kind, entry.payload) for entry in entries)
        batch = Batch(
            collar_id=self._collar.collar_id, sent_at=datetime.now(UTC), deflated=deflated
        )
        session.publish(self._topic(Kind.BATCH), encode(batch))

    def _send_birth(self, session: Session) -> None:
        """Whoever joins later must find it, also on a broker that forgot it."""
        flash = self._collar.flash
        if flash.first < flash.committed and flash[flash.first].payload == self._collar.birth:
            self._transmit(session, [flash.first])
            self._cursor = flash.first + 1
        elif self._collar.birth:
            session.publish(
                self._topic(Kind.BIRTH),
                self._collar.birth,
                content_type=content_type_of(self._collar.birth),
                retain=True,
            )

    def _announce(self, session: Session) -> None:
        self._announced = (self._collar.flash.overwritten, time.monotonic())
        session.publish(
            self._topic(Kind.STATUS),
            self._status(Presence.ONLINE),
            content_type=MSGPACK,
            retain=True,
        )

    def _status(self, state: Presence) -> bytes:
        is_online = state is Presence.ONLINE
        flash = self._collar.flash
        return encode(
            Status(
                collar_id=flash.collar_id,
                state=state,
                boot=flash.boot,
                log_start=flash.start if is_online else None,
                gaps=list(flash.gaps) if is_online else [],
                dropped=dict(flash.dropped) if is_online else {},
            )
        )

    def _topic(self, kind: Kind) -> str:
        return str(Topic(self._link.site, self._collar.collar_id, kind))
