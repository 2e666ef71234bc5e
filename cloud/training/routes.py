"""Routes of training runs: how each went. Runs are started on the machine, not over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from cloud.api.dependencies import CallerDep, Db, Slug
from cloud.training import runs
from cloud.training.runs import Run

router = APIRouter(prefix="/v1/training/runs", tags=["training"])


@router.get("")
async def list_runs(
    caller: CallerDep, db: Db, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[Run]:
    """Training runs, the newest first; an owner sees the ids of their own pets and grants only."""
    return await runs.list_runs(db, caller.owner_id, limit)


@router.get("/{run_id}")
async def run_detail(run_id: Slug, caller: CallerDep, db: Db) -> Run:
    """One training run."""
    return await runs.run_detail(db, caller.owner_id, run_id)
