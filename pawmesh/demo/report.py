"""What the demo found, for machines and for people."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plugins
from pawmesh.console import print_line
from pawmesh.reckoning import Reckoning
from plugins.sdk.package import Package


@dataclass(frozen=True)
class Outcome:
    """What the services say after the run; the reckoning says what is true."""

    wallet: dict[str, Any]
    ledger_ok: bool
    sim: dict[str, Any]
    """The fleet's own report."""
    lesson: dict[str, Any]
    """Of the training run; see ``pawmesh models retrain --json``."""
    labels: int
    """Owners' answers that reached the cloud."""
    updated: list[str]
    """Collars that run the new model, by the gateway's record of what they said."""


def make_report(
    found: Reckoning, outcome: Outcome, collars: int, seconds: float, folder: Path
) -> dict[str, Any]:
    """The demo's report; its names are part of the contract."""
    lesson = outcome.lesson
    promoted = lesson["state"] == "promoted"
    steps = {
        "published": found.published > 0,
        "acknowledged": found.acknowledged == found.published,
        "stored_at_home": found.stored_gateway == found.published,
        "judged_by_plugins": found.observations > 0,
        "alerted_live": found.alert_ms["n"] > 0,
        "ungranted_withheld": found.withheld > 0 and not found.ungranted_in_cloud,
        "synced": found.synced == found.stored_cloud > 0,
        "seals_verified": found.sealed_cloud > 0,
        "tokens_paid": outcome.wallet["balance"] > 0,
        "ledger_recomputed": outcome.ledger_ok,
        "owner_corrected": outcome.labels > 0,
        "model_trained": lesson["challenger"] is not None,
        "model_promoted": promoted,
        "collars_updated": promoted and len(outcome.updated) == collars,
        "nothing_lost": found.lost == 0,
        "nothing_doubled": found.duplicates == 0,
    }
    return {
        "published": found.published,
        "acknowledged": found.acknowledged,
        "stored_gateway": found.stored_gateway,
        "stored_cloud": found.stored_cloud,
        "sealed_cloud": found.sealed_cloud,
        "rejected": found.rejected,
        "lost": found.lost,
        "duplicates": found.duplicates,
        "alerts": found.alerts,
        "withheld": found.withheld,
        "synced": found.synced,
        "tokens_paid": outcome.wallet["balance"],
        "radio_lost": outcome.sim["radio_lost"],
        "labels": outcome.labels,
        "model_before": _shipped() | {"macro_f1": (lesson["champion"] or {}).get("macro_f1")},
        "model_after": _model(lesson["challenger"]) if promoted else None,
        "collars_updated": len(outcome.updated),
        "alert_ms": found.alert_ms,
        "seconds": round(seconds, 1),
        "steps": steps,
        "training": lesson,
        "sim": outcome.sim,
        "data_dir": str(folder.absolute()),
    }


def show_report(report: dict[str, Any]) -> None:
    """The numbers for a person."""
    for name, done in report["steps"].items():
        print_line(f"  {'seen' if done else 'NOT SEEN':<9} {name.replace('_', ' ')}")
    alert_ms = report["alert_ms"]
    print_line(
        f"{report['published']} messages published, {report['acknowledged']} acknowledged, "
        f"{report['stored_gateway']} stored at home, {report['stored_cloud']} in the cloud, "
        f"{report['withheld']} withheld"
    )
    print_line(
        f"lost {report['lost']}, duplicates {report['duplicates']}; {report['alerts']} alerts, "
        f"{alert_ms['n']} live with p50 {alert_ms['p50']:.0f} ms, p99 {alert_ms['p99']:.0f} ms"
    )
    print_line(_learned(report))
    print_line(
        f"{report['tokens_paid'] / 1e6:.2f} tokens paid; {report['seconds']:.0f} s; "
        f"recount it from {report['data_dir']}"
    )


def _learned(report: dict[str, Any]) -> str:
    before, after, lesson = report["model_before"], report["model_after"], report["training"]
    if after is None:
        return f"{before['id']} stays: {lesson['reason']}: {lesson['detail']}"
    return (
        f"{report['labels']} owners' answers made {after['id']}: macro-F1 {before['macro_f1']:.3f} "
        f"-> {after['macro_f1']:.3f} on pets that neither model saw; it runs on "
        f"{report['collars_updated']} collars"
    )


def _model(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("id", "sha256", "macro_f1")}


def _shipped() -> dict[str, Any]:
    """The shipped package, read from its own folder: the demo begins with no weaker one."""
    folder = Path(plugins.__path__[0]) / "activity"
    manifest = Package.load(folder).manifest
    card = json.loads((folder / "card.json").read_text())
    return {
        "id": f"{manifest.id}@{manifest.version}",
        "sha256": manifest.model.sha256 if manifest.model else None,
        "card_macro_f1": card["int8"]["macro_f1"],
    }
