"""Models in use, each loaded once: those that were shipped, and those that came over the air.

All collars that run the same packages on the same engine share one `ModelSlots`, so that a fleet
stays one batch through every update. A release is judged once per engine, whoever asks first.
"""

import hashlib
from pathlib import Path
from threading import Lock

import msgspec

from collar_sim.firmware.models.slots import TASKS, Engine, LoadedModel, ModelSlots, load_models
from gateway.wire.release import ModelRefusal, Release, WrongRelease
from plugins.sdk.errors import ModelMisfit, ModelRefused, ModelTooLarge
from plugins.sdk.golden import golden_windows, output_step, require_agreement
from plugins.sdk.manifest import Manifest
from plugins.sdk.package import Package, admitted

NOWHERE = Path()  # a package that came over the air has no folder

_manifest = msgspec.json.Decoder(Manifest)


class Shelf:
    """Everything that is loaded. `judged` may be called by another thread than the rest."""

    def __init__(self) -> None:
        self._shipped: dict[tuple[Path, Engine], tuple[dict[str, LoadedModel], dict[str, str]]] = {}
        self._verdicts: dict[tuple[Release, Engine], LoadedModel | WrongRelease] = {}
        self._slots: dict[tuple[LoadedModel | None, ...], ModelSlots] = {}
        self._judging = Lock()

    @property
    def slots(self) -> list[ModelSlots]:
        """All that were handed out."""
        return list(self._slots.values())

    def shipped(
        self, folder: Path, engine: Engine
    ) -> tuple[dict[str, LoadedModel], dict[str, str]]:
        """The models of a folder by slot, and why the other slots are empty."""
        key = folder, engine
        if key not in self._shipped:
            self._shipped[key] = load_models(folder, engine)
        return self._shipped[key]

    def slots_of(self, models: dict[str, LoadedModel], refused: dict[str, str]) -> ModelSlots:
        """Slots that hold these models, shared with all who hold the same."""
        key = tuple(models.get(slot) for slot in TASKS)
        if key not in self._slots:
            empty = {slot: why for slot, why in refused.items() if slot not in models}
            self._slots[key] = ModelSlots.holding(models, empty)
        return self._slots[key]

    def judged(self, release: Release, model: bytes, engine: Engine) -> LoadedModel:
        """The model of a release, once it passed every check there is; tens of ms the first time.

        Args:
            release: Whose signature was checked.
            model: The bytes that came, or that the flash holds.
            engine: That will run it, and does so here for its self-test.

        Raises:
            WrongRelease: It may not run, with the reason.
        """
        if len(model) != release.size:
            raise WrongRelease(
                ModelRefusal.TRUNCATED, f"{len(model)} bytes of {release.size} are here"
            )
        digest = hashlib.sha256(model).hexdigest()
        if digest != release.sha256:
            raise WrongRelease(
                ModelRefusal.CORRUPT, f"sha256 is {digest}, {release.sha256} was signed"
            )
        with self._judging:
            verdict = self._verdicts.get((release, engine))
            if verdict is None:
                try:
                    verdict = _judge(release, model, engine)
                except WrongRelease as error:
                    verdict = error
                self._verdicts[release, engine] = verdict
        if isinstance(verdict, WrongRelease):
            raise WrongRelease(verdict.reason, verdict.detail)
        return verdict


def _judge(release: Release, model: bytes, engine: Engine) -> LoadedModel:
    try:
        manifest = _manifest.decode(release.manifest)
        described = manifest.model
        if described is None or release.slot not in TASKS:
            raise ModelRefused(f"{release.ref} is no model for a collar")
        canonical = admitted(model, described, manifest.runs_on)
        loaded = LoadedModel.of(Package(NOWHERE, manifest, canonical), release.slot, engine)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongRelease(ModelRefusal.INVALID_MANIFEST, str(error)) from error
    except ModelTooLarge as error:
        raise WrongRelease(ModelRefusal.TOO_LARGE, str(error)) from error
    except ModelMisfit as error:
        raise WrongRelease(ModelRefusal.WRONG_SHAPE, str(error)) from error
    except ModelRefused as error:
        raise WrongRelease(ModelRefusal.NOT_ADMITTED, str(error)) from error
    try:
        windows = golden_windows(described.samples, described.rate_hz)
        answers = loaded.classifier.predict(windows)
        require_agreement(release.golden, answers, output_step(canonical))
    except (ModelRefused, RuntimeError, ValueError) as error:  # interpreters raise the last two
        raise WrongRelease(ModelRefusal.SELF_TEST_FAILED, str(error)) from error
    return loaded
