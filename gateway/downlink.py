"""The gateway's word to its collars, each in the encoding that it speaks itself."""

from msgspec import Struct

from gateway.registry import Household
from gateway.wire.codec import JSON, encode
from gateway.wire.errors import SessionLost
from gateway.wire.session import Session
from gateway.wire.topics import Kind, Topic


class Downlink:
    """Says things to collars while there is a session; what is lost is said again by who cares."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self.session: Session | None = None
        self.forms: dict[str, str] = {}
        """Content type of what each collar last sent; of the others everyone can read JSON."""

    @property
    def is_open(self) -> bool:
        """Whether there is someone to carry it."""
        return self.session is not None and not self.session.is_lost

    def say(self, collar_id: str, kind: Kind, message: Struct) -> bool:
        """Hand a message to the broker; returns whether there was one.

        Raises:
            TooLarge: No broker would carry it.
        """
        form = self.forms.get(collar_id, JSON)
        payload = encode(message, form)
        if self.session is None:
            return False
        try:
            topic = str(Topic(self._household.registry.site, collar_id, kind))
            if kind is Kind.ACK:  # the commonest of all, and the next one says it again: a PUBACK
                self.session.publish(topic, payload, qos=0)  # would cost a collar more than it
            else:
                self.session.publish(topic, payload, content_type=form)
        except SessionLost:
            return False
        return True
