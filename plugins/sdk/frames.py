"""What a plugin's process and its host say to each other: length-prefixed MessagePack.

The host sends ``Start``, then frames of calls (a list of ``Inputs``). The process answers ``Start``
with one ``Answer``, and then each call with one, in order, as soon as it has it: so the host knows
which call a process died of. Private to host and runner, which always come from one SDK.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from plugins.sdk.types import Inputs

HEADER_BYTES = 4  # big-endian length in front of each frame


class Start(Struct, frozen=True, kw_only=True):
    """Limits that the process puts on itself before it loads any of the plugin's code."""

    memory_bytes: int
    """Of address space."""
    cpu_s: int
    """In the process's whole life; the deadline of a call is the host's to keep."""
    open_files: int


class Failure(Struct, frozen=True, kw_only=True):
    """An exception that the plugin let out."""

    error: str
    """Its type's name."""
    message: str
    line: int | None = None
    """In the plugin's own file, where known."""


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To a call: its ``Outputs``, still packed since they are not to be trusted, or the failure."""

    outputs: Raw = Raw()
    failure: Failure | None = None


def _plain(value: Any) -> Any:
    """Numpy's scalars and arrays as plain numbers and lists, without importing numpy."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent to the host")


encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
start_decoder = msgspec.msgpack.Decoder(Start)
calls_decoder = msgspec.msgpack.Decoder(list[Inputs])
answer_decoder = msgspec.msgpack.Decoder(Answer)


def frame(message: Any) -> bytearray:
    """``message`` packed, with its length in front."""
    packed = bytearray(HEADER_BYTES)
    encoder.encode_into(message, packed, HEADER_BYTES)
    packed[:HEADER_BYTES] = (len(packed) - HEADER_BYTES).to_bytes(HEADER_BYTES, "big")
    return packed
