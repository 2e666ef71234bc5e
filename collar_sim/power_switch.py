"""Turns collars of a running fleet off and on: their process goes on, their memory does not."""

import structlog

from collar_sim.duty import PowerChange
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.log.flash import Flash
from collar_sim.installation import Unit

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class PowerSwitch:
    """Of the collars of a fleet."""

    def __init__(self, flash: Flash, units: list[Unit]) -> None:
        self._flash = flash
        self._units = {unit.collar.collar_id: unit for unit in units}

    @property
    def off(self) -> list[str]:
        """Collars without power."""
        return [name for name, unit in self._units.items() if not unit.collar.is_on]

    def turn(self, collar: Collar, change: PowerChange) -> None:
        """Cut a collar's power, or boot it: its flash is as it was at the last commit.

        What it runs and how it is set is in its flash too, and so stays as it is.
        """
        unit = self._units[collar.collar_id]
        if not change.is_on:
            collar.is_on = False
            unit.uplink.power_off()
            log.warning("collar.off", collar_id=collar.collar_id)
            return
        budget = collar.flash.budget_bytes
        self._flash.boot([collar.collar_id], budget)
        own = self._flash.logs[collar.collar_id]
        collar.reboot(own, change.release_at, clock_is_set=change.clock_is_set)
        collar.be_born(unit.wearer.next_slots.described())
        unit.uplink.power_on()
        log.info("collar.booted", collar_id=collar.collar_id, boot=own.boot)
