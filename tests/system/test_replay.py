"""Recordings through the same broker, gateway and cloud as a live collar; killed and gone on."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.patience import PATIENCE_S
from tests.system.test_platform import Up, eventually, pawmesh, running
from tests.unit.test_replay_recording import recording

RECORDINGS = Path(os.environ.get("PAWMESH_RECORDINGS") or Path(__file__).parents[3] / "shared/data")
BEHAVIOURS = {"sleep", "rest", "walk", "run", "play", "vehicle"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A platform without collars for as long as this module's tests."""
    with running(tmp_path_factory.mktemp("up"), "--collars", 0, "--port-base", 0) as started:
        yield started


def two_dogs(path: Path, minutes: float = 30) -> Path:
    """Half an hour of two dogs at 50 Hz, under other names and in other units than ours."""
    tables: list[pa.Table] = []
    for number, name in enumerate(("Ada", "Bo")):
        columns = recording(seconds=60 * minutes, rate_hz=50)
        count = len(columns["dog"])
        labels = np.where(np.arange(count) < count // 2, "trot", "car")
        renamed: dict[str, Any] = {
            "subject": [name] * count,
            "what": labels,
            "when": columns["t"] + np.timedelta64(number, "D"),
        }
        renamed |= {f"acc{axis.upper()}": columns[f"acc_{axis}"] / 9.80665 for axis in "xyz"}
        renamed |= {f"gyro_{axis}": np.radians(columns[f"gyr_{axis}"]) for axis in "xyz"}
        tables.append(pa.table(renamed))
    pq.write_table(pa.concat_tables(tables), path)
    return path


OPTIONS = (
    *("--animal-column", "subject", "--label-column", "what", "--time-column", "when"),
    *("--rate-hz", 50, "--acc-unit", "g", "--gyr-unit", "rad/s"),
    *("--label-map", "trot=run"),
)


def replay(*words: object) -> dict[str, Any]:
    done = pawmesh("replay", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def at_home(up: Up, sql: str, ids: list[str]) -> list[Any]:
    marks = ",".join("?" * len(ids))
    with closing(sqlite3.connect(f"file:{up.noted['gateway_db']}?mode=ro", uri=True)) as db:
        return db.execute(sql.format(f"collar_id IN ({marks})"), ids).fetchall()


def pets(up: Up) -> int:
    with psycopg.connect(up.noted["database_url"]) as db:
        [count] = db.execute("SELECT count(*) FROM pet").fetchone() or (0,)
        return count


def test_a_recording_arrives_as_from_a_live_collar(up: Up, tmp_path: Path) -> None:
    file = two_dogs(tmp_path / "walks.parquet")
    report_file = tmp_path / "report.json"
    found = replay(file, *OPTIONS, "--data-dir", up.data_dir, "--share", "--report", report_file)
    assert json.loads(report_file.read_text()) == found
    assert found["windows"] == 2 * 30 * 15
    assert found["epochs_stored"] == found["epochs_cloud"] == 60
    assert found["lost"] == found["duplicates"] == found["refused"] == 0
    assert set(found["macro_f1"]) == {"Ada", "Bo"}
    assert found["support"] == {name: {"run": 225, "vehicle": 225} for name in ("Ada", "Bo")}
    assert set(found["confusion"]) == {"run", "vehicle"}
    said = {name: sum(row.values()) for name, row in found["confusion"].items()}
    assert said == {"run": 450, "vehicle": 450}
    assert 0 <= found["coverage"] <= 1
    ids = [each["collar_id"] for each in found["animals"].values()]
    observed = at_home(up, "SELECT min(observed_us) FROM message WHERE {} AND kind='epoch'", ids)
    assert observed == [(1_714_550_400_000_000,)]
    batteries = psycopg.connect(up.noted["database_url"])
    with closing(batteries) as db:
        row = db.execute("SELECT count(battery_pct) FROM epoch").fetchone()
        assert row == (0,)


def test_replaying_again_doubles_nothing_and_scores_anew(up: Up, tmp_path: Path) -> None:
    file = two_dogs(tmp_path / "walks.parquet", minutes=5)
    words = (file, *OPTIONS, "--data-dir", up.data_dir)
    first = replay(*words)
    assert first["epochs_cloud"] == 0  # nobody granted it
    before = pets(up)
    other_map = ["trot=walk,car=" if each == "trot=run" else each for each in words]
    second = replay(*other_map)
    assert second["replayed_before"] is True
    assert second["animals"] == first["animals"]
    assert second["support"] == {"Ada": {"walk": 37}, "Bo": {"walk": 37}}
    assert pets(up) == before
    third = replay(*words, "--again")
    assert third["replayed_before"] is False
    assert pets(up) == before + 2
    collars = {each["collar_id"] for each in third["animals"].values()}
    assert not collars & {each["collar_id"] for each in first["animals"].values()}
    assert third["epochs_stored"] == first["epochs_stored"] == 10


def test_a_replay_killed_in_the_middle_goes_on_and_loses_and_doubles_nothing(
    up: Up, tmp_path: Path
) -> None:
    file = two_dogs(tmp_path / "walks.parquet", minutes=20)
    words = (*map(str, (file, *OPTIONS, "--data-dir", up.data_dir, "--share")),)
    command = [sys.executable, "-m", "pawmesh", "replay", *words]
    kinds = "SELECT count(*) FROM message WHERE {} AND kind='epoch'"
    kills = 0
    for wanted in (3, 12):
        process = subprocess.Popen(
            [*command, "--speed", "150"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        [run_folder] = until_there(up.data_dir / "replay", file_of(up))
        ids = [each["collar_id"] for each in json.loads(run_folder.read_text()).values()]
        assert eventually(lambda n=wanted, i=ids: at_home(up, kinds, i)[0][0] >= n)
        kills += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert kills == 2
    found = replay(*words)
    assert found["epochs_stored"] == found["epochs_cloud"] == 40
    assert found["lost"] == found["duplicates"] == 0
    assert found["support"] == {name: {"run": 150, "vehicle": 150} for name in ("Ada", "Bo")}
    [[instants, boots]] = at_home(
        up,
        "SELECT count(DISTINCT collar_id || observed_us), max(boot) FROM message "
        "WHERE {} AND kind='epoch'",
        ids,
    )
    assert instants == 40
    assert boots > 1


def file_of(up: Up) -> set[Path]:
    """Keys of finished replays."""
    return {path.parent / "keys.json" for path in (up.data_dir / "replay").glob("*/facts.json")}


def until_there(folder: Path, known: set[Path]) -> list[Path]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if fresh := sorted(set(folder.glob("*/keys.json")) - known):
            return fresh
        time.sleep(0.05)
    raise AssertionError("the replay made no keys")


def test_positions_arrive_with_their_instants(up: Up, tmp_path: Path) -> None:
    path = tmp_path / "cats.csv"
    lines = ["name,time,lat,lng,hdop"]
    lines += [f"Mimi,2020-06-01T10:{n:02}:00Z,{50 + n / 1e4},{5.0},1.5" for n in range(50)]
    path.write_text("\n".join(lines))
    found = replay(path, "--gps", "--animal-column", "name", "--share", "--data-dir", up.data_dir)
    assert found["fixes_stored"] == found["fixes_cloud"] == 50
    assert found["lost"] == found["duplicates"] == 0
    with psycopg.connect(up.noted["database_url"]) as db:
        query = "SELECT species FROM pet WHERE pet_id = %s"
        assert db.execute(query, (found["animals"]["Mimi"]["pet_id"],)).fetchone() == ("cat",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rate-hz", "16.4"), "--rate-hz 50"),
        (("--label-map", ""), "'trot'"),
        (("--start-at", "soon"), "--start-at soon"),
        (("--report", "/nowhere/at/all.json"), "--report"),
        (("--gps",), "--lat-column"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_enrolled(
    up: Up, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    file = two_dogs(tmp_path / "walks.parquet", minutes=0.5)
    given = {OPTIONS[n]: OPTIONS[n + 1] for n in range(0, len(OPTIONS), 2)}
    if len(words) == 2:
        given[words[0]] = words[1]
    options = [part for pair in given.items() for part in pair if part != "" or pair[1] == ""]
    extra = words if len(words) == 1 else ()
    before = pets(up)
    done = pawmesh("replay", file, *options, *extra, "--data-dir", up.data_dir)
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert pets(up) == before


def test_a_file_that_is_nowhere_says_where_it_was_looked_for(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAWMESH_RECORDINGS", str(tmp_path))
    done = pawmesh("replay", "none.parquet", "--data-dir", up.data_dir)
    assert done.returncode == 2
    assert str(tmp_path) in "".join(done.stderr.split())


class TestRecordings:
    """The real files, a slice of each; the platform is started for the run."""

    pytestmark: ClassVar = [
        pytest.mark.recordings,
        pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings here"),
    ]

    def test_two_real_dogs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = pq.read_table(RECORDINGS / "dog_collar_imu.parquet")
        sessions = whole.column("session").to_numpy()
        edges = np.flatnonzero(sessions[1:] != sessions[:-1]) + 1
        starts = np.concatenate([[0], edges])
        rows = np.concatenate([np.arange(at, at + 2_000) for at in starts])
        rows = rows[(rows < len(sessions)) & (sessions[rows] == np.repeat(sessions[starts], 2_000))]
        folder = tmp_path / "recordings"
        folder.mkdir()
        pq.write_table(whole.take(pa.array(rows)), folder / "slice.parquet")
        monkeypatch.setenv("PAWMESH_RECORDINGS", str(folder))
        found = replay("slice.parquet", "--data-dir", tmp_path / "data")
        assert found["epochs_stored"] == found["epochs_cloud"] > 80
        assert found["lost"] == found["duplicates"] == 0
        assert set(found["labels"]) == set(found["confusion"]) == BEHAVIOURS
        assert set(found["macro_f1"]) == {"Bernie", "Molly"}
        assert all(
            found["accuracy"][dog] > 0.05 and 0 < found["macro_f1"][dog] < 0.9
            for dog in ("Bernie", "Molly")
        )

    def test_real_cats(self, tmp_path: Path) -> None:
        table = pa_csv.read_csv(RECORDINGS / "cat_gps_tracks.csv").slice(0, 1_500)
        pa_csv.write_csv(table, tmp_path / "cats.csv")
        visible = sum(table.column("visible").to_pylist())
        found = replay(tmp_path / "cats.csv", "--gps", "--data-dir", tmp_path / "data")
        assert found["fixes_stored"] == found["fixes_cloud"] == visible
        assert found["refused_rows"]["not_visible"] == 1_500 - visible
        assert found["lost"] == found["duplicates"] == 0
