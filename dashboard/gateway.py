"""Asks the home's gateway; what fails becomes one exception with a sentence for the reader."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from dashboard.answers import (
    Alert,
    CollarModels,
    Corrected,
    Correction,
    Epoch,
    Event,
    Fix,
    Leaving,
    Pet,
    Status,
    Zone,
)
from dashboard.errors import GatewayOlder, GatewayTrouble
from dashboard.service import Service, Slow, TooMuch, Unreachable, content_of, detail_of, understood

TIMEOUT_S = 5.0
EPOCHS_LIMIT = 5_000  # the gateway's own limit; a day of minutes is 1,440
EVENTS_LIMIT = 500  # of each name once in a quarter of an hour
FIXES_LIMIT = 1_000
ALERTS_LIMIT = 100
LEAVING_LIMIT = 2_000
CORRECTIONS_LIMIT = 500

T = TypeVar("T")

_pets = TypeAdapter(list[Pet])
_alerts = TypeAdapter(list[Alert])
_zones = TypeAdapter(dict[str, Zone])
_status = TypeAdapter(Status)
_leaving = TypeAdapter(list[Leaving])
_entries = TypeAdapter(list[dict[str, Any]])
_epochs = TypeAdapter(list[Epoch])
_events = TypeAdapter(list[Event])
_fixes = TypeAdapter(list[Fix])
_corrections = TypeAdapter(list[Correction])
_corrected = TypeAdapter(Corrected)
_collars = TypeAdapter(list[CollarModels])
_nothing = TypeAdapter(None)


class Gateway:
    """The gateway's API. May be used by many threads at once.

    Args:
        url: Where it answers.
        token_file: Read at each request, so that a new token needs no restart.
    """

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self.url = url
        self._token_file = token_file
        self._service = Service(url, TIMEOUT_S)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def pets(self) -> list[Pet]:
        """Every pet of the home, as it is now; one entry per collar."""
        return self._ask("GET", "/v1/pets", _pets)

    def alerts(self) -> list[Alert]:
        """The newest alerts, and all that are open however old."""
        newest = self._ask("GET", "/v1/alerts", _alerts, {"limit": ALERTS_LIMIT})
        query = {"limit": ALERTS_LIMIT, "open_only": True}
        still_open = self._ask("GET", "/v1/alerts", _alerts, query)
        return list({alert.alert_id: alert for alert in (*newest, *still_open)}.values())

    def acknowledge(self, alert_id: int) -> None:
        """The owner has seen this alert."""
        self._ask("POST", f"/v1/alerts/{alert_id}/acknowledge", _nothing)

    def zones(self) -> dict[str, Zone]:
        """The home's zones by id."""
        return self._ask("GET", "/v1/zones", _zones)

    def epochs(self, pet_id: str, since: datetime) -> list[Epoch]:
        """What a pet did since then, oldest first."""
        return self._history(pet_id, "epoch", since, EPOCHS_LIMIT, _epochs)

    def events(self, pet_id: str, since: datetime) -> list[Event]:
        """What a pet's collar thought worth a message since then, oldest first."""
        return self._history(pet_id, "event", since, EVENTS_LIMIT, _events)

    def fixes(self, pet_id: str, since: datetime) -> list[Fix]:
        """Where a pet was since then, oldest first."""
        return self._history(pet_id, "fix", since, FIXES_LIMIT, _fixes)

    def corrections(self, pet_id: str, since: datetime) -> list[Correction]:
        """What the owner said of a pet since then.

        Raises:
            GatewayOlder: This gateway takes no corrections.
        """
        query = {"since": since.isoformat(), "limit": CORRECTIONS_LIMIT}
        return self._ask("GET", f"/v1/pets/{pet_id}/corrections", _corrections, query)

    def correct(
        self, pet_id: str, start_at: datetime, end_at: datetime, behaviour: str
    ) -> Corrected:
        """The owner says what a pet did then."""
        body = {
            "start_at": start_at.isoformat(),
            "end_at": end_at.isoformat(),
            "behaviour": behaviour,
        }
        return self._ask("POST", f"/v1/pets/{pet_id}/corrections", _corrected, body=body)

    def take_back(self, pet_id: str, correction_id: str) -> None:
        """The owner did not mean it."""
        self._ask("DELETE", f"/v1/pets/{pet_id}/corrections/{correction_id}", _nothing)

    def status(self) -> Status:
        """How the gateway is."""
        return self._ask("GET", "/v1/status", _status)

    def leaving(self) -> list[Leaving]:
        """The last messages that were allowed to leave the home, newest first."""
        return self._ask("GET", "/v1/outbox", _leaving, {"limit": LEAVING_LIMIT})

    def collars(self) -> list[CollarModels]:
        """Which models the collars run, and what is on its way to them."""
        return self._ask("GET", "/v1/collars", _collars)

    def _history(
        self, pet_id: str, kind: str, since: datetime, limit: int, into: TypeAdapter[list[T]]
    ) -> list[T]:
        query = {"kind": kind, "since": since.isoformat(), "limit": limit}
        entries = self._ask("GET", f"/v1/pets/{pet_id}/history", _entries, query)
        return self._as(into, [_said(entry) for entry in entries])

    def _ask(
        self,
        method: str,
        path: str,
        into: TypeAdapter[T],
        query: Mapping[str, Any] | None = None,
        body: object = None,
    ) -> T:
        try:
            answer = self._service.ask(
                method, path, headers=self._credentials(), params=query, body=body
            )
        except Slow as error:
            raise GatewayTrouble("The gateway takes too long to answer.") from error
        except Unreachable as error:
            raise GatewayTrouble(
                f"The gateway at {self.url} cannot be reached. Is it running?"
            ) from error
        except TooMuch as error:
            raise GatewayTrouble(f"What answers at {self.url} is no gateway.") from error
        if answer.status_code in (401, 403):
            raise GatewayTrouble(
                "The gateway does not know this dashboard. "
                "Point DASHBOARD_GATEWAY_TOKEN_FILE at the gateway's gateway.token."
            )
        if answer.status_code in (404, 405) and detail_of(answer) in ("Not Found", ""):
            raise GatewayOlder("This home's gateway is of an older version, which cannot do this.")
        if answer.status_code == 422:
            raise GatewayTrouble(f"The gateway did not take it: {detail_of(answer)}.")
        if not answer.is_success:
            raise GatewayTrouble(f"The gateway could not answer (status {answer.status_code}).")
        try:
            return self._as(into, content_of(answer))
        except ValueError as error:
            raise GatewayTrouble(f"What answers at {self.url} is no gateway.") from error

    def _credentials(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise GatewayTrouble(f"The token file {self._token_file} cannot be read.") from error
        return {"Authorization": f"Bearer {token}"}

    def _as(self, into: TypeAdapter[T], value: object) -> T:
        found = understood(into, value)
        if found is None and into is not _nothing:
            raise GatewayTrouble(
                "The gateway's answer is not understood. Are gateway and dashboard of one version?"
            )
        return found  # pyright: ignore[reportReturnType] - None is what _nothing gives


def _said(entry: Mapping[str, Any]) -> Any:
    """What a message said, at the instant that it was filed by: a collar's clock may be wrong."""
    fields = entry.get("fields")
    if not isinstance(fields, dict):
        return fields
    return {**fields, "observed_at": entry.get("observed_at")}
