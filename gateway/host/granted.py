"""What a plugin gets to see: the fields its manifest names, and nothing beside them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from plugins.sdk import Input, Inputs, Manifest, Record


def granted_values(manifest: Manifest, stream: Input, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Of a message's ``fields`` those that ``manifest`` names for ``stream``."""
    return {name: fields[name] for name in manifest.inputs.get(stream, ()) if name in fields}


def granted_record(
    manifest: Manifest, stream: Input, observed_at: datetime, fields: Mapping[str, Any]
) -> Record:
    """A message as the plugin sees it; ``fields`` as ``msgspec.structs.asdict`` gives them."""
    return Record(observed_at, granted_values(manifest, stream, fields))


def granted_inputs(manifest: Manifest, inputs: Inputs) -> Inputs:
    """``inputs`` with what the manifest does not name taken out, and its settings filled in.

    Zones tell where home is, so only a plugin that may see positions gets them.
    """
    positions = manifest.inputs.get(Input.FIX, ())
    adjusted = {k: v for k, v in inputs.settings.items() if k in manifest.settings}
    return msgspec.structs.replace(
        inputs,
        records={
            stream: [
                Record(record.observed_at, granted_values(manifest, stream, record.values))
                for record in records
            ]
            for stream, records in inputs.records.items()
            if stream in manifest.inputs
        },
        zones=inputs.zones if "lat_deg" in positions and "lon_deg" in positions else [],
        settings={**manifest.settings, **adjusted},
    )
