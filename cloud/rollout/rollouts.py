"""Rollouts: a model for all collars or for some, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cloud.db import Connection, load_queries
from cloud.errors import NotFound
from cloud.identity.ids import new_id

SQL = load_queries(__file__)


class Stage(StrEnum):
    """Whom a rollout is for."""

    ALL = "all"
    """Every collar, also one that is enrolled later."""
    CHOSEN = "chosen"


class RolloutState(StrEnum):
    """How a rollout goes, as far as its collars have reported."""

    RUNNING = "running"
    """Some collar has not answered yet."""
    SUPERSEDED = "superseded"
    """Some had not answered when another rollout for all took its place."""
    DONE = "done"
    """Every collar has it, or has said why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout and its counts, of the collars that the caller may see."""

    rollout_id: str
    package: str
    version: str
    sha256: str
    slot: str
    stage: Stage
    state: RolloutState
    run_id: str | None
    started_at: datetime
    pending: int
    receiving: int
    updated: int
    """Installed: verified, self-tested, and running from the next minute on."""
    refused: int


@dataclass(frozen=True, slots=True)
class CollarProgress:
    """How far one collar is."""

    slot: str
    version: str
    state: str
    reason: str | None
    detail: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDetail(Rollout):
    """A rollout, collar by collar."""

    collars: dict[str, CollarProgress]


def start(
    connection: psycopg.Connection[Any],
    *,
    model_id: int,
    slot: str,
    now: datetime,
    collar_ids: Sequence[str] | None = None,
    run_id: str | None = None,
) -> str:
    """Send a model to all collars, or to those named, and let their gateways know.

    Args:
        connection: In a transaction.
        model_id: Of a model that was not refused.
        slot: Which of a collar's slots it is for.
        now: When it starts.
        collar_ids: None for all, also those of the future.
        run_id: The training that promoted the model, if one did.

    Returns:
        The rollout's id.

    Raises:
        NotFound: A collar does not exist.
    """
    rollout_id = new_id("rollout")
    stage = Stage.ALL if collar_ids is None else Stage.CHOSEN
    values = {
        "rollout_id": rollout_id,
        "model_id": model_id,
        "slot": slot,
        "stage": stage,
        "run_id": run_id,
        "now": now,
    }
    connection.execute(SQL["add_rollout"], values)
    if collar_ids is None:
        connection.execute(SQL["touch_all_sites"])
        return rollout_id
    chosen = {"rollout_id": rollout_id, "collar_ids": list(set(collar_ids))}
    found = connection.execute(SQL["choose_collars"], chosen).rowcount
    if found != len(set(collar_ids)):
        raise NotFound(f"{len(set(collar_ids)) - found} of the collars do not exist")
    connection.execute(SQL["touch_sites_of_rollout"], {"rollout_id": rollout_id})
    return rollout_id


def start_by_hand(
    connection: psycopg.Connection[Any],
    package: str,
    version: str,
    collar_ids: Sequence[str] | None,
    now: datetime,
) -> str:
    """Send a model that we have; what is champion stays as it is.

    Raises:
        NotFound: There is no such model, or it was refused; or no such collar.
    """
    with connection.transaction():
        values = {"package": package, "version": version}
        row = connection.execute(SQL["model_to_send"], values).fetchone()
        if row is None:
            raise NotFound(f"no model {package}@{version} that may be sent")
        return start(connection, model_id=row[0], slot=row[1], now=now, collar_ids=collar_ids)


async def list_rollouts(
    connection: Connection, owner_id: str | None, limit: int, rollout_id: str | None = None
) -> list[Rollout]:
    """Those that reach the caller's collars, the newest first."""
    values = {"owner_id": owner_id, "limit": limit, "rollout_id": rollout_id}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["list_rollouts"], values)
        return [_rollout(row) for row in await cursor.fetchall()]


async def rollout_detail(
    connection: Connection, owner_id: str | None, rollout_id: str
) -> RolloutDetail:
    """One rollout, with the caller's collars.

    Raises:
        NotFound: It is none, or reaches none of theirs.
    """
    found = await list_rollouts(connection, owner_id, 1, rollout_id)
    if not found:
        raise NotFound(f"no rollout {rollout_id}")
    rollout = found[0]
    values = {"owner_id": owner_id, "rollout_id": rollout_id}
    rows = await (await connection.execute(SQL["rollout_collars"], values)).fetchall()
    collars = {
        collar_id: CollarProgress(rollout.slot, rollout.version, *progress)
        for collar_id, *progress in rows
    }
    said = {name: getattr(rollout, name) for name in Rollout.__dataclass_fields__}
    return RolloutDetail(**said, collars=collars)


def state_of(pending: int, receiving: int, superseded: bool) -> RolloutState:
    """What the counts say of the whole.

    >>> state_of(0, 0, superseded=True)
    <RolloutState.DONE: 'done'>
    """
    if pending + receiving == 0:
        return RolloutState.DONE
    return RolloutState.SUPERSEDED if superseded else RolloutState.RUNNING


def _rollout(row: dict[str, Any]) -> Rollout:
    superseded, installed, stage = (row.pop(name) for name in ("superseded", "installed", "stage"))
    state = state_of(row["pending"], row["receiving"], superseded)
    return Rollout(**row, stage=Stage(stage), state=state, updated=installed)
