"""The whole loop as people see it, and every number of it found again in what it left behind."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import plugins
from plugins.sdk.package import Package

pytestmark = pytest.mark.timeout(900)

STEPS = {
    *("published", "acknowledged", "stored_at_home", "judged_by_plugins", "alerted_live"),
    *("ungranted_withheld", "synced", "seals_verified", "tokens_paid", "ledger_recomputed"),
    *("owner_corrected", "model_trained", "model_promoted", "collars_updated"),
    *("nothing_lost", "nothing_doubled"),
}


def query(path: Path, question: str) -> Any:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(question).fetchone()[0]


def test_every_step_of_the_loop_is_seen_and_can_be_counted_again(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "report.json"
    command = [sys.executable, "-m", "pawmesh", "demo", "--data-dir", data, "--report", file]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(file.read_text())
    assert report["steps"] == dict.fromkeys(STEPS, True)
    before, after = report["model_before"], report["model_after"]
    shipped = Package.load(Path(plugins.__path__[0]) / "activity")
    assert shipped.manifest.model is not None
    assert before["sha256"] == shipped.manifest.model.sha256
    assert before["id"] == shipped.ref
    assert after["macro_f1"] >= before["macro_f1"] + 0.01
    assert report["collars_updated"] == 20
    stored = data / "gateway" / "gateway.db"
    assert query(stored, "SELECT count(*) FROM message") == report["stored_gateway"]
    held = f"SELECT count(*) FROM collar_slot WHERE sha256 = '{after['sha256']}'"
    assert query(stored, held) == report["collars_updated"]
    published = data / "fleet" / "fleet" / "published.sqlite"
    assert query(published, "SELECT count(*) FROM published") == report["published"]
    assert report["published"] == report["acknowledged"] == report["stored_gateway"]
