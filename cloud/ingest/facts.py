"""What a batch is checked against: the site's collars, who wore them, and the grants claimed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from cloud.consent.grants import grants_by_id
from cloud.db import load_queries
from gateway.wire.grants import Grant
from gateway.wire.uplink import UplinkBatch

SQL = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Worn:
    """A pet wore the collar from ``since`` until ``until``, or still does."""

    since: datetime
    until: datetime | None
    pet_id: str


@dataclass(frozen=True, slots=True)
class CollarFacts:
    """A collar of the site."""

    public_key: bytes | None
    worn: Sequence[Worn]

    def pet_at(self, instant: datetime) -> str | None:
        """The pet that wore the collar then."""
        for worn in self.worn:
            if worn.since <= instant and (worn.until is None or instant < worn.until):
                return worn.pet_id
        return None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the check of one batch needs to know, as of one ``version`` of the registry."""

    version: int
    account_id: str
    collars: dict[str, CollarFacts]
    grants: dict[str, Grant]


def facts_for(connection: Connection[Any], batch: UplinkBatch) -> Facts:
    """The facts for this batch of a site that exists.

    The version is read first: a change after that shows as another version when it is compared.
    """
    site = connection.execute(SQL["site_facts"], {"site_id": batch.site})
    version, account_id = site.fetchone() or (0, "")
    collar_ids = list({group.collar_id for group in batch.groups})
    values = {"site_id": batch.site, "collar_ids": collar_ids}
    collars: dict[str, CollarFacts] = {}
    worn: dict[str, list[Worn]] = {}
    for row in connection.execute(SQL["collar_facts"], values):
        collar_id, public_key, since, until, pet_id = row
        intervals = worn.setdefault(collar_id, [])
        if pet_id is not None:
            intervals.append(Worn(since, until, pet_id))
        collars[collar_id] = CollarFacts(public_key, intervals)
    grant_ids = {row.grant_id for group in batch.groups for row in group.rows}
    return Facts(version, account_id, collars, grants_by_id(connection, grant_ids))
