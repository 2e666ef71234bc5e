"""What a fleet of simulated collars needs to know."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_data_path
from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

import plugins
from collar_sim.animal import Scenario
from collar_sim.animal.signals.radio import MEAN_LOSS
from collar_sim.assembly import MICRO_COLLARS, EngineChoice
from collar_sim.firmware.log.flash import LOG_BYTES, MIN_LOG_BYTES
from gateway.wire.topics import ID_PATTERN

UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MAX_DURATION_S = 3_650 * 86_400  # ten years: beyond it, dates leave the calendar
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


def duration(text: str) -> timedelta:
    """The duration a person wrote: ``90``, ``90s``, ``5m``, ``1.5h``, ``30d``.

    Raises:
        ValueError: It is none.

    >>> duration("1.5h")
    datetime.timedelta(seconds=5400)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration: write 90s, 5m, 24h or 30d")
    seconds = float(match[1]) * UNIT_S[match[2] or "s"]
    if seconds > MAX_DURATION_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def _duration(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


def instant(text: str) -> datetime:
    """The instant a person wrote; without an offset it is meant in UTC.

    Raises:
        ValueError: It is none, or of another century.

    >>> instant("2026-05-01").isoformat()
    '2026-05-01T00:00:00+00:00'
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no instant: write 2026-05-01T08:00:00Z") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not EARLIEST <= at < LATEST:
        raise ValueError(f"{text!r} is not of the years {EARLIEST.year} to {LATEST.year - 1}")
    return at


def _instant(value: Any) -> Any:
    return instant(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta())]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]


class Settings(BaseSettings):
    """Every flag of ``python -m collar_sim``; environment variables begin with ``SIM_``."""

    model_config = SettingsConfigDict(
        env_prefix="SIM_", frozen=True, use_attribute_docstrings=True, extra="forbid"
    )

    fleet_file: Path
    """JSON list of the collars with their keys and animals (mode 0600)."""
    broker: SecretStr = SecretStr("mqtt://127.0.0.1:1883")
    """``mqtt://user:password@host:port``, or ``mqtts``."""
    broker_ca_file: Path | None = None
    """Authority that the broker's certificate is checked against; the system's without it."""
    site: Annotated[str, Field(pattern=ID_PATTERN)] = "home"
    """The site of the gateway that the collars belong to."""
    data_dir: Path = Field(default_factory=lambda: user_data_path("pawmesh") / "sim")
    """Holds the collars' flash, and the record of all that was published."""
    seed: Annotated[int, Field(ge=0, lt=2**40)] = 0
    """Gives every animal of the file another life."""
    start_at: Instant | None = None
    """First simulated instant; without it, ``history`` before now."""
    history: Duration = timedelta(hours=24)
    """How far before its present the fleet starts; sent as fast as it is acknowledged."""
    duration: Duration | None = None
    """Wall time to run once the present is met; without it, until stopped."""
    speed: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    """Simulated seconds per second in the live phase."""
    scenario: Scenario = Scenario.CALM_DAY
    """Course of events, where the fleet file names none."""
    truth: Path | None = None
    """Folder for what really happened, as Parquet."""
    report: Path | None = None
    """File for the run's counts, as JSON."""
    pulse: bool = False
    """Print each second how things stand, as a line of JSON on stdout; end when nobody reads it."""
    engine: EngineChoice = EngineChoice.AUTO
    """Interpreter of the models."""
    micro_collars: Annotated[int, Field(ge=0)] = MICRO_COLLARS
    """With ``auto``, how many collars run on TFLite-Micro."""
    log_bytes: Annotated[int, Field(ge=MIN_LOG_BYTES, le=2**30)] = LOG_BYTES
    """Payload that one collar's flash log holds."""
    upload_every: Duration | None = None
    """How often what can wait is sent, in one batch; without it, at once. Alerts never wait."""
    radio_loss: Annotated[float, Field(ge=0, lt=0.65)] = MEAN_LOSS
    """Share of transmissions lost in the long run; they come in bursts."""
    models: Path = Path(str(plugins.__path__[0]))
    """Folder of the packages ``activity`` and ``anomaly``."""
