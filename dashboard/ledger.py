"""What the cloud knows of sharing, asked seldom, and kept when it is away."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from dashboard.answers import (
    CollarModels,
    Granted,
    ModelRow,
    RolloutRow,
    TrainingRun,
    Wallet,
)
from dashboard.cloud import Cloud
from dashboard.errors import (
    CloudAway,
    CloudOlder,
    CloudTrouble,
    GatewayOlder,
    GatewayTrouble,
    SignedOut,
)
from dashboard.gateway import Gateway

REST = timedelta(seconds=5)  # between two questions to the cloud
REST_AWAY = timedelta(seconds=15)  # while it is away each question costs the reader seconds

T = TypeVar("T")


@dataclass(slots=True)
class Ledger:
    """One reader's view of what is shared, earned and learned; ``None``: never told."""

    grants: list[Granted] | None = None
    wallet: Wallet | None = None
    models: list[ModelRow] | None = None
    rollouts: list[RolloutRow] | None = None
    runs: list[TrainingRun] | None = None
    collars: list[CollarModels] | None = None
    trouble: str | None = None
    """Why the cloud said nothing: what is here is from before."""
    away: bool = False
    signed_out: bool = False
    """The cloud does not take the session's token any more."""
    asked_at: datetime | None = None
    older: set[str] = field(default_factory=set[str])
    """What cloud or gateway are too old to tell."""

    def look(self, now: datetime, cloud: Cloud, token: str, gateway: Gateway) -> None:
        """Ask what is new, unless that was just done."""
        rest = REST_AWAY if self.away else REST
        if self.asked_at is not None and now - self.asked_at < rest:
            return
        self.asked_at = now
        try:
            self.grants = cloud.grants(token)
            self.wallet = cloud.wallet(token)
            self.models = self._maybe("models", cloud.models, token)
            self.rollouts = self._maybe("rollouts", cloud.rollouts, token)
            self.runs = self._maybe("runs", cloud.training_runs, token)
        except SignedOut:
            self.signed_out = True
        except CloudTrouble as error:
            self.trouble, self.away = str(error), isinstance(error, CloudAway)
        else:
            self.trouble, self.away = None, False
        self.look_at_collars(gateway)

    def look_at_collars(self, gateway: Gateway) -> None:
        """Ask the gateway alone: it knows the collars, whatever the cloud does."""
        try:
            self.collars = gateway.collars()
        except GatewayOlder:
            self.older.add("collars")
        except GatewayTrouble:
            pass  # the page says elsewhere that the gateway is away

    def changed(self) -> None:
        """The reader did something: ask again at the next look."""
        self.asked_at = None

    def _maybe(self, name: str, ask: Callable[[str], list[T]], token: str) -> list[T] | None:
        try:
            found: Any = ask(token)
        except CloudOlder:
            self.older.add(name)
            return None
        self.older.discard(name)
        return found
