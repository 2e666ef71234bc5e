"""JSON Schemas and examples of what goes over the wire, from its code; for ``docs_asyncapi``."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
from docs_wire import docstrings, unit_of
from msgspec import inspect as types

from gateway.wire.codec import JSON, decode, type_of
from gateway.wire.errors import RejectReason
from gateway.wire.topics import Kind, Topic

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# Better values than those that the types give; "Struct.field" goes before "field".
EXAMPLES: dict[str, Any] = {
    "collar_id": "c7",
    "boot": 1767225600,
    "seq": 3,
    "observed_at": "2026-01-01T00:01:00Z",
    "raised_at": "2026-01-01T00:01:01Z",
    "uptime_s": 120.5,
    "hardware": "nRF52840 rev 2",
    "firmware": "1.4.0",
    "sample_rate_hz": 25.0,
    "slot": "activity",
    "package": "activity",
    "Event.package": "activity@1.0.0",
    "version": "1.0.0",
    "Desired.version": 4,
    "sha256": DIGEST,
    "seconds": {"walk": 12.5, "rest": 47.5},
    "steps": 300,
    "Power.period_s": 3600.0,
    "days_left": 9.5,
    "joules": {"imu": 3.1, "wifi": 14.2, "gnss": 9.8},
    "battery_pct": 88.5,
    "lat_deg": 52.5163,
    "lon_deg": -0.1276,
    "accuracy_m": 8.0,
    "Event.name": "scratch",
    "confidence": 0.75,
    "label": "walk",
    "rate_hz": 25.0,
    "acc_g_per_lsb": 0.000244,
    "gyr_dps_per_lsb": 0.061,
    "first_seq": 1,
    "last_seq": 2,
    "Ack.refused": [f"{RejectReason.FUTURE_DATED}: set the collar's clock"],
    "Birth.seq": 0,
    "windows_per_hour": 6,
    "rollout": "rollout-1",
    "pet_id": "pet-1",
    "pet_name": "Luna",
    "plugin_id": "geofence",
    "Alert.key": "home",
    "Alert.title": "Luna has left Home",
    "severity": "warning",
    "Alert.detail": {"distance_m": 42.0},
}


def schemas_of(structs: list[type[msgspec.Struct]]) -> dict[str, Any]:
    """JSON Schemas of the payloads in their JSON form, with the docstrings of their fields."""
    _, found = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    for cls in classes(structs):
        schema = found[cls.__name__]
        if issubclass(cls, Enum):
            describe_members(schema, cls)
        else:
            schema["description"] = " ".join(schema.get("description", "").split())
            schema.pop("additionalProperties", None)  # readers tolerate what they do not know
            describe_fields(schema, cls)
    return {name: quoted(found[name]) for name in sorted(found)}


def enum_schema(enum: type[Enum]) -> dict[str, Any]:
    """The JSON Schema of an enum that no payload has as its type."""
    schema = {"title": enum.__name__, "type": "string", "enum": [each.value for each in enum]}
    describe_members(schema, enum)
    return quoted(schema)


def classes(structs: Iterable[type[msgspec.Struct]]) -> list[type]:
    """The structs, and all structs and enums within them."""
    found: dict[type, None] = {}

    def visit(kind: types.Type) -> None:
        match kind:
            case types.EnumType(cls=cls):
                found[cls] = None
            case types.StructType(cls=cls, fields=fields):
                if cls not in found:
                    found[cls] = None
                    for field in fields:
                        visit(field.type)
            case types.ListType(item_type=item):
                visit(item)
            case types.DictType(value_type=value):
                visit(value)
            case types.UnionType(types=members):
                for member in members:
                    visit(member)
            case _:
                pass

    for struct in structs:
        visit(types.type_info(struct))
    return list(found)


def describe_fields(schema: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put each field's docstring into its schema."""
    meanings: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if issubclass(cls, msgspec.Struct) and cls is not msgspec.Struct:
            meanings |= docstrings(cls)
    for name, of_field in schema["properties"].items():
        unit = unit_of(name)
        said = " ".join(filter(None, (meanings.get(name), f"In {unit}." if unit else "")))
        if said and "$ref" in of_field:  # what stands beside a $ref is not read
            of_field["allOf"] = [{"$ref": of_field.pop("$ref")}]
        if said:
            of_field["description"] = said


def describe_members(schema: dict[str, Any], enum: type[Enum]) -> None:
    """Put each member's docstring into the enum's description."""
    meanings = docstrings(enum)
    words = [" ".join((enum.__doc__ or "").split())]
    words += [f"- `{each.value}`: {meanings[each.name]}" for each in enum if each.name in meanings]
    schema["description"] = "\n".join(words)


def example(kind: Kind) -> dict[str, Any]:
    """A payload of this kind that the codec takes.

    Raises:
        Rejected: It does not; ``EXAMPLES`` needs a value for the field that is named.
    """
    fields = example_of(type_of[kind])
    decode(Topic("home", fields["collar_id"], kind), msgspec.json.encode(fields), JSON)
    return fields


def example_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Required fields, and those that ``EXAMPLES`` has something to say about."""
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    fields: dict[str, Any] = {}
    for field in info.fields:
        named = f"{struct.__name__}.{field.name}"
        if named in EXAMPLES or field.name in EXAMPLES:
            fields[field.encode_name] = EXAMPLES.get(named, EXAMPLES.get(field.name))
        elif field.required:
            fields[field.encode_name] = value_of(field.type)
    return fields


def value_of(kind: types.Type) -> Any:
    """Some value that the type admits, in JSON's terms."""
    match kind:
        case types.IntType(ge=low):
            return low or 0
        case types.FloatType(gt=above, ge=low):
            return float(low if above is None else above + 1) if low or above else 0.0
        case types.StrType(pattern=str(pattern)):
            return fitting(pattern)
        case types.StrType(min_length=least):
            return "x" * (least or 1)
        case types.BytesType(min_length=least):
            return msgspec.to_builtins(bytes(least or 0))
        case types.BoolType():
            return True
        case types.DateTimeType():
            return msgspec.to_builtins(datetime(2026, 1, 1, tzinfo=UTC))
        case types.EnumType(cls=cls):
            return next(iter(cls)).value
        case types.ListType(item_type=item):
            return [value_of(item)]
        case types.DictType(key_type=key, value_type=value):
            return {value_of(key): value_of(value)}
        case types.StructType(cls=cls):
            return example_of(cls)
        case types.UnionType(types=members):
            return value_of(next(each for each in members if not isinstance(each, types.NoneType)))
        case _:
            return None


def fitting(pattern: str) -> str:
    """Some text of a simple pattern.

    >>> fitting("^[0-9a-f]{4}$"), fitting("^[a-z][a-z-]{0,9}$")
    ('0000', 'a')
    """
    lengths = {1, *map(int, re.findall(r"\{(\d+)\}", pattern))}
    tried = [letter * length for length in sorted(lengths) for letter in "a0"]
    return next(text for text in tried if re.search(pattern, text))


def quoted(value: Any) -> Any:
    """Docstrings' double backticks as Markdown has them."""
    match value:
        case dict():
            return {name: quoted(each) for name, each in value.items()}
        case list():
            return [quoted(each) for each in value]
        case str():
            return value.replace("``", "`")
        case _:
            return value
