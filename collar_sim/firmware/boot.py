"""What a collar's slots run when it starts.

What was installed last and still works; else the one before; else what was shipped.
"""

import structlog

from collar_sim.firmware.log.flash_log import FlashLog
from collar_sim.firmware.models.model_memory import ModelMemory
from collar_sim.firmware.models.shelf import Shelf
from collar_sim.firmware.models.slots import TASKS, Engine, LoadedModel
from collar_sim.firmware.models.standing import (
    FallBack,
    Held,
    Refusal,
    Remember,
    Spare,
    Standing,
    Write,
    mark_of,
)
from gateway.wire.release import ModelRefusal, WrongRelease, version_order

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def booted(
    memory: ModelMemory,
    flash: FlashLog,
    release_key: bytes | None,
    shelf: Shelf,
    shipped: dict[str, LoadedModel],
    engine: Engine,
) -> tuple[Standing, dict[str, LoadedModel]]:
    """What a collar knows of its models, and those that its slots run.

    A model of the flash that does not load, or is older than the shipped one, is erased for good,
    so that the one before can be taken for what runs, also by the next offer.
    """
    remembered = memory.load(flash.number)
    models = dict(shipped)
    held = {slot: Held(model.package.manifest) for slot, model in shipped.items()}
    refusals = dict(remembered.refusals)
    writes: list[Write] = []
    for slot in TASKS:
        for stored in (remembered.active.get(slot), remembered.previous.get(slot)):
            if stored is None:
                continue
            refusal = None
            if slot not in shipped or _is_newer(stored, shipped[slot]):
                try:
                    model = shelf.judged(stored.release, stored.model, engine)
                except WrongRelease as error:
                    refusal = Refusal(error.reason, error.detail)
                else:
                    models[slot] = model
                    held[slot] = Held(model.package.manifest, stored.rollout)
                    break
            writes.append(FallBack(slot))
            if refusal is not None:
                log.warning(
                    "model.fell_back",
                    collar_id=flash.collar_id,
                    slot=slot,
                    package=stored.release.ref,
                    reason=refusal.reason,
                    detail=refusal.detail,
                )
                if refusal.reason not in (ModelRefusal.CORRUPT, ModelRefusal.TRUNCATED):
                    mark = mark_of(stored.rollout, stored.release)
                    writes.append(Remember(mark, refusal))  # sent anew it would fail anew
                    refusals[mark] = refusal
    if writes:
        memory.commit(flash.number, writes)
    standing = Standing(flash.collar_id, release_key, held, remembered.receiving, refusals)
    return standing, models


def _is_newer(stored: Spare, shipped: LoadedModel) -> bool:
    return version_order(stored.release.version) > version_order(shipped.package.manifest.version)
