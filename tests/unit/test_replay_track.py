"""Recordings of positions: what is sent, what is left out and counted, what is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collar_sim.replay.errors import RecordingError
from collar_sim.replay.table import TableFile
from collar_sim.replay.track import (
    ACCURACY_M,
    OUTLIER_ACCURACY_M,
    SpeedUnit,
    Track,
    TrackMapping,
    read_track,
)
from gateway.wire.messages import Fix

ROW: dict[str, Any] = {
    "tag_id": "Lola",
    "visible": "True",
    "timestamp": "2017-06-24 01:18:49",
    "location_long": -5.07,
    "location_lat": 50.14,
    "ground_speed": 1404,
    "algorithm_marked_outlier": "False",
    "manually_marked_outlier": "",
}


def rows(*changes: Mapping[str, Any], **always: Any) -> list[dict[str, Any]]:
    base = [ROW | {"timestamp": f"2017-06-24 01:1{n}:00"} for n in range(len(changes))]
    made = [one | always | dict(change) for one, change in zip(base, changes, strict=True)]
    return [{k: v for k, v in one.items() if v is not ...} for one in made]


def read(path: Path, table: list[dict[str, Any]], **said: Any) -> Track:
    file = path / "t.csv"
    lines = [",".join(table[0])]
    lines += [",".join(str(each.get(name, "")) for name in table[0]) for each in table]
    file.write_text("\n".join(lines) + "\n")
    return read_track(TableFile.open(file), TrackMapping(**said))


def fixes(track: Track, animal: str = "Lola") -> list[dict[str, Any]]:
    return [draft.fields for step in track.animals[animal] for draft in step.drafts]


def refused(path: Path, table: list[dict[str, Any]], *says: str, **said: Any) -> None:
    with pytest.raises(RecordingError) as caught:
        read(path, table, **said)
    for each in says:
        assert each in str(caught.value), caught.value


def test_the_shape_of_cat_gps_tracks_needs_no_options(tmp_path: Path) -> None:
    track = read(tmp_path, rows({}, {}))
    [first, _] = track.animals["Lola"]
    assert first.began_at == datetime(2017, 6, 24, 1, 10, tzinfo=UTC)
    assert fixes(track)[0] == {
        "lat_deg": 50.14,
        "lon_deg": -5.07,
        "accuracy_m": ACCURACY_M,
        "speed_mps": 0.39,
    }
    draft = first.drafts[0]
    Fix(collar_id="c", boot=1, seq=1, observed_at=draft.observed_at, **draft.fields)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [("lat", "lon"), ("Latitude", "Longitude"), ("LAT", "LNG"), ("location-lat", "location-long")],
)
def test_usual_spellings_are_recognised(tmp_path: Path, lat: str, lon: str) -> None:
    one = {"animal": "Bo", "time": "2020-01-01T00:00:00Z", lat: 50.0, lon: 5.0}
    track = read(tmp_path, [one], animal_column="animal")
    assert fixes(track, "Bo")[0]["lat_deg"] == 50.0


def test_marked_outliers_are_sent_as_what_a_receiver_would_know_of_them(tmp_path: Path) -> None:
    track = read(tmp_path, rows({}, {"manually_marked_outlier": "TRUE"}))
    assert [each["accuracy_m"] for each in fixes(track)] == [ACCURACY_M, OUTLIER_ACCURACY_M]
    assert track.outliers == 1


def test_quality_figures_are_used_where_there_are_some(tmp_path: Path) -> None:
    track = read(tmp_path, rows({"hdop": 2.0}, {"hdop": ""}, {"hdop": 900}, hdop=1.0))
    assert [each["accuracy_m"] for each in fixes(track)] == [10.0, ACCURACY_M, 4500.0]
    assert [each.get("hdop") for each in fixes(track)] == [2.0, None, None]
    track = read(tmp_path, rows({"accuracy": 7.5}, {"accuracy": -1}, accuracy=1))
    assert [each["accuracy_m"] for each in fixes(track)] == [7.5, ACCURACY_M]


def test_speed_is_taken_in_its_unit_and_left_out_where_it_is_absurd(tmp_path: Path) -> None:
    track = read(tmp_path, rows({}, {"ground_speed": 277092}, {"ground_speed": ""}))
    assert [each.get("speed_mps") for each in fixes(track)] == [0.39, None, None]
    track = read(tmp_path, rows({}, ground_speed=3.6), speed_unit=SpeedUnit.KMH)
    assert fixes(track)[0]["speed_mps"] == 1.0
    assert fixes(read(tmp_path, rows({}, ground_speed=1.5)))[0]["speed_mps"] == 1.5


def test_bad_rows_are_left_out_and_counted_by_reason(tmp_path: Path) -> None:
    track = read(
        tmp_path,
        rows(
            {},
            {"visible": "False"},
            {"location_lat": ""},
            {"location_lat": 95.0},
            {"location_lat": 0, "location_long": 0},
            {"timestamp": ""},
            {"tag_id": ""},
            {"timestamp": "2017-06-24 01:10:00"},
            {},
        ),
    )
    assert track.refused == {
        "not_visible": 1,
        "without_time": 1,
        "without_position": 1,
        "out_of_range": 1,
        "at_zero_zero": 1,
        "without_animal": 1,
        "repeated": 1,
    }
    assert len(fixes(track)) == 2


def test_fixes_are_put_in_the_order_of_time(tmp_path: Path) -> None:
    track = read(tmp_path, rows({"timestamp": "2017-06-25 00:00:00"}, {}))
    first, second = track.animals["Lola"]
    assert first.began_at < second.began_at


def test_swapped_axes_are_noticed(tmp_path: Path) -> None:
    table = rows({}, {}, location_lat=-122.4, location_long=37.7)
    refused(tmp_path, table, "swapped", "--lat-column location_long --lon-column location_lat")


def test_projected_positions_are_noticed(tmp_path: Path) -> None:
    table = rows({}, location_lat=5_400_000, location_long=345_000)
    refused(tmp_path, table, "column location_lat", "WGS 84")


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("tag_id", "--animal-column"),
        ("timestamp", "--time-column"),
        ("location_lat", "--lat-column"),
        ("location_long", "--lon-column"),
    ],
)
def test_a_missing_column_names_what_there_is(tmp_path: Path, gone: str, says: str) -> None:
    refused(tmp_path, rows({}, **{gone: ...}), says, "It has: ", "ground_speed")


def test_two_candidates_are_not_guessed_between(tmp_path: Path) -> None:
    refused(tmp_path, rows({}, latitude=1), "several columns for the latitude", "--lat-column")
    track = read(tmp_path, rows({}, latitude=1), lat_column="location_lat")
    assert fixes(track)[0]["lat_deg"] == 50.14


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"location_lat": "north"}, "column location_lat holds 'north'"),
        ({"location_lat": ""}, "column location_lat holds no number"),
        ({"timestamp": "noon"}, "column timestamp holds 'noon'"),
        ({"timestamp": "2990-01-01 00:00:00"}, "future"),
        ({"timestamp": "1970-01-02 00:00:00"}, "--start-at"),
        ({"timestamp": 17}, "--start-at"),
        ({"visible": "False"}, "no usable fix: 1 not_visible"),
        ({"tag_id": ""}, "column tag_id names no animal"),
    ],
)
def test_what_cannot_be_a_track_is_refused(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    refused(tmp_path, rows(change), says)


def test_a_wrong_clock_is_moved_to_where_it_belongs(tmp_path: Path) -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    table = rows({}, {"timestamp": "1970-01-02 00:01:00"}, timestamp="1970-01-02 00:00:00")
    track = read(tmp_path, table, start_at=at)
    first, second = track.animals["Lola"]
    assert first.began_at == at
    assert (second.began_at - at).total_seconds() == 60
