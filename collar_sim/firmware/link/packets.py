"""What a collar puts on the air, and how: its messages alone or packed, its birth, its status."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.log.flash_log import Entry
from gateway.wire.batch import pack
from gateway.wire.codec import JSON, MSGPACK, content_type_of, encode
from gateway.wire.messages import Batch, ModelAnswer, Presence, Status
from gateway.wire.session import Session, Will
from gateway.wire.topics import Kind, Topic

BATCH_BYTES = 14_000  # of JSON in a batch: whatever it is, it fits its packet


class Packets:
    """Of one collar of a site."""

    def __init__(self, site: str, collar: Collar) -> None:
        self._site = site
        self._collar = collar

    @property
    def begin_with_birth(self) -> bool:
        """Whether the oldest message that is owed is this boot's birth."""
        flash = self._collar.flash
        return flash.first < flash.committed and flash[flash.first].payload == self._collar.birth

    def of(self, positions: Sequence[int], *, packs: bool) -> Iterator[list[int]]:
        """The positions, in order, by the packets in which they are sent.

        Args:
            positions: Of messages that are kept.
            packs: Whether those in JSON may share a packet; samples, in MessagePack, never do.
        """
        packet, size_bytes = list[int](), 0
        for position in positions:
            entry = self._collar.flash[position]
            goes_alone = not (packs and entry.is_json)
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

    def publish(self, session: Session, entry: Entry) -> None:
        """Send a message alone."""
        session.publish(
            self._topic(entry.kind),
            entry.payload,
            content_type=JSON if entry.is_json else MSGPACK,
            sent_at=datetime.now(UTC),
            retain=entry.kind is Kind.BIRTH and entry.key.boot == self._collar.flash.boot,
        )

    def publish_batch(self, session: Session, entries: Sequence[Entry]) -> None:
        """Send messages in JSON together."""
        dictionary = self._collar.dictionary
        batch = Batch(
            collar_id=self._collar.collar_id,
            sent_at=datetime.now(UTC),
            dictionary=dictionary,
            deflated=pack(((entry.kind, entry.payload) for entry in entries), dictionary),
        )
        session.publish(self._topic(Kind.BATCH), encode(batch))

    def publish_birth(self, session: Session) -> None:
        """Say again who we are: whoever joins later must find it, also on a broker that forgot."""
        if birth := self._collar.birth:
            session.publish(
                self._topic(Kind.BIRTH), birth, content_type=content_type_of(birth), retain=True
            )

    def publish_status(self, session: Session, state: Presence) -> None:
        """Say that we are here, and what of our log is gone; or goodbye."""
        session.publish(
            self._topic(Kind.STATUS), self._status(state), content_type=MSGPACK, retain=True
        )

    def publish_answer(self, session: Session, answer: ModelAnswer) -> None:
        """Answer what the gateway said of a model."""
        session.publish(self._topic(Kind.MODEL), encode(answer), content_type=MSGPACK)

    def will(self) -> Will:
        """What the broker says when we vanish."""
        return Will(self._topic(Kind.STATUS), self._status(Presence.OFFLINE), MSGPACK)

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
        return str(Topic(self._site, self._collar.collar_id, kind))
