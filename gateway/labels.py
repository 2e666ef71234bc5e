"""Corrections on their way to the cloud: sent as labels under a grant, and forgotten there too.

What is about to leave is marked first. So whatever dies in between, a correction that may have left
is known as such, and taking it back reaches the cloud.
"""

import sqlite3
from datetime import UTC, datetime
from typing import Protocol

import structlog

from gateway.corrections import AT_HOME, decide_again, training_grant
from gateway.errors import CloudRefused
from gateway.registry import Household
from gateway.store import Store, from_us
from gateway.wire.uplink import LabelBatch, LabelReceipt, OwnerLabel
from plugins.sdk.behaviours import Behaviour

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH = 500  # labels in one request; about 100 kB unpacked
UNSHAREABLE = frozenset({400, 413, 422})  # the same again would be answered the same


class LabelTaker(Protocol):
    """Whom labels are shared with."""

    async def share_labels(self, batch: LabelBatch) -> LabelReceipt:
        """Take them over."""
        ...

    async def forget_label(self, label_id: str) -> None:
        """Forget one."""
        ...


class Labels:
    """Shares what is queued, and has forgotten what was taken back."""

    def __init__(self, store: Store, household: Household) -> None:
        self._store = store
        self._household = household
        self._limit = BATCH
        self._decided_for: frozenset[str] | None = None

    async def sync(self, cloud: LabelTaker) -> bool:
        """Do some of it; returns whether there may be more.

        Raises:
            CloudUnreachable, CloudRefused: They stay queued.
        """
        await self._decide()
        limit = self._limit
        taken_back = await self._store.read(lambda db: _forgetting(db, limit))
        for correction_id in taken_back:
            await cloud.forget_label(correction_id)
            await self._store.write(lambda db, each=correction_id: _forgotten(db, each))
        now = datetime.now(UTC)
        labels = await self._store.write(lambda db: _take(db, self._household, limit, now))
        if not labels:
            return len(taken_back) == limit
        site = self._household.registry.site
        try:
            receipt = await cloud.share_labels(LabelBatch(site=site, labels=labels))
        except CloudRefused as error:
            if error.status not in UNSHAREABLE:
                raise
            if len(labels) > 1:  # one of them is the reason: the others shall pass
                self._limit = max(1, len(labels) // 2)
                return True
            receipt = LabelReceipt(accepted=0, refused={labels[0].label_id: str(error)[:48]})
        self._limit = BATCH
        if receipt.refused:
            log.warning("labels.refused", labels=receipt.refused)
        await self._store.write(lambda db: _settle(db, labels, receipt))
        return len(labels) == limit

    async def _decide(self) -> None:
        """When a pet's grants change, what stayed at home may leave after all."""
        now = datetime.now(UTC)
        pets = {collar.pet_id for collar in self._household.collars.values()}
        grants = frozenset(
            grant.grant_id for pet_id in pets for grant in self._household.grants_of(pet_id, now)
        )
        if grants != self._decided_for:
            await self._store.write(lambda db: decide_again(db, self._household, now))
            self._decided_for = grants


def _forgetting(db: sqlite3.Connection, limit: int) -> list[str]:
    rows = db.execute(
        "SELECT correction_id FROM correction WHERE state = 'forgetting' LIMIT ?", (limit,)
    )
    return [row["correction_id"] for row in rows]


def _forgotten(db: sqlite3.Connection, correction_id: str) -> None:
    db.execute(
        "DELETE FROM correction WHERE correction_id = ? AND state = 'forgetting'", (correction_id,)
    )


def _take(
    db: sqlite3.Connection, household: Household, limit: int, now: datetime
) -> list[OwnerLabel]:
    """The oldest that may leave now, marked as about to."""
    labels: list[OwnerLabel] = []
    for row in db.execute(
        """SELECT * FROM correction WHERE state IN ('queued', 'sending')
           ORDER BY said_us LIMIT ?""",
        (limit,),
    ).fetchall():
        start_at = from_us(row["start_us"])
        grant = training_grant(household, row["pet_id"], now, start_at)
        if grant is None:  # it ended; what was being sent may be there, so it is not called home
            ended = ("home", AT_HOME) if row["state"] == "queued" else ("shared", row["why"])
            _put(db, row["correction_id"], *ended)
            continue
        db.execute(
            "UPDATE correction SET state = 'sending', grant_id = ? WHERE correction_id = ?",
            (grant.grant_id, row["correction_id"]),
        )
        labels.append(
            OwnerLabel(
                label_id=row["correction_id"],
                pet_id=row["pet_id"],
                start_at=start_at,
                end_at=from_us(row["end_us"]),
                behaviour=Behaviour(row["behaviour"]),
                said_at=from_us(row["said_us"]),
                grant_id=grant.grant_id,
            )
        )
    return labels


def _settle(db: sqlite3.Connection, labels: list[OwnerLabel], receipt: LabelReceipt) -> None:
    """Those taken back meanwhile stay to be forgotten."""
    for label in labels:
        why = receipt.refused.get(label.label_id)
        settled = ("shared", f"shared for training under grant {label.grant_id}")
        if why is not None:
            settled = ("refused", f"the cloud does not take it: {why}")
        _put(db, label.label_id, *settled)


def _put(db: sqlite3.Connection, correction_id: str, state: str, why: str) -> None:
    db.execute(
        """UPDATE correction SET state = ?, why = ?
           WHERE correction_id = ? AND state IN ('queued', 'sending')""",
        (state, why, correction_id),
    )
