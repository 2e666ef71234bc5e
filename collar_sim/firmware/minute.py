"""A minute of many collars through their models: from samples to what each has to say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from collar_sim.firmware.models.slots import ACTIVITY, ANOMALY, ModelSlots
from collar_sim.firmware.sensing import epochs, events
from collar_sim.firmware.sensing.positioning import TimedFix
from collar_sim.firmware.sensing.sensor_check import BoolArray
from gateway.wire.topics import Kind
from plugins.sdk.behaviours import Behaviour

MINUTE = timedelta(minutes=1)
SENSOR_FAULT = "sensor_fault"
"""The event that says that the motion sensor broke, and, with how long it lasted, that it is whole
again. Between them, seconds are ``unsure``."""


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
    count, length_s = len(minutes), imu.shape[1] // epochs.RATE_HZ
    boots = np.zeros(count, np.intp) if since_s is None else np.array(since_s)
    kept = np.arange(length_s) >= boots[:, None]
    heard = kept if sound is None else kept & sound
    overlapping = epochs.half_overlapping(imu)
    scores = slots.behaviours(overlapping.reshape(-1, epochs.WINDOW_SAMPLES, 6))
    scores = scores.reshape(count, overlapping.shape[1], scores.shape[1])
    own, names = scores[:, ::2], slots.labels
    odd = slots.anomalies(overlapping[:, ::2].reshape(-1, epochs.WINDOW_SAMPLES, 6))
    whole, kept_whole = (
        each.reshape(count, own.shape[1], -1).all(axis=2) for each in (heard, kept)
    )
    odd = np.where(whole, odd.reshape(count, -1), 0.0)
    labels = np.where(whole, epochs.labels_of(own, slots.abstain_below), len(names))
    best = np.where(whole, own.max(axis=2, initial=0.0), 0.0)
    seconds = epochs.labels_of(epochs.scores_each_second(scores), slots.abstain_below)
    seconds = np.where(kept, np.where(heard, seconds, len(names)), epochs.LOST)
    held = epochs.sums(imu, seconds, len(names))
    share = np.maximum(heard.mean(axis=1), 1 / length_s)  # a mean is of what was heard alone
    scratch = names.index(Behaviour.SCRATCH) if Behaviour.SCRATCH in names else -1
    activity = slots.ref(ACTIVITY)
    packages = {"anomaly": slots.ref(ANOMALY), "scratch": activity, "itch": activity}
    words = [*names, Behaviour.UNSURE]  # what is lost is unsure, too: `epochs.LOST` is its index
    return [
        Seen(
            epoch={
                "period_s": float(kept[n].sum()),
                "seconds": epochs.by_name(held.seconds[n], names),
                "odba_g": round(float(held.odba_g[n] / share[n]), 4),
                "vedba_g": round(float(held.vedba_g[n] / share[n]), 4),
                "steps": round(float(held.steps[n, whole[n]].sum())),
                "anomaly": round(min(1.0, events.standing(odd[n])), 3),
                "windows": int(kept_whole[n].sum()),
                "windows_unsure": int((labels[n, kept_whole[n]] == len(names)).sum()),
            },
            sightings=[
                sighting
                for sighting in (events.scratch(labels[n] == scratch, best[n]),)
                if sighting is not None
            ],
            packages=packages,
            window_vedba_g=held.window_vedba_g[n].tolist(),
            heard=whole[n].tolist(),
            said=[words[k] for k in labels[n].tolist()],
            confidence=best[n].tolist(),
            each_second=[words[k] for k in seconds[n].tolist()],
            odd=odd[n].tolist(),
        )
        for n in range(count)
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
