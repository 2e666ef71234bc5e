"""Write the generated parts of ``docs/reference/settings.md`` and ``docs/reference/cli.md``.

What stands between ``<!-- settings: MODULE -->`` or ``<!-- commands -->`` and ``<!-- end -->``
comes from the code; the rest is prose.
"""

import re
from datetime import timedelta
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from pawmesh.cli import app

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = (REFERENCE / "settings.md", REFERENCE / "cli.md")
MARKED = re.compile(r"(<!-- (settings|commands)(?:: ([\w.]+))? -->\n).*?(<!-- end -->)", re.DOTALL)
TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "JSON list",
    "string": "text",
}
FORMATS = {
    "path": "path",
    "password": "secret text",
    "date-time": "instant, as in ISO 8601",
    "duration": "duration: `90s` `5m` `24h` `30d`",
}
BOUNDS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}


def render(page: str) -> str:
    """The page with every generated part as the code has it now."""

    def part(found: re.Match[str]) -> str:
        body = commands() if found[2] == "commands" else table(import_module(found[3]).Settings)
        return found[1] + body + found[4]

    return MARKED.sub(part, page)


def table(settings: type[BaseSettings]) -> str:
    """One row per setting."""
    prefix = settings.model_config.get("env_prefix", "")
    schema = settings.model_json_schema(mode="validation")
    lines = ["| variable | value | without it | meaning |", "|---|---|---|---|"]
    for name, field in settings.model_fields.items():
        kind = kind_of(schema["properties"][name], schema.get("$defs", {}))
        default = default_of(field)
        meaning = " ".join((field.description or "").replace("``", "`").split())
        lines.append(f"| `{prefix}{name.upper()}` | {kind} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def kind_of(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    """What may be written, in words.

    >>> kind_of({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}, {})
    'integer, ≥ 0'
    """
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        return "id: 1 to 32 of `a-z 0-9 -`"
    word = FORMATS.get(schema.get("format", ""), TYPES.get(schema["type"], schema["type"]))
    if schema["type"] == "array":
        word = f"JSON list of {kind_of(schema['items'], defs)}s"
    bounds = [f"{sign}{schema[key]:,}" for key, sign in BOUNDS.items() if key in schema]
    return ", ".join([word, *bounds])


def default_of(field: FieldInfo) -> str:
    """What holds when nothing is said."""
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        return "depends on the machine"
    value = field.default
    return "–" if value is None else f"`{plain(value)}`"


def plain(value: Any) -> str:
    """A default as one would write it; paths of the checkout from its root.

    >>> plain(timedelta(hours=24)), plain(True), plain([ROOT / "plugins"])
    ('24h', 'true', '["plugins"]')
    """
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Enum():
            return str(value.value)
        case timedelta():
            return f"{value.total_seconds() / 3600:g}h"
        case Path():
            return str(value.relative_to(ROOT) if value.is_relative_to(ROOT) else value)
        case list():
            return "[" + ", ".join(f'"{plain(each)}"' for each in value) + "]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def commands() -> str:
    """Every command with its options, as ``--help`` has them."""
    said = app.generate_docs(output_format="markdown", recursive=True, heading_level=2)
    _, _, listed = said.partition("**Commands**:")
    listed = re.sub(r"(?<!`)``(?!`)", "`", listed).replace("TIMEDELTA", "DURATION")
    # run by ``python -m``, a part of that command line gets into the usage
    listed = re.sub(r"^(pawmesh[a-z ]*) -m \S+", r"\1", listed, flags=re.MULTILINE)
    listed = re.sub(r"[ \t]+$", "", listed, flags=re.MULTILINE)
    return f"\n{listed.strip()}\n\n"


def main() -> None:
    """Bring both pages up to date."""
    for page in PAGES:
        page.write_text(render(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
