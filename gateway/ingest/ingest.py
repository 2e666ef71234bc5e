"""Commits what was admitted, then acknowledges it: to the broker, and to the collar itself."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from gateway.downlink import Downlink
from gateway.ingest.admission import BATCH_LIMIT, Admission, Heard, Sorted, failure, is_of_a_message
from gateway.ingest.archive import Archive, Outcome
from gateway.ingest.dating import Dating
from gateway.ingest.rejected import Refused
from gateway.registry import Household
from gateway.store import Store
from gateway.wire.messages import Ack
from gateway.wire.session import Delivery, Session
from gateway.wire.topics import Kind, site_filter

LINGER_S = 0.004  # a lone message waits this long for company; far below the 50 ms we allow

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def _nobody(_: Heard) -> None:
    """Listens when nobody talks to collars."""


class Ingest:
    """Takes a site's messages in; ``committed`` and ``heard`` are called after each commit."""

    def __init__(
        self,
        store: Store,
        household: Household,
        committed: Callable[[], None],
        heard: Callable[[Heard], None] = _nobody,
    ) -> None:
        self._store = store
        self._household = household
        self._committed = committed
        self._heard = heard
        dating = Dating()
        self.downlink = Downlink(household)
        self._admission = Admission(household)
        self._archive = Archive(household, dating, self.downlink)

    async def open(self, session: Session) -> None:
        """Begin to hear the site's collars."""
        await self._store.write(self._archive.load)
        await session.subscribe(site_filter(self._household.registry.site), echo=False)
        self.downlink.session = session

    async def refile(self) -> bool:
        """File some of what was misdated anew, if it is known; returns whether there is more."""
        return await self._store.write(self._archive.refile)

    async def run(self, session: Session) -> None:
        """Consume until the session is lost."""
        async for batch in session.batches(BATCH_LIMIT, LINGER_S):
            await self.take(session, batch)

    async def take(self, session: Session, batch: list[Delivery]) -> None:
        """Commit what came, then acknowledge it.

        Raises:
            sqlite3.Error, OSError: The store fails; nothing of the commit is acknowledged.
        """
        self.downlink.session = session
        received_at = datetime.now(UTC)
        while batch:
            judged = self._admission.judge(batch, received_at)
            batch = batch[len(judged.deliveries) :]
            touched, refused = await self._store_all(judged)
            for delivery in judged.deliveries:
                delivery.settle()
            self._acknowledge(touched, refused)
            self._committed()
            self._heard(judged.heard)

    async def _store_all(self, judged: Sorted) -> Outcome:
        """Commit; where that fails by one of the messages, the others without it."""
        try:
            return await self._store.write(lambda db: self._archive.commit(db, judged))
        except Exception as error:
            if not is_of_a_message(error):
                raise
            log.exception("commit.failed", messages=len(judged.admitted))
        await self._store.write(self._archive.load)  # what is remembered is again what is stored
        touched, refused = set[str](), list[Refused]()
        for part in judged.one_by_one():
            done = await self._store_one(part)
            touched |= done[0]
            refused += done[1]
        return touched, refused

    async def _store_one(self, part: Sorted) -> Outcome:
        try:
            return await self._store.write(lambda db: self._archive.commit(db, part))
        except Exception as error:
            if not is_of_a_message(error):
                raise
            why = failure(error)
            log.exception("message.failed", collars=[e.topic.collar_id for e in part.admitted])
        await self._store.write(self._archive.load)
        refused = [self._admission.refuse(e.delivery, e.topic, why) for e in part.admitted]
        instead = Sorted(part.received_at, refused=refused)
        return await self._store.write(lambda db: self._archive.commit(db, instead))

    def _acknowledge(self, touched: set[str], refused: list[Refused]) -> None:
        reasons: dict[str, list[str]] = {}
        for each in refused:
            if each.collar_id is not None:
                said = ascii(f"{each.reason}: {each.detail}")[1:-1]  # so that twenty always fit
                reasons.setdefault(each.collar_id, []).append(said[:200])
        for collar_id in touched:
            acked = self._archive.acked(collar_id)
            ack = Ack(
                collar_id=collar_id,
                boot=acked.boot if acked else None,
                seq=acked.seq if acked else None,
                refused=reasons.get(collar_id, [])[:20],
            )
            self.downlink.say(collar_id, Kind.ACK, ack)
