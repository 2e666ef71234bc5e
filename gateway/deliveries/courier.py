"""Brings models to collars: offers, chunks in a window, and again whenever nobody answers.

What was reached is in the store; what is under way is only here, for a collar that is offered a
model again says itself where it stands. So a gateway killed at any point goes on from its table.
"""

import asyncio
import heapq
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from gateway.deliveries.ledger import (
    Change,
    OpenDelivery,
    apply_change,
    compare,
    count_by_state,
    note_progress,
    open_deliveries,
    plan,
    rollouts,
)
from gateway.deliveries.packages import kept_package
from gateway.deliveries.talk import ANSWER_S, MAX_PATIENCE_S, MIN_OFFER_S, Talk
from gateway.downlink import Downlink
from gateway.ingest import Heard
from gateway.metrics import DELIVERIES
from gateway.registry import Household
from gateway.slots import derive_words
from gateway.store import Store
from gateway.store.store import count
from gateway.wire.messages import ModelAnswer, ModelState
from gateway.wire.topics import Kind
from gateway.wire.uplink import ModelPackage

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AT_ONCE = 50  # collars in conversation: a whole city's fleet shall not take a model in one breath
TICK_S = 1.0  # chunks taken are written down this often, for people to see
LONGEST_PAUSE_S = 60.0


class Courier:
    """Talks to every collar that shall have a model."""

    def __init__(self, store: Store, household: Household, downlink: Downlink) -> None:
        self._store = store
        self._household = household
        self._downlink = downlink
        self._talks: dict[str, Talk] = {}
        self._offline: set[str] = set()
        self._answering: dict[str, float] = {}
        """Collars that hold a place, and until when they have time to answer."""
        self._due: list[tuple[float, str]] = []
        """Heap of offers to make; an entry that is not its talk's ``due_s`` is void."""
        self._packages: dict[str, ModelPackage] = {}
        self._rollouts: set[str] = set()
        self._answers: list[tuple[Talk, ModelAnswer]] = []
        self._compare: set[str] = set()
        self._taken: dict[int, int] = {}
        """``next_chunk`` by delivery, where the table does not have it yet."""
        self._ignored: dict[str, int] = {}
        self._is_dirty = False
        """There is something to write down, to count or to tell at the next tick."""
        self._is_new = self._plan = self._reload = True
        self._next_tick_s = 0.0
        self._wake = asyncio.Event()
        self.changed: Callable[[], None] = _nobody
        """Called when there may be something to fetch or to report."""

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            await self.step()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s(time.monotonic())):
                    await self._wake.wait()

    def replan(self) -> None:
        """The registry changed."""
        self._plan = self._reload = True
        self._wake.set()

    def reload(self) -> None:
        """A model was fetched."""
        self._reload = True
        self._wake.set()

    def opened(self) -> None:
        """There is a session: nobody knows what became of what was said before."""
        self._answering.clear()
        for talk in self._talks.values():
            self._begin(talk)
        self._wake.set()

    def hear(self, heard: Heard) -> None:
        """Take note of what collars said; harmless in any order and number."""
        present = dict.fromkeys(heard.spoke & self._offline, True) | heard.present
        for collar_id, online in present.items():
            (self._offline.discard if online else self._offline.add)(collar_id)
            if (talk := self._talks.get(collar_id)) is not None:
                self._answering.pop(collar_id, None)
                self._begin(talk)
        for answer in heard.answers:
            talk = self._talks.get(answer.collar_id)
            if talk is not None and talk.rollout == answer.rollout:
                self._offline.discard(answer.collar_id)
                self._answers.append((talk, answer))
            elif answer.rollout not in self._rollouts:
                self._ignore("model_answers_unknown")
        self._compare |= heard.slots
        if present or heard.answers or heard.slots:
            self._wake.set()

    async def step(self) -> None:
        """Do what is to be done now."""
        self._wake.clear()
        if self._plan:
            self._plan = False
            await self._store.write(self._plan_all)
            self._is_new = False
        if self._reload:
            self._reload = False
            await self._load(None)
        changes = self._judge_answers()
        compared, self._compare = self._compare, set()
        if changes or compared:
            await self._write(changes, compared)
        now_s = time.monotonic()
        if self._is_dirty and now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            await self._tick()
        if self._downlink.is_open:
            self._give_up_waiting(now_s)
            self._offer_due(now_s)

    def _plan_all(self, db: sqlite3.Connection) -> None:
        now = datetime.now(UTC)
        plan(db, self._household, now)
        if self._is_new:  # what a death left uncompared, or an older version did not keep
            derive_words(db, self._household)
            for row in db.execute("SELECT DISTINCT collar_id FROM delivery").fetchall():
                compare(db, row["collar_id"], now)

    async def _load(self, collar_ids: set[str] | None) -> None:
        """Take up the open deliveries (of some collars) whose model is here, one of each collar."""
        opened = await self._store.read(lambda db: open_deliveries(db, collar_ids))
        for digest in {each.sha256 for each in opened} - self._packages.keys():
            package = await self._store.read(lambda db, digest=digest: kept_package(db, digest))
            if package is not None:
                self._packages[digest] = package
        gone = set(self._talks) if collar_ids is None else self._talks.keys() & collar_ids
        for each in opened:
            package = self._packages.get(each.sha256)
            is_served = each.collar_id in self._talks and each.collar_id not in gone
            if package is not None and not is_served:
                self._take_up(each, package)
                gone.discard(each.collar_id)
        for collar_id in gone:
            del self._talks[collar_id]
            self._answering.pop(collar_id, None)
        if collar_ids is None:
            needed = {each.sha256 for each in opened}
            self._packages = {d: each for d, each in self._packages.items() if d in needed}
            self._rollouts = await self._store.read(rollouts)
        self._is_dirty = True

    def _take_up(self, opened: OpenDelivery, package: ModelPackage) -> None:
        held = self._talks.get(opened.collar_id)
        if held is not None and held.delivery_id == opened.delivery_id:
            return
        talk = Talk(opened.delivery_id, opened.collar_id, opened.rollout, package)
        (self._offline.add if opened.offline else self._offline.discard)(opened.collar_id)
        self._talks[opened.collar_id] = talk
        self._answering.pop(opened.collar_id, None)
        self._begin(talk)

    def _begin(self, talk: Talk) -> None:
        """Offer anew: at once to a collar that may be there, now and then to one that is not."""
        now_s = time.monotonic()
        talk.unanswered = 0
        away_s = random.uniform(0.5, 1.0) * MAX_PATIENCE_S
        due_s = now_s + away_s * (talk.collar_id in self._offline)
        if not now_s < talk.due_s <= due_s:  # it is not on the list already
            self._schedule(talk, due_s)

    def _schedule(self, talk: Talk, due_s: float) -> None:
        talk.due_s = max(due_s, talk.offered_s + MIN_OFFER_S)
        heapq.heappush(self._due, (talk.due_s, talk.collar_id))

    def _judge_answers(self) -> list[Change]:
        answers, self._answers = self._answers, []
        changes: list[Change] = []
        last = {talk.collar_id: number for number, (talk, _) in enumerate(answers)}
        for number, (talk, answer) in enumerate(answers):
            if self._talks.get(talk.collar_id) is not talk:
                continue  # over since
            if answer.state in (ModelState.INSTALLED, ModelState.REFUSED):
                changes.append(_final(talk, answer))
                del self._talks[talk.collar_id]
                self._answering.pop(talk.collar_id, None)
            elif answer.state is ModelState.PENDING or answer.next_chunk > talk.chunks:
                self._ignore("model_answers_invalid")
            elif number == last[talk.collar_id]:  # it covers those before
                self._taken[talk.delivery_id] = answer.next_chunk
                self._is_dirty = True
                self._send_chunks(talk, answer.next_chunk)
        return changes

    def _send_chunks(self, talk: Talk, next_chunk: int) -> None:
        chunks = talk.heard(next_chunk)
        for chunk in chunks:
            self._downlink.say(talk.collar_id, Kind.CHUNK, chunk)
        if chunks or talk.collar_id not in self._answering:
            self._answering[talk.collar_id] = time.monotonic() + ANSWER_S

    def _ignore(self, name: str) -> None:
        self._ignored[name] = self._ignored.get(name, 0) + 1
        self._is_dirty = True

    async def _write(self, changes: list[Change], compared: set[str]) -> None:
        """Write down what collars answered, and hold deliveries against their slots."""
        taken, self._taken = self._taken, {}
        ignored, self._ignored = self._ignored, {}

        def apply(db: sqlite3.Connection) -> None:
            now = datetime.now(UTC)
            for delivery_id, next_chunk in taken.items():
                note_progress(db, delivery_id, next_chunk, now)
            for change in changes:
                apply_change(db, change, now)
            for collar_id in compared:
                compare(db, collar_id, now)
            for name, times in ignored.items():
                count(db, name, times)

        await self._store.write(apply)
        for change in changes:
            log.info(
                "model.delivered",
                state=change.state,
                collar_id=change.collar_id,
                reason=change.reason,
                detail=change.detail,
            )
        await self._load(compared | {each.collar_id for each in changes})

    async def _tick(self) -> None:
        self._is_dirty = False
        if self._taken or self._ignored:
            await self._write([], set())
            self._is_dirty = False
        DELIVERIES.clear()
        for state, deliveries in (await self._store.read(count_by_state)).items():
            DELIVERIES.labels(state).set(deliveries)
        self.changed()

    def _give_up_waiting(self, now_s: float) -> None:
        for collar_id, until_s in list(self._answering.items()):
            if until_s <= now_s:
                del self._answering[collar_id]
                talk = self._talks[collar_id]
                self._schedule(talk, max(now_s, talk.offered_s + talk.patience_s()))

    def _offer_due(self, now_s: float) -> None:
        while self._due and self._due[0][0] <= now_s:
            due_s, collar_id = self._due[0]
            talk = self._talks.get(collar_id)
            is_void = talk is None or talk.due_s != due_s or collar_id in self._answering
            if not is_void and collar_id not in self._offline and self._is_full:
                return
            heapq.heappop(self._due)
            if talk is not None and not is_void:
                self._offer(talk, now_s)

    def _offer(self, talk: Talk, now_s: float) -> None:
        self._downlink.say(talk.collar_id, Kind.OFFER, talk.offer(now_s))
        if talk.collar_id in self._offline:  # nothing is expected, so it takes nobody's place
            self._schedule(talk, now_s + MAX_PATIENCE_S)
        else:
            self._answering[talk.collar_id] = now_s + ANSWER_S

    @property
    def _is_full(self) -> bool:
        return len(self._answering) >= AT_ONCE

    def _pause_s(self, now_s: float) -> float:
        if self._plan or self._reload:
            return 0.0
        events = [now_s + LONGEST_PAUSE_S]
        if self._is_dirty:
            events.append(self._next_tick_s)
        if self._downlink.is_open:
            events += self._answering.values()
            if self._due and not self._is_full:
                events.append(self._due[0][0])
        return max(0.0, min(events) - now_s)


def _nobody() -> None:
    """Is called when there is no cloud."""


def _final(talk: Talk, answer: ModelAnswer) -> Change:
    detail = answer.detail
    if answer.state is ModelState.REFUSED and answer.reason is None and not detail:
        detail = "the collar gave no reason"
    return Change(
        delivery_id=talk.delivery_id,
        collar_id=talk.collar_id,
        state=answer.state,
        reason=answer.reason if answer.state is ModelState.REFUSED else None,
        detail=detail,
    )
