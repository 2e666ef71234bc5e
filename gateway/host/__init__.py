"""The plugin host: finds plugins, keeps each in a process of its own, and asks them.

``async with PluginHost.open([folder]) as host: answers = await host.judge("geofence", inputs)``.
"""

from gateway.host.discovery import BrokenPlugin
from gateway.host.faults import FaultKind, PluginFault
from gateway.host.granted import granted_record, granted_values
from gateway.host.host import PluginHost
from gateway.host.hosted import HostedPlugin, PluginState
from gateway.host.limits import Limits

__all__ = [
    "BrokenPlugin",
    "FaultKind",
    "HostedPlugin",
    "Limits",
    "PluginFault",
    "PluginHost",
    "PluginState",
    "granted_record",
    "granted_values",
]
