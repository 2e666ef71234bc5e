"""Is it alive, and how busy: ``/healthz`` and ``/metrics``."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cloud.api.dependencies import Db

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz(db: Db) -> dict[str, str]:
    """Answers ``ok`` when the database does; 503 otherwise."""
    await db.execute("SELECT 1")
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
