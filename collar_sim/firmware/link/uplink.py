"""A collar's connection: sends its flash log in order until the gateway says that it has it.

When what is sent, and sent again, is told in `resend`; how it is written in `packets`; how a lost
broker is looked for in `reconnect`.

Answers about models are sent once: the gateway asks again for what it does not hear.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.downlink import Downlink, Said
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.packets import Packets
from collar_sim.firmware.link.reconnect import Reconnect
from collar_sim.firmware.link.resend import Resend
from gateway.wire.codec import AnyMessage, decode
from gateway.wire.errors import Rejected, RejectReason, SessionLost
from gateway.wire.messages import Ack, Desired, ModelAnswer, ModelChunk, ModelOffer, Presence
from gateway.wire.session import Delivery, Session, connect
from gateway.wire.topics import Kind, Topic, ack_filter, downlink_filters

log: structlog.stdlib.BoundLogger = structlog.get_logger()

ALONE_S = 3_600.0  # after a batch that its gateway could not open; then one is tried again
FAREWELL_S = 3.0  # for the broker to take the last word


def _always(_at_s: float) -> bool:
    """A radio that loses nothing."""
    return True


class Uplink:
    """Keeps one collar connected. Run `run` as a task; `wake` it when there is more to send."""

    def __init__(
        self,
        link: Link,
        collar: Collar,
        delivers: Callable[[float], bool] | None = None,
        downlink: Downlink | None = None,
    ) -> None:
        """Of a collar.

        Args:
            link: To the broker.
            collar: Whose log is sent.
            delivers: Whether the radio gets a transmission through, at a time in seconds; None:
                it loses nothing.
            downlink: What takes the gateway's word; without, acknowledgements alone are heard.
        """
        self._link = link
        self._collar = collar
        self._delivers = delivers or _always
        self._downlink = downlink
        self._packets = Packets(link.site, collar)
        self._resend = Resend(collar, time.monotonic())
        self._reconnect = Reconnect(link, collar.collar_id)
        self._session_now: Session | None = None
        self._unreadable: set[str] = set()
        """Topics on which something malformed was said; each is told once."""
        self._wake = asyncio.Event()
        self._leaving = False
        self._is_on = True
        self._has_packed = False
        """A batch was sent in this session: an answer that none can be opened is about it."""
        self._alone_until_s = 0.0
        """The gateway of this session could not open a batch; until then all goes alone."""

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
        self._reconnect.give_up()
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
        self._reconnect.start_over()
        self._wake.set()

    def answer(self, answers: Iterable[ModelAnswer]) -> None:
        """Send these as far as there is a connection, and radio."""
        for answer in answers:
            if self._session_now is None:
                return
            if not self._delivers(time.monotonic()):
                self._link.radio_lost += 1
                continue
            with suppress(SessionLost):
                self._packets.publish_answer(self._session_now, answer)

    async def run(self) -> None:
        """Stay connected until told to leave."""
        while not self._leaving:
            try:
                if self._is_on:
                    async with self._session() as session:
                        await self._converse(session)
            except SessionLost as error:
                self._note_lost(str(error))
            except Exception as error:  # one collar's trouble is not the fleet's
                self._note_lost(repr(error))
                log.exception("collar.failed", collar_id=self._collar.collar_id)
            self._reconnect.judge(is_ours=self._leaving or not self._is_on)
            await self._powered()
            await self._reconnect.rest()

    def _note_lost(self, reason: str) -> None:
        if self._is_on:
            self._link.lost(self._collar.collar_id, reason)

    async def _powered(self) -> None:
        """Wait for the power, or for the end."""
        while not self._is_on and not self._leaving:
            self._wake.clear()
            await self._wake.wait()

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[Session]:
        """A session that ends with a goodbye, if it can still be said."""
        async with AsyncExitStack() as stack:
            async with self._link.connecting:
                session = await stack.enter_async_context(
                    connect(
                        self._link.broker,
                        f"{self._link.site}-{self._collar.collar_id}",
                        will=self._packets.will(),
                        keepalive_s=self._collar.uploads.keepalive_s,
                    )
                )
            try:
                yield session
            finally:
                if not session.is_lost:
                    self._packets.publish_status(session, Presence.OFFLINE)
                    with suppress(SessionLost, TimeoutError):
                        async with asyncio.timeout(FAREWELL_S):
                            await session.drained()

    async def _converse(self, session: Session) -> None:
        await self._listen(session)
        if not self._is_on:  # the power went while we were connecting
            session.abort()
            return
        with self._reconnect.in_session():
            name = f"hear-{self._collar.collar_id}"
            hearing = asyncio.create_task(self._hear(session), name=name)
            hearing.add_done_callback(lambda _: self._wake.set())
            try:
                self._begin(session)
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

    async def _listen(self, session: Session) -> None:
        """Ask for the gateway's word."""
        site, collar_id = self._link.site, self._collar.collar_id
        if self._downlink is None:
            await session.subscribe(ack_filter(site, collar_id), qos=0)
        else:  # one packet: what is lost of it, the gateway says again
            self._downlink.opened()
            await session.subscribe(*downlink_filters(site, collar_id))

    def _begin(self, session: Session) -> None:
        """Say who we are, as the first thing of a session."""
        self._collar.clock.is_set = True  # the network says what time it is
        self._session_now = session
        self._has_packed, self._alone_until_s = False, 0.0
        self._resend.connected(time.monotonic())
        if self._packets.begin_with_birth:
            self._send(session)
        else:
            self._packets.publish_birth(session)
        self._announce(session)

    def _send(self, session: Session) -> float | None:
        """Send what may be sent now; returns after how many seconds to look again."""
        self._wake.clear()
        now_s = time.monotonic()
        if self._collar.opens_batches is False:  # a gateway of 0.2: it knows no `power` either,
            self._collar.flash.pass_over(Kind.POWER)  # and would wait for its key for ever
        due = self._resend.due(now_s)
        packs = self._collar.packs and now_s >= self._alone_until_s
        for packet in self._packets.of(due.positions, packs=packs):
            self._transmit(session, packet, now_s, packs=packs)
        if due.status:
            self._announce(session)
        return self._resend.rest_s(now_s)

    def _transmit(self, session: Session, packet: list[int], now_s: float, *, packs: bool) -> None:
        self._link.transmissions += 1
        if not self._delivers(now_s):
            self._link.radio_lost += 1
            self._resend.lost(packet, now_s)
            return
        entries = [self._collar.flash[position] for position in packet]
        if packs and entries[0].is_json:
            self._packets.publish_batch(session, entries)
            self._has_packed = True
        else:
            self._packets.publish(session, entries[0])
        self._resend.sent(packet)

    def _announce(self, session: Session) -> None:
        self._packets.publish_status(session, Presence.ONLINE)
        self._resend.announced(time.monotonic())

    async def _hear(self, session: Session) -> None:
        async for batch in session.batches(limit=50, linger_s=0.0):
            said: list[Said] = []
            for delivery in batch:
                delivery.settle()
                message = self._read(delivery)
                if isinstance(message, Ack):
                    self._take(message, time.monotonic())
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

    def _take(self, ack: Ack, now_s: float) -> None:
        more = self._resend.acknowledged(ack.key, now_s)
        if ack.refused:
            self._link.note_refused(self._collar.collar_id, ack.refused, now_s)
            is_lost = any(why.startswith(RejectReason.UNOPENED) for why in ack.refused)
            if is_lost and self._has_packed and now_s >= self._alone_until_s:
                self._alone_until_s, more = now_s + ALONE_S, True
                self._resend.go_back(now_s)
        if more:
            self._wake.set()
