"""From a fleet file and what the flash remembers to collars that are ready to go on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from collar_sim.animal import Radio, Scenario
from collar_sim.animal.signals.radio import MEAN_LOSS
from collar_sim.clock import SimClock
from collar_sim.firmware.boot import booted
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.downlink import Downlink
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.link.uploads import Uploads
from collar_sim.firmware.log.flash import LOG_BYTES, Flash
from collar_sim.firmware.models.classifier import micro_available
from collar_sim.firmware.models.shelf import Shelf
from collar_sim.firmware.models.slots import Engine
from collar_sim.fleet_file import FleetFile, Member
from collar_sim.installation import Installation, Unit
from collar_sim.power_switch import PowerSwitch
from collar_sim.production import Production, unpack_carried
from collar_sim.wearer import Carried, Wearer
from gateway.wire.session import BrokerUrl

log: structlog.stdlib.BoundLogger = structlog.get_logger()

NVM_CLOCK, NVM_UNTIL, NVM_CARRIED = "clock", "until", "carried"
MICRO_COLLARS = 2  # enough to show the real interpreter at work; it holds the GIL


class EngineChoice(StrEnum):
    """Which interpreter the fleet runs its models on."""

    AUTO = "auto"
    """The microcontroller's for the first few collars where it exists, LiteRT for the others."""
    LITERT = "litert"
    MICRO = "micro"


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """How a fleet runs."""

    broker: BrokerUrl
    site: str
    models: Path
    seed: int = 0
    start_at: datetime | None = None
    """First simulated instant; None: as far back as ``history`` says."""
    history: timedelta = timedelta(hours=24)
    speed: float = 1.0
    scenario: Scenario = Scenario.CALM_DAY
    engine: EngineChoice = EngineChoice.AUTO
    micro_collars: int = MICRO_COLLARS
    log_bytes: int = LOG_BYTES
    upload_every: timedelta | None = None
    """None: nothing waits to be sent."""
    radio_loss: float = MEAN_LOSS


@dataclass
class Assembly:
    """A fleet ready to run."""

    clock: SimClock
    until: datetime
    """Up to here everything was simulated before."""
    wearers: list[Wearer]
    uplinks: dict[str, Uplink]
    link: Link
    shelf: Shelf
    installation: Installation
    production: Production
    switch: PowerSwitch
    refused: dict[str, str]


def assemble(options: FleetOptions, fleet: FleetFile, flash: Flash) -> Assembly:
    """Boot every member that can run; births are in flash when this returns."""
    clock, until = _time(options, flash)
    carried: dict[str, Carried] = {}
    if (blob := flash.nvm(NVM_CARRIED)) is not None:
        carried = unpack_carried(blob)
    flash.boot([member.collar_id for member in fleet.members], options.log_bytes)
    shelf = Shelf()
    link = Link(options.broker, options.site)
    micro = _micro_collars(options)
    units: list[Unit] = []
    for index, member in enumerate(fleet.members):
        engine = Engine.MICRO if index < micro else Engine.LITERT
        unit = _unit(options, member, flash, shelf, engine, link, until)
        if member.collar_id in carried:
            unit.wearer.resume(carried[member.collar_id], int(until.timestamp()) // 60)
        unit.collar.be_born(unit.wearer.slots.described())
        units.append(unit)
    flash.commit({NVM_UNTIL: until.isoformat().encode()})
    for collar_id, reason in fleet.refused.items():
        log.error("collar.refused", collar_id=collar_id, reason=reason)
    wearers = [unit.wearer for unit in units]
    return Assembly(
        clock,
        until,
        wearers,
        {unit.collar.collar_id: unit.uplink for unit in units},
        link,
        shelf,
        Installation(shelf, units),
        Production(wearers, until),
        PowerSwitch(flash, units),
        dict(fleet.refused),
    )


def _unit(
    options: FleetOptions,
    member: Member,
    flash: Flash,
    shelf: Shelf,
    engine: Engine,
    link: Link,
    until: datetime,
) -> Unit:
    """One member's parts, with what the flash remembers of its models."""
    own = flash.logs[member.collar_id]
    folder = Path(member.models) if member.models else options.models
    shipped, empty = shelf.shipped(folder, engine)
    standing, models = booted(flash.models, own, member.believed_key(), shelf, shipped, engine)
    uploads = Uploads.spread(options.upload_every, own.number)
    collar = Collar(own, member.sealing_key(), until, uploads)
    wearer = Wearer(member, collar, shelf.slots_of(models, empty), options.seed, options.scenario)
    downlink = Downlink(options.site, collar, flash.models, standing)
    if options.radio_loss > 0:
        wearer.radio = Radio(member.animal_seed + options.seed, options.radio_loss)
    uplink = Uplink(link, collar, wearer.radio and wearer.radio.delivers, downlink)
    return Unit(wearer, downlink, uplink, engine, models, empty)


def _micro_collars(options: FleetOptions) -> int:
    """How many members, the first ones, run on the microcontroller's interpreter."""
    return {
        EngineChoice.AUTO: options.micro_collars if micro_available() else 0,
        EngineChoice.LITERT: 0,
        EngineChoice.MICRO: 2**31,  # where it is missing, its own refusal says so
    }[options.engine]


def _time(options: FleetOptions, flash: Flash) -> tuple[SimClock, datetime]:
    """The fleet's clock, and up to when it was simulated; from flash where it ran before."""
    kept, kept_until = flash.nvm(NVM_CLOCK), flash.nvm(NVM_UNTIL)
    if kept is not None and kept_until is not None:
        clock = msgspec.msgpack.decode(kept, type=SimClock)
        if clock.speed != options.speed:
            clock = SimClock.starting(clock.now(), options.speed)
        until = datetime.fromisoformat(kept_until.decode())
    else:
        start_at = options.start_at
        first_at = datetime.now(UTC) - options.history if start_at is None else start_at
        clock = SimClock.starting(first_at + options.history, options.speed)
        until = _whole_minute(first_at)
    flash.commit({NVM_CLOCK: msgspec.msgpack.encode(clock)})
    return clock, until


def _whole_minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)
