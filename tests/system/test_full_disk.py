"""A full disk ends a fleet with a word and a code of its own, and costs no message."""

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.patience import PATIENCE_S
from tests.system.household import write_fleet

FILE_BYTES = 400_000  # flash is laid out, some minutes are written, and then no more
NOBODY = "mqtt://127.0.0.1:1"


def test_a_full_disk_ends_the_fleet_in_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    write_fleet(tmp_path / "fleet.json", 2)
    flags = ["--fleet-file", tmp_path / "fleet.json", "--data-dir", tmp_path / "sim"]
    flags += ["--broker", NOBODY, "--start-at", "2026-05-01T08:00:00Z", "--history", "3h"]
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "collar_sim", *map(str, flags), "--duration", "0"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES)),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode == 6, ended.stderr
    assert last.startswith("pawmesh sim: ")
    assert "flash.sqlite: " in last
    with closing(sqlite3.connect(tmp_path / "sim" / "flash.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for count, first, end in db.execute(
            "SELECT count(*), min(seq), max(seq) FROM log GROUP BY number"
        ):
            assert (first, end) == (0, count - 1)
            assert count > 10  # it was in the midst of it
