"""Labels in the database: taken only under a grant of the pet's raw windows for training."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
import structlog
from psycopg.rows import class_row

from cloud.consent.grants import active_or_not
from cloud.db import Connection, load_queries
from gateway.wire.grants import Grant, Stream
from gateway.wire.messages import MAX_FUTURE_S
from gateway.wire.uplink import LabelReceipt, OwnerLabel

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SQL = load_queries(__file__)

PURPOSE = "training"
"""What a grant must be for, word for word, before a model learns from what it covers."""


class LabelRefusal(StrEnum):
    """Why a label is not taken. The value is part of the contract: gateways and people read it."""

    UNKNOWN_PET = "unknown_pet"
    """No such pet lives in the household of the site that sent it."""
    NOT_GRANTED = "not_granted"
    """No grant of this pet's raw windows for training, or it begins later than the label."""
    EXPIRED = "expired"
    """The grant has ended by itself."""
    FUTURE_DATED = "future_dated"
    """Of a time that has not come, or had not when it was said."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an owner said."""

    label_id: str
    site_id: str
    pet_id: str
    behaviour: str
    start_at: datetime
    end_at: datetime
    said_at: datetime
    grant_id: str


async def take(
    connection: Connection, site_id: str, labels: list[OwnerLabel], now: datetime
) -> LabelReceipt:
    """Keep what may be kept; the same again changes nothing.

    Args:
        connection: A transaction.
        site_id: Whose gateway signed them.
        labels: As unpacked; nothing in them is trusted.
        now: When they were received.
    """
    values = {"site_id": site_id, "pet_ids": list({label.pet_id for label in labels})}
    found = await (await connection.execute(SQL["household_pets"], values)).fetchall()
    pets = {pet_id for (pet_id,) in found}
    grants = await active_or_not(connection, {label.grant_id for label in labels})
    refused: dict[str, str] = {}
    taken: list[OwnerLabel] = []
    for label in labels:
        reason = refusal(label, pets, grants.get(label.grant_id), now)
        if reason is None:
            taken.append(label)
        else:
            refused[label.label_id] = reason.value
    rows = [msgspec.structs.asdict(each) | {"site_id": site_id, "now": now} for each in taken]
    async with connection.cursor() as cursor:
        await cursor.executemany(SQL["put"], rows)
    if refused:
        log.warning("labels.refused", site_id=site_id, reasons=sorted(set(refused.values())))
    return LabelReceipt(accepted=len(taken), refused=refused)


def refusal(
    label: OwnerLabel, pets: set[str], grant: Grant | None, now: datetime
) -> LabelRefusal | None:
    """Why this label is not taken, if so.

    Args:
        label: What the gateway sent.
        pets: Those of the site's household.
        grant: The one it names, if there is such a grant.
        now: When it was received.
    """
    if label.pet_id not in pets:
        return LabelRefusal.UNKNOWN_PET
    if (
        grant is None
        or (grant.pet_id, grant.stream, grant.purpose) != (label.pet_id, Stream.RAW, PURPOSE)
        or label.start_at < grant.valid_from
        or (grant.withdrawn_at is not None and grant.withdrawn_at <= now)
    ):
        return LabelRefusal.NOT_GRANTED
    if grant.expires_at is not None and grant.expires_at <= now:
        return LabelRefusal.EXPIRED
    latest = now + timedelta(seconds=MAX_FUTURE_S)
    if max(label.end_at, label.said_at) > latest or label.said_at < label.start_at:
        return LabelRefusal.FUTURE_DATED
    return None


async def forget(connection: Connection, site_id: str, label_id: str) -> None:
    """Erase a label of this site; one that is not there is forgotten already."""
    values = {"site_id": site_id, "label_id": label_id}
    await connection.execute(SQL["forget"], values)


async def list_labels(
    connection: Connection,
    owner_id: str | None,
    *,
    pet_id: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[Label]:
    """The caller's labels that touch the span, the last said first."""
    values = {
        "owner_id": owner_id,
        "pet_id": pet_id,
        "since": since,
        "until": until,
        "limit": limit,
    }
    async with connection.cursor(row_factory=class_row(Label)) as cursor:
        await cursor.execute(SQL["list_labels"], values)
        return await cursor.fetchall()
