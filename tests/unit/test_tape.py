"""Recordings of the wire as files: whole, cut off, damaged, foreign, newer."""

import tracemalloc
import zlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.uplink import EnrolledCollar
from pawmesh.errors import IncompatibleData, NoAccess
from pawmesh.record.tape import FORMAT, FRAME, Header, Message, Tape, TapeError, TapeWriter, Wearer

AT = datetime(2026, 5, 1, tzinfo=UTC)
COLLAR = EnrolledCollar(collar_id="c1", pet_id="p1", pet_name="Rex", assigned_at=AT)


def message(n: int) -> Message:
    return Message(n / 10, "pawmesh/v1/home/c1/epoch", bytes([n % 256]) * 50, None, AT, n == 0)


def written(path: Path, count: int, *, ended: bool = True, frames: int = 2) -> Path:
    writer = TapeWriter.create(path, Header(site="home", started_at=AT))
    writer.introduce([Wearer(collar=COLLAR)])
    for n in range(count):
        writer.add(message(n))
        if n % (count // frames) == 0:
            writer.flush()
    if ended:
        writer.end(1.5)
    else:
        writer.flush()
        writer._file.close()
    return path


def readable(path: Path, content: bytes) -> int:
    """How many messages a file of this content holds; -1 if it is refused."""
    path.write_bytes(content)
    try:
        return Tape(path).count
    except TapeError:
        return -1


def test_what_was_heard_comes_back_byte_for_byte(tmp_path: Path) -> None:
    tape = Tape(written(tmp_path / "a.tape", 40))
    assert list(tape.messages()) == [message(n) for n in range(40)]
    assert tape.count == 40
    assert tape.header == Header(site="home", started_at=AT)
    assert tape.wearers == {"c1": Wearer(collar=COLLAR)}
    assert tape.end is not None
    assert tape.end.messages == 40


def test_a_killed_recording_is_good_up_to_its_last_whole_frame(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tape", 40, ended=False)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    tape = Tape(path)
    assert tape.end is None
    assert 0 < tape.count < 40
    assert list(tape.messages()) == [message(n) for n in range(tape.count)]


def test_a_tape_cut_anywhere_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tape", 12, frames=6)
    whole = path.read_bytes()
    counts = [readable(path, whole[:size]) for size in range(len(whole))]
    assert counts == sorted(counts)
    assert counts[0] == -1
    assert counts[-1] == 12


@given(st.data())
def test_a_flipped_byte_is_an_error_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("tape") / "a.tape", 12, frames=6)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        heard = list(Tape(path).messages())
    except (TapeError, IncompatibleData):
        return
    assert heard == [message(n) for n in range(len(heard))]  # a length made it end early


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"PAR1 something else", "no recording"),
        (b"PAWTAPE\n", "before its header"),
        (b"PAWTAPE\n" + FRAME.pack(2**31, 0), "damaged in frame 0"),
        (b"PAWTAPE\n" + FRAME.pack(3, 5) + b"abc", "wrong checksum"),
    ],
)
def test_what_is_no_tape_is_refused_with_a_reason(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "a.tape"
    path.write_bytes(content)
    with pytest.raises(TapeError, match=says):
        Tape(path)


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"none\.tape"):
        Tape(tmp_path / "none.tape")


def test_a_newer_format_says_that_pawmesh_must_be_updated(tmp_path: Path) -> None:
    writer = TapeWriter.create(
        tmp_path / "a.tape", Header(format=FORMAT + 1, site="home", started_at=AT)
    )
    writer.end(0.0)
    with pytest.raises(IncompatibleData, match="Update Pawmesh") as caught:
        Tape(tmp_path / "a.tape")
    assert caught.value.exit_code == 5


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "a.tape", 4)
    with pytest.raises(NoAccess, match="exists already"):
        TapeWriter.create(tmp_path / "a.tape", Header(site="home", started_at=AT))


def framed(body: bytes) -> bytes:
    return b"PAWTAPE\n" + FRAME.pack(len(body), zlib.crc32(body)) + body


@pytest.mark.parametrize("declared", [True, False])
def test_a_bomb_is_not_unpacked(tmp_path: Path, declared: bool) -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=declared)
    path = tmp_path / "a.tape"
    path.write_bytes(framed(compressor.compress(b"\0" * (80 * 2**20))))
    tracemalloc.start()
    try:
        with pytest.raises(TapeError, match="damaged in frame 0"):
            Tape(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 70 * 2**20


def test_a_frame_nested_beyond_measure_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    path.write_bytes(framed(zstandard.compress(b"\x91" * 100_000 + b"\xc0")))
    with pytest.raises(TapeError, match="damaged in frame 0"):
        Tape(path)


def test_what_mqtt_cannot_carry_was_never_heard(tmp_path: Path) -> None:
    for long in (
        {"topic": "t" * 65_536},
        {"topic": "\u00fc" * 40_000},
        {"content_type": "c" * 65_536},
    ):
        fields = {"topic": "t", "content_type": None} | long
        heard = [0.0, fields["topic"], b"x", fields["content_type"], None, False]
        body = msgspec.msgpack.encode({"type": "Heard", "messages": [heard]})
        path = written(tmp_path / "a.tape", 4)
        path.write_bytes(path.read_bytes() + framed(zstandard.compress(body))[8:])
        with pytest.raises(TapeError, match="MQTT cannot carry"):
            Tape(path)
        path.unlink()


def test_a_tape_with_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    TapeWriter.create(path, Header(site="home", started_at=AT, with_secrets=True)).end(0.0)
    assert path.stat().st_mode & 0o777 == 0o600
