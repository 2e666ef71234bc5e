"""The AsyncAPI document says what the code does, as the standard wants it said."""

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from gateway.alerts import Alert
from gateway.wire.codec import JSON, MSGPACK, decode, encode, type_of
from gateway.wire.errors import Rejected, RejectReason
from gateway.wire.topics import UPLINK_KINDS, Kind, Topic
from tests.strategies import MESSAGE_OF, sent

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "asyncapi.yaml").read_text("utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
STANDARD = ROOT / "tests" / "data" / "asyncapi-3.0.0.schema.json"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    folder = str(ROOT / "scripts")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("docs_asyncapi")
    finally:
        sys.path.remove(folder)


def validator(schema: str) -> Draft7Validator:
    """Of a payload, by the document alone."""
    here = f"#/components/schemas/{schema}"
    return Draft7Validator({"$ref": here, "components": DOCUMENT["components"]})


def payloads(kind: Kind) -> Draft7Validator:
    """Of a kind's payload, by the way a reader goes: channel, message, schema."""
    at = DOCUMENT["channels"][kind.value]["messages"][f"{kind.value}Json"]["$ref"]
    message = DOCUMENT["components"]["messages"][at.rpartition("/")[2]]
    assert message["contentType"] == JSON
    return validator(message["payload"]["$ref"].rpartition("/")[2])


def example(kind: Kind) -> dict[str, Any]:
    [given] = DOCUMENT["components"]["messages"][f"{kind.value}Json"]["examples"]
    return given["payload"]


def test_the_file_is_what_the_code_says(script: ModuleType) -> None:
    assert script.render() == TEXT, "run: python scripts/docs_asyncapi.py"


def test_it_is_an_asyncapi_3_document() -> None:
    standard = Draft7Validator(json.loads(STANDARD.read_text("utf-8")))
    wrong = [
        f"{list(error.path)}: {error.message[:200]}" for error in standard.iter_errors(DOCUMENT)
    ]
    assert not wrong


def test_the_standard_would_refuse_a_document_that_is_none() -> None:
    standard = Draft7Validator(json.loads(STANDARD.read_text("utf-8")))
    without = {name: part for name, part in DOCUMENT.items() if name != "info"}
    unknown = DOCUMENT | {"operations": {"sendFix": {"action": "shout"}}}
    assert not standard.is_valid(without)
    assert not standard.is_valid(unknown)


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r"\$ref: '#/([^']+)'", TEXT)):
        part: Any = DOCUMENT
        for name in reference.split("/"):
            assert name in part, reference
            part = part[name]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_topic_and_its_direction(kind: Kind) -> None:
    address = DOCUMENT["channels"][kind.value]["address"]
    topic = address.format(site="home", collarId="c7")
    assert Topic.parse(topic) == Topic("home", "c7", kind)
    action = "send" if kind in UPLINK_KINDS else "receive"
    operation = DOCUMENT["operations"][action + kind.value.capitalize()]
    assert operation["action"] == action
    assert operation["channel"]["$ref"] == f"#/channels/{kind.value}"
    assert operation["bindings"]["mqtt"]["qos"] == int(kind is not Kind.ACK)
    forms = DOCUMENT["channels"][kind.value]["messages"]
    said = {DOCUMENT["components"]["messages"][name]["contentType"] for name in forms}
    assert said == {JSON, MSGPACK}


def test_what_is_retained_is_what_the_reference_of_the_wire_says() -> None:
    page = (ROOT / "docs" / "reference" / "wire.md").read_text("utf-8")
    table = dict(re.findall(r"(?m)^\| `(\w+)` \| (?:up|down) \| (\w*) ?\|", page))
    assert set(table) == set(Kind)
    for operation in DOCUMENT["operations"].values():
        kind = operation["channel"]["$ref"].rpartition("/")[2]
        retained = table.get(kind) == "yes"
        assert operation["bindings"]["mqtt"]["retain"] is retained, kind


@pytest.mark.parametrize("struct", [*type_of.values(), Alert])
def test_every_field_is_described_by_its_type(struct: type[msgspec.Struct]) -> None:
    schema = DOCUMENT["components"]["schemas"][struct.__name__]
    fields = msgspec.structs.fields(struct)
    assert set(schema["properties"]) == {field.encode_name for field in fields}
    required = {field.encode_name for field in fields if field.required}
    assert set(schema["required"]) == required


def test_every_reason_is_there_with_its_meaning() -> None:
    schema = DOCUMENT["components"]["schemas"]["RejectReason"]
    assert schema["enum"] == list(RejectReason)
    for reason in RejectReason:
        assert f"- `{reason}`: " in schema["description"]


@pytest.mark.parametrize("kind", list(type_of))
def test_every_example_is_taken_by_the_codec_and_by_its_schema(kind: Kind) -> None:
    payload = json.dumps(example(kind)).encode()
    decoded = decode(Topic("home", "c7", kind), payload, JSON)
    assert decoded.extra is None
    payloads(kind).validate(example(kind))


def test_the_example_of_an_alert_is_one() -> None:
    [given] = DOCUMENT["components"]["messages"]["alertJson"]["examples"]
    msgspec.convert(given["payload"], Alert)
    validator("Alert").validate(given["payload"])


def test_the_last_will_is_a_status_that_the_codec_takes() -> None:
    will = DOCUMENT["servers"]["production"]["bindings"]["mqtt"]["lastWill"]
    topic = Topic.parse(will["topic"].format(site="home", collarId="c7"))
    payload = will["message"].replace("{collarId}", "c7").encode()
    assert decode(topic, payload).topic.kind is Kind.STATUS
    assert (will["qos"], will["retain"]) == (1, True)


def test_there_are_messages_of_every_kind_to_try() -> None:
    assert set(MESSAGE_OF) == set(type_of)


@given(sent)
def test_whatever_is_sent_in_json_is_as_its_schema_says(
    message: tuple[Kind, msgspec.Struct],
) -> None:
    kind, struct = message
    payloads(kind).validate(json.loads(encode(struct, JSON)))


@given(st.sampled_from(list(type_of)), st.data())
def test_what_lacks_a_field_is_refused_by_schema_and_codec_alike(
    kind: Kind, data: st.DataObject
) -> None:
    schema = DOCUMENT["components"]["schemas"][type_of[kind].__name__]
    missing = data.draw(st.sampled_from(schema["required"]))
    fields = {name: value for name, value in example(kind).items() if name != missing}
    assert not payloads(kind).is_valid(fields)
    with pytest.raises(Rejected):
        decode(Topic("home", "c7", kind), json.dumps(fields).encode(), JSON)


@given(st.sampled_from(list(type_of)))
def test_a_newer_senders_field_is_no_offence(kind: Kind) -> None:
    payloads(kind).validate(example(kind) | {"a_field_of_tomorrow": [1, 2]})
