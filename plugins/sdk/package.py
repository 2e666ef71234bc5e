"""A package on disk, checked: its manifest, and the model in the form that may be loaded."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plugins.sdk.admission import MAX_FILE_BYTES, admit
from plugins.sdk.errors import ManifestError, ModelRefused
from plugins.sdk.manifest import Manifest, Model, Place, read_manifest


@dataclass(frozen=True)
class Package:
    """A model or plugin that passed every check that needs no execution."""

    folder: Path
    manifest: Manifest
    model: bytes | None
    """The canonical .tflite: the only bytes an interpreter may be given."""

    @property
    def ref(self) -> str:
        """How messages name it: ``id@version``."""
        return f"{self.manifest.id}@{self.manifest.version}"

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The package in a folder.

        Raises:
            ManifestError: ``plugin.toml`` is missing or wrong.
            ModelRefused: The model is missing, is not the one the manifest names, or may not run.
        """
        manifest = read_manifest(folder)
        if manifest.model is None:
            return cls(folder, manifest, None)
        raw = _read(folder, manifest.model)
        return cls(folder, manifest, admitted(raw, manifest.model, manifest.runs_on))


def admitted(raw: bytes, model: Model, runs_on: Place) -> bytes:
    """The canonical form of a model that is what its manifest says.

    Args:
        raw: The file's bytes, or what a rollout delivered.
        model: What the manifest says of it.
        runs_on: On the collar the host makes the input, so its shape is fixed.

    Raises:
        ModelRefused: With the reason.
    """
    digest = hashlib.sha256(raw).hexdigest()
    if digest != model.sha256:
        raise ModelRefused(f"sha256 is {digest}, the manifest says {model.sha256}")
    fixed = model.input_shape if runs_on is Place.COLLAR else None
    return admit(raw, model.budget, input_shape=fixed, outputs=model.outputs)


def _read(folder: Path, model: Model) -> bytes:
    path = folder / model.file
    if path.resolve().parent != folder.resolve():
        raise ManifestError(f"model.file {model.file!r} is not in the package's own folder")
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from error
