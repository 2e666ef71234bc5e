"""What the gateway answers, as far as the page uses it; fields of newer gateways are ignored."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]  # goes into URLs and widget keys


class Answer(BaseModel):
    """Base of all answers: immutable."""

    model_config = ConfigDict(frozen=True)


class Place(Answer):
    """Where a pet was last seen."""

    lat_deg: float
    lon_deg: float
    accuracy_m: float
    observed_at: AwareDatetime
    age_s: float


class Observation(Answer):
    """What a plugin last said of a pet."""

    plugin_id: str
    name: str
    label: str
    confidence: float
    observed_at: AwareDatetime


class Pet(Answer):
    """A pet now."""

    pet_id: Id
    name: str
    species: str
    collar_id: str
    online: bool
    behaviour: str | None
    behaviour_at: AwareDatetime | None
    behaviour_until: AwareDatetime | None
    """End of the minute that the behaviour was seen in."""
    heard_at: AwareDatetime | None
    """When the collar last brought something, by the gateway's clock."""
    anomaly: float | None
    battery_pct: float | None
    stale: bool
    place: Place | None
    observations: list[Observation]
    open_alerts: int

    @property
    def known_at(self) -> datetime | None:
        """The newest moment that we know anything about, by the collar's clock."""
        instants = (self.behaviour_until, self.place.observed_at if self.place else None)
        return max((instant for instant in instants if instant), default=None)


class Alert(Answer):
    """An alert and where it is in its life."""

    alert_id: int
    pet_id: str
    plugin_id: str
    title: str
    severity: str
    confidence: float
    detail: dict[str, Any]
    observed_at: AwareDatetime
    cleared_at: AwareDatetime | None
    acknowledged_at: AwareDatetime | None
    notified_at: AwareDatetime | None


class Zone(Answer):
    """A circle the owner has drawn."""

    name: str
    lat_deg: float
    lon_deg: float
    radius_m: float
    pet_id: str | None = None
    """For this pet only; without it, for every pet of the home."""


class Epoch(Answer):
    """What one period held."""

    observed_at: AwareDatetime
    period_s: float = 60.0
    seconds: dict[str, float]


class Fix(Answer):
    """A position of a pet's track."""

    observed_at: AwareDatetime
    lat_deg: float
    lon_deg: float
    accuracy_m: float


class Status(Answer):
    """How the gateway is."""

    site: str
    counters: dict[str, int]
    stored: int
    queued: dict[str, int]
    lost: int
    plugins: dict[str, str]


class Leaving(Answer):
    """A message that may leave the home, or has left."""

    stream: str
    state: str
    queued_at: AwareDatetime


def one_card_each(pets: Sequence[Pet]) -> list[Pet]:
    """Each pet once, by name: of two collars on one pet, what the fresher one says."""

    def freshness(pet: Pet) -> float:
        return pet.known_at.timestamp() if pet.known_at else 0.0

    freshest = {pet.pet_id: pet for pet in sorted(pets, key=freshness)}
    return sorted(freshest.values(), key=lambda pet: (pet.name.casefold(), pet.pet_id))
