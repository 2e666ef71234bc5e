"""The gateway's word to one collar, but for acknowledgements: how it shall be set, and models."""

from collections.abc import Callable, Iterable

import structlog

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.models import update
from collar_sim.firmware.models.model_memory import ModelMemory
from collar_sim.firmware.models.standing import Refusal, Spare, Standing, Write
from collar_sim.firmware.models.update import Step
from gateway.wire.dictionary import NEWEST
from gateway.wire.messages import Desired, ModelAnswer, ModelChunk, ModelOffer
from gateway.wire.release import ModelRefusal
from plugins.sdk.manifest import Manifest

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Said = Desired | ModelOffer | ModelChunk


class Downlink:
    """Takes what a gateway says, makes it durable, and answers.

    Belongs to the event loop's thread, as the flash does.
    """

    def __init__(self, site: str, collar: Collar, memory: ModelMemory, standing: Standing) -> None:
        """Of a collar that knows this of its models."""
        self.standing = standing
        self.on_complete: Callable[[str, str, Spare], None] = _nobody
        """Called with the collar, the slot, and the model that is all there, to be tested."""
        self.refused: dict[str, str] = {}
        """What was refused, and why; the first few."""
        self._site = site
        self._collar = collar
        self._memory = memory
        self._number = collar.flash.number
        self._version, windows_per_hour = memory.desired(self._number, site)
        collar.desire(windows_per_hour)

    def opened(self) -> None:
        """There is a new connection: what its gateway says first counts, whatever its version.

        Else one forged word of a huge version, or a cloud restored from a backup, would leave the
        collar as it is set for ever.
        """
        self._version = 0
        self._collar.opens_batches = None

    def take(self, said: Iterable[Said]) -> list[ModelAnswer]:
        """Do what was said, in order; answers are true when this returns, also after a cut."""
        standing, answers = self.standing, list[ModelAnswer]()
        writes: list[Write] = []
        for message in said:
            match message:
                case Desired():
                    self._desire(message)
                    continue
                case ModelOffer():
                    step = update.offered(standing, message)
                    self._note(message.release.ref, step)
                case ModelChunk():
                    step = update.received(standing, message)
                    self._note(_ref_under_way(standing, message.rollout), step)
            standing = step.standing
            writes += step.writes
            answers += step.answers
        before = self.standing.spares
        self._adopt(Step(standing, answers, writes))
        for slot, spare in standing.spares.items():
            if spare.is_complete and spare is not before.get(slot):
                self.on_complete(self._collar.collar_id, slot, spare)
        return answers

    def refuse(self, slot: str, refusal: Refusal) -> list[ModelAnswer]:
        """What is in the spare place of a slot failed its test."""
        ref = self.standing.spares[slot].release.ref
        step = update.refused(self.standing, slot, refusal)
        self._adopt(step)
        self._note(ref, step)
        return step.answers

    def switching(self, slot: str, manifest: Manifest) -> tuple[int, Step]:
        """What is to be committed, with the collar's number, so that a slot runs its spare.

        Once it is, set ``standing`` to the step's, and send its answers.
        """
        return self._number, update.switched(self.standing, slot, manifest)

    def _adopt(self, step: Step) -> None:
        if step.writes:
            self._memory.commit(self._number, step.writes)
        self.standing = step.standing

    def _note(self, what: str, step: Step) -> None:
        """Say a refusal once, and keep it for the report, as long as there is room."""
        for answer in step.answers:
            if answer.reason is None or answer.reason is ModelRefusal.SUPERSEDED:
                continue
            why = f"{answer.reason}: {answer.detail}"
            if self.refused.get(what) == why or len(self.refused) >= update.REFUSALS_KEPT:
                continue
            self.refused[what] = why
            log.warning(
                "model.refused",
                collar_id=self._collar.collar_id,
                what=what,
                reason=answer.reason,
                detail=answer.detail,
            )

    def _desire(self, desired: Desired) -> None:
        if desired.version < self._version:
            return  # late
        if (desired.version, desired.windows_per_hour) != (
            self._version,
            self._collar.windows_per_hour,
        ):
            self._memory.set_desired(self._number, self._site, desired)
        self._version = desired.version
        self._collar.opens_batches = desired.batches
        self._collar.dictionary = min(desired.dictionary, NEWEST)
        if desired.windows_per_hour != self._collar.windows_per_hour:
            log.info(
                "collar.desired",
                collar_id=self._collar.collar_id,
                windows_per_hour=desired.windows_per_hour,
            )
        self._collar.desire(desired.windows_per_hour)


def _ref_under_way(standing: Standing, rollout: str) -> str:
    refs = (s.release.ref for s in standing.spares.values() if s.rollout == rollout)
    return next(refs, rollout)


def _nobody(_collar_id: str, _slot: str, _spare: Spare) -> None:
    """Until someone asks to be told."""
