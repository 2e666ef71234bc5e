"""Recordings of motion: what is understood, and what is refused with its column and remedy."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collar_sim.replay import table as table_module
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.motion import Motion, read_motion
from collar_sim.replay.source import windows_in
from collar_sim.replay.table import TableFile
from collar_sim.replay.units import AccUnit, GyrUnit
from pawmesh.replay.recording import read as read_file

AT = datetime(2024, 5, 1, 8, tzinfo=UTC)
AT_US = 1_714_550_400_000_000
AXES = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")


def recording(seconds: float = 60, rate_hz: float = 16.4, **changes: Any) -> dict[str, Any]:
    """A walking dog's columns, as `dog_collar_imu` has them."""
    count = round(seconds * rate_hz)
    t = np.arange(count) / rate_hz
    wave = np.sin(2 * np.pi * 1.5 * t)
    columns: dict[str, Any] = {
        "dog": ["Rex"] * count,
        "session": ["walk/1"] * count,
        "activity": ["walk"] * count,
        "t": (AT_US + np.rint(t * 1e6)).astype("int64").astype("datetime64[us]"),
        "acc_x": 4.0 * wave,
        "acc_y": 1.0 * wave,
        "acc_z": 9.81 + 5.0 * wave,
        "gyr_x": 120.0 * wave,
        "gyr_y": 40.0 * wave,
        "gyr_z": 10.0 * wave,
    }
    columns |= changes
    return {name: values for name, values in columns.items() if values is not None}


def parquet(path: Path, columns: dict[str, Any]) -> TableFile:
    pq.write_table(pa.table(columns), path / "r.parquet")
    return TableFile.open(path / "r.parquet")


def read(path: Path, columns: dict[str, Any], **said: Any) -> Motion:
    return read_motion(parquet(path, columns), MotionMapping(**said))


def windows(motion: Motion) -> dict[str, int]:
    return {animal: sum(map(windows_in, held)) for animal, held in motion.animals.items()}


def refused(path: Path, columns: dict[str, Any], *says: str, **said: Any) -> None:
    """It is refused, and the message names all of this."""
    with pytest.raises(RecordingError) as caught:
        read(path, columns, **said)
    for each in says:
        assert each in str(caught.value), caught.value


class TestUnderstood:
    def test_the_shape_of_dog_collar_imu_needs_no_options(self, tmp_path: Path) -> None:
        motion = read(tmp_path, recording())
        assert windows(motion) == {"Rex": 15}
        [stretch] = motion.animals["Rex"]
        assert stretch.start_us == AT_US
        assert np.median(np.linalg.norm(stretch.imu[:, :3], axis=1)) == pytest.approx(1, abs=0.3)
        assert motion.words == ["walk"]

    def test_other_names_units_and_formats_are_mapped(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        text = [str(at).replace("T", " ") + "Z" for at in base["t"]]
        lines = ["DogID;Zeit;AccX;AccY;AccZ;GyroX;GyroY;GyroZ"]
        for n, at in enumerate(text):
            numbers = [base[a][n] / 9.80665 for a in AXES[:3]]
            numbers += [np.radians(base[a][n]) for a in AXES[3:]]
            lines.append(
                ";".join(["Bo", at, *(f"{each:.6f}".replace(".", ",") for each in numbers)])
            )
        path = tmp_path / "r.csv"
        path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
        said = MotionMapping(
            animal_column="DogID",
            time_column="Zeit",
            rate_hz=50.0,
            acc_unit=AccUnit.G,
            gyr_unit=GyrUnit.RADPS,
        )
        motion = read_motion(TableFile.open(path), said)
        usual = read(tmp_path, base, rate_hz=50.0)
        assert windows(motion) == {"Bo": 15}
        assert np.allclose(motion.animals["Bo"][0].imu, usual.animals["Rex"][0].imu, atol=1e-2)
        assert motion.animals["Bo"][0].start_us == AT_US

    @pytest.mark.parametrize(("factor", "kind"), [(1e-6, float), (1e-3, float), (1.0, int)])
    def test_numbers_since_1970_are_read_in_their_unit(
        self, tmp_path: Path, factor: float, kind: type
    ) -> None:
        us = AT_US + np.rint(np.arange(984) / 16.4 * 1e6)
        motion = read(tmp_path, recording(t=(us * factor).astype(kind)))
        assert motion.animals["Rex"][0].start_us == pytest.approx(AT_US, abs=1000)
        assert windows(motion) == {"Rex": 15}

    @pytest.mark.parametrize("unit", [1e-6, 1e-3, 1.0])
    def test_numbers_from_zero_need_only_a_beginning(self, tmp_path: Path, unit: float) -> None:
        columns = recording(t=np.arange(984) / 16.4 * 1e6 * unit)
        refused(tmp_path, columns, "column t", "--start-at")
        motion = read(tmp_path, columns, start_at=AT)
        assert motion.animals["Rex"][0].start_us == AT_US
        assert windows(motion) == {"Rex": 15}

    def test_sessions_that_all_count_from_zero_follow_each_other(self, tmp_path: Path) -> None:
        one = recording()
        both = {name: [*values, *values] for name, values in one.items()}
        both["t"] = [*(np.arange(984) / 16.4), *(np.arange(984) / 16.4)]
        both["session"] = ["a"] * 984 + ["b"] * 984
        first, second = read(tmp_path, both, start_at=AT).animals["Rex"]
        assert first.start_us == AT_US
        assert second.start_us > AT_US + 60_000_000

    def test_without_clock_the_rate_and_a_beginning_are_enough(self, tmp_path: Path) -> None:
        columns = recording(t=None)
        refused(tmp_path, columns, "'t'", "--time-column", "--start-at", "It has: dog, session")
        assert windows(read(tmp_path, columns, start_at=AT)) == {"Rex": 15}

    def test_a_file_of_one_animal_needs_no_column_for_it(self, tmp_path: Path) -> None:
        columns = recording(dog=None)
        refused(tmp_path, columns, "'dog'", "--animal-column", "--animal NAME")
        assert windows(read(tmp_path, columns, animal="Rex")) == {"Rex": 15}

    def test_a_clock_of_whole_seconds_places_the_session(self, tmp_path: Path) -> None:
        base = recording(seconds=300)
        motion = read(tmp_path, base | {"t": base["t"].astype("datetime64[s]")})
        assert motion.rates_hz["walk/1"] == pytest.approx(16.4, rel=0.01)
        assert len(motion.animals["Rex"]) == 1
        assert windows(motion)["Rex"] in (74, 75)


class TestClock:
    def test_a_gap_cuts_and_nothing_is_made_up_in_it(self, tmp_path: Path) -> None:
        base = recording(seconds=120, rate_hz=50)
        t = base["t"].copy()
        t[3000:] += np.timedelta64(30, "s")
        first, second = read(tmp_path, base | {"t": t}, rate_hz=50.0).animals["Rex"]
        assert len(first.imu) == len(second.imu) == 3000
        assert second.start_us == AT_US + 90_000_000

    def test_a_few_lost_samples_are_filled_in_and_counted(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        kept = np.delete(np.arange(3000), [500, 1000, 1001, 1002, 2000, 2001, 2002, 2003])
        lossy = {name: np.asarray(values)[kept] for name, values in base.items()}
        motion = read(tmp_path, lossy, rate_hz=50.0)
        first, second = motion.animals["Rex"]
        assert motion.flaws.interpolated == 4
        assert (len(first.imu), len(second.imu)) == (2000, 996)
        assert first.imu[500, 2] == pytest.approx((base["acc_z"][500]) / 9.80665, abs=0.02)

    def test_repeated_and_disordered_stamps_are_dealt_with(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        rows = np.arange(3000)
        rows[[100, 101]] = rows[[101, 100]]
        rows = np.insert(rows, 700, 700)
        motion = read(tmp_path, {n: np.asarray(v)[rows] for n, v in base.items()}, rate_hz=50.0)
        [stretch] = motion.animals["Rex"]
        assert (motion.flaws.duplicates, motion.flaws.reordered) == (1, 1)
        assert np.allclose(stretch.imu[:, 2], base["acc_z"] / 9.80665, atol=1e-5)

    def test_a_clock_that_was_set_back_begins_a_new_stretch(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        t = base["t"].copy()
        t[1500:] -= np.timedelta64(3600, "s")
        motion = read(tmp_path, base | {"t": t}, rate_hz=50.0)
        assert motion.flaws.clock_set_back == 1
        assert [len(each.imu) for each in motion.animals["Rex"]] == [1500, 1500]

    def test_jitter_is_not_a_gap(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        late_us = np.random.default_rng(1).normal(0, 2_000, 3000).astype("int64")
        t = base["t"] + late_us.astype("timedelta64[us]")
        motion = read(tmp_path, base | {"t": t}, rate_hz=50.0)
        assert windows(motion) == {"Rex": 15}
        assert motion.flaws.interpolated == 0

    def test_a_wrong_rate_is_said_with_the_right_one(self, tmp_path: Path) -> None:
        refused(tmp_path, recording(rate_hz=50), "column t", "50", "16.4", "--rate-hz 50")

    def test_mixed_rates_are_listed_and_taken_one_by_one_if_asked(self, tmp_path: Path) -> None:
        one, two = recording(rate_hz=50), recording(rate_hz=100)
        both: dict[str, Any] = {name: [*one[name], *two[name]] for name in one}
        both["session"] = ["slow"] * 3000 + ["fast"] * 6000
        both["t"] = np.concatenate([one["t"], two["t"] + np.timedelta64(1, "h")])
        refused(tmp_path, both, "fast: 100 Hz", "--rate-hz auto", rate_hz=50.0)
        motion = read(tmp_path, both, rate_hz=None)
        assert motion.rates_hz == {"slow": 50.0, "fast": 100.0}
        assert windows(motion) == {"Rex": 30}

    def test_a_rate_that_changes_within_a_session_is_refused(self, tmp_path: Path) -> None:
        one, two = recording(rate_hz=50), recording(rate_hz=100)
        both: dict[str, Any] = {name: [*one[name], *two[name]] for name in one}
        both["t"] = np.concatenate([one["t"], two["t"] + np.timedelta64(60, "s")])
        for rate_hz in (50.0, 100.0, None):
            refused(tmp_path, both, "column t", "walk/1", "--session-column", rate_hz=rate_hz)

    def test_a_future_clock_is_refused_unless_its_beginning_is_given(self, tmp_path: Path) -> None:
        base = recording()
        columns = base | {"t": base["t"] + np.timedelta64(365 * 30, "D")}
        refused(tmp_path, columns, "column t", "future", "--start-at")
        assert read(tmp_path, columns, start_at=AT).animals["Rex"][0].start_us == AT_US

    def test_a_clock_that_was_never_set_is_refused(self, tmp_path: Path) -> None:
        base = recording()
        columns = base | {"t": base["t"] - np.timedelta64(365 * 50, "D")}
        refused(tmp_path, columns, "column t", "--start-at")

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
    def test_a_long_text_that_repeats_is_no_word_and_fills_no_memory(
        self, tmp_path: Path, kind: Any
    ) -> None:
        base = recording()
        rows = len(base["t"])
        rex = pa.array(base["dog"]).cast(kind)
        assert windows(read(tmp_path, base | {"dog": rex})) == {"Rex": 15}
        for bomb in (
            pa.array(["x" * 20_000] * rows).cast(kind),
            pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["x" * 20_000]),
        ):
            refused(tmp_path, base | {"dog": bomb}, "column dog", "20000 bytes")
            refused(tmp_path, base | {"t": bomb}, "column t", "20000 bytes")

    def test_two_columns_of_one_name_are_refused(self, tmp_path: Path) -> None:
        table = pa.table(recording())
        pq.write_table(table.append_column("t", table.column("t")), tmp_path / "r.parquet")
        with pytest.raises(RecordingError, match="several columns called 't'"):
            TableFile.open(tmp_path / "r.parquet")

    def test_a_clock_beyond_every_calendar_is_refused(self, tmp_path: Path) -> None:
        base = recording()
        for away_us in (2**62, 2**61, -(2**61), -(2**62)):
            t = (base["t"].astype("int64") - AT_US + away_us).astype("datetime64[us]")
            refused(tmp_path, base | {"t": t}, "column t", rate_hz=None)
        seconds = np.arange(len(base["t"])) / 16.4
        assert windows(read(tmp_path, base | {"t": seconds}, start_at=AT)) == {"Rex": 15}
        seconds[-1] = 1e300  # one wild number is no instant, and costs its own row alone
        motion = read(tmp_path, base | {"t": seconds}, start_at=AT)
        assert (motion.flaws.without_time, windows(motion)) == (1, {"Rex": 14})

    def test_samples_too_slow_to_see_a_gait_are_refused(self, tmp_path: Path) -> None:
        refused(tmp_path, recording(seconds=600, rate_hz=1), "1 samples", rate_hz=None)
        refused(tmp_path, recording(), "--rate-hz", rate_hz=0.0)
        refused(tmp_path, recording(), "--rate-hz", rate_hz=float("nan"))

    def test_words_that_are_no_instants_are_quoted(self, tmp_path: Path) -> None:
        columns = recording(t=["yesterday"] * 984)
        refused(tmp_path, columns, "column t", "'yesterday'", "ISO 8601", "--time-column")
        refused(tmp_path, recording(t=pa.nulls(984, pa.timestamp("us"))), "column t", "no instant")


class TestUnits:
    def test_acceleration_in_g_taken_for_metres_is_noticed(self, tmp_path: Path) -> None:
        base = recording()
        columns = base | {axis: base[axis] / 9.81 for axis in AXES[:3]}
        refused(tmp_path, columns, "acc_x, acc_y, acc_z", "--acc-unit g")
        refused(tmp_path, base, "acc_x, acc_y, acc_z", "--acc-unit m/s2", acc_unit=AccUnit.G)

    def test_raw_counts_and_missing_gravity_are_noticed(self, tmp_path: Path) -> None:
        base = recording()
        counts = base | {axis: base[axis] * 1670 for axis in AXES[:3]}
        refused(tmp_path, counts, "acc_x", "counts", "--acc-columns")
        refused(tmp_path, base | {"acc_z": base["acc_z"] - 9.81}, "acc_z", "without gravity")

    def test_one_session_in_another_unit_is_named(self, tmp_path: Path) -> None:
        base = recording(seconds=120)
        half = len(base["dog"]) // 4
        columns = base | {"session": ["odd"] * half + ["usual"] * (len(base["dog"]) - half)}
        for axis in AXES[:3]:
            values = base[axis].copy()
            values[:half] /= 9.81
            columns[axis] = values
        refused(tmp_path, columns, "session odd is in g", "acc_x")

    def test_rotation_in_radians_taken_for_degrees_is_noticed(self, tmp_path: Path) -> None:
        base = recording()
        columns = base | {axis: np.radians(base[axis]) for axis in AXES[3:]}
        refused(tmp_path, columns, "gyr_x, gyr_y, gyr_z", "--gyr-unit rad/s")
        refused(tmp_path, base, "gyr_x", "--gyr-unit deg/s", gyr_unit=GyrUnit.RADPS)

    def test_a_dead_gyroscope_is_noticed(self, tmp_path: Path) -> None:
        columns = recording() | {axis: np.zeros(984) for axis in AXES[3:]}
        refused(tmp_path, columns, "gyr_x", "gyroscope", "--gyr-columns")

    def test_a_sleeping_dog_may_turn_slowly(self, tmp_path: Path) -> None:
        base = recording()
        still = {axis: base[axis] * 0.01 for axis in AXES} | {"acc_z": np.full(984, 9.8)}
        assert windows(read(tmp_path, base | still)) == {"Rex": 15}


class TestColumns:
    @pytest.mark.parametrize("axis", AXES)
    def test_a_missing_axis_names_what_there_is(self, tmp_path: Path, axis: str) -> None:
        option = "--acc-columns" if axis.startswith("acc") else "--gyr-columns"
        refused(tmp_path, recording(**{axis: None}), option, "It has: dog, session")

    def test_a_recording_without_gyroscope_is_refused(self, tmp_path: Path) -> None:
        missing = dict.fromkeys(AXES[3:])
        refused(tmp_path, recording(**missing), "rotation (gyroscope)", "--gyr-columns")

    @pytest.mark.parametrize(
        ("said", "option"),
        [
            ({"session_column": "trip"}, "--session-column"),
            ({"label_column": "what"}, "--label-column"),
            ({"time_column": "when"}, "--time-column"),
            ({"animal_column": "cat"}, "--animal-column"),
            ({"acc_columns": ["a", "b", "c"]}, "--acc-columns"),
            ({"acc_columns": ["acc_x", "acc_x", "acc_z"]}, "--acc-columns"),
            ({"gyr_columns": ["gyr_x"]}, "--gyr-columns"),
        ],
    )
    def test_a_column_that_is_not_there_is_named(
        self, tmp_path: Path, said: dict[str, Any], option: str
    ) -> None:
        refused(tmp_path, recording(), option, **said)

    def test_words_where_numbers_belong_are_quoted_with_their_row(self, tmp_path: Path) -> None:
        values = ["1.0"] * 983 + ["broken"]
        refused(tmp_path, recording(acc_y=values), "column acc_y", "'broken' in row 984")
        refused(tmp_path, recording(acc_y=[True] * 984), "column acc_y", "bool")

    def test_a_column_of_nothing_is_named(self, tmp_path: Path) -> None:
        refused(tmp_path, recording(gyr_y=np.full(984, np.nan)), "column gyr_y", "no number")
        refused(tmp_path, recording(dog=pa.nulls(984, pa.string())), "column dog", "no animal")

    def test_a_column_that_mostly_holds_nothing_is_named(self, tmp_path: Path) -> None:
        values = recording()["gyr_z"].copy()
        values[:600] = np.nan
        refused(tmp_path, recording(gyr_z=values), "column gyr_z", "600 of 984", "--gyr-columns")

    def test_a_column_that_is_no_animal_is_noticed(self, tmp_path: Path) -> None:
        columns = recording(seconds=600)
        columns["dog"] = [f"row {n}" for n in range(len(columns["dog"]))]
        refused(tmp_path, columns, "column dog", "--animal-column")

    def test_short_runs_of_nan_are_filled_and_long_ones_cut(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50)
        broken = base["acc_x"].copy()
        broken[[0, 600, 601, 602, 2999]] = np.nan
        broken[1500:1504] = np.inf
        motion = read(tmp_path, base | {"acc_x": broken}, rate_hz=50.0)
        assert (motion.flaws.not_finite, motion.flaws.interpolated) == (9, 3)
        assert motion.flaws.not_finite_in == {"acc_x": 9}
        first, second = motion.animals["Rex"]
        assert (len(first.imu), len(second.imu)) == (1499, 1495)
        assert first.start_us == AT_US + 20_000
        assert second.start_us == AT_US + 1504 * 20_000
        assert np.isfinite(first.imu).all()
        assert np.allclose(first.imu[599:602, 0], base["acc_x"][600:603] / 9.80665, atol=0.05)

    def test_rows_without_animal_or_time_are_left_out_and_counted(self, tmp_path: Path) -> None:
        base = recording()
        dogs = [None, None, *base["dog"][2:]]
        t = [*base["t"][:-1].tolist(), None]
        motion = read(tmp_path, base | {"dog": dogs, "t": pa.array(t, pa.timestamp("us"))})
        assert (motion.flaws.without_animal, motion.flaws.without_time) == (2, 1)

    def test_interleaved_sessions_are_taken_apart(self, tmp_path: Path) -> None:
        base = recording(seconds=120, rate_hz=50)
        rows = np.arange(6000).reshape(2, 3000).T.reshape(-1)
        columns = {name: np.asarray(values)[rows] for name, values in base.items()}
        columns["session"] = np.asarray(["a", "b"] * 3000)
        motion = read(tmp_path, columns, rate_hz=50.0)
        assert [len(each.imu) for each in motion.animals["Rex"]] == [3000, 3000]


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "is empty"),
            (b"PAR1 and then nothing", "damaged"),
            (b"\x00\x01\x02", "neither Parquet nor CSV"),
            (b"\xff\xfe\xfd,\n", "neither Parquet nor CSV"),
            (b"\n\n", "empty line"),
            (b"1,2,3\n4,5,6\n", "no header"),
            (b"a,a,b\n1,2,3\n", "several columns called 'a'"),
        ],
    )
    def test_what_is_no_table_is_refused(self, tmp_path: Path, content: bytes, says: str) -> None:
        path = tmp_path / "r.parquet"
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=says):
            TableFile.open(path)

    def test_a_folder_and_nothing_at_all_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RecordingError, match="folder"):
            TableFile.open(tmp_path)
        with pytest.raises(RecordingError, match="none"):
            TableFile.open(tmp_path / "none.csv")

    def test_a_torn_parquet_is_refused(self, tmp_path: Path) -> None:
        parquet(tmp_path, recording())
        path = tmp_path / "r.parquet"
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(RecordingError, match="damaged"):
            TableFile.open(path)

    def test_a_torn_line_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "r.csv"
        path.write_text(",".join(recording(1)) + "\nRex,s,walk,2024\n")
        with pytest.raises(RecordingError, match="cannot be read"):
            read_motion(TableFile.open(path), MotionMapping())

    def test_a_header_alone_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "r.csv"
        path.write_text(",".join(recording(1)) + "\n")
        with pytest.raises(RecordingError, match="no rows"):
            read_motion(TableFile.open(path), MotionMapping())

    def test_a_huge_file_is_refused_before_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parquet(tmp_path, recording())
        monkeypatch.setattr(table_module, "MAX_ROWS", 900)
        with pytest.raises(RecordingError, match="984 rows; 900 can be"):
            TableFile.open(tmp_path / "r.parquet")

    def test_one_sample_is_no_window(self, tmp_path: Path) -> None:
        columns = {name: np.asarray(values)[:1] for name, values in recording().items()}
        file = parquet(tmp_path, columns).path
        with pytest.raises(RecordingError, match=r"1 samples .*--session-column.*\(now t\)"):
            read_file(file, MotionMapping())

    def test_what_was_dealt_with_is_said_by_column(self, tmp_path: Path) -> None:
        base = recording(rate_hz=50, activity=None)
        base["acc_x"][[10, 11]] = np.nan
        t = base["t"].copy()
        t[1000:] += np.timedelta64(60, "s")
        file = parquet(tmp_path, base | {"t": t}).path
        said = " | ".join(read_file(file, MotionMapping(rate_hz=50.0)).notices)
        assert "column acc_x: 2 values" in said
        assert "1 gaps: cut there" in said
        assert "2 samples were missing singly" in said
        assert "--label-column" in said
