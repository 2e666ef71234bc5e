"""Routes of the uplink; for gateways, who sign every request."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from cloud.api.dependencies import ServicesDep
from cloud.identity.sites import GatewayDep
from cloud.ingest.take import take
from cloud.rewards.emission import terms_of
from gateway.wire.uplink import CONTENT_TYPE, pack_body

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
    terms = terms_of(services.settings)
    async with services.uplinks:
        receipt = await take(services.database, gateway.site_id, gateway.body, terms)
    return Response(pack_body(receipt), media_type=CONTENT_TYPE)
