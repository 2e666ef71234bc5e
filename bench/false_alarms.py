"""How often the anomaly model cries wolf, per pet-day: on recorded dogs, and on healthy animals.

Everything runs as on a collar: the shipped models on int8, several windows of a minute needed, what
is usual for the pet, no repeating within a quarter of an hour. Nobody said that the recorded dogs
were healthy, but none is known to be ill: what is reported of them is counted as false.

The recordings hold few hours, and more walks than a dog's day has; a day is their hours times what
makes 24. `PAWMESH_RECORDINGS` names their folder.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scipy.stats import chi2

import plugins
from bench import recordings
from bench.report import Figure, run
from collar_sim.animal import Scenario, Wear
from collar_sim.firmware.models.slots import ACTIVITY, ANOMALY, ModelSlots
from collar_sim.firmware.sensing.epochs import WINDOW_S
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.motion import read_motion
from collar_sim.replay.source import MotionSource
from collar_sim.replay.table import TableFile
from collar_sim.replay.units import AccUnit
from gateway.wire.topics import Kind
from pawmesh.models.days import DAY_MIN, live

LIMIT_A_DAY = 1.0
NO_LIMIT = 10.0  # the ratio where there was no alarm: JSON has no infinity
SEED = 2  # animals that no training met
COLLARS, HARNESSES = range(4), range(4, 6)
POSTURES_HZ = 100.0
"""Nobody says it; at this rate the running dog's steps beat at 4.4 Hz, its walk at 3.4."""
POSTURES_AT = datetime(2024, 1, 1, tzinfo=UTC)  # no instants either


@dataclass(frozen=True)
class Watched:
    """What a collar said in some time."""

    name: str
    days: float
    said: Counter[str]


def measure() -> list[Figure]:
    """Anomaly alarms per pet-day: recorded dogs, and simulated healthy animals never met."""
    folder = recordings.folder()
    slots = ModelSlots.load(Path(plugins.__path__[0]))
    if slots.refused:
        raise SystemExit(f"the shipped models do not run: {slots.refused}")
    figures = [_figure("false_alarms_simulated", _simulated(slots), slots)]
    if folder.is_dir():
        dogs = [*_dogs(folder / "dog_collar_imu.parquet", slots)]
        dogs += _postures(folder / "dog_postures_imu.parquet", slots)
        figures.append(_figure("false_alarms_recorded", dogs, slots))
    else:
        print(f"{folder} does not exist: recorded dogs are left out", file=sys.stderr)
    return figures


def _dogs(path: Path, slots: ModelSlots) -> list[Watched]:
    motion = read_motion(TableFile.open(path), MotionMapping(animal_column="dog"))
    return [
        _watched(animal, MotionSource(stretches, motion.words, slots))
        for animal, stretches in sorted(motion.animals.items())
    ]


def _postures(path: Path, slots: ModelSlots) -> list[Watched]:
    mapping = MotionMapping(
        animal="postures", start_at=POSTURES_AT, rate_hz=POSTURES_HZ, acc_unit=AccUnit.G
    )
    motion = read_motion(TableFile.open(path), mapping)
    return [
        _watched(animal, MotionSource(stretches, motion.words, slots))
        for animal, stretches in motion.animals.items()
    ]


def _watched(name: str, source: MotionSource) -> Watched:
    said: Counter[str] = Counter()
    for batch in source.batches(0):
        for step in batch:
            for draft in step.drafts:
                if draft.kind is Kind.EVENT:
                    said[draft.fields["name"]] += 1
    return Watched(name, source.windows * WINDOW_S / 86_400, said)


def _simulated(slots: ModelSlots) -> list[Watched]:
    found: list[Watched] = []
    for numbers, wear in ((COLLARS, Wear.COLLAR), (HARNESSES, Wear.HARNESS)):
        for day in live(slots, SEED, numbers, Scenario.CALM_DAY, DAY_MIN, wear):
            found.append(Watched(f"{day.animal} ({wear.value})", day.days, Counter(day.events)))
    return found


def _figure(name: str, watched: list[Watched], slots: ModelSlots) -> Figure:
    days = sum(each.days for each in watched)
    alarms = sum(each.said["anomaly"] for each in watched)
    value = alarms / days
    parts = "; ".join(
        f"{each.name}: {each.said['anomaly']} in {each.days * 24:.1f} h, "
        f"{each.said['itch']} itch, {each.said['scratch']} scratch"
        for each in watched
    )
    return Figure(
        name=name,
        value=value,
        unit="anomaly alarms per pet-day",
        baseline=LIMIT_A_DAY,
        ratio=LIMIT_A_DAY / value if value else NO_LIMIT,
        bar=1.0,
        passed=value <= LIMIT_A_DAY,
        n=round(days * DAY_MIN),
        notes=f"{slots.ref(ANOMALY)} with {slots.ref(ACTIVITY)}, {days:.2f} pet-days (n minutes), "
        f"{alarms} alarms: with 95 % confidence below {_at_most(alarms) / days:.2g} a day. {parts}",
    )


def _at_most(alarms: int) -> float:
    """How many are expected at most, with 95 % confidence, where so many came (Garwood 1936).

    >>> round(_at_most(0), 1), round(_at_most(2), 1)
    (3.0, 6.3)
    """
    return float(chi2.ppf(0.95, 2 * (alarms + 1)) / 2)


if __name__ == "__main__":
    sys.exit(run(measure))
