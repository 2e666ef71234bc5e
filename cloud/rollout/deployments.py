"""What a site's gateway is told of rollouts, and the models it may fetch for them."""

import msgspec

from cloud.db import Connection, load_queries
from cloud.errors import NotFound
from gateway.wire.release import Release
from gateway.wire.uplink import Deployment, ModelPackage

SQL = load_queries(__file__)

_release = msgspec.msgpack.Decoder(Release).decode


async def deployments_of(connection: Connection, site_id: str) -> list[Deployment]:
    """Of each of the site's collars and slots the newest rollout, grouped by rollout."""
    cursor = await connection.execute(SQL["deployments"], {"site_id": site_id})
    return [
        Deployment(
            rollout=rollout_id,
            slot=slot,
            package=package,
            version=version,
            sha256=sha256,
            collars=collars,
        )
        for rollout_id, slot, package, version, sha256, collars in await cursor.fetchall()
    ]


async def release_for(connection: Connection, site_id: str, sha256: str) -> ModelPackage:
    """A model that some rollout sends to a collar of this site.

    Raises:
        NotFound: None does.
    """
    values = {"site_id": site_id, "sha256": sha256}
    row = await (await connection.execute(SQL["release_for"], values)).fetchone()
    if row is None:
        raise NotFound("no rollout sends this model to a collar of yours")
    return ModelPackage(release=_release(row[0]), model=row[1])
