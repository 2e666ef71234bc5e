"""Keeps looking at the gateway: what it last said, and what is wrong when it says nothing.

Tracks and days are long, so they are asked for again only when a pet has something new, or late
news may have come in. What fails for one pet is told on that pet's card; all else goes on.
"""

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from dashboard.answers import (
    Alert,
    Correction,
    Epoch,
    Event,
    Fix,
    Leaving,
    Pet,
    Status,
    Zone,
    one_card_each,
)
from dashboard.day import DAY, HOUR
from dashboard.errors import GatewayOlder, GatewayTrouble
from dashboard.gateway import Gateway

TRACK = timedelta(hours=1)
LATE_NEWS = timedelta(seconds=30)  # a collar that was away brings the past with it
DAY_REST = timedelta(seconds=15)  # between two readings of a day, however lively the pet
HOUSE_REST = timedelta(seconds=10)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Home:
    """How the gateway is, and the last messages that were allowed to leave, newest first."""

    status: Status
    leaving: list[Leaving]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at one moment."""

    pets: list[Pet]
    alerts: list[Alert]
    zones: dict[str, Zone]
    tracks: dict[str, list[Fix]]
    days: dict[str, list[Epoch]]
    events: dict[str, list[Event]]
    """Of those days."""
    corrections: dict[str, list[Correction] | None]
    """What the owner said, by pet; ``None`` where the gateway is too old to be told."""
    home: Home | None
    trouble_of: dict[str, str]
    """Why the track or the day of a pet is old or missing, by pet."""
    trouble: str | None
    """Why the gateway said nothing: then all of this is from ``seen_at``."""
    seen_at: datetime | None
    """When the gateway last answered; ``None``: never yet."""

    def pet(self, pet_id: str) -> Pet | None:
        """The pet of this id, if it is of this home."""
        return next((pet for pet in self.pets if pet.pet_id == pet_id), None)


@dataclass(slots=True)
class Kept(Generic[T]):
    """An answer, with what it was about and when it was given."""

    value: T
    stamp: datetime | None
    asked_at: datetime


def every(pets: Sequence[Pet]) -> set[str]:
    """All of them."""
    return {pet.pet_id for pet in pets}


def none(_: Sequence[Pet]) -> set[str]:
    """None of them."""
    return set()


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
    _events: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])
    _said: dict[str, Kept[list[Correction] | None]] = field(
        default_factory=dict[str, Kept[list[Correction] | None]]
    )
    _home: Kept[Home] | None = None

    def look(
        self,
        now: datetime,
        *,
        days: Callable[[Sequence[Pet]], Container[str]] = none,
        tracks: Callable[[Sequence[Pet]], Container[str]] = none,
    ) -> Look:
        """Ask for what is new.

        Args:
            now: By this machine's clock, aware.
            days: Of all the pets, whose last day is shown; no others are asked for.
            tracks: Likewise of their tracks.
        """
        trouble: str | None = None
        trouble_of: dict[str, str] = {}
        try:
            self._ask_now(now)
        except GatewayTrouble as error:
            trouble = str(error)
        else:
            with_day, with_track = days(self._pets), tracks(self._pets)
            for pet in self._pets:
                try:
                    if pet.pet_id in with_track:
                        self._ask_track(pet, now)
                    if pet.pet_id in with_day:
                        self._ask_day(pet, now)
                except GatewayTrouble as error:
                    trouble_of[pet.pet_id] = str(error)
        return Look(
            pets=self._pets,
            alerts=self._alerts,
            zones=self._zones,
            tracks={pet_id: kept.value for pet_id, kept in self._tracks.items()},
            days={pet_id: kept.value for pet_id, kept in self._days.items()},
            events=self._events,
            corrections={pet_id: kept.value for pet_id, kept in self._said.items()},
            home=self._home.value if self._home else None,
            trouble_of=trouble_of,
            trouble=trouble,
            seen_at=self.seen_at,
        )

    def said_something(self, pet_id: str) -> None:
        """The owner corrected this pet: ask for it again at the next look."""
        self._said.pop(pet_id, None)

    def _ask_now(self, now: datetime) -> None:
        pets, alerts, zones = self.gateway.pets(), self.gateway.alerts(), self.gateway.zones()
        self._pets, self._alerts, self._zones = one_card_each(pets), alerts, zones
        self.seen_at = now
        if self._home is None or now - self._home.asked_at >= HOUSE_REST:
            with suppress(GatewayTrouble):  # the pets matter more; it is asked again next time
                home = Home(self.gateway.status(), self.gateway.leaving())
                self._home = Kept(home, None, now)

    def _ask_track(self, pet: Pet, now: datetime) -> None:
        stamp = pet.place.observed_at if pet.place else None
        kept = self._tracks.get(pet.pet_id)
        if kept is None or kept.stamp != stamp or now - kept.asked_at >= LATE_NEWS:
            fixes = self.gateway.fixes(pet.pet_id, now - TRACK)
            self._tracks[pet.pet_id] = Kept(fixes, stamp, now)

    def _ask_day(self, pet: Pet, now: datetime) -> None:
        kept = self._days.get(pet.pet_id)
        rested = kept is None or now - kept.asked_at >= DAY_REST
        if kept is None or (
            rested and (kept.stamp != pet.behaviour_at or now - kept.asked_at >= LATE_NEWS)
        ):
            # an epoch is of an hour at most, and counts from its beginning
            epochs = self.gateway.epochs(pet.pet_id, now - DAY - HOUR)
            self._days[pet.pet_id] = Kept(epochs, pet.behaviour_at, now)
            self._events[pet.pet_id] = self.gateway.events(pet.pet_id, now - DAY)
        said = self._said.get(pet.pet_id)
        if said is None or now - said.asked_at >= DAY_REST:
            corrections: list[Correction] | None
            try:
                corrections = self.gateway.corrections(pet.pet_id, now - DAY - HOUR)
            except GatewayOlder:
                corrections = None
            self._said[pet.pet_id] = Kept(corrections, None, now)
