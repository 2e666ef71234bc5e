"""Asks the cloud in the owner's name; what fails becomes an exception with a sentence."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from dashboard.answers import (
    Granted,
    ModelRow,
    RolloutRow,
    Session,
    Site,
    TrainingRun,
    Wallet,
)
from dashboard.errors import (
    CloudAway,
    CloudOlder,
    CloudTrouble,
    SignedOut,
    TooManyTries,
    WrongPassword,
)
from dashboard.service import Service, Slow, TooMuch, Unreachable, content_of, detail_of, understood

TIMEOUT_S = 5.0
RECIPIENT = "pawmesh"
WALLET_ENTRIES = 200

T = TypeVar("T")

_session = TypeAdapter(Session)
_sites = TypeAdapter(list[Site])
_grants = TypeAdapter(list[Granted])
_wallet = TypeAdapter(Wallet)
_models = TypeAdapter(list[ModelRow])
_rollouts = TypeAdapter(list[RolloutRow])
_runs = TypeAdapter(list[TrainingRun])
_nothing = TypeAdapter(None)


class Cloud:
    """The cloud's API, as an owner may use it. May be used by many threads at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._service = Service(url, TIMEOUT_S)

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()

    def sign_in(self, email: str, password: str) -> Session:
        """Open a session.

        Raises:
            WrongPassword: Email or password is wrong.
            CloudAway: Nothing was decided.
        """
        try:
            body = {"email": email, "password": password}
            return self._ask("POST", "/v1/session", None, _session, body=body)
        except SignedOut as error:
            raise WrongPassword("E-mail or password is wrong.") from error

    def sign_out(self, token: str) -> None:
        """End the session of this token."""
        self._ask("DELETE", "/v1/session", token, _nothing)

    def sites(self, token: str) -> list[Site]:
        """The owner's sites."""
        return self._ask("GET", "/v1/sites", token, _sites)

    def grants(self, token: str) -> list[Granted]:
        """All that the owner ever allowed, newest first."""
        return self._ask("GET", "/v1/grants", token, _grants)

    def grant(
        self,
        token: str,
        *,
        pet_id: str,
        stream: str,
        purpose: str,
        precision: str,
        expires_at: datetime | None,
    ) -> list[Granted]:
        """Allow something of a pet."""
        body = {
            "pet_ids": [pet_id],
            "stream": stream,
            "purpose": purpose,
            "recipient": RECIPIENT,
            "precision": precision,
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        return self._ask("POST", "/v1/grants", token, _grants, body=body)

    def withdraw(self, token: str, grant_id: str) -> None:
        """Take a permission back."""
        self._ask("DELETE", f"/v1/grants/{grant_id}", token, _nothing)

    def wallet(self, token: str) -> Wallet:
        """What was earned, and why."""
        return self._ask("GET", "/v1/wallet", token, _wallet, {"limit": WALLET_ENTRIES})

    def models(self, token: str) -> list[ModelRow]:
        """The models there are, and how each was judged."""
        return self._ask("GET", "/v1/models", token, _models)

    def rollouts(self, token: str) -> list[RolloutRow]:
        """The models on their way."""
        return self._ask("GET", "/v1/rollouts", token, _rollouts)

    def training_runs(self, token: str) -> list[TrainingRun]:
        """What training made of the owners' corrections."""
        return self._ask("GET", "/v1/training/runs", token, _runs)

    def _ask(
        self,
        method: str,
        path: str,
        token: str | None,
        into: TypeAdapter[T],
        query: Mapping[str, Any] | None = None,
        body: object = None,
    ) -> T:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            answer = self._service.ask(method, path, headers=headers, params=query, body=body)
        except Slow as error:
            raise CloudAway("The cloud takes too long to answer.") from error
        except Unreachable as error:
            raise CloudAway("The cloud cannot be reached.") from error
        except TooMuch as error:
            raise CloudTrouble(f"What answers at {self.url} is not the cloud.") from error
        status = answer.status_code
        if status == 401:
            raise SignedOut("Your session has ended.")
        if status == 429:
            wait_s = _wait_s(answer.headers.get("retry-after", ""))
            raise TooManyTries("The cloud asks you to wait a little.", wait_s)
        if status >= 500:
            raise CloudAway("The cloud has trouble of its own; nothing is lost.")
        if status in (404, 405) and detail_of(answer) in ("Not Found", "Method Not Allowed", ""):
            raise CloudOlder("The cloud is of an older version, which cannot do this.")
        if not answer.is_success:
            reason = detail_of(answer)
            raise CloudTrouble(f"The cloud did not take it{f': {reason}' if reason else ''}.")
        try:
            found = understood(into, content_of(answer))
        except ValueError as error:
            raise CloudTrouble(f"What answers at {self.url} is not the cloud.") from error
        if found is None and into is not _nothing:
            raise CloudTrouble(
                "The cloud's answer is not understood. Are cloud and dashboard of one version?"
            )
        return found  # pyright: ignore[reportReturnType] - None is what _nothing gives


def _wait_s(retry_after: str) -> float:
    try:
        return min(3_600.0, max(1.0, float(retry_after)))
    except ValueError:
        return 30.0
