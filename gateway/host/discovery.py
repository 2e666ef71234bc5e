"""Finds plugins: a folder with a ``plugin.toml`` is one. A broken one never hides the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plugins.sdk.errors import ManifestError
from plugins.sdk.manifest import MANIFEST_FILE, Manifest, Place, read_manifest
from plugins.sdk.types import STREAM_FIELDS


@dataclass(frozen=True, slots=True)
class FoundPlugin:
    """A plugin for the gateway, and where it lies."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A folder that wants to be a plugin and cannot."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What lies in the folders of plugins."""

    found: list[FoundPlugin] = field(default_factory=list[FoundPlugin])
    broken: list[BrokenPlugin] = field(default_factory=list[BrokenPlugin])


def discover(folders: Sequence[Path]) -> Discovery:
    """The gateway's plugins among the subfolders of ``folders``; collar packages are passed over.

    Of two with one id the first is taken, so what comes first in ``folders`` cannot be replaced by
    what comes later.
    """
    result = Discovery()
    holders: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted(folder.glob(f"*/{MANIFEST_FILE}"))):
        folder = path.parent.resolve()
        try:
            manifest = read_manifest(folder)
            holder = holders.setdefault(manifest.id, folder)
            if holder == folder and manifest.runs_on is Place.GATEWAY:
                _check(folder, manifest)
        except ManifestError as error:
            result.broken.append(BrokenPlugin(folder, str(error)))
            continue
        if holder != folder:
            reason = f"the id {manifest.id!r} is taken by {holder}"
            result.broken.append(BrokenPlugin(folder, reason))
        elif manifest.runs_on is Place.GATEWAY:
            result.found.append(FoundPlugin(folder, manifest))
    return result


def _check(folder: Path, manifest: Manifest) -> None:
    """Refuse what a manifest alone cannot know is wrong."""
    module = (manifest.entry or "").split(":")[0]
    if not (folder / f"{module}.py").is_file():
        raise ManifestError(f"{folder / MANIFEST_FILE}: entry: there is no {module}.py")
    for stream, fields in manifest.inputs.items():
        if unknown := sorted(set(fields) - set(STREAM_FIELDS[stream])):
            raise ManifestError(
                f"{folder / MANIFEST_FILE}: inputs.{stream.value}: no field {', '.join(unknown)}; "
                f"there are {', '.join(STREAM_FIELDS[stream])}"
            )
