"""Write ``docs/reference/asyncapi.yaml``: the wire as an AsyncAPI 3 document, from its code.

Everything follows from ``topics.Kind`` and ``codec.type_of``: a new kind of message needs nothing
but another run. An example that the codec refuses stops it: ``wire_schemas.EXAMPLES`` takes better
values.
"""

from pathlib import Path
from typing import Any

import yaml
from wire_schemas import enum_schema, example, example_of, schemas_of

from gateway.alerts import Alert
from gateway.wire.codec import JSON, MSGPACK, type_of
from gateway.wire.errors import RejectReason
from gateway.wire.messages import MAX_PAYLOAD_BYTES
from gateway.wire.topics import DOWNLINK_KINDS, ROOT, UNKEYED_KINDS, VERSION, Kind

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "asyncapi.yaml"
RETAINED = frozenset({Kind.BIRTH, Kind.STATUS})
WILL = Kind.STATUS
HEAD = "# Written by scripts/docs_asyncapi.py from the code of gateway/wire; changes are lost.\n"
FORMS = {MSGPACK: "Packed", JSON: "Json"}  # what a message's name ends with, by content type

ABOUT = f"""\
What a Pawmesh collar says over MQTT 5, and what it is told. The application that this document
describes is **a collar**: what it *sends* goes up to the home's gateway, what it *receives* comes
from there.

Every message is at most {MAX_PAYLOAD_BYTES} bytes, in MessagePack or JSON; both have the same
fields. In JSON, bytes are Base64 and instants RFC 3339 text; MessagePack has bytes as `bin` and
instants as text or as its timestamp extension. Readers tolerate fields they do not know. A message
with a key `(boot, seq)` is kept by the collar until an `ack` covers it.

Seals, the order of things and worked examples are in `wire.md`, beside this file."""
USER_PROPERTIES = {
    "title": "UserProperties",
    "description": "MQTT 5 user properties.",
    "type": "object",
    "properties": {
        "sent_at": {
            "type": "string",
            "format": "date-time",
            "description": "When it was sent, set anew each time; optional.",
        }
    },
}
PACKED = "In MessagePack: bytes are `bin`, instants text or the timestamp extension."


def document() -> dict[str, Any]:
    """The whole document."""
    kinds = sorted(type_of, key=list(Kind).index)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pawmesh: the wire between collar and gateway",
            "version": f"{VERSION.removeprefix('v')}.0.0",
            "description": ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": MSGPACK,
        "servers": servers(),
        "channels": {kind.value: channel(kind) for kind in kinds} | {"alert": alert_channel()},
        "operations": dict(map(operation, kinds)) | {"receiveAlert": alert_operation()},
        "components": {
            "messages": {
                name: message(kind, form) for kind in kinds for form, name in names(kind).items()
            }
            | {"alertJson": alert_message()},
            "schemas": schemas_of([*type_of.values(), Alert])
            | {
                "RejectReason": enum_schema(RejectReason),
                "UserProperties": USER_PROPERTIES,
            },
            "parameters": parameters(),
            "securitySchemes": {
                "login": {
                    "type": "userPassword",
                    "description": "Of the collar's site. It opens this site's topics only.",
                }
            },
        },
    }


def servers() -> dict[str, Any]:
    """Where brokers are: one in production, and the one that ``pawmesh up`` brings."""
    client = {
        "clientId": "{collarId}",
        "cleanSession": True,
        "keepAlive": 30,
        "lastWill": {
            "topic": address(WILL),
            "qos": 1,
            "retain": True,
            "message": '{"collar_id":"{collarId}","state":"offline"}',
        },
        "bindingVersion": "0.2.0",
    }
    common = {
        "protocolVersion": "5.0",
        "security": [ref("securitySchemes", "login")],
        "bindings": {"mqtt": client},
    }
    return {
        "production": {
            "host": "{broker}:8883",
            "protocol": "secure-mqtt",
            "description": "Mosquitto with TLS, as `compose.yaml` has it.",
            "variables": {"broker": {"description": "A name in the broker's certificate."}},
            **common,
        },
        "embedded": {
            "host": "127.0.0.1:{port}",
            "protocol": "mqtt",
            "description": "The broker that `pawmesh up` starts, for this machine only.",
            "variables": {"port": {"description": "As `pawmesh collar add --json` says."}},
            **common,
        },
    }


def channel(kind: Kind) -> dict[str, Any]:
    """The topic of one kind."""
    return {
        "address": address(kind),
        "title": type_of[kind].__name__,
        "description": about(type_of[kind]) + keeping(kind),
        "parameters": {name: ref("parameters", name) for name in parameters()},
        "messages": {name: ref("messages", name) for name in names(kind).values()},
    }


def operation(kind: Kind) -> tuple[str, dict[str, Any]]:
    """What a collar does with a kind: sends it, or is sent it."""
    down = kind in DOWNLINK_KINDS
    name = ("receive" if down else "send") + kind.value.capitalize()
    return name, {
        "action": "receive" if down else "send",
        "title": f"{'Receive' if down else 'Send'} {kind.value}",
        "summary": about(type_of[kind]),
        "channel": {"$ref": f"#/channels/{kind.value}"},
        "bindings": {
            "mqtt": {
                "qos": int(kind is not Kind.ACK),
                "retain": kind in RETAINED,
                "bindingVersion": "0.2.0",
            },
        },
        "messages": [
            {"$ref": f"#/channels/{kind.value}/messages/{each}"} for each in names(kind).values()
        ],
    }


def message(kind: Kind, form: str) -> dict[str, Any]:
    """One kind in one encoding."""
    struct = type_of[kind]
    made: dict[str, Any] = {
        "name": kind.value,
        "title": f"{struct.__name__} in {'MessagePack' if form == MSGPACK else 'JSON'}",
        "contentType": form,
        "headers": ref("schemas", "UserProperties"),
        "payload": ref("schemas", struct.__name__),
        "bindings": {
            "mqtt": {"payloadFormatIndicator": int(form == JSON), "bindingVersion": "0.2.0"},
        },
    }
    if form == MSGPACK:
        return made | {"description": PACKED}
    return made | {"examples": [{"name": kind.value, "payload": example(kind)}]}


def alert_channel() -> dict[str, Any]:
    """Where the gateway tells the owner; no collar's business."""
    return {
        "address": f"{ROOT}/{VERSION}/{{site}}/alert",
        "title": "Alert",
        "description": "The gateway's word to whoever listens for the owner, once, as it is raised."
        " Not for collars. What was missed is at the gateway's `GET /v1/alerts`.",
        "parameters": {"site": ref("parameters", "site")},
        "messages": {"alertJson": ref("messages", "alertJson")},
    }


def alert_operation() -> dict[str, Any]:
    """For an owner's own listener."""
    return {
        "action": "receive",
        "title": "Receive alerts",
        "summary": "For a listener of the owner's, such as a home automation; not for collars.",
        "channel": {"$ref": "#/channels/alert"},
        "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
        "messages": [{"$ref": "#/channels/alert/messages/alertJson"}],
    }


def alert_message() -> dict[str, Any]:
    """An alert, always in JSON."""
    return {
        "name": "alert",
        "title": "Alert in JSON",
        "contentType": JSON,
        "headers": ref("schemas", "UserProperties"),
        "payload": ref("schemas", Alert.__name__),
        "examples": [{"name": "alert", "payload": example_of(Alert)}],
    }


def parameters() -> dict[str, Any]:
    """What stands in a topic for whom."""
    return {
        "site": {
            "description": "The group of collars that one gateway owns: 1 to 32 of `a-z 0-9 -`.",
            "examples": ["home"],
        },
        "collarId": {
            "description": "The collar, as in the payload's `collar_id`: 1 to 32 of `a-z 0-9 -`.",
            "location": "$message.payload#/collar_id",
            "examples": ["c7"],
        },
    }


def address(kind: Kind) -> str:
    """A kind's topic with places for site and collar."""
    return f"{ROOT}/{VERSION}/{{site}}/{{collarId}}/{kind.value}"


def names(kind: Kind) -> dict[str, str]:
    """The names of a kind's messages, by content type."""
    return {form: f"{kind.value}{suffix}" for form, suffix in FORMS.items()}


def keeping(kind: Kind) -> str:
    """How long a message of this kind matters, in words."""
    return "" if kind in DOWNLINK_KINDS | UNKEYED_KINDS else " Sent again until an `ack` covers it."


def about(struct: type) -> str:
    """A struct's docstring on one line."""
    return " ".join((struct.__doc__ or "").replace("``", "`").split())


def ref(section: str, name: str) -> dict[str, str]:
    """A reference into the components."""
    return {"$ref": f"#/components/{section}/{name}"}


class _Dumper(yaml.SafeDumper):
    """Several lines stay several lines; nothing is written as a reference to elsewhere."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never an alias."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _text)


def render() -> str:
    """The file's text."""
    return HEAD + yaml.dump(
        document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
