"""The ledger: double entry, append-only, in integer micro-tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cloud.db import Connection, load_queries
from cloud.errors import NotFound

SQL = load_queries(__file__)

EMISSION = "emission"
"""The account that tokens are issued from; its balance is minus all that was ever issued."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transaction, as the account's owner sees it."""

    transaction_id: int
    made_at: datetime
    period_id: int | None
    amount: int
    """Micro-tokens; negative when they left the account."""
    memo: str
    reasons: dict[str, int]
    """How many groups of rows each reason held for."""
    starts_at: datetime | None
    ends_at: datetime | None


async def post(
    connection: Connection,
    postings: Mapping[str, int],
    *,
    memo: str,
    period_id: int | None = None,
    account_id: str | None = None,
    reasons: Mapping[str, int] | None = None,
) -> int:
    """Write a transaction and return its number.

    Args:
        connection: The database checks at its commit that the postings sum to zero.
        postings: Micro-tokens by account; an amount of zero is no posting.
        memo: What it is for, in a few words.
        period_id: The emission period it pays, if it does.
        account_id: Whom it pays for that period; once at most.
        reasons: Reason codes and how often each held.
    """
    head: dict[str, Any] = {
        "period_id": period_id,
        "account_id": account_id,
        "memo": memo,
        "reasons": Jsonb(dict(reasons or {})),
    }
    row = await (await connection.execute(SQL["write_transaction"], head)).fetchone()
    transaction_id: int = row[0] if row else 0
    sides = [
        {"transaction_id": transaction_id, "account_id": account, "amount": amount}
        for account, amount in postings.items()
        if amount
    ]
    async with connection.cursor() as cursor:
        await cursor.executemany(SQL["write_posting"], sides)
    return transaction_id


async def account_of(connection: Connection, owner_id: str) -> str:
    """The owner's account.

    Raises:
        NotFound: They have none.
    """
    cursor = await connection.execute(SQL["account_of"], {"owner_id": owner_id})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("no account")
    return row[0]


async def balance(connection: Connection, account_id: str) -> int:
    """Micro-tokens in the account."""
    row = await (await connection.execute(SQL["balance"], {"account_id": account_id})).fetchone()
    return row[0] if row else 0


async def entries(connection: Connection, account_id: str, limit: int) -> list[Entry]:
    """The account's entries, the newest first."""
    async with connection.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(SQL["entries"], {"account_id": account_id, "limit": limit})
        return await cursor.fetchall()


async def pending_units(connection: Connection, account_id: str) -> int:
    """Units scored in periods that are not settled yet."""
    values = {"account_id": account_id}
    row = await (await connection.execute(SQL["pending_units"], values)).fetchone()
    return row[0] if row else 0
