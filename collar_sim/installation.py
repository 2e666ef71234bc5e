"""Models that came over the air, on their way from a collar's spare place into its slot.

A model is tested aside, in a worker thread. What passed waits for the fleet's next commit, which
switches the slot and writes the collar's ``Slots`` message at once; the minute that is made next
runs it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.downlink import Downlink
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.minute import Draft
from collar_sim.firmware.models.shelf import Shelf
from collar_sim.firmware.models.slots import Engine, LoadedModel, ModelSlots
from collar_sim.firmware.models.standing import Refusal, Spare, Write
from collar_sim.firmware.models.update import Step
from collar_sim.wearer import Wearer
from gateway.wire.release import ModelRefusal, WrongRelease
from gateway.wire.topics import Kind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass
class Unit:
    """One collar's parts that a new model concerns."""

    wearer: Wearer
    downlink: Downlink
    uplink: Uplink
    engine: Engine
    models: dict[str, LoadedModel]
    """By slot."""
    empty: dict[str, str] = field(default_factory=dict[str, str])
    """Why the other slots are."""

    @property
    def collar(self) -> Collar:
        """The collar itself."""
        return self.wearer.collar

    @property
    def is_updated(self) -> bool:
        """Whether a slot runs what was delivered."""
        return any(held.rollout for held in self.downlink.standing.held.values())


@dataclass
class Switching:
    """A slot about to run another model: commit ``writes``, then `done`."""

    unit: Unit
    slot: str
    model: LoadedModel
    slots: ModelSlots
    number: int
    step: Step

    @property
    def writes(self) -> tuple[int, list[Write]]:
        """For the flash, with the collar's number."""
        return self.number, self.step.writes

    def done(self) -> None:
        """The commit is durable: go on with the model, and say so."""
        unit = self.unit
        unit.downlink.standing = self.step.standing
        unit.models = {**unit.models, self.slot: self.model}
        unit.wearer.next_slots = self.slots
        unit.uplink.answer(self.step.answers)
        log.info(
            "model.installed",
            collar_id=unit.collar.collar_id,
            slot=self.slot,
            package=self.model.package.ref,
        )


class Installation:
    """Tests what is complete, and hands over what passed."""

    def __init__(self, shelf: Shelf, units: list[Unit]) -> None:
        """For these collars; deliveries that a power cut interrupted at the end go on."""
        self._shelf = shelf
        self._units = {unit.collar.collar_id: unit for unit in units}
        self._queue: asyncio.Queue[tuple[str, str, Spare]] = asyncio.Queue()
        self._passed: deque[tuple[Unit, str, Spare, LoadedModel]] = deque()
        for unit in units:
            unit.downlink.on_complete = self._take
            for slot, spare in unit.downlink.standing.spares.items():
                if spare.is_complete:
                    self._take(unit.collar.collar_id, slot, spare)

    @property
    def updated(self) -> int:
        """How many collars run a model that was delivered to them."""
        return sum(unit.is_updated for unit in self._units.values())

    @property
    def refused(self) -> dict[str, str]:
        """What collars did not install, and why."""
        return {
            what: why
            for unit in self._units.values()
            for what, why in unit.downlink.refused.items()
        }

    async def run(self) -> None:
        """Test what is complete, one after the other, until cancelled."""
        while True:
            collar_id, slot, spare = await self._queue.get()
            unit = self._units[collar_id]
            if not _is_still_there(unit, slot, spare):
                continue
            try:
                model = await asyncio.to_thread(
                    self._shelf.judged, spare.release, spare.model, unit.engine
                )
            except WrongRelease as error:
                self._refuse(unit, slot, spare, Refusal(error.reason, error.detail))
            except Exception as error:  # a model from outside must not end the fleet
                log.exception("model.failed", collar_id=collar_id, package=spare.release.ref)
                failure = Refusal(ModelRefusal.SELF_TEST_FAILED, repr(error))
                self._refuse(unit, slot, spare, failure)
            else:
                self._passed.append((unit, slot, spare, model))

    def switching(self, at: datetime) -> list[Switching]:
        """What passed: written to the collars' logs as of this instant, to be committed at once."""
        ready: list[Switching] = []
        while self._passed:
            unit, slot, spare, model = self._passed.popleft()
            if not _is_still_there(unit, slot, spare):
                continue
            if any(other.unit is unit for other in ready):  # of one collar one a commit
                self._passed.appendleft((unit, slot, spare, model))
                break
            slots = self._shelf.slots_of({**unit.models, slot: model}, unit.empty)
            fields: dict[str, Any] = {"slots": slots.described(), "rollout": spare.rollout}
            unit.collar.say(Draft(at, Kind.SLOTS, at, fields))
            number, step = unit.downlink.switching(slot, model.package.manifest)
            ready.append(Switching(unit, slot, model, slots, number, step))
        return ready

    def _take(self, collar_id: str, slot: str, spare: Spare) -> None:
        self._queue.put_nowait((collar_id, slot, spare))

    def _refuse(self, unit: Unit, slot: str, spare: Spare, refusal: Refusal) -> None:
        if _is_still_there(unit, slot, spare):
            unit.uplink.answer(unit.downlink.refuse(slot, refusal))


def _is_still_there(unit: Unit, slot: str, spare: Spare) -> bool:
    """Whether no other offer took the spare place meanwhile."""
    return unit.downlink.standing.spares.get(slot) is spare
