"""Small files of secrets: written whole or not at all, readable by the dashboard's user alone."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def read(path: Path) -> dict[str, Any]:
    """What is kept there; nothing when there is no such file, or it is damaged.

    A damaged file is put aside, so that it can be looked at and costs nobody their page.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("state.unreadable", path=str(path), error=str(error))
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return {}
    if not isinstance(found, dict):
        log.warning("state.unreadable", path=str(path), error="not an object")
        return {}
    return found  # pyright: ignore[reportUnknownVariableType] - JSON's keys are texts


def write(path: Path, content: dict[str, Any]) -> None:
    """Replace what is kept there.

    Raises:
        OSError: The folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
