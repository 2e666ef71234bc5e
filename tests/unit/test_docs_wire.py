"""The reference of the wire says what the code does, and a stranger can build to it."""

import hashlib
import hmac
import importlib.util
import json
import re
import zlib
from base64 import b64decode
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.wire.codec import JSON, MAX_NESTING, MSGPACK, decode, type_of
from gateway.wire.errors import RejectReason
from gateway.wire.grants import Precision, Stream
from gateway.wire.messages import MAX_FUTURE_S, MAX_PAYLOAD_BYTES, ModelState, Seal
from gateway.wire.release import ModelRefusal
from gateway.wire.seal import verify_root, verify_signature
from gateway.wire.topics import Kind, Topic
from gateway.wire.uplink import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    MAX_ROWS,
    MAX_SIGNATURE_AGE_S,
    SIGNATURE_HEADER,
    SIGNED_AT_HEADER,
    SITE_HEADER,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "wire.md").read_text("utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_wire", ROOT / "scripts" / "docs_wire.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_code(script: ModuleType) -> None:
    assert script.render(PAGE) == PAGE, "run: python scripts/docs_wire.py"


def test_every_kind_field_and_reason_is_on_the_page() -> None:
    tables = set(re.findall(r"<!-- table: (\w+) -->", PAGE))
    assert {struct.__name__ for struct in type_of.values()} <= tables
    for word in (
        *Kind,
        *RejectReason,
        *ModelRefusal,
        *ModelState,
        *Stream,
        *Precision,
        JSON,
        MSGPACK,
        CONTENT_TYPE,
    ):
        assert f"`{word}`" in PAGE, word
    for header in (SITE_HEADER, SIGNED_AT_HEADER, SIGNATURE_HEADER):
        assert f"{header}: " in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    assert f"**{MAX_PAYLOAD_BYTES:,} bytes**" in PAGE
    assert f"more than {MAX_FUTURE_S:g} s ahead" in PAGE
    assert f"at most {MAX_NESTING} deep" in PAGE
    assert f"at most {MAX_BODY_BYTES // 2**20} MiB unpacked, {MAX_ROWS:,} rows" in PAGE
    assert f"at most {MAX_SIGNATURE_AGE_S:g} s from the cloud's clock" in PAGE


def test_links_within_the_documentation_hold() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    how_to = (ROOT / "docs" / "how-to" / "bring-your-own-collar.md").read_text("utf-8")
    for anchor in (*re.findall(r"\]\(#([^)]+)\)", PAGE), *re.findall(r"wire\.md#([^)]+)", how_to)):
        assert anchor in headings
    for path in re.findall(r"\]\(([^)#]+\.md)", PAGE):
        assert (ROOT / "docs" / "reference" / path).exists()


def pack(value: Any) -> bytes:
    """MessagePack as the page's table has it; written from the page and not from our code."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case float():
            return b"\xcb" + msgspec.msgpack.encode(value)[1:]
        case int() if 0 <= value < 128 or -32 <= value < 0:
            return (value % 256).to_bytes()
        case int():
            for bits, unsigned, signed in ((8, 0xCC, 0xD0), (16, 0xCD, 0xD1), (32, 0xCE, 0xD2)):
                if 0 <= value < 1 << bits:
                    return bytes([unsigned]) + value.to_bytes(bits // 8)
                if -(1 << bits - 1) <= value < 0:
                    return bytes([signed]) + value.to_bytes(bits // 8, signed=True)
            return (b"\xcf" if value > 0 else b"\xd3") + value.to_bytes(8, signed=value < 0)
        case str():
            raw = value.encode()
            assert len(raw) < 256
            return (bytes([0xA0 + len(raw)]) if len(raw) < 32 else bytes([0xD9, len(raw)])) + raw
        case bytes():
            assert len(value) < 256
            return bytes([0xC4, len(value)]) + value
        case list() | tuple():
            assert len(value) < 16
            return bytes([0x90 + len(value)]) + b"".join(map(pack, value))
        case dict():
            assert len(value) < 16
            pairs = sorted(value.items(), key=lambda pair: pair[0].encode())
            return bytes([0x80 + len(value)]) + b"".join(
                pack(each) for pair in pairs for each in pair
            )
        case _:
            raise TypeError(value)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class TestTheExample:
    """Recomputed from the page alone."""

    @pytest.fixture
    def example(self) -> dict[str, Any]:
        found = re.search(r"<!-- table: example -->\n```json\n(.*?)```", PAGE, re.DOTALL)
        assert found is not None
        return json.loads(found[1])

    def test_it_follows_from_the_text(self, example: dict[str, Any]) -> None:
        sent = [json.loads(each["payload"]) for each in example["messages"]]
        collar_id, boot = sent[0]["collar_id"], sent[0]["boot"]
        first, last = sent[0]["seq"], sent[-1]["seq"]
        label = b"salts" + boot.to_bytes(8) + first.to_bytes(8)
        secret = hmac.digest(bytes.fromhex(example["salt_secret"]), label, "sha256")
        assert secret.hex() == example["batch_secret"]
        hashes = [
            self.follow(*each, secret) for each in zip(example["messages"], sent, strict=True)
        ]
        root = sha(b"\x02", *hashes)
        assert root.hex() == example["root"]
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(example["signing_key"]))
        assert key.public_key().public_bytes_raw().hex() == example["public_key"]
        statement = b"pawmesh-seal-v1" + pack([collar_id, boot, first, last, root])
        assert key.sign(statement).hex() == example["signature"]
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(example["public_key"]))
        public.verify(b64decode(example["seal"]["signature"]), statement)

    def follow(self, shown: dict[str, Any], fields: dict[str, Any], secret: bytes) -> bytes:
        header = ("collar_id", "boot", "seq", "observed_at", "uptime_s", "clock")
        leaves = {name: value for name, value in fields.items() if name not in header}
        leaves["_header"] = [shown["kind"], *map(fields.get, header)]
        if shown["kind"] == "fix":
            for name, cells in (("100m", 1000), ("1km", 100), ("10km", 10)):
                where = fields["lat_deg"] * cells, fields["lon_deg"] * cells
                leaves[f"position_{name}"] = [int(each // 1) for each in where]
        seed = hmac.digest(secret, fields["seq"].to_bytes(8), "sha256")
        assert seed.hex() == shown["seed"]
        salts = hashlib.shake_256(seed).digest(16 * len(leaves))
        assert list(shown["leaves"]) == sorted(leaves, key=str.encode)
        hashes: list[bytes] = []
        for index, (name, leaf) in enumerate(shown["leaves"].items()):
            salt, packed = salts[16 * index : 16 * index + 16], pack([name, leaves[name]])
            hashes.append(sha(b"\x00", salt, packed))
            said = {"salt": salt.hex(), "packed": packed.hex(), "hash": hashes[-1].hex()}
            assert leaf == said, name
        assert sha(b"\x01", *hashes).hex() == shown["hash"]
        return sha(b"\x01", *hashes)

    def test_the_gateway_takes_it(self, example: dict[str, Any]) -> None:
        for each in example["messages"]:
            decode(Topic("home", "c7", Kind(each["kind"])), each["payload"].encode())
        payload = json.dumps(example["seal"]).encode()
        seal = decode(Topic("home", "c7", Kind.SEAL), payload).message
        assert isinstance(seal, Seal)
        verify_signature(bytes.fromhex(example["public_key"]), seal)
        verify_root(seal, [bytes.fromhex(each["hash"]) for each in example["messages"]])

    @pytest.mark.parametrize(
        "value",
        [
            *(sign * (1 << bits) + by for bits in range(63) for sign in (1, -1) for by in (-1, 0)),
            *(0, 2**64 - 1, -(2**63), 8.0, -0.0, 1e300, True, False, None, "", "é" * 15, "x" * 32),
            *(
                b"",
                bytes(32),
                [],
                [1, ["a"]],
                {"b": 1, "a": {"d": None, "c": 2.5}},
                {"é": 1, "z": 2},
            ),
        ],
    )
    def test_values_are_packed_as_the_table_says(self, value: object) -> None:
        assert pack(value) == msgspec.msgpack.Encoder(order="sorted").encode(value)

    def test_what_is_read_from_json_is_packed_as_the_table_says(self) -> None:
        read = msgspec.json.decode(b'[8, 8.0, 1e2, -1, "8", null, true]')
        assert pack(read) == msgspec.msgpack.encode([8, 8.0, 100.0, -1, "8", None, True])


def test_a_stranger_opens_a_batch_with_the_dictionary_of_the_page() -> None:
    shown = re.search(
        r"<!-- table: dictionary -->\nNumber 1:\n\n```text\n(.*?)\n```", PAGE, re.DOTALL
    )
    assert shown is not None
    data = ROOT / "tests" / "data" / "batch-1"
    deflated = b64decode(json.loads((data / "batch.json").read_bytes())["deflated"])
    inflate = zlib.decompressobj(-15, shown[1].encode("ascii"))
    assert inflate.decompress(deflated) == (data / "lines.txt").read_bytes()
