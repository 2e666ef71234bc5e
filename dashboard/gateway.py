"""Asks the home's gateway; what fails becomes one exception with a sentence for the reader."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from dashboard.answers import Alert, Epoch, Fix, Leaving, Pet, Status, Zone
from dashboard.errors import GatewayTrouble

TIMEOUT_S = 5.0
EPOCHS_LIMIT = 5_000  # the gateway's own limit; a day of minutes is 1,440
FIXES_LIMIT = 1_000
ALERTS_LIMIT = 50
LEAVING_LIMIT = 1

T = TypeVar("T")

_pets = TypeAdapter(list[Pet])
_alerts = TypeAdapter(list[Alert])
_zones = TypeAdapter(dict[str, Zone])
_status = TypeAdapter(Status)
_leaving = TypeAdapter(list[Leaving])
_entries = TypeAdapter(list[dict[str, Any]])
_epochs = TypeAdapter(list[Epoch])
_fixes = TypeAdapter(list[Fix])


class Gateway:
    """The gateway's API, read only. May be used by many threads at once.

    Args:
        url: Where it answers.
        token_file: Read at each request, so that a new token needs no restart.
    """

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self.url = url
        self._token_file = token_file
        # the gateway is in this home: a proxy for the internet does not know the way to it
        self._http = httpx2.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def pets(self) -> list[Pet]:
        """Every pet of the home, as it is now; one entry per collar."""
        return self._get("/v1/pets", _pets)

    def alerts(self) -> list[Alert]:
        """The newest alerts, and all that are open however old."""
        newest = self._get("/v1/alerts", _alerts, {"limit": ALERTS_LIMIT})
        still_open = self._get("/v1/alerts", _alerts, {"limit": ALERTS_LIMIT, "open_only": True})
        return list({alert.alert_id: alert for alert in (*newest, *still_open)}.values())

    def zones(self) -> dict[str, Zone]:
        """The home's zones by id."""
        return self._get("/v1/zones", _zones)

    def epochs(self, pet_id: str, since: datetime) -> list[Epoch]:
        """What a pet did since then, oldest first."""
        return self._history(pet_id, "epoch", since, EPOCHS_LIMIT, _epochs)

    def fixes(self, pet_id: str, since: datetime) -> list[Fix]:
        """Where a pet was since then, oldest first."""
        return self._history(pet_id, "fix", since, FIXES_LIMIT, _fixes)

    def status(self) -> Status:
        """How the gateway is."""
        return self._get("/v1/status", _status)

    def leaving(self) -> list[Leaving]:
        """The last message that was allowed to leave the home, if any was."""
        return self._get("/v1/outbox", _leaving, {"limit": LEAVING_LIMIT})

    def _history(
        self, pet_id: str, kind: str, since: datetime, limit: int, into: TypeAdapter[list[T]]
    ) -> list[T]:
        query = {"kind": kind, "since": since.isoformat(), "limit": limit}
        entries = self._get(f"/v1/pets/{pet_id}/history", _entries, query)
        return _as(into, [entry.get("fields") for entry in entries])

    def _get(self, path: str, into: TypeAdapter[T], query: Mapping[str, Any] | None = None) -> T:
        try:
            answer = self._http.get(path, params=query, headers=self._credentials())
        except httpx2.TimeoutException as error:
            raise GatewayTrouble("The gateway takes too long to answer.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise GatewayTrouble(
                f"The gateway at {self.url} cannot be reached. Is it running?"
            ) from error
        if answer.status_code in (401, 403):
            raise GatewayTrouble(
                "The gateway does not know this dashboard. "
                "Point DASHBOARD_GATEWAY_TOKEN_FILE at the gateway's gateway.token."
            )
        if not answer.is_success:
            raise GatewayTrouble(f"The gateway could not answer (status {answer.status_code}).")
        try:
            return _as(into, answer.json())
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


def _as(into: TypeAdapter[T], value: object) -> T:
    try:
        return into.validate_python(value)
    except ValidationError as error:
        raise GatewayTrouble(
            "The gateway's answer is not understood. Are gateway and dashboard of one version?"
        ) from error
