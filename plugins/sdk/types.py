"""What a gateway plugin is given, and what it returns: frozen, and checked on both sides.

``predict`` is a pure function of its ``Inputs``. What it wants to remember it returns as ``state``
and is given again next time, so a plugin that is killed between two calls has lost nothing.
"""

import math
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from plugins.sdk.manifest import Input

MAX_STATE_BYTES = 16_384  # as MessagePack; a plugin's memory of one pet, not a database
MAX_FINDINGS = 100  # a call; more is a runaway, and nobody reads them
MAX_OBSERVATIONS = 100  # a call; an hour of minutes and some
MAX_DETAILS = 16  # facts of one finding

STREAM_FIELDS: dict[Input, tuple[str, ...]] = {
    Input.EPOCH: (
        "period_s",
        "seconds",
        "odba_g",
        "vedba_g",
        "steps",
        "scratch_bouts",
        "drink_bouts",
        "anomaly",
        "windows",
        "windows_unsure",
        "battery_pct",
    ),
    Input.FIX: ("lat_deg", "lon_deg", "accuracy_m", "source", "age_s", "hdop", "speed_mps"),
    Input.EVENT: ("name", "confidence", "duration_s", "package"),
}
"""What ``[inputs]`` may name per stream. Meaning and unit are those of the wire's messages."""

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,47}\Z")]
Share = Annotated[float, Meta(ge=0, le=1)]
Instant = Annotated[datetime, Meta(tz=True)]
Setting = float | int | str | bool


class Severity(StrEnum):
    """How much a finding matters to the owner."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    """Wakes people up."""


class FindingState(StrEnum):
    """Whether the thing a finding is about begins (or goes on), or is over."""

    RAISED = "raised"
    CLEARED = "cleared"


class Zone(Struct, frozen=True, kw_only=True):
    """A circle the owner has drawn."""

    zone_id: Id
    name: str
    lat_deg: Annotated[float, Meta(ge=-90, le=90)]
    lon_deg: Annotated[float, Meta(ge=-180, le=180)]
    radius_m: Annotated[float, Meta(gt=0, le=1_000_000)]


class Record(Struct, frozen=True):
    """One message of a stream, with the fields that the manifest asks for: ``fix["lat_deg"]``."""

    observed_at: Instant
    """When it happened (of an epoch: when it began), by the collar's clock."""
    values: dict[str, Any]
    """Exactly the granted fields; one the collar does not measure is ``None``."""

    def __getitem__(self, field: str) -> Any:
        try:
            return self.values[field]
        except KeyError:
            granted = ", ".join(self.values) or "none"
            raise KeyError(f"{field}: plugin.toml's [inputs] asks for {granted}") from None


class Inputs(Struct, frozen=True, kw_only=True):
    """What is new about one pet."""

    pet_id: str
    species: str
    now: Instant
    """The gateway's time. Judge by ``observed_at``: in catch-up this is long after."""
    records: dict[Input, list[Record]] = {}
    """Per granted stream, in the order the collar wrote them; none is given twice."""
    zones: list[Zone] = []
    """The pet's zones, for a plugin that may see where the pet is (``lat_deg``, ``lon_deg``)."""
    settings: dict[str, Setting] = {}
    """The manifest's settings, as the owner has adjusted them."""
    state: dict[str, Any] = {}
    """What this plugin returned for this pet last time; empty at first."""

    @property
    def epochs(self) -> list[Record]:
        """The new activity epochs."""
        return self.records.get(Input.EPOCH, [])

    @property
    def fixes(self) -> list[Record]:
        """The new positions."""
        return self.records.get(Input.FIX, [])

    @property
    def events(self) -> list[Record]:
        """What the collar's models saw."""
        return self.records.get(Input.EVENT, [])


class Finding(Struct, frozen=True, kw_only=True):
    """Something the owner should know, for as long as it lasts.

    Raising a key again updates what is shown; clearing a key that is not raised does nothing.
    Words are observations, never diagnoses.
    """

    key: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9:_-]{0,79}\Z")]
    """What goes on, for example ``outside:home``."""
    state: FindingState
    title: Annotated[str, Meta(min_length=1, max_length=120)]
    """One line without the pet's name, which the host knows: ``Left Home``."""
    severity: Severity
    observed_at: Instant
    """When the thing that decided it happened."""
    confidence: Share = 1.0
    detail: Annotated[
        dict[Word, float | int | Annotated[str, Meta(max_length=200)]], Meta(max_length=MAX_DETAILS)
    ] = {}
    """The facts behind it; units in the names."""

    def __post_init__(self) -> None:
        _check_instant_and_share(self.observed_at, self.confidence)
        if not self.title.isprintable():
            raise ValueError("title holds control characters")
        for name, value in self.detail.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"detail {name} is {value}")


class Observation(Struct, frozen=True, kw_only=True):
    """What a plugin read from a moment; kept with the pet's history and not notified."""

    name: Word
    """What is judged, for example ``emotion``."""
    label: Word
    """The judgement; ``unsure`` when the plugin abstains."""
    confidence: Share
    observed_at: Instant

    def __post_init__(self) -> None:
        _check_instant_and_share(self.observed_at, self.confidence)


class Outputs(Struct, frozen=True, kw_only=True):
    """What a call of ``predict`` says."""

    findings: Annotated[list[Finding], Meta(max_length=MAX_FINDINGS)] = []
    observations: Annotated[list[Observation], Meta(max_length=MAX_OBSERVATIONS)] = []
    state: dict[str, Any] = {}
    """What to remember: numbers, texts, lists, maps and aware datetimes; at most
    ``MAX_STATE_BYTES``. Replaces what was there."""


class Context(Struct, frozen=True, kw_only=True):
    """What ``setup`` is told, once per process, before the first call."""

    folder: Path
    """The package's own folder, where its model lies."""
    settings: dict[str, Setting] = {}
    """The manifest's defaults; what an owner has adjusted comes with each call."""


def _check_instant_and_share(observed_at: datetime, share: float) -> None:
    """Tell an author at construction what the host would refuse."""
    if observed_at.tzinfo is None:
        raise ValueError("observed_at has no time zone")
    if not 0 <= share <= 1:
        raise ValueError(f"confidence is {share}, not in 0..1")
