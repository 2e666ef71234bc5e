"""How each collar shall be set, by what its pet's owner allows: said whenever it may not know."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

from gateway.corrections import training_grant
from gateway.downlink import Downlink
from gateway.ingest import Heard
from gateway.registry import Household
from gateway.wire.dictionary import NEWEST
from gateway.wire.messages import Desired
from gateway.wire.topics import Kind

WINDOWS_PER_HOUR = 120  # a minute one uncertain and one fair: 160 kB an hour
LOOK_S = 15.0  # grants begin and end by themselves


def wanted_windows(household: Household, collar_id: str, now: datetime) -> int:
    """How many raw windows an hour a collar shall send now: none without a grant for training."""
    pet_id = household.collars[collar_id].pet_id
    return WINDOWS_PER_HOUR if training_grant(household, pet_id, now) is not None else 0


class DesiredTask:
    """Tells collars how they shall be set."""

    def __init__(self, household: Household, downlink: Downlink) -> None:
        self._household = household
        self._downlink = downlink
        self._said: dict[str, int] = {}
        self._to_tell: set[str] = set()
        self._all = True
        self._looked_s = 0.0
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            self.tell()

    def replan(self) -> None:
        """There is a session, or another registry: every collar is told."""
        self._all = True
        self._wake.set()

    def hear(self, heard: Heard) -> None:
        """A collar that comes online is told again."""
        came = {collar_id for collar_id, online in heard.present.items() if online}
        if came:
            self._to_tell |= came
            self._wake.set()

    def tell(self) -> None:
        """Say what collars may not know: all of them, those that came, those whose grant ended."""
        if not self._downlink.is_open:
            return  # whoever is connected then is told when there is a session again
        now = datetime.now(UTC)
        if time.monotonic() - self._looked_s >= LOOK_S:
            self._looked_s = time.monotonic()
            self._to_tell |= self._changed(now)
        collars = self._household.collars
        told = collars.keys() if self._all else collars.keys() & self._to_tell
        for collar_id in sorted(told):
            desired = Desired(
                collar_id=collar_id,
                version=self._household.registry.version,
                windows_per_hour=wanted_windows(self._household, collar_id, now),
                batches=True,
                dictionary=NEWEST,
            )
            if self._downlink.say(collar_id, Kind.DESIRED, desired):
                self._said[collar_id] = desired.windows_per_hour
        self._to_tell.clear()
        self._all = False

    def _changed(self, now: datetime) -> set[str]:
        return {
            collar_id
            for collar_id, windows in self._said.items()
            if collar_id in self._household.collars
            and wanted_windows(self._household, collar_id, now) != windows
        }
