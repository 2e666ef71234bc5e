"""The file that ``pawmesh record`` writes: what a site's collars and gateway said to each other.

After eight bytes of magic come frames, each a length, a checksum and a zstd-compressed MessagePack
value: first the `Header`, then `Wearers` and `Heard` as they come, last an `End`. A recording that
was killed lacks its end, and perhaps a part of its last frame; the rest of it is as good as ever.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import msgspec
import zstandard
from msgspec import Struct

from gateway.wire.uplink import EnrolledCollar
from pawmesh.errors import IncompatibleData, NoAccess, PawmeshError

MAGIC = b"PAWTAPE\n"
FORMAT = 1
FRAME = struct.Struct("<II")  # bytes of the frame, and their CRC-32
MAX_FRAME_BYTES = 64 * 2**20
MAX_TEXT_BYTES = 65_535  # of one of MQTT's strings
FRAME_BYTES = 262_144  # of payloads: what a kill may lose is this or a second
LEVEL = 3


class TapeError(PawmeshError):
    """The file is no recording, or damaged. The message says where; record anew."""


class Header(Struct, frozen=True, tag=True, kw_only=True):
    """What the recording is of."""

    format: int = FORMAT
    site: str
    started_at: datetime
    recorder: str = "pawmesh record"
    with_secrets: bool = False


class Wearer(Struct, frozen=True, kw_only=True):
    """A collar that is heard, as it was enrolled."""

    collar: EnrolledCollar
    salt_secret: bytes | None = None
    """Only if it was asked for: with it, what the collar withheld can be guessed."""


class Wearers(Struct, frozen=True, tag=True):
    """Collars that became known."""

    wearers: list[Wearer]


class Message(Struct, frozen=True, array_like=True):
    """One publication, byte for byte."""

    offset_s: float
    """When it arrived, since the recording began."""
    topic: str
    payload: bytes
    content_type: str | None
    sent_at: datetime | None
    """What the sender said in its user property."""
    retained: bool
    """The broker had kept it; it was not said just then."""

    def __post_init__(self) -> None:
        for text in (self.topic, self.content_type or ""):
            if len(text.encode()) > MAX_TEXT_BYTES:
                raise ValueError(f"a text of {len(text)} characters, which MQTT cannot carry")


class Heard(Struct, frozen=True, tag=True):
    """Publications in the order of their arrival."""

    messages: list[Message]


class End(Struct, frozen=True, tag=True, kw_only=True):
    """The recording ended in good order."""

    messages: int
    seconds: float


Part = Header | Wearers | Heard | End
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Part).decode


class TapeWriter:
    """Writes a recording. Close it with `end`."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        self._file = file
        self._compress = zstandard.ZstdCompressor(level=LEVEL).compress
        self._waiting: list[Message] = []
        self._waiting_bytes = 0
        self.messages = 0
        self.size_bytes = 0
        self._put_raw(MAGIC)
        self._put(header)

    @classmethod
    def create(cls, path: Path, header: Header) -> Self:
        """A new file, which only its owner can read if it holds secrets.

        Raises:
            NoAccess: It cannot be made, or is there already.
        """
        mode = 0o600 if header.with_secrets else 0o644
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise NoAccess(f"{path} exists already; give another name, or remove it") from None
        except OSError as error:
            raise NoAccess(f"{path}: {error.strerror}") from error
        return cls(os.fdopen(descriptor, "wb"), header)

    def add(self, message: Message) -> None:
        """Take a publication; it is in the file after the next `flush`."""
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload) + len(message.topic)
        self.messages += 1
        if self._waiting_bytes >= FRAME_BYTES:
            self.flush()

    def introduce(self, wearers: list[Wearer]) -> None:
        """Say who some collars are, before what they say next."""
        self.flush()
        self._put(Wearers(wearers))

    def flush(self) -> None:
        """Hand everything to the system, so that our own death loses nothing of it.

        Raises:
            NoAccess: The disk is full, or gone.
        """
        if self._waiting:
            self._put(Heard(self._waiting))
            self._waiting, self._waiting_bytes = [], 0

    def end(self, seconds: float) -> None:
        """End in good order."""
        self.flush()
        self._put(End(messages=self.messages, seconds=seconds))
        self._file.close()

    def _put(self, part: Part) -> None:
        body = self._compress(_encode(part))
        self._put_raw(FRAME.pack(len(body), zlib.crc32(body)) + body)

    def _put_raw(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise NoAccess(f"The recording cannot be written: {error.strerror}") from error
        self.size_bytes += len(content)


class Tape:
    """A recording to be read; its header and wearers are read at once."""

    def __init__(self, path: Path) -> None:
        """Of a file.

        Raises:
            TapeError: It is no recording, or damaged.
            IncompatibleData: A newer version wrote it.
        """
        self.path = path
        self.wearers: dict[str, Wearer] = {}
        self.count = 0
        self.end: End | None = None
        """None: the recorder was killed, or records still."""
        header = None
        for part in self._parts():
            match part:
                case Header():
                    header = part
                case Wearers():
                    self.wearers |= {each.collar.collar_id: each for each in part.wearers}
                case Heard():
                    self.count += len(part.messages)
                case End():
                    self.end = part
        if header is None:
            raise TapeError(f"{path} ends before its header: nothing was recorded")
        self.header = header

    def messages(self) -> Iterator[Message]:
        """Everything that was said, in order."""
        for part in self._parts():
            if isinstance(part, Heard):
                yield from part.messages

    def _parts(self) -> Iterator[Part]:
        try:
            with self.path.open("rb") as file:
                if (magic := file.read(len(MAGIC))) != MAGIC:
                    what = "is empty" if not magic else "is no recording of pawmesh record"
                    raise TapeError(f"{self.path} {what}")
                yield from self._frames(file)
        except OSError as error:
            raise TapeError(f"{self.path}: {error.strerror}") from error

    def _frames(self, file: BinaryIO) -> Iterator[Part]:
        decompress = zstandard.ZstdDecompressor().decompress
        number = 0
        while len(head := file.read(FRAME.size)) == FRAME.size:
            size, checksum = FRAME.unpack(head)
            if size > MAX_FRAME_BYTES:
                raise TapeError(f"{self.path} is damaged in frame {number}: {size} bytes long")
            body = file.read(size)
            if len(body) < size:
                return  # cut off: the recorder was killed while it wrote
            if zlib.crc32(body) != checksum:
                raise TapeError(f"{self.path} is damaged in frame {number}: wrong checksum")
            part = self._part(number, body, decompress)
            yield part
            number += 1

    def _part(self, number: int, body: bytes, decompress: Any) -> Part:
        try:
            if zstandard.frame_content_size(body) > MAX_FRAME_BYTES:
                raise zstandard.ZstdError(f"it unpacks to more than {MAX_FRAME_BYTES} bytes")
            raw = decompress(body, max_output_size=MAX_FRAME_BYTES)  # if no size is declared
            if number == 0:
                self._require_format(msgspec.msgpack.decode(raw))
            part = _decode(raw)
        except (
            zstandard.ZstdError,
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
        ) as error:
            raise TapeError(f"{self.path} is damaged in frame {number}: {error}") from error
        if isinstance(part, Header) != (number == 0):
            raise TapeError(f"{self.path} is damaged in frame {number}: a header belongs first")
        return part

    def _require_format(self, fields: Any) -> None:
        found = fields.get("format") if isinstance(fields, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise IncompatibleData(
                f"{self.path} has format {found}, this Pawmesh reads up to {FORMAT}. Update Pawmesh"
            )
