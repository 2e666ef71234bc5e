"""Many messages in one packet, for a collar that saves its radio.

A line is a kind, a space, and the message in JSON; the lines are compressed as raw deflate
(RFC 1951) with a dictionary that both ends know, so that names cost next to nothing. What is
unpacked is, byte for byte, what the collar would have sent one by one: keys, digests and seals do
not tell the difference, and what is lost of a batch may be repeated alone.
"""

import zlib
from collections.abc import Iterable

from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.topics import Kind, Topic

MAX_LINES = 256
MAX_UNPACKED_BYTES = 65_536  # four times what a packet may hold: a bomb opens no further
WINDOW_BITS = -15  # raw deflate, the 32 kB window of RFC 1951

DICTIONARY = (
    b'slots {"slots":[{"slot":"activity","package":"activity","version":"0.3.0","sha256":"'
    b'window {"rate_hz":25.0,"acc_g_per_lsb":0.000244140625,"gyr_dps_per_lsb":0.06103515625,'
    b'"samples":"A","label":"walk","confidence":0.5,"choice":"uncertain"}\n'
    b'event {"name":"sensor_fault","name":"anomaly","confidence":0.9,"duration_s":8.0,'
    b'"package":"anomaly@0.3.0"}\nevent {"name":"scratch","package":"activity@0.3.0"}\n'
    b'power {"period_s":3600.0,"battery_pct":80.5,"days_left":9.5,"charging":true,"joules":'
    b'{"sleep":0.1,"mcu":1.1,"inference":0.1,"imu":1.1,"gnss":0.1,"wifi":4.1,"lte":0.1,'
    b'"losses":1.1}}\nseal {"first_seq":1,"last_seq":15,"root":"="'
    b',"signature":"=="}\n'
    b'fix {"lat_deg":48.1,"lon_deg":11.5,"accuracy_m":12.0,"source":"wifi","age_s":10.0,'
    b'"hdop":1.1,"speed_mps":0.02}\n'
    b'"period_s":3600,"clock":"gnss","scratch_bouts":1,"drink_bouts":1,"vehicle":2,"drink":4,'
    b'"scratch":6,"run":8,"steps":100,"windows_unsure":10,'
    b'"seconds":{"rest":20,"sniff":12,"walk":14,"play":4,"eat":8,"unsure":10},"odba_g":0.2,'
    b'"vedba_g":0.1,"steps":9,"anomaly":0.6,"windows":15,"windows_unsure":2,"battery_pct":63.5}\n'
    b'epoch {"collar_id":"collar-1","boot":1,"seq":1,"observed_at":"2026-01-01T10:00:00Z",'
    b'"uptime_s":3600,"seconds":{"sleep":48,"rest":10,"unsure":2},"odba_g":0.01,"vedba_g":0.00,'
    b'"anomaly":0.5,"windows":15,"windows_unsure":1,"battery_pct":80.1}\nepoch {"collar_id":"'
)
"""Part of the contract: both ends must have the same. The commonest stands last."""


def pack(messages: Iterable[tuple[Kind, bytes]]) -> bytes:
    r"""Messages in JSON as the compressed lines of a ``Batch``.

    >>> len(pack([(Kind.EPOCH, b'{"collar_id":"c1","boot":1,"seq":9}')]))
    10
    """
    lines = b"".join(b"%s %s\n" % (kind.value.encode(), payload) for kind, payload in messages)
    deflate = zlib.compressobj(
        9, zlib.DEFLATED, WINDOW_BITS, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
    )
    return deflate.compress(lines) + deflate.flush()


def unpack(topic: Topic, deflated: bytes) -> list[tuple[str, bytes]]:
    """Topic and payload of each message, as if it had come alone; ``topic`` is the batch's.

    What a line says is for the reader to judge, line by line.

    Raises:
        Rejected: ``unparsable`` or ``oversized``.
    """
    inflate = zlib.decompressobj(WINDOW_BITS, DICTIONARY)
    try:
        lines = inflate.decompress(deflated, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise Rejected(RejectReason.UNPARSABLE, f"not raw deflate: {error}") from None
    if inflate.unconsumed_tail:
        raise Rejected(RejectReason.OVERSIZED, f"unpacks to over {MAX_UNPACKED_BYTES} bytes")
    if not inflate.eof or inflate.unused_data or not lines.endswith(b"\n"):
        raise Rejected(RejectReason.UNPARSABLE, "the batch ends too early, or too late")
    split = lines[:-1].split(b"\n")
    if len(split) > MAX_LINES:
        raise Rejected(RejectReason.OVERSIZED, f"{len(split)} lines; the limit is {MAX_LINES}")
    prefix = str(topic).removesuffix(topic.kind.value)
    parts = (line.partition(b" ") for line in split)
    return [(prefix + kind.decode("ascii", "replace"), payload) for kind, _, payload in parts]
