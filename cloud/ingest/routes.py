"""Routes of the uplink; for gateways, who sign every request."""

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel

from cloud.api.dependencies import ServicesDep
from cloud.identity.sites import GatewayDep
from cloud.metrics import ROWS
from gateway.wire.uplink import CONTENT_TYPE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

router = APIRouter(prefix="/v1/uplink", tags=["uplink"])


class Cursor(BaseModel):
    """The last outbox id of this site that is applied here."""

    cursor: int


@router.get("/cursor")
async def cursor(gateway: GatewayDep) -> Cursor:
    """Where the signing gateway's site stands."""
    return Cursor(cursor=gateway.cursor)


@router.post("")
async def uplink(gateway: GatewayDep, services: ServicesDep) -> Response:
    """Take a packed ``UplinkBatch`` and answer a packed ``UplinkReceipt``."""
    taken = await services.workers.take(gateway.site_id, gateway.body, services.terms)
    for outcome, rows in taken.outcomes.items():
        ROWS.labels(outcome).inc(rows)
    refused = {k: n for k, n in taken.outcomes.items() if k not in ("accepted", "duplicate")}
    if refused:
        log.warning("rows.refused", site_id=gateway.site_id, reasons=refused)
    return Response(taken.receipt, media_type=CONTENT_TYPE)
