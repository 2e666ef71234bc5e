"""Who takes part in the demo, and what their owners allow."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2

from gateway.wire.grants import Precision, Stream
from pawmesh.house import require
from pawmesh.platform import Platform
from pawmesh.provision import ensure_fleet, set_home_zone, sign_in
from pawmesh.up import BEFORE_HISTORY

ESCAPE_AFTER_S = 5.0
SHARING = 0.75  # of the pets; the others' data must stay at home
RUNAWAY_EVERY = 4
LATITUDE_DEG = 51.5
LOCAL_HOUR = 19.0  # dinner is over, and there was time to play: whenever the demo is run


@dataclass(frozen=True)
class Cast:
    """The demo's collars."""

    collars: list[str]
    sharing: list[str]
    """Those whose owner shares: activity and raw windows; the first half also where they are."""
    granted: set[tuple[str, str]]
    """Pairs of collar and stream."""

    @property
    def pet_of(self) -> dict[str, str]:
        """The pet by collar."""
        return {each: pet_id(each) for each in self.collars}


def pet_id(collar_id: str) -> str:
    """The id that a simulated collar's pet is enrolled under."""
    return f"pet-{collar_id}"


def evening_home(now: datetime) -> tuple[float, float]:
    """A place where it is early evening now: latitude and longitude in degrees.

    >>> evening_home(datetime(2026, 5, 1, 19, 0, tzinfo=UTC))
    (51.5, 0.0)
    """
    hours_ahead = (LOCAL_HOUR - (now.hour + now.minute / 60) + 12.0) % 24.0 - 12.0
    return LATITUDE_DEG, round(15.0 * hours_ahead, 3)


def prepare(platform: Platform, collars: int, seed: int, history: timedelta) -> Cast:
    """Enrol the fleet and give the grants, in time for the first message."""
    house = platform.house
    since = datetime.now(UTC) - history - BEFORE_HISTORY
    escapes = {number: ESCAPE_AFTER_S + number for number in range(0, collars, RUNAWAY_EVERY)}
    everyone = range(collars)
    home = evening_home(datetime.now(UTC))
    with (
        house.operator_api(platform.cloud_url) as cloud,
        house.gateway_api(platform.gateway_url) as gateway,
        sign_in(house, platform.cloud_url) as owner,
    ):
        path = ensure_fleet(
            house,
            cloud,
            gateway,
            collars=collars,
            since=since,
            seed=seed,
            escapes=escapes,
            harnessed=everyone,
            home=home,
        )
        set_home_zone(gateway, home)
        ids = [each["collar_id"] for each in json.loads(path.read_text())["collars"]]
        sharing = ids[: max(1, round(len(ids) * SHARING))]
        half = sharing[: max(1, len(sharing) // 2)]
        _give(owner, since, sharing, Stream.ACTIVITY, "research")
        _give(owner, since, sharing, Stream.RAW, "training")
        _give(owner, since, half, Stream.EVENTS, "research")
        _give(owner, since, half, Stream.POSITION, "research", Precision.KM1)
        require(gateway.post("/v1/registry/refresh"))
    granted = {(each, stream.value) for each in sharing for stream in (Stream.ACTIVITY, Stream.RAW)}
    granted |= {
        (each, stream.value) for each in half for stream in (Stream.EVENTS, Stream.POSITION)
    }
    return Cast(ids, sharing, granted)


def _give(
    owner: httpx2.Client,
    since: datetime,
    collar_ids: list[str],
    stream: Stream,
    purpose: str,
    precision: Precision = Precision.EXACT,
) -> None:
    grant = {
        "pet_ids": [pet_id(each) for each in collar_ids],
        "stream": stream.value,
        "purpose": purpose,
        "recipient": "pawmesh",
        "precision": precision.value,
        "valid_from": since.isoformat(),
    }
    require(owner.post("/v1/grants", json=grant))
