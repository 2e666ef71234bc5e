"""A cloud in this process over a real database, and a household that talks to it."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from pydantic import SecretStr

from cloud.api.app import create_app
from cloud.settings import Settings
from gateway.wire import seal as sealing
from gateway.wire import windows
from gateway.wire.grants import Grant
from gateway.wire.messages import Seal
from gateway.wire.topics import Kind
from gateway.wire.uplink import (
    CONTENT_TYPE,
    DeliveryReport,
    DeliveryReports,
    Group,
    LabelBatch,
    LabelReceipt,
    OwnerLabel,
    Registry,
    Row,
    UplinkBatch,
    UplinkReceipt,
    pack_body,
    sign_request,
    unpack_body,
)

PASSWORD = "a password of some length"

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    raw = serialization.Encoding.Raw
    return key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)


@dataclass
class Device:
    """A collar that seals what it says, and the gateway's part of disclosing it."""

    collar_id: str
    pet_id: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    secret: bytes = field(default_factory=lambda: os.urandom(32))

    def header(self, boot: int, seq: int, observed_at: datetime) -> dict[str, Any]:
        return {
            "collar_id": self.collar_id,
            "boot": boot,
            "seq": seq,
            "observed_at": observed_at.isoformat(),
            "uptime_s": 60.0 * seq,
            "clock": "network",
        }

    def epoch(self, seq: int, observed_at: datetime, boot: int = 1, **more: Any) -> dict[str, Any]:
        content = {
            "seconds": {"walk": 20.5, "rest": 30.0, "unsure": 6.5},
            "odba_g": 0.25,
            "vedba_g": 0.5,
            "steps": seq % 50,
            "anomaly": 0.125,
            "windows": 60,
            "windows_unsure": 6,
            "battery_pct": 88.5,
        }
        return self.header(boot, seq, observed_at) | content | more

    def fix(self, seq: int, observed_at: datetime, boot: int = 1, **more: Any) -> dict[str, Any]:
        content = {"lat_deg": 48.137154, "lon_deg": 11.576124, "accuracy_m": 4.5, "hdop": 0.9}
        return self.header(boot, seq, observed_at) | content | more

    def event(self, seq: int, observed_at: datetime, boot: int = 1, **more: Any) -> dict[str, Any]:
        content = {"name": "scratch", "confidence": 0.75, "duration_s": 3.5}
        return self.header(boot, seq, observed_at) | content | more

    def window(
        self, seq: int, observed_at: datetime, imu: Any = None, boot: int = 1, **more: Any
    ) -> dict[str, Any]:
        content = {
            "rate_hz": 25.0,
            "acc_g_per_lsb": windows.ACC_G_PER_LSB,
            "gyr_dps_per_lsb": windows.GYR_DPS_PER_LSB,
            "samples": windows.pack(np.zeros((100, 6), np.float32) if imu is None else imu),
            "label": "rest",
            "confidence": 0.5,
            "choice": "random",
        }
        return self.header(boot, seq, observed_at) | content | more

    def group(
        self,
        messages: Iterable[tuple[Kind, dict[str, Any]]],
        grants: Mapping[Kind, tuple[str, set[str] | None]],
        *,
        boot: int = 1,
        sealed: bool = True,
    ) -> Group:
        """A group of one seal; kinds without a grant are withheld, ``None`` shows all leaves."""
        listed = [(kind, fields, sealing.leaves_of(kind, fields)) for kind, fields in messages]
        first = min(fields["seq"] for _, fields, _ in listed)
        last = max(fields["seq"] for _, fields, _ in listed)
        secret = sealing.batch_secret(self.secret, boot, first)
        rows: list[Row] = []
        hashes: dict[int, bytes] = {}
        withheld: dict[int, bytes] = {}
        for kind, fields, leaves in listed:
            seed = sealing.message_seed(secret, fields["seq"])
            hashes[fields["seq"]] = sealing.message_hash(leaves, seed)
            if kind not in grants:
                withheld[fields["seq"]] = hashes[fields["seq"]]
                continue
            grant_id, names = grants[kind]
            shown = sealing.disclose(kind, fields["seq"], leaves, seed, names or set(leaves))
            parts = {name: getattr(shown, name) for name in shown.__struct_fields__}
            rows.append(Row(**parts, grant_id=grant_id, received_at=datetime.now(UTC)))
        if not sealed:
            return Group(collar_id=self.collar_id, boot=boot, rows=rows)
        root = sealing.root_of(hashes[seq] for seq in sorted(hashes))
        seal = Seal(
            collar_id=self.collar_id,
            boot=boot,
            seq=last + 1,
            observed_at=datetime.now(UTC),
            first_seq=first,
            last_seq=last,
            root=root,
            signature=sealing.sign_root(self.key, self.collar_id, boot, first, last, root),
        )
        return Group(collar_id=self.collar_id, boot=boot, rows=rows, seal=seal, withheld=withheld)

    def epochs(
        self, grant_id: str, count: int = 64, first: int = 0, boot: int = 1, **how: Any
    ) -> Group:
        """That many minutes until now under one seal."""
        start = datetime.now(UTC) - timedelta(minutes=count)
        messages = [
            (Kind.EPOCH, self.epoch(first + n, start + timedelta(minutes=n), boot))
            for n in range(count)
        ]
        return self.group(messages, {Kind.EPOCH: (grant_id, None)}, boot=boot, **how)


@dataclass
class Home:
    """An owner with a household, a site and signed-in requests."""

    cloud: "Cloud"
    email: str
    owner_id: str
    token: str
    household_id: str
    site: str
    key: Ed25519PrivateKey
    next_id: int = 1

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def call(self, method: str, path: str, json: Any = None, expect: int = 200) -> Any:
        response = await self.cloud.http.request(method, path, json=json, headers=self.headers)
        assert response.status_code == expect, response.text
        return response.json() if response.content else None

    async def enrol(
        self, count: int = 1, pet_ids: list[str] | None = None, **more: Any
    ) -> list[Device]:
        keys = [Ed25519PrivateKey.generate() for _ in range(count)]
        since = (datetime.now(UTC) - timedelta(days=30)).isoformat()
        pets = [
            {"name": f"Rex {n}", "public_key": public_bytes(key).hex(), "assigned_at": since}
            for n, key in enumerate(keys)
        ]
        for pet, pet_id in zip(pets, pet_ids or [], strict=False):
            pet["pet_id"] = pet_id
        body = {"household_id": self.household_id, "site_id": self.site, "pets": pets} | more
        made = await self.cloud.operator("POST", "/v1/enrol", body, expect=201)
        return [Device(**each, key=key) for each, key in zip(made, keys, strict=True)]

    async def grant(self, pet_id: str, stream: str = "activity", **more: Any) -> str:
        body = {
            "pet_ids": [pet_id],
            "stream": stream,
            "purpose": "research",
            "recipient": "pawmesh",
            "valid_from": LONG_AGO.isoformat(),
        }
        [given] = await self.call("POST", "/v1/grants", body | more, expect=201)
        return given["grant_id"]

    def batch(self, *groups: Group, site: str | None = None) -> UplinkBatch:
        first, self.next_id = self.next_id, self.next_id + sum(len(g.rows) for g in groups)
        return UplinkBatch(
            site=site or self.site,
            first_id=first,
            last_id=max(first, self.next_id - 1),
            sent_at=datetime.now(UTC),
            groups=list(groups),
        )

    async def signed(
        self, method: str, path: str, body: bytes = b"", **params: Any
    ) -> httpx2.Response:
        headers = sign_request(self.key, self.site, method, path, body, datetime.now(UTC))
        headers["content-type"] = CONTENT_TYPE
        return await self.cloud.http.request(
            method, path, content=body, headers=headers, params=params
        )

    async def send(self, *groups: Group) -> UplinkReceipt:
        return await self.send_batch(self.batch(*groups))

    async def send_batch(self, batch: UplinkBatch) -> UplinkReceipt:
        response = await self.signed("POST", "/v1/uplink", pack_body(batch))
        assert response.status_code == 200, response.text
        return unpack_body(response.content, UplinkReceipt)

    async def say(self, *labels: OwnerLabel, site: str | None = None) -> LabelReceipt:
        batch = LabelBatch(site=site or self.site, labels=list(labels))
        response = await self.signed("POST", "/v1/labels", pack_body(batch))
        assert response.status_code == 200, response.text
        return unpack_body(response.content, LabelReceipt)

    async def report(self, *reports: DeliveryReport) -> Any:
        body = pack_body(DeliveryReports(site=self.site, reports=list(reports)))
        response = await self.signed("POST", "/v1/rollouts/reports", body)
        assert response.status_code == 200, response.text
        return response.json()

    async def registry(self) -> Registry:
        response = await self.signed("GET", "/v1/registry")
        assert response.status_code == 200, response.text
        return unpack_body(response.content, Registry)

    async def granted(self) -> dict[str, Grant]:
        return {grant.grant_id: grant for grant in (await self.registry()).grants}


@dataclass
class Cloud:
    """The application and a client that speaks to it."""

    app: FastAPI
    http: httpx2.AsyncClient
    settings: Settings
    homes: int = 0

    async def operator(self, method: str, path: str, json: Any = None, expect: int = 200) -> Any:
        token = self.settings.operator_token_file.read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        response = await self.http.request(method, path, json=json, headers=headers)
        assert response.status_code == expect, response.text
        return response.json() if response.content else None

    async def home(self) -> Home:
        """A new owner with a household and a site."""
        self.homes += 1
        who = {"email": f"owner{self.homes}@example.org", "password": PASSWORD}
        made = await self.operator("POST", "/v1/owners", who, expect=201)
        session = await self.http.post("/v1/session", json=who)
        key = Ed25519PrivateKey.generate()
        home = Home(
            cloud=self,
            email=who["email"],
            owner_id=made["owner_id"],
            token=session.json()["token"],
            household_id="",
            site=f"home{self.homes}",
            key=key,
        )
        household = await home.call("POST", "/v1/households", {"name": "Home"}, expect=201)
        home.household_id = household["household_id"]
        site = {"site_id": home.site, "gateway_public_key": public_bytes(key).hex()}
        await home.call("POST", "/v1/sites", site, expect=201)
        return home


def settings_for(url: str, folder: Path, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "database_url": SecretStr(url),
        "operator_token_file": folder / "operator.token",
        "pool_timeout_s": 30.0,
        "ingest_workers": 0,
    }
    return Settings(**values | more)


@asynccontextmanager
async def open_cloud(settings: Settings) -> AsyncIterator[Cloud]:
    """The cloud while the block lasts."""
    app = create_app(settings)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://cloud") as http,
    ):
        yield Cloud(app, http, settings)
