"""Sync with the cloud: rows go up in order, the registry comes down; an outage only delays."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx2
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from gateway.errors import CloudRefused, CloudUnreachable
from gateway.metrics import CLOUD_REACHABLE, SYNC_LAG, SYNCED
from gateway.outbox import BATCH_ROWS, lag_by_stream, next_batch, prune, refuse_batch, settle_batch
from gateway.registry import Household, save_registry
from gateway.secret_file import kept_secret
from gateway.store import Store
from gateway.wire.errors import Rejected
from gateway.wire.grants import Stream
from gateway.wire.uplink import (
    CONTENT_TYPE,
    DeliveryReports,
    LabelBatch,
    LabelReceipt,
    ModelPackage,
    Registry,
    UplinkBatch,
    UplinkReceipt,
    pack_body,
    sign_request,
    unpack_body,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()

POLL_S = 1.0  # registry and outbox are looked at this often; new rows wake us at once
MAX_BACKOFF_S = 15.0
MAX_ERRAND_BACKOFF_S = 60.0
RETRY_STATUS = frozenset({401, 403, 404, 408, 425, 429})  # a remedy at the cloud makes these pass

T = TypeVar("T", bound=Struct)


class CloudClient:
    """The cloud's HTTP API as this site's gateway uses it: every request is signed."""

    def __init__(self, http: httpx2.AsyncClient, site: str, key: Ed25519PrivateKey) -> None:
        self._http = http
        self._site = site
        self._key = key

    async def send(self, batch: UplinkBatch) -> UplinkReceipt:
        """Upload one batch.

        Raises:
            CloudUnreachable, CloudRefused: It was not taken.
        """
        body = pack_body(batch)
        return _read(await self._call("POST", "/v1/uplink", body), UplinkReceipt)

    async def registry(self, version: int) -> Registry | None:
        """The site's registry, or nothing when ``version`` is still the last.

        Raises:
            CloudUnreachable, CloudRefused: It was not given.
        """
        body = await self._call("GET", "/v1/registry", b"", params={"version": version})
        return _read(body, Registry) if body else None

    async def release(self, sha256: str) -> ModelPackage:
        """The signed model of that digest.

        Raises:
            CloudUnreachable, CloudRefused: It was not given.
        """
        return _read(await self._call("GET", f"/v1/releases/{sha256}", b""), ModelPackage)

    async def report(self, reports: DeliveryReports) -> None:
        """Tell where deliveries stand.

        Raises:
            CloudUnreachable, CloudRefused: It was not taken.
        """
        await self._call("POST", "/v1/rollouts/reports", pack_body(reports))

    async def share_labels(self, batch: LabelBatch) -> LabelReceipt:
        """Share what owners said of their pets.

        Raises:
            CloudUnreachable, CloudRefused: It was not taken.
        """
        return _read(await self._call("POST", "/v1/labels", pack_body(batch)), LabelReceipt)

    async def forget_label(self, label_id: str) -> None:
        """Have the cloud forget a label; one that it does not know is forgotten.

        Raises:
            CloudUnreachable, CloudRefused: It may still be there.
        """
        try:
            await self._call("DELETE", f"/v1/labels/{label_id}", b"")
        except CloudRefused as error:
            if error.status != 404:
                raise

    async def _call(
        self, method: str, path: str, body: bytes, params: dict[str, int] | None = None
    ) -> bytes:
        headers = sign_request(self._key, self._site, method, path, body, datetime.now(UTC))
        headers["content-type"] = CONTENT_TYPE
        try:
            response = await self._http.request(
                method, path, content=body, headers=headers, params=params
            )
        except httpx2.HTTPError as error:
            raise CloudUnreachable(f"{type(error).__name__}: {error}") from error
        if response.status_code >= 500:
            raise CloudUnreachable(f"the cloud answers {response.status_code}")
        if response.status_code >= 400:
            raise CloudRefused(response.status_code, response.text[:300])
        return response.content


def _read(body: bytes, cls: type[T]) -> T:
    try:
        return unpack_body(body, cls)
    except Rejected as error:  # a proxy's or a hotel's sign-in page
        raise CloudUnreachable(f"another answers in the cloud's place: {error}") from error


class Errand:
    """Something to do at the cloud beside the messages; when it fails, only it waits."""

    def __init__(self, name: str, work: Callable[[CloudClient], Awaitable[bool]]) -> None:
        self._name = name
        self._work = work
        self._again_s = 0.0
        self._backoff_s = POLL_S

    async def run(self, cloud: CloudClient) -> bool:
        """Do some of it, if it is time; returns whether there may be more."""
        if time.monotonic() < self._again_s:
            return False
        try:
            more = await self._work(cloud)
        except (CloudUnreachable, CloudRefused) as error:
            if self._backoff_s == POLL_S:  # once, as it begins
                log.warning("errand.failed", errand=self._name, error=str(error))
            self._backoff_s = min(self._backoff_s * 2, MAX_ERRAND_BACKOFF_S)
            self._again_s = time.monotonic() + self._backoff_s
            return False
        self._backoff_s = POLL_S
        return more


class Sync:
    """Keeps a home and the cloud in step."""

    def __init__(self, store: Store, household: Household, cloud: CloudClient) -> None:
        self._store = store
        self._household = household
        self._cloud = cloud
        self._reachable: bool | None = None
        self._limit = BATCH_ROWS
        self.errands: list[Errand] = []
        self.refreshed: Callable[[], None] = _nobody
        """Called when the registry changed."""
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Sync for ever."""
        backoff_s = POLL_S
        while True:
            self.wake.clear()
            try:
                await self.refresh()
                while await self._do_some():
                    pass
                self._note(reachable=True)
                backoff_s = POLL_S
            except (CloudUnreachable, CloudRefused) as error:
                self._note(reachable=False, error=str(error))
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            await self._observe_lag()
            if self._reachable:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self.wake.wait()
            else:  # new rows are no reason to hurry an absent cloud
                await asyncio.sleep(backoff_s)

    async def _do_some(self) -> bool:
        """Messages first, then each errand its turn; returns whether there may be more."""
        more = await self.upload()
        for errand in self.errands:
            more |= await errand.run(self._cloud)
        return more

    async def refresh(self) -> bool:
        """Take over the registry if it changed; returns whether it did.

        Raises:
            CloudUnreachable, CloudRefused: The cloud does not give it.
        """
        registry = await self._cloud.registry(self._household.registry.version)
        if registry is None:
            return False
        await self._store.write(lambda db: save_registry(db, registry))
        await self._store.read(self._household.load)
        log.info(
            "registry.refreshed",
            version=registry.version,
            collars=len(registry.collars),
            grants=len(registry.grants),
        )
        self.refreshed()
        return True

    async def upload(self) -> bool:
        """Send the next batch; returns whether there was one.

        Raises:
            CloudUnreachable, CloudRefused: It stays queued.
        """
        now = datetime.now(UTC)
        limit = self._limit
        batch = await self._store.write(lambda db: next_batch(db, self._household, now, limit))
        if batch is None:
            await self._store.write(lambda db: prune(db, now))
            return False
        try:
            receipt = await self._cloud.send(batch)
        except CloudRefused as error:
            if error.status in RETRY_STATUS:
                raise
            if len(batch.groups) > 1:  # one of them is the reason: the others shall pass
                self._limit = max(1, limit // 2)
                return True
            log.error("uplink.refused", first_id=batch.first_id, error=str(error))
            reason = str(error)
            await self._store.write(lambda db: refuse_batch(db, batch, reason, now))
            return True
        self._limit = BATCH_ROWS
        synced = await self._store.write(lambda db: settle_batch(db, batch, receipt.refused, now))
        SYNCED.inc(synced)
        if receipt.refused:
            log.warning("uplink.rows_refused", rows=len(receipt.refused), first=receipt.refused[0])
        return True

    async def _observe_lag(self) -> None:
        lag = await self._store.read(lag_by_stream)
        now = datetime.now(UTC)
        for stream in Stream:
            _, oldest = lag.get(stream.value, (0, now))
            SYNC_LAG.labels(stream.value).set((now - oldest).total_seconds())

    def _note(self, *, reachable: bool, error: str = "") -> None:
        CLOUD_REACHABLE.set(reachable)
        if reachable is self._reachable:
            return
        if reachable:
            log.info("cloud.reachable")
        else:
            log.warning("cloud.unreachable", error=error)
        self._reachable = reachable


def _nobody() -> None:
    """Is called when nobody cares."""


def load_key(path: Path) -> Ed25519PrivateKey:
    """The gateway's own key, made at the first start with mode 0600."""
    raw = kept_secret(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw().hex())
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw))
