"""Sessions with an MQTT 5 broker: the only file that knows an MQTT library.

A session lives until its connection is lost, then everything on it raises ``SessionLost``; whoever
opened it opens the next one. Deliveries are acknowledged to the broker (PUBACK) only by
``Delivery.settle``, so that a consumer can commit first; brokers hold back what is not settled.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import gmqtt
from gmqtt.mqtt.handler import MQTTError
from gmqtt.storage import PersistentStorage

from gateway.wire.errors import SessionLost

KEEPALIVE_S = 30
MAX_WAITING = 65_536  # messages that a broker has no room for yet: it has had minutes by then

_quiet = logging.getLogger("gateway.wire.mqtt")
_quiet.setLevel(logging.CRITICAL + 1)  # gmqtt logs what we raise
for _name in ("gmqtt.mqtt.protocol", "gmqtt.mqtt.connection", "gmqtt.mqtt.handler"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """Where a broker listens, and as whom we come: ``mqtt://user:password@host:port``.

    ``mqtts`` speaks TLS, trusting ``ca_file`` or the system's authorities.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str, ca_file: Path | None = None) -> Self:
        """The broker named by ``url``.

        Raises:
            ValueError: It is not such a URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError(  # without the password
                f"{parts.scheme}://{parts.hostname or ''} is no broker: "
                "use mqtt://user:password@host:port"
            )
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname,
            parts.port or (8883 if tls else 1883),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            tls,
            ca_file,
        )


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish."""

    topic: str
    payload: bytes
    content_type: str


@dataclass(slots=True)
class Delivery:
    """One message from the broker, waiting to be settled."""

    topic: str
    payload: bytes
    content_type: str | None
    sent_at: datetime | None
    retained: bool
    _done: asyncio.Future[None] = field(repr=False)

    def settle(self) -> None:
        """Acknowledge to the broker (PUBACK). Harmless when repeated or after the session."""
        if not self._done.done():
            self._done.set_result(None)


class _Unacknowledged(PersistentStorage):
    """What was sent and has no PUBACK yet; tells when there is room for more."""

    def __init__(self) -> None:
        super().__init__()
        self.on_room: Callable[[], None] | None = None

    def remove_message_by_mid(self, mid: int) -> None:
        super().remove_message_by_mid(mid)
        if self.on_room is not None:
            self.on_room()


class Session:
    """A live connection. Made by ``connect``."""

    def __init__(self, client: gmqtt.Client, unacknowledged: _Unacknowledged) -> None:
        self._client = client
        self._unacknowledged = unacknowledged
        self._waiting: deque[gmqtt.Message] = deque()
        """Published, in order, beyond what the broker takes at once (its Receive Maximum)."""
        unacknowledged.on_room = self._send_waiting
        self._deliveries: asyncio.Queue[Delivery | None] = asyncio.Queue()  # None: lost
        self._unsettled: set[asyncio.Future[None]] = set()
        self._lost = asyncio.Event()
        self._subscribed: dict[int, asyncio.Future[None]] = {}
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe

    @property
    def is_lost(self) -> bool:
        """Whether the connection ended."""
        return self._lost.is_set()

    async def lost(self) -> None:
        """Wait until the connection ends."""
        await self._lost.wait()

    async def subscribe(self, *topic_filters: str, qos: int = 1, echo: bool = True) -> None:
        """Subscribe to all of them in one packet, and return when the broker agreed.

        Without ``echo``, what we publish ourselves does not come back to us; the embedded broker
        does not know how to do that (MQTT 5 calls it No Local), and sends it all the same.
        """
        self._require_connection()
        mid = self._client.subscribe(
            [gmqtt.Subscription(each, qos=qos, no_local=not echo) for each in topic_filters]
        )
        agreed = self._subscribed.setdefault(mid, asyncio.get_running_loop().create_future())
        await self._or_lost(agreed)
        del self._subscribed[mid]

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        content_type: str | None = None,
        sent_at: datetime | None = None,
        retain: bool = False,
        qos: int = 1,
    ) -> None:
        """Hand a message to the broker; ``drained`` tells when it has taken them all.

        What it has no room for (it says so when we connect) waits here, in order.

        Raises:
            SessionLost: There is no connection, or the broker has long stopped to take anything.
        """
        self._require_connection()
        properties: dict[str, Any] = {}
        if content_type is not None:
            properties["content_type"] = content_type
        if sent_at is not None:
            said = sent_at.astimezone(UTC).isoformat(timespec="milliseconds")
            properties["user_property"] = [("sent_at", said.replace("+00:00", "Z"))]
        if len(self._waiting) >= MAX_WAITING:
            raise SessionLost(f"{MAX_WAITING} messages wait for the broker")
        self._waiting.append(gmqtt.Message(topic, payload, qos=qos, retain=retain, **properties))
        if len(self._waiting) == 1:  # else there was no room for those before it
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and not self._lost.is_set():
            try:
                self._client.publish(self._waiting[0])
            except OverflowError:  # its ids are as many as the broker takes at once
                return
            self._waiting.popleft()

    async def drained(self) -> None:
        """Wait until the broker acknowledged everything published."""
        while self._waiting or not self._unacknowledged.is_empty:
            await self._or_lost(self._unacknowledged.wait_empty())

    async def batches(self, limit: int, linger_s: float) -> AsyncIterator[list[Delivery]]:
        """Deliveries as they come, in lists of at most ``limit``.

        A list waits at most ``linger_s`` for company, and not at all when many are there.
        """
        queue = self._deliveries
        while True:
            batch = [await queue.get()]
            if queue.qsize() + 1 < limit and linger_s:
                await asyncio.sleep(linger_s)
            while len(batch) < limit and not queue.empty():
                batch.append(queue.get_nowait())
            if None in batch:  # what came with it is not settled, so the broker sends it again
                raise SessionLost("the broker closed the connection")
            yield [delivery for delivery in batch if delivery is not None]

    async def opened(self, connecting: Awaitable[None]) -> None:
        """Wait for the broker to accept us."""
        await self._or_lost(connecting)

    def abort(self) -> None:
        """Vanish without a word, as by a power cut: the broker says the will."""
        client: Any = self._client
        if client._connection is not None:  # noqa: SLF001 - gmqtt itself only says goodbye
            client._connection._transport.abort()  # noqa: SLF001 - ditto
        self._on_disconnect(client, b"")

    def closed(self) -> None:
        """Let go of what was not settled: the broker keeps it for the next session."""
        for done in list(self._unsettled):
            if not done.done():
                done.set_result(None)  # the connection is closed, so this tells nobody

    async def _or_lost(self, awaitable: Awaitable[None]) -> None:
        task = asyncio.ensure_future(awaitable)
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise SessionLost("the broker closed the connection")
            task.result()
        finally:
            for each in (task, lost):
                each.cancel()

    def _require_connection(self) -> None:
        if self._lost.is_set():
            raise SessionLost("the broker closed the connection")

    async def _on_message(
        self, _client: object, topic: str, payload: bytes, _qos: int, properties: dict[str, Any]
    ) -> int:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsettled.add(done)
        done.add_done_callback(self._unsettled.discard)
        content_type = properties.get("content_type")
        self._deliveries.put_nowait(
            Delivery(
                topic,
                payload,
                content_type[0] if content_type else None,
                _sent_at(properties.get("user_property", ())),
                bool(properties.get("retain")),
                done,
            )
        )
        await done
        return 0

    def _on_disconnect(self, _client: object, _packet: bytes) -> None:
        self._lost.set()
        self._deliveries.put_nowait(None)

    def _on_subscribe(
        self, _client: object, mid: int, _qos: Sequence[int], _properties: dict[str, Any]
    ) -> None:
        loop = asyncio.get_running_loop()
        agreed = self._subscribed.setdefault(mid, loop.create_future())
        if not agreed.done():
            agreed.set_result(None)


@asynccontextmanager
async def connect(
    broker: BrokerUrl,
    client_id: str,
    *,
    will: Will | None = None,
    session_expiry_s: int = 0,
    keepalive_s: int = KEEPALIVE_S,
    timeout_s: float = 10.0,
) -> AsyncGenerator[Session]:
    """An open session; leaving it disconnects politely, so the will does not fire.

    Args:
        broker: Where it is, and who we are to it.
        client_id: Unique at the broker; a second connection of the same name ends the first.
        will: What the broker says when we vanish.
        session_expiry_s: How long the broker keeps subscriptions and what it owes us when we are
            gone; 0 begins anew each time, which end-to-end acknowledgement makes safe.
        keepalive_s: After eight tenths of it in silence we ping, and after half as much again the
            broker takes us for dead.
        timeout_s: How long to wait for the broker.

    Raises:
        SessionLost: The broker cannot be reached, or refuses us.
    """
    unacknowledged = _Unacknowledged()
    client = gmqtt.Client(
        client_id,
        clean_session=session_expiry_s == 0,
        optimistic_acknowledgement=False,
        will_message=will
        and gmqtt.Message(
            will.topic, will.payload, qos=1, retain=True, content_type=will.content_type
        ),
        persistent_storage=unacknowledged,
        logger=_quiet,
        session_expiry_interval=session_expiry_s,
    )
    client.set_config({"reconnect_retries": -2, "reconnect_delay": 0})  # below zero and -1: never
    if broker.username is not None:
        client.set_auth_credentials(broker.username, broker.password)
    tls: Any = ssl.create_default_context(cafile=broker.ca_file) if broker.tls else False
    session = Session(client, unacknowledged)
    try:
        async with asyncio.timeout(timeout_s):
            await session.opened(
                client.connect(broker.host, broker.port, ssl=tls, keepalive=keepalive_s)
            )
    except (OSError, TimeoutError, MQTTError) as error:
        raise SessionLost(f"no session with {broker.host}:{broker.port}: {error}") from error
    try:
        yield session
    finally:
        await client.disconnect()
        session.closed()
        await asyncio.sleep(0)  # its own last task ends


def _sent_at(properties: Sequence[tuple[str, str]]) -> datetime | None:
    for name, value in properties:
        if name == "sent_at":
            try:
                sent_at = datetime.fromisoformat(value)
                return sent_at.astimezone(UTC) if sent_at.tzinfo else None
            except (ValueError, OverflowError):
                return None  # only tells how long it was under way; the message stands without it
    return None
