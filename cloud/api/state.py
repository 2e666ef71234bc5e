"""What the application keeps for its handlers while it runs."""

from dataclasses import dataclass

from cloud.db import Database
from cloud.ingest.workers import Workers
from cloud.models.release_key import ReleaseKey
from cloud.rewards.scoring import Terms
from cloud.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts that handlers are handed."""

    settings: Settings
    database: Database
    workers: Workers
    operator_token_hash: bytes
    release_key: ReleaseKey

    @property
    def terms(self) -> Terms:
        """The terms for emission periods that begin now."""
        settings = self.settings
        return Terms(settings.emission_period_s, settings.emission_budget, settings.rate_per_unit)
