"""A training run: what owners shared becomes a model, and the gate says whether it goes out.

All that a run keeps is written in one transaction at its end. Killed before, it leaves a row that
says ``running``, which the next run marks ``died``; killed after, it has happened.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import msgspec
import numpy as np
import psycopg

from cloud.db import blocking, migrate
from cloud.models.models import (
    SLOTS,
    Champion,
    NewModel,
    Origin,
    State,
    add_model,
    champion_of,
    lock_models,
    taken_versions,
)
from cloud.models.release_key import ReleaseKey
from cloud.models.shipped import register_shipped, shipped_folder
from cloud.rollout import rollouts
from cloud.settings import Settings
from cloud.training import challenger as challengers
from cloud.training import runs
from cloud.training.challenger import Challenger, Recipe
from cloud.training.dataset import Dataset
from cloud.training.gate import Reason, RunRefused, judges_among, require_better
from cloud.training.granted import SQL, Granted, granted_windows, roles_of
from cloud.training.roles import Role
from cloud.training.runs import Report, RunState
from cloud.training.trial import Trial, hold
from gateway.wire.release import Release, version_order
from plugins.sdk.manifest import Model, Task

SLOT = SLOTS[Task.CLASSIFY]
TUNE_SHARE = 0.25  # of the pets that are learned from: unseen by the fit, they set the threshold
MIN_TUNED_PETS = 4  # with fewer, none can be spared

Say = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """The windows of a run, by what they are for."""

    fit: Dataset
    tune: Dataset
    judge: Dataset
    """Fair windows of judges alone."""


def retrain(settings: Settings, recipe: Recipe, say: Say) -> Report:
    """Train, judge, and promote or refuse; what happened is in the database and in the report.

    Args:
        settings: The cloud's own.
        recipe: Seed and length of the training.
        say: Told about each step.

    Raises:
        CloudError: The database is not there, not ours, or another run is under way.
    """
    url = settings.database_url.get_secret_value()
    migrate(url, settings.retention_days)
    key = ReleaseKey.kept(settings.release_key_path)
    with blocking(url) as connection, runs.only_run(connection):
        register_shipped(connection, settings.models_dir or shipped_folder(), key)
        return Retraining(connection, key, recipe, say).run()


class Retraining:
    """One run, over one connection that holds the lock of training."""

    def __init__(
        self, connection: psycopg.Connection[Any], key: ReleaseKey, recipe: Recipe, say: Say
    ) -> None:
        self._db = connection
        self._key = key
        self._recipe = recipe
        self._say = say
        self._began_s = monotonic()
        self._report: Report = {
            "run_id": runs.begin(connection, SLOT, recipe.seed),
            "state": RunState.RUNNING,
            "reason": None,
            "detail": "",
            "champion": None,
            "challenger": None,
            "per_pet": {},
            "dataset": {},
            "rollout_id": None,
            "seconds": 0.0,
        }

    def run(self) -> Report:
        """Carry it out."""
        try:
            self._carry_out()
        except RunRefused as refused:
            runs.end(self._db, RunState.REFUSED, self._ended(RunState.REFUSED, refused))
        except BaseException as error:
            with suppress(psycopg.Error):  # which may be what ended the run
                runs.end(self._db, RunState.FAILED, self._ended(RunState.FAILED, error))
            raise
        self._say(f"{self._report['state']}: {self._report['detail']}")
        return self._report

    def _carry_out(self) -> None:
        champion = champion_of(self._db, SLOT)
        if champion is None:
            raise RunRefused(Reason.NO_CHAMPION, f"no model for slot {SLOT} is known")
        self._report["champion"] = {
            "id": champion.ref,
            "sha256": champion.sha256,
            "macro_f1": None,
        }
        self._say(f"reading what owners shared; the champion is {champion.ref}")
        old = champion.manifest.model
        if old is None:
            raise ValueError(f"{champion.ref} carries no model")  # nothing without one is kept
        granted, roles = self._read(old)
        parts = self._split(granted, roles)
        self._say(
            f"learning from {len(parts.fit)} windows, {self._recipe.epochs} passes; "
            f"{len(parts.judge)} fair ones of strangers will judge"
        )
        made = challengers.train(champion, old, parts.fit, parts.tune, self._recipe)
        self._say(f"judging {len(made.content)} bytes of int8 against the champion")
        trial = self._judge(champion, old, made, parts.judge)
        try:
            require_better(trial.whole, trial.pets)
        except RunRefused as refused:
            self._keep_refused(champion, made, trial, refused)
            raise
        self._say("promoting")
        self._promote(champion, made, granted, trial)

    def _read(self, model: Model) -> tuple[Granted, dict[str, Role]]:
        with self._db.transaction():
            granted = granted_windows(self._db, model, datetime.now(UTC))
            pets: list[str] = np.unique(granted.data.animals).tolist()
            return granted, roles_of(self._db, pets)

    def _split(self, granted: Granted, roles: dict[str, Role]) -> Parts:
        data, fair = granted.data, granted.fair
        judges = [pet for pet, role in roles.items() if role is Role.JUDGE]
        fitted = [pet for pet, role in roles.items() if role is Role.FIT]
        tuned = _tuned_by(fitted)
        fitted = [pet for pet in fitted if pet not in tuned]
        named, counts = np.unique(data.labels, return_counts=True)
        self._report["dataset"] = {
            "digest": data.digest(),
            "windows": len(data),
            "labels": dict(zip(named.tolist(), counts.tolist(), strict=True)),
            "fit": granted.counts(fitted),
            "tune": granted.counts(tuned, fair_only=True),
            "judge": granted.counts(judges, fair_only=True),
            "grants": granted.grants,
            "other_shape": granted.other_shape,
            "other_words": granted.other_words,
        }
        able = judges_among(granted.counts(judges, fair_only=True))
        fit = data.of(fitted)
        if len(fit) == 0:
            raise RunRefused(Reason.TOO_FEW_WINDOWS, "no pet but the judges has labelled windows")
        tune = data.where(fair & np.isin(data.animals, tuned or fitted))
        judge = data.where(fair & np.isin(data.animals, able))
        return Parts(fit, tune if len(tune) else fit, judge)

    def _judge(self, champion: Champion, old: Model, made: Challenger, judge: Dataset) -> Trial:
        trial = hold(champion, old, made, judge)
        self._report["champion"]["macro_f1"] = trial.whole.champion
        self._report["challenger"] = {
            "id": f"{champion.package}@{self._next_version(champion)}",
            "sha256": made.model.sha256,
            "macro_f1": trial.whole.challenger,
            "float_macro_f1": trial.float_["macro_f1"],
            "flash_bytes": len(made.content),
        }
        self._report["per_pet"] = trial.per_pet()
        return trial

    def _promote(
        self, champion: Champion, made: Challenger, granted: Granted, trial: Trial
    ) -> None:
        """The end of a run that succeeds: all of it, or nothing."""
        now = datetime.now(UTC)
        with self._db.transaction():
            lock_models(self._db)
            current = champion_of(self._db, SLOT)
            if current is None or current.model_id != champion.model_id:
                raise RunRefused(Reason.CHAMPION_CHANGED, "another model is champion by now")
            values = {"grant_ids": granted.grants, "now": now}
            held = self._db.execute(SQL["grants_that_hold"], values).fetchall()
            if len(held) < len(granted.grants):
                ended = len(granted.grants) - len(held)
                raise RunRefused(Reason.GRANT_WITHDRAWN, f"{ended} grants ended meanwhile")
            new = self._new_model(champion, made, trial, now)
            model_id = add_model(self._db, new)
            if model_id is None:
                raise ValueError(f"{new.package}@{new.version} was not kept")
            self._report["challenger"]["id"] = f"{new.package}@{new.version}"
            self._report["rollout_id"] = rollouts.start(
                self._db, model_id=model_id, slot=SLOT, now=now, run_id=self._report["run_id"]
            )
            detail = (
                f"macro-F1 {trial.whole.challenger:.4f} against {trial.whole.champion:.4f} on "
                f"{trial.whole.windows} windows of {len(trial.pets)} pets strange to both"
            )
            runs.end(self._db, RunState.PROMOTED, self._ended(RunState.PROMOTED, detail))

    def _new_model(
        self, champion: Champion, made: Challenger, trial: Trial, now: datetime
    ) -> NewModel:
        manifest = msgspec.structs.replace(
            champion.manifest, version=self._next_version(champion), model=made.model
        )
        release = Release.signed(
            self._key.private,
            slot=SLOT,
            manifest=manifest,
            size=len(made.content),
            golden=made.golden,
        )
        return NewModel(
            package=manifest.id,
            version=manifest.version,
            slot=SLOT,
            sha256=hashlib.sha256(made.content).hexdigest(),
            origin=Origin.TRAINED,
            state=State.CHAMPION,
            made_at=now,
            judged_at=now,
            release=release,
            content=made.content,
            weights=made.fitted.weights(),
            card={
                "id": f"{manifest.id}@{manifest.version}",
                **made.card(self._recipe, champion),
                **trial.card(),
            },
            run_id=self._report["run_id"],
            before_f1=trial.whole.champion,
            after_f1=trial.whole.challenger,
        )

    def _keep_refused(
        self, champion: Champion, made: Challenger, trial: Trial, refused: RunRefused
    ) -> None:
        """A challenger that lost stays to be looked at: unsigned, so that none can be sent it."""
        new = self._new_model(champion, made, trial, datetime.now(UTC))
        row = {name: getattr(new, name) for name in NewModel.__dataclass_fields__}
        row |= {"state": State.REFUSED, "release": None, "weights": None}
        row |= {"reason": refused.reason, "detail": refused.detail}
        with self._db.transaction():
            add_model(self._db, NewModel(**row))

    def _next_version(self, champion: Champion) -> str:
        """Above every version that was ever taken."""
        taken = [champion.version, *taken_versions(self._db, champion.package)]
        major, minor, *_ = max(version_order(each) for each in taken)
        return f"{major}.{minor + 1}.0"

    def _ended(self, state: RunState, why: str | BaseException) -> Report:
        """The report as it stands at the end."""
        if isinstance(why, RunRefused):
            self._report |= {"reason": why.reason, "detail": why.detail}
        elif isinstance(why, BaseException):
            self._report |= {"detail": f"{type(why).__name__}: {why}"[:300]}
        else:
            self._report |= {"detail": why}
        self._report |= {"state": state, "seconds": round(monotonic() - self._began_s, 1)}
        return self._report


def _tuned_by(fitted: list[str]) -> list[str]:
    """The pets that set the threshold, by lot."""
    if len(fitted) < MIN_TUNED_PETS:
        return []
    drawn = sorted(fitted, key=lambda pet: hashlib.sha256(f"tune {pet}".encode()).hexdigest())
    return sorted(drawn[: max(1, round(len(fitted) * TUNE_SHARE))])
