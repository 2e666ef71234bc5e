"""All that a plugin author imports.

A gateway plugin is a folder with a ``plugin.toml`` and one function::

    from plugins.sdk import Inputs, Outputs

    def predict(batch: Inputs) -> Outputs:
        ...

See ``docs/tutorials/first-plugin.md`` and ``docs/reference/plugins.md``. What works on models and
windows (``features``, ``package``, ``admission``) is imported by its own name, so that a small
plugin stays small.
"""

from plugins.sdk.behaviours import Behaviour
from plugins.sdk.manifest import SDK_VERSION, Input, Manifest
from plugins.sdk.types import (
    Context,
    Finding,
    FindingState,
    Inputs,
    Observation,
    Outputs,
    Record,
    Severity,
    Zone,
)

__all__ = [
    "SDK_VERSION",
    "Behaviour",
    "Context",
    "Finding",
    "FindingState",
    "Input",
    "Inputs",
    "Manifest",
    "Observation",
    "Outputs",
    "Record",
    "Severity",
    "Zone",
]
