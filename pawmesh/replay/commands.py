"""``pawmesh replay``: the command, its options read and its errors said."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from collar_sim.errors import FlashError, SimulatorError
from collar_sim.replay.errors import RecordingError
from collar_sim.replay.mapping import RATE_HZ, MotionMapping
from collar_sim.replay.track import SpeedUnit, TrackMapping
from collar_sim.replay.units import AccUnit, GyrUnit
from pawmesh.console import print_json
from pawmesh.errors import MissingInstall, NoAccess, PawmeshError, UsageError
from pawmesh.options import NOTHING_SPECIAL, Common
from pawmesh.replay.report import show_replay
from pawmesh.replay.run import Wish, run_replay

RECORDINGS = Path("../shared/data")
AUTO = "auto"


async def replay_command(
    file: Path,
    *,
    gps: Annotated[bool, Parameter(negative="")] = False,
    animal_column: str | None = None,
    animal: str | None = None,
    species: Literal["dog", "cat"] | None = None,
    label_column: str | None = None,
    label_map: str = "",
    session_column: str | None = None,
    time_column: str | None = None,
    start_at: str | None = None,
    rate_hz: str = f"{RATE_HZ:g}",
    acc_unit: Literal["m/s2", "g"] = "m/s2",
    gyr_unit: Literal["deg/s", "rad/s"] = "deg/s",
    acc_columns: str = "",
    gyr_columns: str = "",
    lat_column: str | None = None,
    lon_column: str | None = None,
    accuracy_column: str | None = None,
    speed_unit: Literal["m/s", "km/h", "m/h"] | None = None,
    speed: float = 0.0,
    share: Annotated[bool, Parameter(negative="")] = False,
    again: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
    common: Common = NOTHING_SPECIAL,
) -> int:
    """Play a recording of real animals through collars, broker, gateway and cloud.

    Each animal becomes a pet with a collar; what the models on it say is compared with the
    recording's labels. The whole file is checked before anything is enrolled. If Pawmesh runs on
    the data folder it takes the recording, else it is started for it. A replay that was
    interrupted goes on when it is given again.

    Examples:
      pawmesh replay dog_collar_imu.parquet --report scores.json
      pawmesh replay walk.csv --animal Rex --time-column ts --rate-hz 50 --acc-unit g
      pawmesh replay cat_gps_tracks.csv --gps

    Args:
        file: Parquet or CSV; a bare name is also looked for in PAWMESH_RECORDINGS.
        gps: The file holds positions; without it, motion of six axes.
        animal_column: Whose each row is [default: dog; with --gps tag_id].
        animal: All rows are of one animal, of this name.
        species: Of all of them [default: cat if the file's name says so, else dog].
        label_column: What the animal did [default: activity, if there is one].
        label_map: The recording's words in ours: trot=run,car=vehicle; word= leaves it out.
        session_column: Tells recordings apart [default: session, if there is one].
        time_column: Dates, ISO text, or numbers since 1970 [default: t; with --gps by its name].
        start_at: When it began, ISO 8601, where no column tells or the clock was wrong.
        rate_hz: Samples a second, or auto: each session's own, by its time column.
        acc_unit: Of acceleration.
        gyr_unit: Of rotation.
        acc_columns: x,y,z of acceleration, where their names are not recognised.
        gyr_columns: x,y,z of rotation, where their names are not recognised.
        lat_column: Latitude, where its name is not recognised.
        lon_column: Longitude, where its name is not recognised.
        accuracy_column: Radius in metres, where its name is not recognised.
        speed_unit: Of positions' speed [default: m/h where no animal could be so fast, else m/s].
        speed: Recorded seconds a second; 0 for as fast as it is acknowledged.
        share: Grant research the activity (positions to 1 km) on a platform that runs already.
        again: Play a finished recording once more, with other collars.
        report: File for the counts and scores, as JSON.
        common: What every command takes.
    """
    if speed < 0:
        raise UsageError(f"--speed {speed:g}: 0 or more")
    _require_folder_of(report)
    began_at = _instant(start_at)
    mapping: MotionMapping | TrackMapping
    if gps:
        mapping = TrackMapping(
            animal_column=animal_column,
            animal=animal,
            time_column=time_column,
            lat_column=lat_column,
            lon_column=lon_column,
            accuracy_column=accuracy_column,
            speed_unit=None if speed_unit is None else SpeedUnit(speed_unit),
            start_at=began_at,
        )
    else:
        mapping = MotionMapping(
            animal_column=animal_column,
            animal=animal,
            label_column=label_column,
            session_column=session_column,
            time_column=time_column,
            start_at=began_at,
            rate_hz=_rate(rate_hz),
            acc_unit=AccUnit(acc_unit),
            gyr_unit=GyrUnit(gyr_unit),
            acc_columns=_names(acc_columns),
            gyr_columns=_names(gyr_columns),
        )
    wish = Wish(
        path=find_recording(file),
        mapping=mapping,
        label_map=label_map,
        species=species,
        speed=speed,
        share=share,
        again=again,
        report=report,
    )
    try:
        found = await run_replay(wish, common.data_dir)
    except RecordingError as error:
        raise UsageError(f"The recording cannot be replayed: {error}") from error
    except FlashError as error:
        raise NoAccess(str(error)) from error
    except SimulatorError as error:
        if isinstance(error.__cause__, ImportError):
            raise MissingInstall(str(error)) from error
        raise PawmeshError(str(error)) from error
    if common.json:
        print_json(found)
    else:
        show_replay(found)
    return 1 if found["lost"] or found["duplicates"] else 0


def find_recording(file: Path) -> Path:
    """The file, in the working folder or, by its bare name, among the recordings.

    Raises:
        UsageError: It is in neither.
    """
    if file.exists():
        return file
    folder = Path(os.environ.get("PAWMESH_RECORDINGS") or RECORDINGS)
    if file.name == str(file) and (folder / file).exists():
        return folder / file
    where = f", nor in {folder} (PAWMESH_RECORDINGS)" if file.name == str(file) else ""
    raise UsageError(f"There is no file {file}{where}")


def _require_folder_of(report: Path | None) -> None:
    if report is not None and not report.absolute().parent.is_dir():
        raise UsageError(f"--report {report}: there is no such folder")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--start-at {text}: write it as 2024-05-01T08:00:00Z") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _rate(text: str) -> float | None:
    if text == AUTO:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--rate-hz {text}: a number, such as 50, or auto") from None


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")] if text else []
