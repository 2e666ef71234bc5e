"""Files that a run leaves behind: whole or not at all, and for their owner alone.

What really happened tells where a home is, second by second; a replayed recording's is a real one.
"""

import os
from pathlib import Path
from typing import BinaryIO

from collar_sim.errors import OutputError


def private_folder(folder: Path) -> Path:
    """The folder, made if there is none, and then for nobody else.

    Raises:
        OutputError: Nothing can be written there.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: nothing can be written there")
    return folder


def require_writable(path: Path) -> None:
    """See that a file can be written at the end, before anything starts.

    Raises:
        OutputError: It cannot.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file")
    private_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file: a reader finds the whole of it or none, and only its owner reads it.

    Raises:
        OutputError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with private_file(draft) as file:
            file.write(content)
        draft.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error


def private_file(path: Path) -> BinaryIO:
    """A new file for its owner alone, open to be written; what was there is gone."""
    path.unlink(missing_ok=True)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))
