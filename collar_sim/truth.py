"""What really happened, as Parquet: one row a second and collar, for whoever judges the models."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal import AnimalMinute, BodyMinute
from collar_sim.animal.place.ground import Ground
from collar_sim.errors import OutputError, SimulatorError
from collar_sim.output import private_file, private_folder

GROUNDS = np.array([ground.name.lower() for ground in Ground])
ROWS_PER_FILE = 500_000  # some megabytes, which stay in memory until then
KILL_LOSES_S = 600.0  # a small fleet takes a day for so many rows, which a kill would cost


class Truth:
    """Collects minutes and writes them in files of their own, so that each is whole or absent."""

    def __init__(self, folder: Path) -> None:
        """Into ``folder``.

        Raises:
            SimulatorError: pyarrow is not installed.
            OutputError: Nothing can be written there.
        """
        try:
            # an extra: only who asks for truth needs it
            self._arrow: Any = import_module("pyarrow")
            self._parquet: Any = import_module("pyarrow.parquet")
        except ImportError as error:
            raise SimulatorError("--truth needs pyarrow: pip install pyarrow") from error
        self._folder = private_folder(folder)
        self._columns: dict[str, list[Any]] = {}
        self._rows = 0
        self._written_s = time.monotonic()

    def add(self, collar_id: str, minute: AnimalMinute, battery_pct: float) -> None:
        """Take one collar's minute."""
        start_us = int(minute.start_at.timestamp() * 1_000_000)
        seconds = len(minute.behaviour)
        for name, values in (
            ("collar_id", np.full(seconds, collar_id)),
            ("at", start_us + 1_000_000 * np.arange(seconds)),
            ("behaviour", minute.behaviour),
            ("speed_mps", minute.speed_mps),
            ("lat", minute.lat_deg),
            ("lon", minute.lon_deg),
            ("gait_hz", minute.gait_hz),
            ("anomaly", minute.anomaly),
            ("battery_pct", np.full(seconds, battery_pct)),
            ("heart_bpm", minute.body.heart_bpm),
            ("breath_rpm", minute.body.breath_rpm),
            ("temperature_c", minute.body.temperature_c),
            *_beside_baseline(minute.body),
            ("worn", minute.worn),
            ("powered", minute.powered),
            ("ground", GROUNDS[minute.ground]),
            ("gnss_astray", minute.gnss.astray),
        ):
            self._columns.setdefault(name, []).append(values)
        self._rows += seconds
        if self._rows >= ROWS_PER_FILE or time.monotonic() - self._written_s >= KILL_LOSES_S:
            self.flush()

    def flush(self) -> None:
        """Write what was collected.

        Raises:
            OutputError: The disk is full, or the folder is gone.
        """
        self._written_s = time.monotonic()
        if not self._rows:
            return
        arrow = self._arrow
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        instants = arrow.array(columns["at"]).cast(arrow.timestamp("us", tz="UTC"))
        table = arrow.table({**columns, "at": instants})
        first_at = datetime.fromtimestamp(int(columns["at"][0]) / 1e6, UTC)
        name = f"truth-{first_at:%Y%m%dT%H%M%S}-{columns['collar_id'][0]}.parquet"
        draft = self._folder / f".{name}"
        try:
            with private_file(draft) as file:
                self._parquet.write_table(table, file)
            draft.rename(self._folder / name)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise OutputError(f"{self._folder}: {error}") from error
        self._columns, self._rows = {}, 0


def _beside_baseline(body: BodyMinute) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """What is normal for the animal awake and at rest, and how far from it each rate is."""
    for name in ("heart_bpm", "breath_rpm", "temperature_c"):
        now, normal = getattr(body, name), getattr(body.baseline, name)
        rate, unit = name.rsplit("_", 1)
        yield f"{rate}_baseline_{unit}", np.full(len(now), normal)
        yield f"{rate}_deviation_{unit}", now - normal
