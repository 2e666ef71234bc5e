"""What the application keeps for its handlers while it runs."""

import asyncio
from dataclasses import dataclass, field

from cloud.db import Database
from cloud.settings import Settings

UPLINKS_AT_ONCE = 4  # each holds its unpacked rows; more would only wait for the same CPU


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts that handlers are handed."""

    settings: Settings
    database: Database
    operator_token_hash: bytes
    uplinks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLINKS_AT_ONCE))
