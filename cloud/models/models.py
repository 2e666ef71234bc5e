"""Models in the database: what is known of each, and which one is champion of its slot."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cloud.db import Connection, load_queries
from cloud.errors import NotFound
from gateway.wire.release import Release
from plugins.sdk.manifest import Manifest, Model, Task

SQL = load_queries(__file__)

_encode = msgspec.msgpack.Encoder().encode
_release = msgspec.msgpack.Decoder(Release).decode

SLOTS = {Task.CLASSIFY: "activity", Task.RECONSTRUCT: "anomaly"}
"""Which of a collar's slots a model is for, by what it does."""


class Origin(StrEnum):
    """Where a model came from."""

    SHIPPED = "shipped"
    TRAINED = "trained"
    UPLOADED = "uploaded"


class State(StrEnum):
    """What a model is to us."""

    CANDIDATE = "candidate"
    """Signed and sound, and never judged."""
    CHAMPION = "champion"
    """The best known for its slot: the next training starts from it and has to beat it."""
    RETIRED = "retired"
    """It was champion, or came when a newer one was."""
    REFUSED = "refused"
    """Not signed by us, not sound, or no better than the champion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What people see of a model."""

    package: str
    version: str
    slot: str
    sha256: str
    origin: Origin
    state: State
    flash_bytes: int | None
    run_id: str | None
    macro_f1_before: float | None
    """The champion's of that time, on the judges' windows."""
    macro_f1_after: float | None
    """This one's, on the same."""
    reason: str | None
    detail: str
    made_at: datetime
    judged_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard(ModelInfo):
    """The same, and how it was made."""

    card: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that a challenger has to beat."""

    model_id: int
    package: str
    version: str
    sha256: str
    packed: bytes
    """Its release, as stored."""
    content: bytes
    weights: bytes | None
    """As .npz; without them a training starts from nothing."""

    @property
    def ref(self) -> str:
        """How people name it: ``package@version``."""
        return f"{self.package}@{self.version}"

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return msgspec.json.decode(_release(self.packed).manifest, type=Manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model on its way into the database."""

    package: str
    version: str
    slot: str
    sha256: str
    origin: Origin
    state: State
    made_at: datetime
    release: Release | None = None
    content: bytes | None = None
    weights: bytes | None = None
    card: dict[str, Any] = field(default_factory=dict[str, Any])
    run_id: str | None = None
    before_f1: float | None = None
    after_f1: float | None = None
    reason: str | None = None
    detail: str = ""
    judged_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """The values of ``add_model``."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {
            "release": None if self.release is None else _encode(self.release),
            "card": Jsonb(json.loads(json.dumps(self.card, default=str))),
        }


def slot_of(model: Model) -> str:
    """The collar's slot that a model is for."""
    return SLOTS[model.task]


def champion_of(connection: psycopg.Connection[Any], slot: str) -> Champion | None:
    """The champion of a slot, if there is any."""
    row = connection.execute(SQL["champion_of"], {"slot": slot}).fetchone()
    return None if row is None else Champion(*row)


def taken_versions(connection: psycopg.Connection[Any], package: str) -> dict[str, str]:
    """Digest by version, of those that were not refused."""
    found = connection.execute(SQL["taken_versions"], {"package": package})
    return dict(found.fetchall())


def lock_models(connection: psycopg.Connection[Any]) -> None:
    """Until the transaction ends, nobody else changes what is champion."""
    connection.execute(SQL["lock_models"])


def add_model(connection: psycopg.Connection[Any], new: NewModel) -> int | None:
    """Keep a model; a new champion retires the one before. Nothing when it was kept already."""
    if new.state is State.CHAMPION:
        connection.execute(SQL["retire_champion"], {"slot": new.slot})
    row = connection.execute(SQL["add_model"], new.row()).fetchone()
    return None if row is None else row[0]


async def list_models(connection: Connection, limit: int) -> list[ModelInfo]:
    """All models, the newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["list_models"], {"limit": limit})
        return msgspec.convert(await cursor.fetchall(), list[ModelInfo])


async def model_card(connection: Connection, package: str, version: str) -> ModelCard:
    """A model and how it was made.

    Raises:
        NotFound: There is none of this version.
    """
    values = {"package": package, "version": version}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["models_of_version"], values)
        found = await cursor.fetchone()
    if found is None:
        raise NotFound(f"no model {package}@{version}")
    return msgspec.convert(found, ModelCard)
