"""``pawmesh models``: make them, learn from what owners shared, look at what was learned."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclopts import App

import plugins
from pawmesh.console import print_json, print_line
from pawmesh.errors import MissingInstall, UsageError
from pawmesh.house import require
from pawmesh.options import NOTHING_SPECIAL, Common, Whole

models_app = App(name="models", help="The models that run on the collar.")
COLUMNS = "{:<22} {:<10} {:<9} {:>7} {:>7}  {}"


@models_app.command(name="train")
def models_train(
    *, out: Path | None = None, seed: Whole = 1, common: Common = NOTHING_SPECIAL
) -> None:
    """Train both collar models on simulated animals; a few minutes, and repeatable.

    Args:
        out: Folder for ``activity/`` and ``anomaly/`` [default: the ones that are shipped].
        seed: Of the animals and the training.
        common: What every command takes.
    """
    try:
        from pawmesh.models.shipped import train
    except ModuleNotFoundError as error:
        raise MissingInstall(f"Training needs {error.name}. Install it with: make setup") from error
    trained = train(out or Path(plugins.__path__[0]), seed)
    if common.json:
        print_json({"activity": trained.activity, "anomaly": trained.anomaly})
    else:
        print_line(f"{trained.activity}\n{trained.anomaly}")


@models_app.command(name="retrain")
def models_retrain(
    *, seed: Whole = 1, epochs: Whole | None = None, common: Common = NOTHING_SPECIAL
) -> int:
    """Learn from the windows and corrections that owners shared; about half a minute.

    The new activity model is judged against the champion on pets that neither learned from. If it
    is better, it is signed and sent to the collars; if not, the reason is said and nothing changes.
    Exit codes: 0 promoted, 1 not.

    Args:
        seed: Of the training: the same data and seed give the same model.
        epochs: Passes over the windows [default: what suits a few hundred].
        common: What every command takes.
    """
    running = common.house.running()
    command = [sys.executable, "-P", "-m", "cloud.training", "--seed", str(seed)]
    if epochs is not None:
        command += ["--epochs", str(epochs)]
    environment = {
        **os.environ,
        "CLOUD_DATABASE_URL": running["database_url"],
        "CLOUD_OPERATOR_TOKEN_FILE": running["operator_token_file"],
    }
    return subprocess.run(
        command + (["--json"] if common.json else []), env=environment, check=False
    ).returncode


@models_app.command(name="list")
def models_list(*, common: Common = NOTHING_SPECIAL) -> None:
    """List all models: shipped, trained and uploaded, refused ones too, with their judgement.

    Args:
        common: What every command takes.
    """
    found = _ask(common, "/v1/models")
    if common.json:
        print_json(found)
        return
    print_line(COLUMNS.format("model", "state", "origin", "before", "after", "why"))
    for model in found:
        print_line(
            COLUMNS.format(
                f"{model['package']}@{model['version']}",
                model["state"],
                model["origin"],
                _score(model["macro_f1_before"]),
                _score(model["macro_f1_after"]),
                model["reason"] or "",
            ).rstrip()
        )


@models_app.command(name="show")
def models_show(model: str, *, common: Common = NOTHING_SPECIAL) -> None:
    """Show a model's card: how it was made, and how good it is on pets it never met.

    Args:
        model: Such as ``activity@0.3.0``.
        common: What every command takes.
    """
    package, _, version = model.partition("@")
    if not (package and version) or "/" in model:
        raise UsageError(f"{model!r} names no model; say PACKAGE@VERSION, such as activity@0.3.0")
    print_json(_ask(common, f"/v1/models/{package}/{version}"))


def _ask(common: Common, path: str) -> Any:
    house = common.house
    with house.operator_api(house.running()["cloud_url"]) as cloud:
        return require(cloud.get(path))


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
