"""A minute of many collars through their models: from samples to what each has to say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from collar_sim.arrays import BoolArray
from collar_sim.firmware.models.slots import ACTIVITY, ANOMALY, ModelSlots
from collar_sim.firmware.sensing import epochs, events
from collar_sim.firmware.sensing.positioning import TimedFix
from gateway.wire.topics import Kind
from plugins.sdk.behaviours import Behaviour

MINUTE = timedelta(minutes=1)
SENSOR_FAULT = "sensor_fault"
"""The event that says that the motion sensor broke, daily that it still is, and, with how long it
lasted, that it is whole again. Until then, seconds are ``unsure``."""


class ImuMinute(Protocol):
    """Samples of a minute, of an animal or from a recording, whose last minute may be shorter."""

    @property
    def imu(self) -> epochs.FloatArray:
        """Shape (samples, 6) at 25 Hz: g, then deg/s; a whole number of windows."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A message but for what the writing of it adds: boot, seq, uptime."""

    release_at: datetime
    """When the collar knows it."""
    kind: Kind
    observed_at: datetime
    fields: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What the models made of one collar's minute."""

    epoch: dict[str, Any]
    sightings: list[events.Sighting]
    """What needs no memory of the pet to be seen; `usual.considered` adds the rest."""
    packages: dict[str, str | None]
    """By event name, the model that saw it."""
    window_vedba_g: list[float]
    heard: list[bool]
    """Of each window, whether all of it was there and could be believed."""
    said: list[Behaviour]
    """Of each of the windows that do not overlap, in order, ``unsure`` included."""
    confidence: list[float]
    """The best score of each window, also of those that are unsure."""
    each_second: list[Behaviour]
    """Of each second in order, by the windows that cover it, ``unsure`` included."""
    odd: list[float]
    """Anomaly score of each of the windows that do not overlap; 0 of one that is not heard."""


def look(
    slots: ModelSlots,
    minutes: Sequence[ImuMinute],
    sound: BoolArray | None = None,
    since_s: Sequence[int] | None = None,
) -> list[Seen]:
    """Run the models on equally long minutes, of collars that hold the same packages.

    Args:
        slots: Their models.
        minutes: Without anything that is no number.
        sound: Shape (minutes, seconds), which of them can be believed; None: all. What a model
            says of the others is not heard.
        since_s: Of each minute, the second of the collar's boot, with which its epoch begins: what
            was before is lost, and counts for nothing. None: no boot.
    """
    imu = np.stack([minute.imu for minute in minutes])
    length_s = imu.shape[1] // epochs.RATE_HZ
    boots = np.zeros(len(minutes), np.intp) if since_s is None else np.array(since_s)
    kept = np.arange(length_s) >= boots[:, None]
    heard = kept if sound is None else kept & sound
    scores, odd = _scored(slots, imu)
    names = slots.labels  # none, if its model failed on these
    own, whole = scores[:, ::2], _whole(heard)
    odd = np.where(whole, odd, 0.0)
    labels = np.where(whole, epochs.labels_of(own, slots.abstain_below), len(names))
    best = np.where(whole, own.max(axis=2, initial=0.0), 0.0)
    seconds = epochs.labels_of(epochs.scores_each_second(scores), slots.abstain_below)
    seconds = np.where(kept, np.where(heard, seconds, len(names)), epochs.LOST)
    held = epochs.sums(imu, seconds, len(names))
    scratch = names.index(Behaviour.SCRATCH) if Behaviour.SCRATCH in names else -1
    bouts = [events.scratch(row == scratch, sure) for row, sure in zip(labels, best, strict=True)]
    activity = slots.ref(ACTIVITY)
    packages = {"anomaly": slots.ref(ANOMALY), "scratch": activity, "itch": activity}
    words = [*names, Behaviour.UNSURE]  # what is lost is unsure, too: `epochs.LOST` is its index
    return [
        Seen(
            epoch=epoch,
            sightings=[each for each in (bouts[n],) if each is not None],
            packages=packages,
            window_vedba_g=held.window_vedba_g[n].tolist(),
            heard=whole[n].tolist(),
            said=[words[k] for k in labels[n].tolist()],
            confidence=best[n].tolist(),
            each_second=[words[k] for k in seconds[n].tolist()],
            odd=odd[n].tolist(),
        )
        for n, epoch in enumerate(_epochs(held, labels, odd, kept, heard, names))
    ]


def _scored(
    slots: ModelSlots, imu: epochs.FloatArray
) -> tuple[epochs.FloatArray, epochs.FloatArray]:
    """Behaviours of half-overlapping windows, and how odd those are that do not overlap."""
    windows = epochs.half_overlapping(imu)
    count, each = windows.shape[:2]
    scores = slots.behaviours(windows.reshape(-1, epochs.WINDOW_SAMPLES, 6))
    odd = slots.anomalies(windows[:, ::2].reshape(-1, epochs.WINDOW_SAMPLES, 6))
    return scores.reshape(count, each, scores.shape[1]), odd.reshape(count, -1)


def _whole(seconds: BoolArray) -> BoolArray:
    """Of which windows all seconds are, shape (n, windows)."""
    windows = seconds.reshape(len(seconds), -1, int(epochs.WINDOW_S))
    return np.logical_and.reduce(windows, axis=2)


def _epochs(
    held: epochs.Sums,
    labels: epochs.IntArray,
    odd: epochs.FloatArray,
    kept: BoolArray,
    heard: BoolArray,
    names: list[Behaviour],
) -> list[dict[str, Any]]:
    """The fields of each collar's epoch: of what it kept, as far as that was to be believed."""
    share = np.maximum(heard.mean(axis=1), 1 / heard.shape[1])  # a mean is of what was heard alone
    whole, own = _whole(heard), _whole(kept)
    return [
        {
            "period_s": float(kept[n].sum()),
            "seconds": epochs.by_name(held.seconds[n], names),
            "odba_g": round(float(held.odba_g[n] / share[n]), 4),
            "vedba_g": round(float(held.vedba_g[n] / share[n]), 4),
            "steps": round(float(held.steps[n, whole[n]].sum())),
            "anomaly": round(min(1.0, events.standing(odd[n])), 3),
            "windows": int(own[n].sum()),
            "windows_unsure": int((labels[n, own[n]] == len(names)).sum()),
        }
        for n in range(len(labels))
    ]


def drafts(
    start_at: datetime,
    seen: Seen,
    fixes: list[TimedFix],
    battery_pct: float | None,
    since_s: int = 0,
) -> list[Draft]:
    """What one collar has to say about a minute, in the order in which it knows it.

    Args:
        start_at: When the minute began.
        seen: What the models made of it.
        fixes: That were taken in it.
        battery_pct: None where nobody knows, as of a recording.
        since_s: Second of the minute in which the epoch begins, where that is with a boot.
    """
    said = [Draft(fix.observed_at, Kind.FIX, fix.observed_at, fix.fields) for fix in fixes]
    for sighting in seen.sightings:
        at = start_at + timedelta(seconds=sighting.at_s)
        fields: dict[str, Any] = {
            "name": sighting.name,
            "confidence": sighting.confidence,
            "duration_s": sighting.duration_s,
            "package": seen.packages.get(sighting.name),
        }
        said.append(Draft(at, Kind.EVENT, at, fields))
    epoch = dict(seen.epoch)
    if battery_pct is not None:
        epoch["battery_pct"] = round(battery_pct, 2)
    from_at = start_at + timedelta(seconds=since_s)
    end_at = from_at + timedelta(seconds=epoch["period_s"])
    said.append(Draft(end_at, Kind.EPOCH, from_at, epoch))
    return sorted(said, key=lambda draft: draft.release_at)


def sensor_drafts(faults: Iterable[tuple[datetime, float]]) -> list[Draft]:
    """What is said of a sensor that breaks, or is whole again, as `SensorWatch` gives it."""
    return [
        Draft(at, Kind.EVENT, at, {"name": SENSOR_FAULT, "confidence": 1.0, "duration_s": lasted_s})
        for at, lasted_s in faults
    ]
