"""Models on their way into a collar: what an offer or a chunk changes, and what is answered.

All is pure: a standing and a message in; the next standing, what to write, and answers out.
Whoever calls makes the writes durable, then goes on from the next standing, then sends the
answers: so an answer never says more than the flash holds. A model is received into the spare
place of its slot, beside the one that runs, and replaces it in one commit after its self-test.

The latest offer of a slot wins. A gateway or broker that sends old ones can only delay; which
model is believed the signature says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from collar_sim.firmware.models.slots import TASKS, require_fit
from collar_sim.firmware.models.standing import (
    REFUSALS_KEPT,
    EraseSpare,
    Held,
    PutSpare,
    Refusal,
    Remember,
    Spare,
    Standing,
    Switch,
    Write,
    mark_of,
)
from gateway.wire.messages import ModelAnswer, ModelChunk, ModelOffer, ModelState
from gateway.wire.release import ModelRefusal, Release, WrongRelease, version_order
from plugins.sdk.errors import ModelMisfit
from plugins.sdk.manifest import COLLAR_BUDGET, Manifest, Place

MAX_DETAIL = 300  # of an answer, by the contract

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Step:
    """What a message leads to."""

    standing: Standing
    answers: list[ModelAnswer] = field(default_factory=list[ModelAnswer])
    writes: list[Write] = field(default_factory=list[Write])


def offered(standing: Standing, offer: ModelOffer) -> Step:
    """Take an offer: refuse it, say that it is installed, or say from which chunk to send."""
    known = standing.refusals.get(mark_of(offer.rollout, offer.release))
    if known is not None:
        return Step(standing, [_refused(standing, offer.rollout, known)])
    try:
        manifest = _believed(standing, offer.release)
        if _is_held(standing, offer.release, manifest):
            return Step(standing, [_answer(standing, offer.rollout, ModelState.INSTALLED)])
    except WrongRelease as error:
        refusal = Refusal(error.reason, error.detail)
        return Step(standing, [_refused(standing, offer.rollout, refusal)])
    return _begun(standing, offer)


def received(standing: Standing, chunk: ModelChunk) -> Step:
    """Take a chunk if it is the next one of a delivery under way; say where that one stands."""
    slot = next((s for s, spare in standing.spares.items() if spare.rollout == chunk.rollout), None)
    if slot is None:
        if any(held.rollout == chunk.rollout for held in standing.held.values()):
            return Step(standing, [_answer(standing, chunk.rollout, ModelState.INSTALLED)])
        return Step(standing)  # of no offer that is known here; the gateway will offer it again
    spare = standing.spares[slot]
    rest = min(spare.chunk_bytes, spare.release.size - len(spare.model))
    if chunk.index != spare.next_chunk or len(chunk.data) > rest:
        return Step(standing, [_stands(standing, spare)])
    if len(chunk.data) < rest:
        came = len(spare.model) + len(chunk.data)
        detail = f"{came} bytes came, {spare.release.size} were announced"
        return refused(standing, slot, Refusal(ModelRefusal.TRUNCATED, detail))
    grown = replace(spare, model=spare.model + chunk.data)
    following = replace(standing, spares={**standing.spares, slot: grown})
    return Step(following, [_stands(standing, grown)], [PutSpare(slot, grown)])


def refused(standing: Standing, slot: str, refusal: Refusal) -> Step:
    """What is in the spare place will not run: erase it, and remember why."""
    spare = standing.spares[slot]
    mark = mark_of(spare.rollout, spare.release)
    kept = {**_without(standing.refusals, mark), mark: refusal}
    while len(kept) > REFUSALS_KEPT:
        del kept[next(iter(kept))]
    following = replace(standing, spares=_without(standing.spares, slot), refusals=kept)
    writes: list[Write] = [EraseSpare(slot), Remember(mark, refusal)]
    return Step(following, [_refused(standing, spare.rollout, refusal)], writes)


def switched(standing: Standing, slot: str, manifest: Manifest) -> Step:
    """What is in the spare place passed its self-test: from now on the slot runs it."""
    rollout = standing.spares[slot].rollout
    following = replace(
        standing,
        spares=_without(standing.spares, slot),
        held={**standing.held, slot: Held(manifest, rollout)},
    )
    return Step(following, [_answer(standing, rollout, ModelState.INSTALLED)], [Switch(slot)])


def _begun(standing: Standing, offer: ModelOffer) -> Step:
    """The offer is good: go on where its release stands, or begin it in place of another."""
    slot, release = offer.release.slot, offer.release
    old = standing.spares.get(slot)
    answers: list[ModelAnswer] = []
    model = b""
    if old is not None and old.release == release:
        model = old.model
        if not old.is_complete:  # the gateway may cut it otherwise than it began
            model = model[: len(model) // offer.chunk_bytes * offer.chunk_bytes]
    elif old is not None and old.rollout != offer.rollout:
        refusal = Refusal(ModelRefusal.SUPERSEDED, f"{release.ref} came before it was complete")
        answers.append(_refused(standing, old.rollout, refusal))
    spare = Spare(offer.rollout, release, offer.chunk_bytes, model)
    if spare == old:
        return Step(standing, [_stands(standing, spare)])
    following = replace(standing, spares={**standing.spares, slot: spare})
    return Step(following, [*answers, _stands(standing, spare)], [PutSpare(slot, spare)])


def _believed(standing: Standing, release: Release) -> Manifest:
    """The manifest of a release that may come into its slot, as far as it tells itself."""
    if standing.release_key is None:
        raise WrongRelease(
            ModelRefusal.UNKNOWN_KEY, "this collar was enrolled without a release key"
        )
    manifest = _verified(release, standing.release_key)
    task = TASKS.get(release.slot)
    if task is None:
        raise WrongRelease(ModelRefusal.UNKNOWN_SLOT, f"there are {' and '.join(TASKS)}")
    model = manifest.model
    if model is None or manifest.runs_on is not Place.COLLAR or model.task is not task:
        raise WrongRelease(
            ModelRefusal.INVALID_MANIFEST, f"{release.ref} is no model of a collar to {task}"
        )
    room = min(COLLAR_BUDGET.flash_bytes, model.budget.flash_bytes)
    if release.size > room:
        raise WrongRelease(
            ModelRefusal.TOO_LARGE, f"{release.ref} has {release.size} bytes, its slot {room}"
        )
    try:
        require_fit(manifest, task)
    except ModelMisfit as error:
        raise WrongRelease(ModelRefusal.WRONG_SHAPE, str(error)) from error
    return manifest


@lru_cache(maxsize=32)  # a whole fleet is offered the same release
def _verified(release: Release, release_key: bytes) -> Manifest:
    return release.verified([release_key])


def _is_held(standing: Standing, release: Release, manifest: Manifest) -> bool:
    held = standing.held.get(release.slot)
    if held is None:
        return False
    if held.manifest == manifest:
        return True
    version = held.manifest.version
    if version_order(release.version) <= version_order(version):
        raise WrongRelease(ModelRefusal.OLDER, f"{release.slot} runs {held.manifest.id}@{version}")
    return False


def _answer(standing: Standing, rollout: str, state: ModelState) -> ModelAnswer:
    return ModelAnswer(collar_id=standing.collar_id, rollout=rollout, state=state)


def _stands(standing: Standing, spare: Spare) -> ModelAnswer:
    return ModelAnswer(
        collar_id=standing.collar_id,
        rollout=spare.rollout,
        state=ModelState.RECEIVING,
        next_chunk=spare.next_chunk,
    )


def _refused(standing: Standing, rollout: str, refusal: Refusal) -> ModelAnswer:
    return ModelAnswer(
        collar_id=standing.collar_id,
        rollout=rollout,
        state=ModelState.REFUSED,
        reason=refusal.reason,
        detail=refusal.detail[:MAX_DETAIL],
    )


def _without(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    return {k: v for k, v in mapping.items() if k != key}
