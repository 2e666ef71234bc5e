"""The form of a backup: a tar of plain files under zstd, its manifest first.

``tar --zstd -xf FILE`` opens it anywhere. Our own reader is stricter than tar: it takes the very
files that the manifest lists, in that order, each a plain file of the size and digest it says.
So there is nothing to be fooled by: no links, no other types, no duplicates, nothing unlisted,
no name that leads out of the folder, and never more bytes than the manifest owns up to.
"""

import hashlib
import os
import tarfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, Self

import msgspec
import zstandard
from msgspec import Meta, Struct

from pawmesh.backup.errors import DamagedBackup
from pawmesh.errors import IncompatibleData

FORMAT = 1
MAGIC = b"\x28\xb5\x2f\xfd"  # of a zstd frame
MANIFEST = "pawmesh-backup.json"
DUMP = "cloud.dump"
"""The cloud's database, as ``pg_dump --format=custom`` writes it."""
FILES = "data/"
"""Before the names of what lay in the data folder."""
LEVEL = 6
MAX_WINDOW_BYTES = 2**23  # memory that a reader is asked for; no level of ours needs more
MAX_MANIFEST_BYTES = 16 * 2**20  # some 100,000 members
MAX_NAME = 255  # characters that a plain tar header holds
USTAR_BYTES = 8 * 2**30  # larger members need GNU's way of writing a size
CHUNK_BYTES = 2**20
BLOCK = tarfile.BLOCKSIZE

Size = Annotated[int, Meta(ge=0, le=2**50)]
Version = Annotated[str, Meta(pattern=r"^[!-~]{1,40}$")]  # it is told on a terminal


class Member(Struct, frozen=True, kw_only=True):
    """One file of the backup."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    size: Size
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    mode: Annotated[int, Meta(ge=0, le=0o777)] = 0o600


class Schemas(Struct, frozen=True, kw_only=True):
    """Which version each store is of: so that a newer one is known before it is unpacked."""

    cloud: list[str]
    """Names of the migrations that its database has."""
    gateway: int
    flash: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What the backup is of, and what is in it."""

    format: int
    pawmesh: Version
    """The version that wrote it."""
    created_at: datetime
    site: str
    schemas: Schemas
    members: list[Member]


class _Form(Struct):
    """All that a later format promises to keep."""

    format: int
    pawmesh: Version = "?"


def write(file: BinaryIO, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write a whole backup.

    Args:
        file: Where to; not closed.
        manifest: Its members' names, sizes and digests are those of the sources.
        sources: The file of each member.
    """
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, threads=-1)
    with compressor.stream_writer(file, closefd=False) as tar:
        told = msgspec.json.format(msgspec.json.encode(manifest))
        tar.write(_header(MANIFEST, len(told), 0o600, manifest.created_at))
        tar.write(told + _padding(len(told)))
        for member in manifest.members:
            tar.write(_header(member.name, member.size, member.mode, manifest.created_at))
            with sources[member.name].open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    tar.write(chunk)
            tar.write(_padding(member.size))
        tar.write(bytes(2 * BLOCK))


class Archive:
    """A backup that is being read, once from its beginning to its end."""

    def __init__(self, tar: BinaryIO, manifest: Manifest) -> None:
        self.manifest = manifest
        self._tar = tar

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Generator[Self]:
        """The backup in a file; its manifest has been read.

        Raises:
            DamagedBackup: It is none.
            IncompatibleData: It is of a newer format.
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DamagedBackup(f"{path} is no backup of Pawmesh")
            file.seek(0)
            decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
            with decompressor.stream_reader(file, closefd=False) as tar:
                try:
                    yield cls(tar, _read_manifest(tar, path))  # pyright: ignore[reportArgumentType] - reads as one
                except zstandard.ZstdError as error:
                    raise DamagedBackup(f"{path} is damaged: {error}") from error

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(member.size for member in self.manifest.members)

    def unpack(self, folder: Path) -> Iterator[Member]:
        """Write each member under ``folder``, which has nothing of it yet, and tell when it is.

        Raises:
            DamagedBackup: The archive is not what its manifest says.
            OSError: It cannot be written.
        """
        for member in self.manifest.members:
            _expect(self._tar, member.name, member.size)
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(target, "xb", opener=_private) as file:
                digest = hashlib.sha256()
                for chunk in _chunks(self._tar, member.size, member.name):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != member.sha256:
                raise DamagedBackup(f"{member.name} is damaged: its digest is another")
            target.chmod(member.mode & 0o755 | 0o600)  # nobody but the owner writes
            yield member
        ending = _exactly(self._tar, 2 * BLOCK, "its end")
        ending += self._tar.read(tarfile.RECORDSIZE)  # tar fills up what it writes; and to
        if ending.strip(b"\0") or self._tar.read(1):  # the checksum at the frame's end
            raise DamagedBackup("It holds more than its manifest lists")


def _header(name: str, size: int, mode: int, at: datetime) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, int(at.timestamp())
    form = tarfile.USTAR_FORMAT if size < USTAR_BYTES else tarfile.GNU_FORMAT
    return info.tobuf(form)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _read_manifest(tar: BinaryIO, path: Path) -> Manifest:
    info = _next_header(tar)
    if info.name != MANIFEST or not info.size <= MAX_MANIFEST_BYTES:
        raise DamagedBackup(f"{path} is no backup of Pawmesh: it does not begin with {MANIFEST}")
    told = b"".join(_chunks(tar, info.size, MANIFEST))
    try:
        form = msgspec.json.decode(told, type=_Form)
        if form.format > FORMAT:
            raise IncompatibleData(
                f"{path} is a backup of format {form.format}, written by Pawmesh {form.pawmesh}; "
                f"this Pawmesh reads up to format {FORMAT}. Restore it with a newer Pawmesh"
            )
        manifest = msgspec.json.decode(told, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedBackup(f"{path} has a manifest that cannot be read: {error}") from error
    seen: set[str] = set()
    for member in manifest.members:
        if not is_safe(member.name):
            raise DamagedBackup(f"{path} has a member that leads elsewhere: {member.name!r}")
        if member.name in seen:
            raise DamagedBackup(f"{path} has {member.name!r} twice")
        seen.add(member.name)
    if DUMP not in seen:
        raise DamagedBackup(f"{path} holds no database")
    if len(seen) < 2:
        raise DamagedBackup(f"{path} holds nothing of a data folder")
    return manifest


def is_safe(name: str) -> bool:
    r"""Whether a member may be written under its name.

    >>> [is_safe(name) for name in ("cloud.dump", "data/gateway/gateway.db", "data/a b")]
    [True, True, True]
    >>> [is_safe(name) for name in ("/etc/passwd", "data/../../x", "data//x", "data/.", "data/")]
    [False, False, False, False, False]
    >>> [is_safe(name) for name in ("other", "data/database/x", "data/lock", "data/x\n")]
    [False, False, False, False]
    """
    if name == DUMP:
        return True
    parts = name.split("/")
    return (
        name.startswith(FILES)
        and name.isprintable()
        and "\\" not in name
        and not {"", ".", ".."}.intersection(parts)
        and str(PurePosixPath(name)) == name
        and parts[1] not in ("database", "lock", "running.json")  # these the restore makes itself
    )


def _expect(tar: BinaryIO, name: str, size: int) -> None:
    info = _next_header(tar)
    if (info.name, info.size) != (name, size):
        raise DamagedBackup(f"After its manifest, {name} of {size} bytes should come; it does not")


def _next_header(tar: BinaryIO) -> tarfile.TarInfo:
    """The next header, of a plain file; read alone, as tarfile would read on for other types."""
    block = _exactly(tar, BLOCK, "a header")
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise DamagedBackup(f"It is damaged where a file should begin: {error}") from error
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise DamagedBackup(f"{info.name!r} is no plain file")
    return info


def _chunks(tar: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    left = size
    while left:
        chunk = tar.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise DamagedBackup(f"It ends within {name}: a part of the file is missing")
        left -= len(chunk)
        yield chunk
    _exactly(tar, len(_padding(size)), name)


def _exactly(tar: BinaryIO, size: int, name: str) -> bytes:
    found = b""
    while len(found) < size:
        chunk = tar.read(size - len(found))
        if not chunk:
            raise DamagedBackup(f"It ends before {name}: a part of the file is missing")
        found += chunk
    return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
