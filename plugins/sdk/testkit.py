"""Helpers for testing a plugin: records as the host would give them, and runs that carry state.

>>> from plugins.sdk import Inputs, Outputs
>>> def predict(batch: Inputs) -> Outputs:
...     return Outputs(state={"seen": batch.state.get("seen", 0) + len(batch.fixes)})
>>> run(predict, [[fix(0, 1.0, 2.0)], [fix(30, 1.0, 2.0), fix(60, 1.0, 2.0)]]).state
{'seen': 3}
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from plugins.sdk.frames import encoder
from plugins.sdk.manifest import Input
from plugins.sdk.types import Finding, Inputs, Observation, Outputs, Record, Setting, Zone

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
"""The instant that offsets count from."""
METRES_A_DEGREE = 111_194.9  # of latitude, on a sphere of the earth's mean radius

_decoder = msgspec.msgpack.Decoder(Outputs)


def fix(at_s: float, lat_deg: float, lon_deg: float, **fields: Any) -> Record:
    """A position ``at_s`` seconds after ``START``; accurate to 5 m and fresh unless told."""
    values = {"lat_deg": lat_deg, "lon_deg": lon_deg, "accuracy_m": 5.0, "age_s": 0.0}
    return Record(START + timedelta(seconds=at_s), {**values, **fields})


def fix_from(zone: Zone, at_s: float, north_m: float, east_m: float = 0.0, **fields: Any) -> Record:
    """A position so far from the centre of ``zone``."""
    east_deg = east_m / (METRES_A_DEGREE * math.cos(math.radians(zone.lat_deg)))
    lat_deg = zone.lat_deg + north_m / METRES_A_DEGREE
    return fix(at_s, lat_deg, zone.lon_deg + east_deg, **fields)


def epoch(at_s: float, seconds: Mapping[str, float], **fields: Any) -> Record:
    """An activity epoch of a minute that began ``at_s`` seconds after ``START``."""
    values: dict[str, Any] = {
        "period_s": 60.0,
        "seconds": dict(seconds),
        "odba_g": 0.1,
        "anomaly": 0.0,
        "windows": 30,
        "windows_unsure": 0,
    }
    return Record(START + timedelta(seconds=at_s), {**values, **fields})


def run(
    predict: Callable[[Inputs], Outputs],
    batches: Iterable[Sequence[Record]],
    *,
    stream: Input = Input.FIX,
    zones: Sequence[Zone] = (),
    settings: Mapping[str, Setting] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Outputs:
    """All that ``predict`` says over ``batches`` of one pet, and its last state.

    State and outputs travel packed between calls, as they do with the host, so what could not be
    sent to it fails here too.

    Raises:
        msgspec.ValidationError: The host would refuse what was returned.
    """
    findings: list[Finding] = []
    observations: list[Observation] = []
    last = Outputs(state=dict(state or {}))
    for batch in batches:
        inputs = Inputs(
            pet_id="luna",
            species="dog",
            now=max((record.observed_at for record in batch), default=START),
            records={stream: list(batch)},
            zones=list(zones),
            settings=dict(settings or {}),
            state=last.state,
        )
        last = _decoder.decode(encoder.encode(predict(inputs)))
        findings += last.findings
        observations += last.observations
    return Outputs(findings=findings, observations=observations, state=last.state)
