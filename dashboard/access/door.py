"""Lets owners in: with the cloud when it answers, from memory when it is away.

Only an owner of the site that this home's gateway serves is let in. What cannot be decided is
refused, with a sentence that says what to do.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog

from dashboard.access.guesses import Guesses
from dashboard.access.sessions import Sessions, Signed
from dashboard.access.verifier import Verifier
from dashboard.cloud import Cloud
from dashboard.errors import (
    CloudAway,
    CloudTrouble,
    GatewayTrouble,
    SignedOut,
    TooManyTries,
    WrongPassword,
)
from dashboard.gateway import Gateway

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AWAY_SESSION = timedelta(hours=12)  # what memory opens is shorter than what the cloud opens
MAX_EMAIL, MAX_PASSWORD = 254, 256  # the cloud's own limits

AWAY_UNKNOWN = (
    "The cloud does not answer, so only someone who has signed in here before can. "
    "This e-mail and password have not. Try again when the cloud is back."
)


class Why(StrEnum):
    """What kind of refusal it is."""

    WRONG = "wrong"
    SLOW_DOWN = "slow_down"
    STRANGER = "stranger"
    AWAY = "away"
    BROKEN = "broken"


class Refused(Exception):
    """Nobody was let in; the message is a sentence for who tried."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Door:
    """Signs owners in and out. May be used by many threads at once."""

    def __init__(
        self,
        gateway: Gateway,
        cloud: Cloud | None,
        sessions: Sessions,
        verifier: Verifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = sessions
        self._gateway, self._cloud, self._verifier = gateway, cloud, verifier
        self._guesses = Guesses()
        self._clock = clock

    def sign_in(
        self, email: str, password: str, *, address: str, browser: str
    ) -> tuple[str, datetime]:
        """Sign an owner in; returns the cookie and when it ends.

        Args:
            email: As typed.
            password: As typed.
            address: Where the browser is, so that one who guesses locks out only themselves.
            browser: What it says it is.

        Raises:
            Refused: With what to do.
        """
        if self._cloud is None:
            raise Refused(Why.BROKEN, "This dashboard does not know its cloud.")
        email = email.strip()
        if not (0 < len(email) <= MAX_EMAIL and 0 < len(password) <= MAX_PASSWORD):
            raise Refused(Why.WRONG, "Give your e-mail and your password.")
        name = f"{address} {email.casefold()}"
        if (wait_s := self._guesses.admit(name, self._clock())) > 0:
            raise Refused(Why.SLOW_DOWN, _wait(wait_s))
        try:
            try:
                opened = self._with_cloud(self._cloud, email, password, browser)
            except CloudAway as away:
                opened = self._from_memory(email, password, browser, str(away))
        except WrongPassword as error:
            raise Refused(Why.WRONG, str(error)) from error
        except TooManyTries as error:
            self._guesses.undecided(name)
            raise Refused(Why.SLOW_DOWN, _wait(error.wait_s)) from error
        except CloudTrouble as error:
            self._guesses.undecided(name)
            raise Refused(Why.BROKEN, str(error)) from error
        except Refused as error:
            if error.why is Why.BROKEN:
                self._guesses.undecided(name)
            raise
        self._guesses.right(name)
        return opened

    def sign_out(self, signed: Signed) -> None:
        """End this session, here and in the cloud."""
        self.sessions.close(signed.session)
        if self._cloud is not None and signed.token is not None:
            with suppress(CloudTrouble):  # the token is forgotten here, and ends by itself there
                self._cloud.sign_out(signed.token)

    def confirm(self, signed: Signed) -> None:
        """Ask cloud and gateway whether the session still holds; one that does not is ended.

        Raises:
            CloudTrouble: The cloud did not say.
            GatewayTrouble: The gateway did not say.
        """
        if self._gateway.status().site != signed.site:
            self.sessions.close(signed.session)
        if self._cloud is None or signed.token is None:
            return
        try:
            sites = {site.site_id for site in self._cloud.sites(signed.token)}
        except SignedOut:
            self.sessions.close(signed.session)
            return
        if signed.site not in sites:
            self._verifier.forget(signed.email)
            self.sessions.close(signed.session)

    def _with_cloud(
        self, cloud: Cloud, email: str, password: str, browser: str
    ) -> tuple[str, datetime]:
        session = cloud.sign_in(email, password)
        try:
            site = self._site_of([each.site_id for each in cloud.sites(session.token)])
            self._verifier.remember(email, password, session.owner_id, site)
            cookie = self.sessions.open(
                email=email,
                owner_id=session.owner_id,
                site=site,
                token=session.token,
                expires_at=session.expires_at,
                browser=browser,
            )
        except (Refused, CloudTrouble, OSError) as error:
            with suppress(CloudTrouble):
                cloud.sign_out(session.token)
            if isinstance(error, Refused) and error.why is Why.STRANGER:
                self._verifier.forget(email)
            if isinstance(error, OSError):
                raise self._no_room(error) from error
            raise
        log.info("owner.signed_in", owner_id=session.owner_id)
        return cookie, session.expires_at

    def _from_memory(
        self, email: str, password: str, browser: str, trouble: str
    ) -> tuple[str, datetime]:
        known = self._verifier.recognise(email, password)
        if known is None:
            raise Refused(Why.AWAY, AWAY_UNKNOWN)
        site = self._site_of([known.site])
        expires_at = datetime.now(UTC) + AWAY_SESSION
        try:
            cookie = self.sessions.open(
                email=email,
                owner_id=known.owner_id,
                site=site,
                token=None,
                expires_at=expires_at,
                browser=browser,
            )
        except OSError as error:
            raise self._no_room(error) from error
        log.info("owner.signed_in", owner_id=known.owner_id, without_cloud=trouble)
        return cookie, expires_at

    def _site_of(self, sites: list[str]) -> str:
        """This home's site, when it is one of these."""
        try:
            site = self._gateway.status().site
        except GatewayTrouble as error:
            if len(known := [each for each in sites if each in self._verifier.sites]) != 1:
                raise Refused(
                    Why.BROKEN, f"Whose home this is only its gateway can say. {error}"
                ) from error
            return known[0]  # no pet is shown before the gateway has said so again
        if site not in sites:
            raise Refused(Why.STRANGER, "You have an account, but this home is not one of yours.")
        return site

    def _no_room(self, error: OSError) -> Refused:
        log.warning("state.unwritable", error=str(error))
        return Refused(
            Why.BROKEN,
            "The dashboard cannot write to its folder (DASHBOARD_STATE_DIR); its log says why.",
        )


def _wait(seconds: float) -> str:
    for_ = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    return f"Too many tries. Wait {for_}, then try again."
