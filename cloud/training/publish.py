"""A trained model as a package on disk: manifest, model, card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from plugins.sdk.manifest import MANIFEST_FILE, Manifest

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.npz"  # stays with whoever trains; no collar gets it


def publish(
    folder: Path,
    manifest: Manifest,
    model: bytes,
    card: Mapping[str, Any],
    weights: bytes | None = None,
) -> None:
    """Write a package; what the folder held of an older one is replaced.

    Args:
        folder: Created if need be.
        manifest: With the model's digest in it.
        model: The .tflite in canonical form.
        card: How it was made and how good it is; anything JSON can say.
        weights: What a later training may start from; an older file goes if there are none.
    """
    if manifest.model is None:
        raise ValueError("a model package has a [model]")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / manifest.model.file).write_bytes(model)
    if weights is None:
        (folder / WEIGHTS_FILE).unlink(missing_ok=True)
    else:
        (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    (folder / MANIFEST_FILE).write_text(toml(msgspec.to_builtins(manifest)), "utf-8")


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """A table as TOML; None, empty lists and empty tables are left to their defaults.

    >>> print(toml({"id": "x", "model": {"labels": ["rest"], "threshold": None}}), end="")
    id = "x"
    <BLANKLINE>
    [model]
    labels = ["rest"]
    """
    lines = [
        f"{key} = {json.dumps(value)}"  # JSON's strings, numbers and lists are TOML's
        for key, value in table.items()
        if not isinstance(value, Mapping) and value not in (None, [])
    ]
    text = "".join(f"{line}\n" for line in lines)
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            text += f"\n[{path}{key}]\n" + toml(value, f"{path}{key}.")
    return text
