"""Keeps looking at the gateway: what it last said, and what is wrong when it says nothing.

Tracks and days are long, so they are asked for again only when a pet has something new, or late
news may have come in. What fails for one pet is told on that pet's card; all else goes on.
"""

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from dashboard.answers import Alert, Epoch, Fix, Leaving, Pet, Status, Zone, one_card_each
from dashboard.day import DAY, HOUR
from dashboard.errors import GatewayTrouble
from dashboard.gateway import Gateway

TRACK = timedelta(hours=1)
LATE_NEWS = timedelta(seconds=30)  # a collar that was away brings the past with it
DAY_REST = timedelta(seconds=15)  # between two readings of a day, however lively the pet
HOUSE_REST = timedelta(seconds=10)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class House:
    """How the gateway is, and the last message that was allowed to leave."""

    status: Status
    leaving: Leaving | None


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at one moment."""

    pets: list[Pet]
    alerts: list[Alert]
    zones: dict[str, Zone]
    tracks: dict[str, list[Fix]]
    days: dict[str, list[Epoch]]
    house: House | None
    trouble_of: dict[str, str]
    """Why the track or the day of a pet is old or missing, by pet."""
    trouble: str | None
    """Why the gateway said nothing: then all of this is from ``seen_at``."""
    seen_at: datetime | None
    """When the gateway last answered; ``None``: never yet."""


@dataclass(slots=True)
class Kept(Generic[T]):
    """An answer, with what it was about and when it was given."""

    value: T
    stamp: datetime | None
    asked_at: datetime


@dataclass(slots=True)
class Watch:
    """One reader's view of the home, brought up to date by ``look``."""

    gateway: Gateway
    seen_at: datetime | None = None
    _pets: list[Pet] = field(default_factory=list[Pet])
    _alerts: list[Alert] = field(default_factory=list[Alert])
    _zones: dict[str, Zone] = field(default_factory=dict[str, Zone])
    _tracks: dict[str, Kept[list[Fix]]] = field(default_factory=dict[str, Kept[list[Fix]]])
    _days: dict[str, Kept[list[Epoch]]] = field(default_factory=dict[str, Kept[list[Epoch]]])
    _house: Kept[House] | None = None

    def look(self, now: datetime, unfolded: Callable[[Sequence[Pet]], Container[str]]) -> Look:
        """Ask for what is new.

        Args:
            now: By this machine's clock, aware.
            unfolded: Of all the pets, whose track and day are shown; no others are asked for.
        """
        trouble: str | None = None
        trouble_of: dict[str, str] = {}
        try:
            self._ask_now(now)
        except GatewayTrouble as error:
            trouble = str(error)
        else:
            shown = unfolded(self._pets)
            for pet in self._pets:
                if pet.pet_id in shown:
                    try:
                        self._ask_past(pet, now)
                    except GatewayTrouble as error:
                        trouble_of[pet.pet_id] = str(error)
        return Look(
            pets=self._pets,
            alerts=self._alerts,
            zones=self._zones,
            tracks={pet_id: kept.value for pet_id, kept in self._tracks.items()},
            days={pet_id: kept.value for pet_id, kept in self._days.items()},
            house=self._house.value if self._house else None,
            trouble_of=trouble_of,
            trouble=trouble,
            seen_at=self.seen_at,
        )

    def _ask_now(self, now: datetime) -> None:
        pets, alerts, zones = self.gateway.pets(), self.gateway.alerts(), self.gateway.zones()
        self._pets, self._alerts, self._zones = one_card_each(pets), alerts, zones
        self.seen_at = now
        if self._house is None or now - self._house.asked_at >= HOUSE_REST:
            with suppress(GatewayTrouble):  # the pets matter more; it is asked again next time
                leaving = self.gateway.leaving()
                house = House(self.gateway.status(), leaving[0] if leaving else None)
                self._house = Kept(house, None, now)

    def _ask_past(self, pet: Pet, now: datetime) -> None:
        _renew(
            self._tracks,
            pet.pet_id,
            pet.place.observed_at if pet.place else None,
            now,
            timedelta(0),
            lambda: self.gateway.fixes(pet.pet_id, now - TRACK),
        )
        _renew(
            self._days,
            pet.pet_id,
            pet.behaviour_at,
            now,
            DAY_REST,
            lambda: self.gateway.epochs(pet.pet_id, now - DAY - HOUR),
        )


def _renew(
    kept: dict[str, Kept[T]],
    pet_id: str,
    stamp: datetime | None,
    now: datetime,
    rest: timedelta,
    ask: Callable[[], T],
) -> None:
    """Ask again if there is news since last time, or if it is time to look for late news."""
    last = kept.get(pet_id)
    if last is not None:
        news_rest = rest if last.value else timedelta(0)  # the first news is shown at once
        if now - last.asked_at < (LATE_NEWS if stamp == last.stamp else news_rest):
            return
    kept[pet_id] = Kept(ask(), stamp, now)
