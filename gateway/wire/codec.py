"""Bytes to messages and back: MessagePack and JSON by content type, limits at both ends."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from gateway.wire.errors import Rejected, RejectReason, TooLarge
from gateway.wire.messages import (
    MAX_PAYLOAD_BYTES,
    MESSAGES,
    Ack,
    Batch,
    Desired,
    Key,
    Message,
    ModelAnswer,
    ModelChunk,
    ModelOffer,
    Status,
)
from gateway.wire.topics import Kind, Topic

MSGPACK = "application/msgpack"
JSON = "application/json"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # a clock that was never set begins here
NEVER = Key(2**53 - 1, 2**53 - 1)  # no collar gets there
MAX_NESTING = 8  # of fields we do not know; those we know nest by two

AnyMessage = Message | Status | ModelAnswer | Batch | Ack | Desired | ModelOffer | ModelChunk

type_of: Mapping[Kind, type[AnyMessage]] = {
    **MESSAGES,
    Kind.STATUS: Status,
    Kind.MODEL: ModelAnswer,
    Kind.BATCH: Batch,
    Kind.ACK: Ack,
    Kind.DESIRED: Desired,
    Kind.OFFER: ModelOffer,
    Kind.CHUNK: ModelChunk,
}
_msgpack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_raw_msgpack = msgspec.msgpack.Decoder()
_raw_json = msgspec.json.Decoder()


class _Reader:
    """What reads one kind of message."""

    def __init__(self, kind: Kind) -> None:
        self.type = type_of[kind]
        self.known = {field.encode_name for field in msgspec.structs.fields(self.type)}
        self.decoder = {
            MSGPACK: msgspec.msgpack.Decoder(self.type),
            JSON: msgspec.json.Decoder(self.type),
        }


_readers = {kind: _Reader(kind) for kind in type_of}


class Decoded(NamedTuple):
    """A message that passed the door."""

    topic: Topic
    message: AnyMessage
    extra: dict[str, Any] | None
    """Fields this version does not know, kept aside."""


def content_type_of(payload: bytes, declared: str | None = None) -> str:
    """What to read the payload as: as declared, else JSON if it looks like JSON."""
    if declared in (MSGPACK, JSON):
        return declared
    return JSON if payload[:1] == b"{" else MSGPACK


def decode(topic: Topic, payload: bytes, content_type: str | None = None) -> Decoded:
    """The message in ``payload``, checked against its topic.

    Raises:
        Rejected: Oversized, unparsable, invalid, or of another collar than its topic.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Rejected(
            RejectReason.OVERSIZED, f"{len(payload)} bytes; the limit is {MAX_PAYLOAD_BYTES}"
        )
    reader, form = _readers[topic.kind], content_type_of(payload, content_type)
    extra = None
    try:
        message = reader.decoder[form].decode(payload)
    except msgspec.ValidationError:  # ill-formed, or from a newer sender
        message, extra = _decode_newer(reader, form, payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(RejectReason.UNPARSABLE, f"as {form}: {error}") from None
    if message.collar_id != topic.collar_id:
        raise Rejected(
            RejectReason.WRONG_TOPIC,
            f"payload of {message.collar_id} on a topic of {topic.collar_id}",
        )
    if isinstance(message, Message) and message.observed_at < EARLIEST:
        raise Rejected(
            RejectReason.INVALID,
            f"{message.observed_at.isoformat()} before 1970 - at `$.observed_at`",
        )
    return Decoded(topic, message, extra)


def _decode_newer(reader: _Reader, form: str, payload: bytes) -> tuple[Any, dict[str, Any] | None]:
    fields = decode_raw(payload, form)
    extra = {name: fields.pop(name) for name in sorted(fields.keys() - reader.known)}
    for name, value in extra.items():
        if not _is_plain(value, MAX_NESTING):
            raise Rejected(RejectReason.INVALID, f"Not plain data - at `$.{name}`")
    try:
        return msgspec.convert(fields, reader.type), extra or None
    except msgspec.ValidationError as error:
        raise Rejected(RejectReason.INVALID, str(error)) from None


def _is_plain(value: object, depth: int) -> bool:
    """Whether both encodings can hold it: no huge numbers, unnamed keys, foreign types, abysses."""
    match value:
        case dict():
            return depth > 0 and all(
                isinstance(name, str) and _is_plain(each, depth - 1) for name, each in value.items()
            )
        case list():
            return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
        case int():
            return -(2**63) <= value < 2**64
        case _:
            return value is None or isinstance(value, str | float | bytes | datetime)


def decode_raw(payload: bytes, content_type: str | None = None) -> dict[str, Any]:
    """The payload's fields as they were sent, untyped; what seals are computed over.

    Raises:
        Rejected: It is no map.
    """
    form = content_type_of(payload, content_type)
    try:
        fields = (_raw_msgpack if form == MSGPACK else _raw_json).decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Rejected(RejectReason.UNPARSABLE, f"as {form}: {error}") from None
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise Rejected(RejectReason.UNPARSABLE, "not a map of named fields")
    return fields


def salvage_key(payload: bytes, content_type: str | None, collar_id: str | None) -> Key | None:
    """The key of a refused message where it can be read, so that it is not sent again."""
    try:
        fields = _salvaged(payload, content_type)
        if collar_id is None or fields.get("collar_id") != collar_id:
            return None
        return msgspec.convert({name: fields.get(name) for name in ("boot", "seq")}, Key)
    except (Rejected, msgspec.ValidationError):
        return None


def salvage_previous(payload: bytes, content_type: str | None = None) -> Key | None:
    """What a refused birth says was written before it; ``NEVER`` when that cannot be read."""
    try:
        return msgspec.convert(_salvaged(payload, content_type).get("previous"), Key | None)
    except (Rejected, msgspec.ValidationError):
        return NEVER


def _salvaged(payload: bytes, content_type: str | None) -> dict[str, Any]:
    """As `decode_raw`; JSON also where it says NaN, as many devices print what is no number."""
    try:
        return decode_raw(payload, content_type)
    except Rejected:
        if content_type_of(payload, content_type) != JSON:
            raise
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise
        return fields


def encode(message: msgspec.Struct, content_type: str = MSGPACK) -> bytes:
    """The message as bytes.

    Raises:
        TooLarge: Beyond ``MAX_PAYLOAD_BYTES``; it must not be sent.
    """
    payload = (_json if content_type == JSON else _msgpack).encode(message)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"{len(payload)} bytes; the limit is {MAX_PAYLOAD_BYTES}")
    return payload


def digest(payload: bytes) -> bytes:
    """16 bytes that tell a repeated message from another one with the same key."""
    return hashlib.blake2b(payload, digest_size=16).digest()
