"""A minute of many collars through their models: from samples to what each has to say."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from collar_sim.animal import AnimalMinute
from collar_sim.firmware import epochs, events
from collar_sim.firmware.positioning import TimedFix
from collar_sim.firmware.slots import ACTIVITY, ANOMALY, ModelSlots
from gateway.wire.topics import Kind
from plugins.sdk.behaviours import Behaviour

MINUTE = timedelta(minutes=1)


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
    packages: dict[str, str | None]
    """By event name, the model that saw it."""
    window_vedba_g: list[float]


def look(slots: ModelSlots, minutes: list[AnimalMinute]) -> list[Seen]:
    """Run the models on a minute of some collars that hold the same packages."""
    imu = np.stack([minute.imu for minute in minutes])
    count = len(minutes)
    windows = epochs.in_windows(imu).reshape(-1, epochs.WINDOW_SAMPLES, 6)
    labels, best = (part.reshape(count, -1) for part in slots.behaviours(windows))
    scores = slots.anomalies(windows).reshape(count, -1)
    names = slots.labels
    labels = np.minimum(labels, len(names))  # a model that failed just now has no labels any more
    held = epochs.sums(imu, labels, len(names))
    scratch = names.index(Behaviour.SCRATCH) if Behaviour.SCRATCH in names else -1
    packages = {"anomaly": slots.ref(ANOMALY), "scratch": slots.ref(ACTIVITY)}
    return [
        Seen(
            epoch={
                "seconds": epochs.by_name(held.seconds[n], names),
                "odba_g": round(float(held.odba_g[n]), 4),
                "vedba_g": round(float(held.vedba_g[n]), 4),
                "steps": int(held.steps[n]),
                "anomaly": round(min(1.0, float(scores[n].max())), 3),
                "windows": labels.shape[1],
                "windows_unsure": int(held.windows_unsure[n]),
            },
            sightings=[
                sighting
                for sighting in (
                    events.anomaly(scores[n]),
                    events.scratch(labels[n] == scratch, best[n]),
                )
                if sighting is not None
            ],
            packages=packages,
            window_vedba_g=held.window_vedba_g[n].tolist(),
        )
        for n in range(count)
    ]


def drafts(
    start_at: datetime, seen: Seen, fixes: list[TimedFix], battery_pct: float
) -> list[Draft]:
    """What one collar has to say about a minute, in the order in which it knows it."""
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
    epoch = {**seen.epoch, "battery_pct": round(battery_pct, 2)}
    said.append(Draft(start_at + MINUTE, Kind.EPOCH, start_at, epoch))
    return sorted(said, key=lambda draft: draft.release_at)
