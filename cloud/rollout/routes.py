"""Routes of rollouts: started by the operator, fetched and reported by gateways."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cloud.api.dependencies import CallerDep, Db, Operator, ServicesDep, Slug
from cloud.db import blocking
from cloud.errors import Invalid, NotAllowed
from cloud.identity.sites import GatewayDep
from cloud.rollout import deployments, reports, rollouts
from cloud.rollout.reports import TakenReports
from cloud.rollout.rollouts import Rollout, RolloutDetail
from gateway.wire.errors import Rejected
from gateway.wire.uplink import CONTENT_TYPE, DeliveryReports, pack_body, unpack_body

router = APIRouter(prefix="/v1", tags=["rollouts"])

VersionText = Annotated[str, StringConstraints(pattern=r"^\d{1,9}\.\d{1,9}\.\d{1,9}$")]


class NewRollout(BaseModel):
    """A model to be sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: Slug
    version: VersionText
    collar_ids: Annotated[list[Slug], Field(min_length=1, max_length=5_000)] | None = None
    """Nothing: all collars."""


class Started(BaseModel):
    """The rollout that began."""

    rollout_id: str


@router.get("/rollouts")
async def list_rollouts(
    caller: CallerDep, db: Db, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[Rollout]:
    """Rollouts that reach the caller's collars, the newest first."""
    return await rollouts.list_rollouts(db, caller.owner_id, limit)


@router.get("/rollouts/{rollout_id}")
async def rollout_detail(rollout_id: Slug, caller: CallerDep, db: Db) -> RolloutDetail:
    """A rollout, with the caller's collars in it."""
    return await rollouts.rollout_detail(db, caller.owner_id, rollout_id)


@router.post("/rollouts", status_code=201)
async def start_rollout(new: NewRollout, _: Operator, services: ServicesDep) -> Started:
    """Send a model that we have to all collars, or to some (operator)."""

    def begin() -> str:
        url = services.settings.database_url.get_secret_value()
        with blocking(url) as connection:
            return rollouts.start_by_hand(
                connection, new.package, new.version, new.collar_ids, datetime.now(UTC)
            )

    return Started(rollout_id=await asyncio.to_thread(begin))


@router.post("/rollouts/reports")
async def take_reports(gateway: GatewayDep, db: Db) -> TakenReports:
    """Take a packed ``DeliveryReports`` of the signing gateway's collars."""
    try:
        given = unpack_body(gateway.body, DeliveryReports)
    except Rejected as error:
        raise Invalid(str(error)) from None
    if given.site != gateway.site_id:
        raise NotAllowed("the reports are of another site than their signature")
    return await reports.take_reports(db, gateway.site_id, given.reports, datetime.now(UTC))


@router.get("/releases/{sha256}")
async def release(
    sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], gateway: GatewayDep, db: Db
) -> Response:
    """A packed ``ModelPackage`` that a rollout sends to a collar of the signing gateway."""
    package = await deployments.release_for(db, gateway.site_id, sha256)
    return Response(pack_body(package), media_type=CONTENT_TYPE)
