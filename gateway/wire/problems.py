"""How both services describe their errors: problem documents as RFC 9457 has them, in OpenAPI."""

from collections.abc import Callable
from typing import Any

CONTENT_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "`about:blank`: the title says it all."},
        "title": {"type": "string", "description": "What went wrong in general."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What went wrong this time."},
        "errors": {
            "type": "array",
            "description": "Every place of the request that is wrong, where there are several.",
            "items": {
                "type": "object",
                "properties": {"at": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
ANSWERS = {
    "4XX": "The request cannot be served as it is; the problem says why.",
    "5XX": "Ours, or a moment's trouble: nothing is lost, ask again.",
}
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})


def with_problems(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """An OpenAPI document whose operations name our errors, and are named by what they do.

    The framework would document another form of 422 than the one we answer with, and take a
    function's name for a summary.

    Args:
        make: Gives FastAPI's document, which it keeps; changed in place, once or again.
    """
    document = make()
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers = {
        status: {"description": said, "content": content} for status, said in ANSWERS.items()
    }
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in METHODS:
                operation["responses"].pop("422", None)
                operation["responses"] |= answers
                said = operation.get("description", operation["summary"]).replace("``", "`")
                operation["summary"] = " ".join(said.partition("\n\n")[0].split()).removesuffix(".")
                if "\n\n" in said:
                    operation["description"] = said
                else:
                    operation.pop("description", None)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = SCHEMA
    return document
