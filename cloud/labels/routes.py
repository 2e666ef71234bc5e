"""Routes of labels: gateways bring them, owners see their own."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from cloud.api.dependencies import CallerDep, Db, Slug
from cloud.errors import Invalid, NotAllowed
from cloud.identity.households import own_pet
from cloud.identity.sites import GatewayDep
from cloud.labels import labels
from cloud.labels.labels import Label
from gateway.wire.errors import Rejected
from gateway.wire.uplink import CONTENT_TYPE, LabelBatch, pack_body, unpack_body

router = APIRouter(prefix="/v1/labels", tags=["labels"])


@router.post("")
async def take_labels(gateway: GatewayDep, db: Db) -> Response:
    """Take a packed ``LabelBatch`` and answer a packed ``LabelReceipt``."""
    try:
        batch = unpack_body(gateway.body, LabelBatch)
    except Rejected as error:
        raise Invalid(str(error)) from None
    if batch.site != gateway.site_id:
        raise NotAllowed("the labels are of another site than their signature")
    receipt = await labels.take(db, gateway.site_id, batch.labels, datetime.now(UTC))
    return Response(pack_body(receipt), media_type=CONTENT_TYPE)


@router.delete("/{label_id}", status_code=204)
async def forget_label(label_id: Slug, gateway: GatewayDep, db: Db) -> None:
    """Forget a label of the signing gateway's site; again changes nothing."""
    await labels.forget(db, gateway.site_id, label_id)


@router.get("")
async def list_labels(
    caller: CallerDep,
    db: Db,
    pet_id: Slug | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> list[Label]:
    """What the caller said of their pets and shared, the last said first."""
    if pet_id is not None:
        await own_pet(db, caller.owner_id, pet_id)
    return await labels.list_labels(
        db, caller.owner_id, pet_id=pet_id, since=since, until=until, limit=limit
    )
