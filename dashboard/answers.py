"""What gateway and cloud answer, as far as the page uses it; fields of newer ones are ignored."""

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
    source: str = "gnss"
    observed_at: AwareDatetime
    age_s: float


class Observation(Answer):
    """What a plugin last said of a pet."""

    plugin_id: str
    name: str
    label: str
    confidence: float
    observed_at: AwareDatetime


class Power(Answer):
    """The collar's battery as it last reported it."""

    battery_pct: float
    days_left: float | None
    charging: bool
    span_s: float
    joules: dict[str, float]
    """Where the energy of ``span_s`` went, the largest part first."""


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
    corrected: str | None = None
    """What the owner said it did then, if they did."""
    anomaly: float | None
    battery_pct: float | None
    power: Power | None = None
    """Nothing where the collar, or an older gateway, does not say."""
    stale: bool
    place: Place | None
    observations: list[Observation]
    open_alerts: int

    @property
    def does(self) -> str | None:
        """What it does: the owner's word before the collar's."""
        return self.corrected or self.behaviour

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
    raised_at: AwareDatetime
    cleared_at: AwareDatetime | None
    acknowledged_at: AwareDatetime | None
    notified_at: AwareDatetime | None
    latency_ms: float | None = None
    """From the receipt of what confirmed it to its leaving for the owner."""


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
    scratch_bouts: int = 0
    drink_bouts: int = 0


class Event(Answer):
    """Something that a collar thought worth a message of its own."""

    observed_at: AwareDatetime
    name: str
    duration_s: float = 0.0


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
    collar_id: str = ""
    reason: str | None = None
    leaves: list[str] = []


class Correction(Answer):
    """What the owner said a pet did."""

    correction_id: Id
    start_at: AwareDatetime
    end_at: AwareDatetime
    behaviour: str
    said_at: AwareDatetime
    shared: bool = False


class Corrected(Answer):
    """What became of a correction."""

    correction_id: Id
    shared: bool
    why: str = ""


class SlotModel(Answer):
    """The model in one of a collar's slots."""

    slot: str
    package: str
    version: str
    sha256: str
    since: AwareDatetime | None = None


class Delivery(Answer):
    """A model on its way to a collar, or where it ended."""

    rollout: str
    package: str
    version: str
    state: str
    reason: str | None = None
    detail: str = ""
    next_chunk: int = 0
    chunks: int = 0
    changed_at: AwareDatetime | None = None


class CollarModels(Answer):
    """A collar and its models."""

    collar_id: str
    pet_id: str
    slots: list[SlotModel] = []
    delivery: Delivery | None = None
    windows_per_hour: int = 0


class Session(Answer):
    """A session in the cloud."""

    token: Annotated[str, Field(min_length=8, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    owner_id: str
    expires_at: AwareDatetime


class Site(Answer):
    """One of the owner's homes."""

    site_id: str
    household_id: str


class Granted(Answer):
    """A permission the owner gave."""

    grant_id: Id
    pet_id: str
    stream: str
    purpose: str
    recipient: str
    precision: str
    valid_from: AwareDatetime
    expires_at: AwareDatetime | None
    withdrawn_at: AwareDatetime | None

    def active_at(self, instant: datetime) -> bool:
        """Whether it allows anything at this instant."""
        ends = [end for end in (self.expires_at, self.withdrawn_at) if end is not None]
        return self.valid_from <= instant and all(instant < end for end in ends)


class Entry(Answer):
    """One payment."""

    made_at: AwareDatetime
    period_id: int | None
    amount: int
    """Micro-tokens."""
    memo: str
    reasons: dict[str, int]
    starts_at: AwareDatetime | None
    ends_at: AwareDatetime | None


class Wallet(Answer):
    """What the owner has earned."""

    balance: int
    pending_units: int
    entries: list[Entry]


class ModelRow(Answer):
    """A model the cloud knows, and how it was judged."""

    package: str
    version: str
    sha256: str
    slot: str = ""
    state: str
    macro_f1_before: float | None = None
    macro_f1_after: float | None = None
    judged_at: AwareDatetime | None = None
    run_id: str | None = None
    reason: str | None = None
    detail: str = ""


class RolloutRow(Answer):
    """A model being sent out."""

    rollout_id: str
    package: str
    version: str
    stage: str = ""
    state: str = ""


class TrainingRun(Answer):
    """One try to learn from what owners shared and said."""

    run_id: str
    state: str
    reason: str | None = None
    detail: str = ""
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None


def one_card_each(pets: Sequence[Pet]) -> list[Pet]:
    """Each pet once, by name: of two collars on one pet, what the fresher one says."""

    def freshness(pet: Pet) -> float:
        return pet.known_at.timestamp() if pet.known_at else 0.0

    freshest = {pet.pet_id: pet for pet in sorted(pets, key=freshness)}
    return sorted(freshest.values(), key=lambda pet: (pet.name.casefold(), pet.pet_id))
