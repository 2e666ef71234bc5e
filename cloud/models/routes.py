"""Routes of models: everyone may look, the operator may bring one."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from cloud.api.dependencies import CallerDep, Db, Operator, ServicesDep, Slug
from cloud.api.problems import problem
from cloud.db import blocking
from cloud.errors import Invalid
from cloud.models import models, uploads
from cloud.models.models import ModelCard, ModelInfo
from gateway.wire.errors import Rejected
from gateway.wire.uplink import ModelPackage, unpack_body

router = APIRouter(prefix="/v1", tags=["models"])


class PublicKey(BaseModel):
    """What a collar is enrolled with, to believe our releases."""

    public_key: str
    """Ed25519, hexadecimal."""
    key_id: str


@router.get("/release-key")
async def release_key(_: CallerDep, services: ServicesDep) -> PublicKey:
    """The public half of the key that releases are signed with."""
    key = services.release_key
    return PublicKey(public_key=key.public.hex(), key_id=key.key_id)


@router.get("/models")
async def list_models(
    _: CallerDep, db: Db, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[ModelInfo]:
    """All models, the newest first: what each is, and how it was judged."""
    return await models.list_models(db, limit)


@router.get("/models/{package}/{version}")
async def model_card(package: Slug, version: str, _: CallerDep, db: Db) -> ModelCard:
    """A model's card: how it was made, and how good it is."""
    return await models.model_card(db, package, version[:48].replace("\0", ""))


@router.post("/models", status_code=201)
async def upload_model(request: Request, _: Operator, services: ServicesDep) -> Response:
    """Take a packed ``ModelPackage`` that our release key signed (operator)."""
    try:
        given = unpack_body(await request.body(), ModelPackage)
    except Rejected as error:
        raise Invalid(str(error)) from None

    def take() -> uploads.Upload:
        url = services.settings.database_url.get_secret_value()
        with blocking(url) as connection:
            return uploads.take_upload(connection, given, services.release_key, datetime.now(UTC))

    upload = await asyncio.to_thread(take)
    if upload.reason is not None:
        title = "The model is refused, and kept as such."
        return problem(422, title, f"{upload.reason}: {upload.detail}", reason=upload.reason.value)
    return JSONResponse(
        {"package": upload.package, "version": upload.version, "sha256": upload.sha256}, 201
    )
