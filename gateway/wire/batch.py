"""Many messages in one packet, for a collar that saves its radio.

A line is a kind, a space, and the message in JSON; the lines are compressed as raw deflate
(RFC 1951) with a dictionary that both ends know, so that names cost next to nothing. What is
unpacked is, byte for byte, what the collar would have sent one by one: keys, digests and seals do
not tell the difference, and what is lost of a batch may be repeated alone. A batch that cannot be
opened is refused as ``unopened``, and all of them are sent alone.
"""

import zlib
from collections.abc import Iterable
from typing import cast

from gateway.wire.codec import decode
from gateway.wire.dictionary import DICTIONARIES, NEWEST
from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.messages import Batch
from gateway.wire.topics import Kind, Topic

MAX_LINES = 256
MAX_UNPACKED_BYTES = 65_536  # four times what a packet may hold: a bomb opens no further
WINDOW_BITS = -15  # raw deflate, the 32 kB window of RFC 1951


def pack(messages: Iterable[tuple[Kind, bytes]], dictionary: int) -> bytes:
    r"""Messages in JSON as the compressed lines of a ``Batch``; name its ``dictionary`` there.

    >>> len(pack([(Kind.EPOCH, b'{"collar_id":"c1","boot":1,"seq":9}')], 1))
    10
    """
    lines = b"".join(b"%s %s\n" % (kind.value.encode(), payload) for kind, payload in messages)
    deflate = zlib.compressobj(
        9, zlib.DEFLATED, WINDOW_BITS, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARIES[dictionary]
    )
    return deflate.compress(lines) + deflate.flush()


def opened(
    topic: Topic, payload: bytes, content_type: str | None = None
) -> tuple[Batch, list[tuple[str, bytes]]]:
    """A batch as it came from the broker, and what `unpack` finds in it.

    Raises:
        Rejected: ``unopened``, whatever is wrong with it.
    """
    try:
        batch = cast(Batch, decode(topic, payload, content_type).message)
    except Rejected as error:
        raise _unopened(str(error)) from error
    return batch, unpack(topic, batch.deflated, batch.dictionary)


def unpack(topic: Topic, deflated: bytes, dictionary: int = 1) -> list[tuple[str, bytes]]:
    """Topic and payload of each message, as if it had come alone; ``topic`` is the batch's.

    What a line says is for the reader to judge, line by line.

    Raises:
        Rejected: ``unopened``: torn, too much in it, or of a dictionary that is not known here.
    """
    if (preset := DICTIONARIES.get(dictionary)) is None:
        raise _unopened(f"dictionary {dictionary} is not known here, up to {NEWEST} all are")
    inflate = zlib.decompressobj(WINDOW_BITS, preset)
    try:
        lines = inflate.decompress(deflated, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise _unopened(f"not raw deflate with dictionary {dictionary}: {error}") from None
    if inflate.unconsumed_tail:
        raise _unopened(f"unpacks to over {MAX_UNPACKED_BYTES} bytes")
    if not inflate.eof or inflate.unused_data or not lines.endswith(b"\n"):
        raise _unopened("it ends too early, or too late")
    split = lines[:-1].split(b"\n")
    if len(split) > MAX_LINES:
        raise _unopened(f"{len(split)} lines; the limit is {MAX_LINES}")
    prefix = str(topic).removesuffix(topic.kind.value)
    parts = (line.partition(b" ") for line in split)
    return [(prefix + kind.decode("ascii", "replace"), payload) for kind, _, payload in parts]


def _unopened(why: str) -> Rejected:
    return Rejected(RejectReason.UNOPENED, f"{why}. Send its messages alone")
