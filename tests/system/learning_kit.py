"""Simulated animals whose owners share what they felt and say what they did.

A ``padded`` unit sits upright in thick foam: gravity lies along the axis that is level in every
collar, and a sixth of the motion arrives. No model has seen that, so few windows teach a lot.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cloud.training.roles import Role, decide
from collar_sim.animal import Animal
from gateway.wire.topics import Kind
from gateway.wire.uplink import OwnerLabel
from plugins.sdk.behaviours import Behaviour
from tests.system.cloud_kit import Device, Home

MORNING = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
MINUTES, PER_CLASS = 240, 24
KNOWN = ("rest", "walk", "run", "scratch")
WINDOW = timedelta(seconds=4)
UPRIGHT = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
PAD_REACH = 0.15


@dataclass(frozen=True)
class Moment:
    """Four seconds of one behaviour."""

    at: datetime
    behaviour: str
    imu: NDArray[np.float32]


@cache
def moments_of(seed: int) -> tuple[Moment, ...]:
    """Moments of yesterday in the life of an animal, of every behaviour that models know."""
    animal = Animal.draw(seed, home=(48.0, 11.0))
    minutes = list(animal.minutes(MORNING, MINUTES))
    imu = np.concatenate([minute.imu for minute in minutes]).astype(np.float32)
    words = np.concatenate([minute.behaviour for minute in minutes])
    begin = (datetime.now(UTC) - timedelta(days=1)).replace(second=0, microsecond=0)
    moments: list[Moment] = []
    for behaviour in KNOWN:
        starts = [
            second
            for second in range(0, len(words) - 4, 4)
            if bool(np.all(words[second : second + 4] == behaviour))
        ][:PER_CLASS]
        for second in starts:
            felt = imu[25 * second : 25 * (second + 4)].copy()  # or it would keep the whole life
            moments.append(Moment(begin + timedelta(seconds=second), behaviour, felt))
    return tuple(moments)


def lived(seed: int, padded: bool = False, per_class: int = PER_CLASS) -> tuple[Moment, ...]:
    """The first of these moments of each behaviour, in their order."""
    taken: Counter[str] = Counter()
    found: list[Moment] = []
    for moment in moments_of(seed):
        taken[moment.behaviour] += 1
        if taken[moment.behaviour] <= per_class:
            imu = through_pad(moment.imu) if padded else moment.imu
            found.append(replace(moment, imu=imu))
    return tuple(sorted(found, key=lambda moment: moment.at))


def through_pad(felt: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of four seconds of motion in a padded unit."""
    still = felt.mean(axis=0) * np.array([1, 1, 1, 0, 0, 0], np.float32)
    damped = still + PAD_REACH * (felt - still)
    return np.concatenate([damped[:, :3] @ UPRIGHT.T, damped[:, 3:] @ UPRIGHT.T], axis=1)


async def share(
    home: Home, device: Device, grant_id: str, moments: tuple[Moment, ...], *, sealed: bool = True
) -> None:
    """The collar's windows on their way through the whole of the ingest; every third was odd."""
    messages = [
        (
            Kind.WINDOW,
            device.window(n, moment.at, moment.imu, choice="uncertain" if n % 3 == 2 else "random"),
        )
        for n, moment in enumerate(moments)
    ]
    receipt = await home.send(
        device.group(messages, {Kind.WINDOW: (grant_id, None)}, sealed=sealed)
    )
    assert receipt.accepted == len(moments), receipt.refused


def words(
    device: Device, grant_id: str, moments: tuple[Moment, ...], lie: dict[str, str] | None = None
) -> list[OwnerLabel]:
    """What the owner says of these moments, or what a mistaken one would."""
    return [
        label(device, grant_id, moment.at, (lie or {}).get(moment.behaviour, moment.behaviour), n)
        for n, moment in enumerate(moments)
    ]


def label(
    device: Device,
    grant_id: str,
    start_at: datetime,
    behaviour: str,
    number: int = 0,
    **more: datetime,
) -> OwnerLabel:
    """One label; four seconds long unless ``end_at`` says otherwise."""
    return OwnerLabel(
        label_id=f"label-{number}-{device.collar_id[-8:]}",
        pet_id=device.pet_id,
        start_at=start_at,
        end_at=more.get("end_at", start_at + WINDOW),
        behaviour=Behaviour(behaviour),
        said_at=more.get("said_at", datetime.now(UTC)),
        grant_id=grant_id,
    )


async def pets_that_teach(
    home: Home,
    count: int,
    *,
    padded: bool = False,
    lie: dict[str, str] | None = None,
    per_class: int = PER_CLASS,
) -> list[tuple[Device, str]]:
    """Pets with shared windows, all of them named by their owner.

    With ``lie``, owners of pets that are learned from mistake one behaviour for another, and those
    of the judges do not: the roles are known beforehand, as they follow from the ids.
    """
    ids = [f"{home.site}-rex-{n}" for n in range(count)]
    roles = decide(dict.fromkeys(ids, "dog"), Counter())
    taught: list[tuple[Device, str]] = []
    for seed, device in enumerate(await home.enrol(count, pet_ids=ids), 500):
        grant_id = await home.grant(device.pet_id, "raw", purpose="training")
        moments = lived(seed, padded, per_class)
        await share(home, device, grant_id, moments)
        mistaken = lie if roles[device.pet_id] is Role.FIT else None
        receipt = await home.say(*words(device, grant_id, moments, mistaken))
        assert receipt.refused == {}
        taught.append((device, grant_id))
    return taught
