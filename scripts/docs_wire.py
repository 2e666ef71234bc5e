"""Write the tables of ``docs/reference/wire.md`` from the code that the wire is made of.

What stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` is generated; the rest is prose.
"""

import ast
import hashlib
import inspect
import json
import re
from base64 import b64encode
from enum import Enum
from itertools import starmap
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import inspect as types

from cloud.ingest.refusal import Refusal
from gateway.wire import errors, grants, messages, release, scalars, seal, topics, uplink
from gateway.wire.dictionary import DICTIONARIES
from gateway.wire.topics import Kind

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "wire.md"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
UNITS = {
    "_s": "s",
    "_hz": "Hz",
    "_m": "m",
    "_g": "g",
    "_deg": "°",
    "_mps": "m/s",
    "_pct": "%",
    "_g_per_lsb": "g",
    "_dps_per_lsb": "°/s",
    "seconds": "s",
    "joules": "J",
}
SHORT = {topics.ID_PATTERN + scalars.END: "id"}
STRUCTS: dict[str, type[msgspec.Struct]] = {
    each.__name__: each
    for module in (messages, release, grants, seal, uplink)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, msgspec.Struct)
}
ENUMS: dict[str, type[Enum]] = {
    "RejectReason": errors.RejectReason,
    "Refusal": Refusal,
    "ModelRefusal": release.ModelRefusal,
    "ModelState": messages.ModelState,
    "Choice": messages.Choice,
    "ClockQuality": messages.ClockQuality,
    "Kind": Kind,
}

# The worked example: a collar's third and fourth message in JSON, sealed together.
EXAMPLE = {
    "signing_key": bytes(range(32)).hex(),
    "salt_secret": bytes(range(32, 64)).hex(),
    "messages": [
        {
            "kind": "fix",
            "payload": '{"collar_id":"c7","boot":1767225600,"seq":2,'
            '"observed_at":"2026-01-01T00:02:00Z","lat_deg":52.5163,"lon_deg":-0.1276,'
            '"accuracy_m":8}',
        },
        {
            "kind": "epoch",
            "payload": '{"collar_id":"c7","boot":1767225600,"seq":3,'
            '"observed_at":"2026-01-01T00:01:00Z","uptime_s":120.5,'
            '"seconds":{"walk":12.5,"rest":47.5},"steps":300}',
        },
    ],
}


def render(page: str) -> str:
    """The page with every table as the code has it now."""

    def table(found: re.Match[str]) -> str:
        name = found[2]
        if name == "example":
            body = f"```json\n{json.dumps(example(), indent=2)}\n```\n"
        elif name == "dictionary":
            body = "\n".join(starmap(dictionary_text, sorted(DICTIONARIES.items())))
        elif name in ENUMS:
            body = enum_table(ENUMS[name])
        else:
            body = struct_table(STRUCTS[name])
        return found[1] + body + found[3]

    return TABLE.sub(table, page)


def dictionary_text(number: int, dictionary: bytes) -> str:
    """A preset dictionary of batches, and by what a copy of it is known to be right."""
    digest = hashlib.sha256(dictionary).hexdigest()
    return (
        f"Number {number}:\n\n```text\n{dictionary.decode()}\n```\n\n"
        f"{len(dictionary):,} bytes of ASCII; their SHA-256 is `{digest}`.\n"
    )


def struct_table(struct: type[msgspec.Struct]) -> str:
    """One row per field; those of ``Message`` only in its own table."""
    base = struct is not messages.Message and issubclass(struct, messages.Message)
    if base:
        common = {field.name for field in msgspec.structs.fields(messages.Message)}
    elif struct is uplink.Row:
        common = {field.name for field in msgspec.structs.fields(seal.Disclosure)}
    else:
        common = set[str]()
    meanings = docstrings(struct)
    lines = ["| field | type, unit, range | without it | meaning |", "|---|---|---|---|"]
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    for field in info.fields:
        if field.name not in common:
            said = f"`{field.encode_name}` | {kind_of(field.type, unit_of(field.name))}"
            lines.append(f"| {said} | {default_of(field)} | {meanings.get(field.name, '')} |")
    return "\n".join(lines) + "\n"


def enum_table(enum: type[Enum]) -> str:
    """One row per member."""
    meanings = docstrings(enum)
    lines = ["| value | meaning |", "|---|---|"]
    lines += [f"| `{member.value}` | {meanings.get(member.name, '')} |" for member in enum]
    return "\n".join(lines) + "\n"


def docstrings(cls: type) -> dict[str, str]:
    """The string under each field or member, on one line."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(meaning))),
            ):
                found[name] = " ".join(meaning.replace("``", "`").split())
    return found


def unit_of(name: str) -> str:
    """The unit that a field's name ends with."""
    fitting = [suffix for suffix in UNITS if name.endswith(suffix)]
    return UNITS[max(fitting, key=len)] if fitting else ""


def kind_of(kind: types.Type, unit: str = "") -> str:
    """A type in words, with unit and range."""
    match kind:
        case types.IntType(ge=low, le=high):
            return _listed("integer", span(None, low, high))
        case types.FloatType(gt=above, ge=low, le=high):
            return _listed("number", unit, span(above, low, high))
        case types.StrType(pattern=str(pattern)):
            return SHORT.get(pattern) or f"text `{pattern.removesuffix(scalars.END)}`"
        case types.StrType(max_length=int(most)):
            return f"text, 1-{most} characters"
        case types.StrType():
            return "text"
        case types.BytesType(min_length=low, max_length=high):
            count = "" if low is None else f"{low}" if low == high else f"{low}…{high}"
            return _listed("bytes", count)
        case types.BoolType():
            return "boolean"
        case types.DateTimeType():
            return "instant"
        case types.EnumType(cls=cls):
            return " ".join(f"`{member.value}`" for member in cls)
        case types.ListType(item_type=item, max_length=most):
            return _listed(f"list of {kind_of(item)}", "" if most is None else f"at most {most}")
        case types.DictType(key_type=key, value_type=value, max_length=most):
            limit = "" if most is None else f"at most {most}"
            return _listed(f"map of {kind_of(key)} to {kind_of(value, unit)}", limit)
        case types.StructType(cls=cls):
            return cls.__name__
        case types.UnionType(types=members):
            inner = [each for each in members if not isinstance(each, types.NoneType)]
            return kind_of(inner[0], unit)
        case _:
            return "anything"


def span(above: float | None, low: float | None, high: float | None) -> str:
    """A range in words."""
    top = {None: "", 2**53 - 1: "2⁵³-1", 1e9: "10⁹"}.get(high, f"{high or 0:g}")
    if above is not None:
        return f"above {above:g}, up to {top}"
    return f"{low:g}…{top}" if low is not None and top else ""


def default_of(field: types.Field) -> str:
    """What the reader takes where the field is missing."""
    if field.required:
        return "refused"
    if field.default is None:
        return "–"
    if field.default_factory is not msgspec.NODEFAULT:
        return "none"
    value = field.default
    if isinstance(value, bytes):
        value = value.decode()  # empty, as all defaults of bytes are
    return f"`{json.dumps(value.value if isinstance(value, Enum) else value)}`"


def example() -> dict[str, Any]:
    """The worked example with everything that follows from it."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(EXAMPLE["signing_key"]))
    read = [
        (Kind(each["kind"]), msgspec.json.decode(each["payload"])) for each in EXAMPLE["messages"]
    ]
    (_, first), (_, last) = read[0], read[-1]
    boot, first_seq, last_seq = first["boot"], first["seq"], last["seq"]
    secret = seal.batch_secret(bytes.fromhex(EXAMPLE["salt_secret"]), boot, first_seq)
    shown: list[dict[str, Any]] = []
    hashes: list[bytes] = []
    for sent, (kind, fields) in zip(EXAMPLE["messages"], read, strict=True):
        leaves = seal.leaves_of(kind, fields)
        seed = seal.message_seed(secret, fields["seq"])
        hashes.append(seal.message_hash(leaves, seed))
        proof = {"seed": seed.hex(), "leaves": _leaves(leaves, seed), "hash": hashes[-1].hex()}
        shown.append(sent | proof)
    root = seal.root_of(hashes)
    signature = seal.sign_root(key, first["collar_id"], boot, first_seq, last_seq, root)
    return {
        "signing_key": EXAMPLE["signing_key"],
        "public_key": key.public_key().public_bytes_raw().hex(),
        "salt_secret": EXAMPLE["salt_secret"],
        "batch_secret": secret.hex(),
        "messages": shown,
        "root": root.hex(),
        "signature": signature.hex(),
        "seal": {
            "collar_id": first["collar_id"],
            "boot": boot,
            "seq": last_seq + 1,
            "observed_at": "2026-01-01T00:02:01Z",
            "first_seq": first_seq,
            "last_seq": last_seq,
            "root": b64encode(root).decode(),
            "signature": b64encode(signature).decode(),
        },
    }


def _leaves(leaves: dict[str, Any], seed: bytes) -> dict[str, Any]:
    """Of each leaf its salt, what is packed, and its hash."""
    pack = msgspec.msgpack.Encoder(order="sorted").encode
    stream = hashlib.shake_256(seed).digest(seal.SALT_BYTES * len(leaves))
    shown: dict[str, Any] = {}
    for index, leaf in enumerate(leaves.items()):
        salt, packed = stream[index * seal.SALT_BYTES :][: seal.SALT_BYTES], pack(leaf)
        digest = hashlib.sha256(b"\x00" + salt + packed)
        shown[leaf[0]] = {"salt": salt.hex(), "packed": packed.hex(), "hash": digest.hexdigest()}
    return shown


def _listed(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
