"""What the demo's owner saw, from the simulator's ground truth."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.wire.uplink import MAX_LABEL_S
from pawmesh.demo.watcher import bouts

BEGAN_AT = datetime(2026, 5, 1, 19, tzinfo=UTC)


def lived(folder: Path, *runs: tuple[str, int]) -> Path:
    """Write a pet's seconds, one behaviour after the other, as the simulator does."""
    behaviour = [name for name, seconds in runs for _ in range(seconds)]
    at = [BEGAN_AT + timedelta(seconds=second) for second in range(len(behaviour))]
    times = pa.array(at, pa.timestamp("us", tz="UTC"))
    table = pa.table({"collar_id": ["luna"] * len(at), "at": times, "behaviour": behaviour})
    pq.write_table(table, folder / "truth-0.parquet")
    return folder


def test_a_bout_that_no_single_answer_may_span_becomes_several(tmp_path: Path) -> None:
    longest = int(MAX_LABEL_S)
    truth = lived(tmp_path, ("sleep", longest + 542), ("walk", 20), ("drink", 3))
    seen = bouts(truth, ["luna"])
    assert [(each.behaviour, (each.end_at - each.start_at).seconds) for each in seen] == [
        ("sleep", longest),
        ("sleep", 542),
        ("walk", 20),
    ]
    assert seen[0].start_at == BEGAN_AT
    assert [each.end_at for each in seen[:2]] == [each.start_at for each in seen[1:]]


def test_only_the_pets_that_were_asked_for_are_seen(tmp_path: Path) -> None:
    assert bouts(lived(tmp_path, ("walk", 20)), ["rex"]) == []
