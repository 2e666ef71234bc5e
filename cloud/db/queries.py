"""SQL lives in ``queries.sql`` files; each statement stands under ``-- name --``."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_NAME = re.compile(rb"^-- ([a-z][a-z0-9_]*) --.*$", re.MULTILINE)


def load_queries(beside: str) -> Mapping[str, bytes]:
    """The statements of the ``queries.sql`` in the same folder as the module ``beside``, by name.

    Args:
        beside: The caller's ``__file__``.
    """
    return MappingProxyType(parse_queries((Path(beside).parent / "queries.sql").read_bytes()))


def parse_queries(text: bytes) -> dict[str, bytes]:
    r"""Statements by name.

    >>> parse_queries(b"-- count_pets -- how many there are\nSELECT count(*) FROM pet;\n")
    {'count_pets': b'SELECT count(*) FROM pet'}
    """
    _, *parts = _NAME.split(text)
    return {
        name.decode(): body.strip().rstrip(b";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
