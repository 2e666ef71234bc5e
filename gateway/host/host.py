"""All plugins of a gateway, each in its own process."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import structlog

from gateway.host.discovery import BrokenPlugin, discover
from gateway.host.hosted import Answers, HostedPlugin
from gateway.host.limits import Launcher, Limits, bare_process
from plugins.sdk import Inputs

log = structlog.get_logger(__name__)


class PluginHost:
    """The plugins by id, those that could not be taken with the reason, and one way to ask."""

    def __init__(self, plugins: dict[str, HostedPlugin], broken: list[BrokenPlugin]) -> None:
        self.plugins = plugins
        self.broken = broken

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folders: Sequence[Path],
        *,
        limits: Limits | None = None,
        launcher: Launcher = bare_process,
    ) -> AsyncGenerator[Self, None]:
        """Start every plugin found in ``folders`` (see ``discover``); end them on the way out."""
        discovery = discover(folders)
        for broken in discovery.broken:
            log.warning("plugin.broken", folder=str(broken.folder), reason=broken.reason)
        plugins = {
            found.manifest.id: HostedPlugin(found, limits or Limits(), launcher)
            for found in discovery.found
        }
        try:
            async with asyncio.TaskGroup() as tasks:
                for plugin_id, plugin in plugins.items():
                    tasks.create_task(plugin.open(), name=f"start {plugin_id}")
            yield cls(plugins, discovery.broken)
        finally:
            await asyncio.gather(*(plugin.close() for plugin in plugins.values()))

    async def judge(self, plugin_id: str, inputs: Sequence[Inputs]) -> Answers:
        """What the plugin says to each of ``inputs``: ``Outputs``, or a ``PluginFault``.

        A plugin answers one caller at a time, different plugins at once. It sees of ``inputs`` only
        what its manifest names. Keep ``Outputs.state`` per plugin and pet together with what you
        make of the findings, and hand it in next time; of a fault, keep the state you had. Two
        inputs of one list do not see each other's state, so let each be another pet's.

        Raises:
            KeyError: No such plugin.
        """
        return await self.plugins[plugin_id].judge(inputs)
