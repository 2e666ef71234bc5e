"""Commits what was admitted, then acknowledges it: to the broker, and to the collar itself."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from gateway.downlink import Downlink
from gateway.ingest.admission import BATCH_LIMIT, Admission, Heard, Sorted, failure, is_of_a_message
from gateway.ingest.archive import Archive, Outcome
from gateway.ingest.dating import Dating
from gateway.metrics import MESSAGES, REJECTED
from gateway.registry import Household
from gateway.store import Store
from gateway.wire.messages import Ack, Key
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
        return await self._store.write(self._archive.refile, self._archive.undone)

    async def run(self, session: Session) -> None:
        """Consume until the session is lost."""
        async for batch in session.batches(BATCH_LIMIT, LINGER_S):
            await self.take(session, batch)

    async def take(self, session: Session, batch: list[Delivery]) -> None:
        """Commit what came, then acknowledge it.

        Raises:
            sqlite3.Error, OSError: The store fails; nothing of the commit is acknowledged, counted
                or remembered.
        """
        self.downlink.session = session
        received_at = datetime.now(UTC)
        while batch:
            judged = self._admission.judge(batch, received_at)
            batch = batch[len(judged.deliveries) :]
            outcomes = await self._store_all(judged)
            for delivery in judged.deliveries:
                delivery.settle()
            self._acknowledge(outcomes)
            self._committed()
            self._heard(judged.heard)

    async def _store_all(self, judged: Sorted) -> list[Outcome]:
        """Commit; where that fails by one of the messages, the others without it."""
        try:
            return [await self._commit(judged)]
        except Exception as error:
            if not is_of_a_message(error):
                raise
            log.exception("commit.failed", messages=len(judged.admitted))
        return [await self._store_one(part) for part in judged.one_by_one()]

    async def _store_one(self, part: Sorted) -> Outcome:
        try:
            return await self._commit(part)
        except Exception as error:
            if not is_of_a_message(error):
                raise
            why = failure(error)
            log.exception("message.failed", collars=[e.topic.collar_id for e in part.admitted])
        refused = [self._admission.refuse(e.delivery, e.topic, why) for e in part.admitted]
        return await self._commit(Sorted(part.received_at, refused=refused))

    async def _commit(self, judged: Sorted) -> Outcome:
        """One transaction, and counted once it is kept."""
        outcome = await self._store.write(
            lambda db: self._archive.commit(db, judged), self._archive.undone
        )
        for kind, messages in outcome.stored.items():
            MESSAGES.labels(kind.value).inc(messages)
        for reason, messages in Counter(each.reason for each in outcome.refused).items():
            REJECTED.labels(reason.value).inc(messages)
        return outcome

    def _acknowledge(self, outcomes: list[Outcome]) -> None:
        acked, reasons = dict[str, Key | None](), dict[str, list[str]]()
        for outcome in outcomes:
            acked |= outcome.acked
            for each in outcome.refused:
                if each.collar_id is not None:
                    said = ascii(f"{each.reason}: {each.detail}")[1:-1]  # so that twenty always fit
                    reasons.setdefault(each.collar_id, []).append(said[:200])
        for collar_id, upto in acked.items():
            ack = Ack(
                collar_id=collar_id,
                boot=upto.boot if upto else None,
                seq=upto.seq if upto else None,
                refused=reasons.get(collar_id, [])[:20],
            )
            self.downlink.say(collar_id, Kind.ACK, ack)
