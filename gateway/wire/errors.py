"""What can be wrong with a message, and what to do about it."""

from enum import StrEnum


class RejectReason(StrEnum):
    """Why a message was refused. The value is part of the contract: devices and people read it."""

    UNPARSABLE = "unparsable"
    """Neither MessagePack nor JSON, or not a map. Check the content type."""
    INVALID = "invalid"
    """A field is missing, ill-typed or out of range; the detail names it."""
    OVERSIZED = "oversized"
    """Larger than ``MAX_PAYLOAD_BYTES``. Split it."""
    UNOPENED = "unopened"
    """A batch as a whole, whatever the cause: none of its messages was seen. Send them alone."""
    UNSUPPORTED_VERSION = "unsupported_version"
    """The topic's version is not one this gateway speaks. Update the gateway."""
    WRONG_TOPIC = "wrong_topic"
    """The topic is not of the contract, or names another collar, site or kind than the payload."""
    UNKNOWN_COLLAR = "unknown_collar"
    """The collar is not enrolled at this site. Add it with ``pawmesh collar add``."""
    FUTURE_DATED = "future_dated"
    """``observed_at`` lies ahead of the gateway's clock. Set the collar's clock."""
    CONFLICT = "conflict"
    """The key is held with other content. ``boot`` rises at each start, ``seq`` at each message."""
    WRONG_SEAL = "wrong_seal"
    """The seal's signature or root does not prove the messages it names."""


class WireError(Exception):
    """Base of everything that is wrong on the wire."""


class Rejected(WireError):
    """A message is refused; ``reason`` says why in one word, ``detail`` in a sentence."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class UnknownKind(Rejected):
    """A collar says something this version has no word for; its key can still be answered."""

    def __init__(self, collar_id: str, kind: str) -> None:
        super().__init__(RejectReason.WRONG_TOPIC, f"kind {kind[:32]!r} is unknown")
        self.collar_id = collar_id


class TooLarge(WireError):
    """The message exceeds the size limit; brokers would drop the connection, so it is not sent."""


class SessionLost(WireError):
    """The connection to the broker ended. Reconnect and send again what was not acknowledged."""


class WrongSeal(WireError):
    """A seal or a disclosed leaf does not prove what it claims."""
