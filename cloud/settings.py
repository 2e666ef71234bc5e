"""Settings of the cloud, read once from the environment (``CLOUD_...``)."""

import os
import sys
from pathlib import Path

from pydantic import Field, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def cpus() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class Settings(BaseSettings):
    """What the cloud is told at its start."""

    model_config = SettingsConfigDict(
        env_prefix="CLOUD_",
        env_nested_delimiter="__",
        secrets_dir=os.environ.get("PAWMESH_SECRETS_DIR"),
        frozen=True,
        use_attribute_docstrings=True,
    )

    database_url: SecretStr
    """PostgreSQL 15 or newer, such as ``postgresql://user:password@host/pawmesh``; TimescaleDB
    is used where the server has it."""
    database_wait_s: float = Field(default=0.0, ge=0, le=3600)
    """Seconds to wait for a database that does not answer at our start."""
    host: str = "127.0.0.1"
    """Address to listen on; only this machine reaches the default."""
    port: int = Field(default=8600, ge=0, le=65535)
    """TCP port to listen on."""
    operator_token_file: Path
    """File of the operator's bearer token; made at the first start, mode 0600."""
    release_key_file: Path | None = None
    """File of the key that models are signed with; made at the first start, mode 0600. By default
    ``release.key`` beside the operator's token. Collars believe no other key: back it up."""
    models_dir: Path | None = None
    """Folder of the packages that the first training has to beat; by default the shipped ones."""
    session_ttl_s: PositiveInt = 30 * 86_400
    """Seconds after which an owner has to sign in again."""
    pool_size: int = Field(default=8, ge=2, le=100)
    """Database connections at most."""
    pool_timeout_s: float = Field(default=3.0, gt=0, le=60)
    """Seconds a request waits for a database connection before it is answered 503."""
    ingest_workers: int = Field(default_factory=lambda: min(8, 1 + cpus()), ge=0, le=64)
    """Processes that prove and store uplinks; 0: a thread of the service does it. By default one
    more than there are cores, as one of them mostly waits for the database."""
    retention_days: PositiveInt = 400
    """Days after its receipt at which detailed data is dropped; rollups stay."""
    emission_period_s: PositiveInt = 3600
    """Seconds for which rewards are added up before they are paid."""
    emission_budget: int = Field(default=1_000_000_000, ge=0, le=10**15)
    """Micro-tokens issued in one period at most; beyond it everyone is paid pro rata."""
    rate_per_unit: int = Field(default=10, ge=0, le=10**9)
    """Micro-tokens paid for one unit; a perfect, fresh, sealed epoch scores 1,000 units."""
    settle_every_s: float = Field(default=30.0, gt=0, le=3600)
    """Seconds between two looks for emission periods that have ended."""

    @property
    def release_key_path(self) -> Path:
        """Where the release key is."""
        return self.release_key_file or self.operator_token_file.with_name("release.key")
