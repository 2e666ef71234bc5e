"""Models on their way through cloud, gateway, broker and collars, whoever dies meanwhile."""

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import plugins
from collar_sim.firmware.models.classifier import LiteRtClassifier
from gateway.wire.release import Release
from gateway.wire.uplink import CONTENT_TYPE, ModelPackage, pack_body
from pawmesh.demo import Cast, prepare
from pawmesh.embedded.process import Part
from pawmesh.house import House, require
from pawmesh.platform import Plan, Platform, running_platform
from plugins.sdk.features import prepare as inputs_of
from plugins.sdk.golden import golden_windows, packed
from plugins.sdk.package import Package
from tests.system.soak import eventually

COLLARS = 3
SEED = 11
SHIPPED = Package.load(Path(plugins.__path__[0]) / "activity")


@asynccontextmanager
async def living_home(folder: Path) -> AsyncGenerator[tuple[Platform, Cast, Part]]:
    """A platform with a few collars that live at the pace of the clock."""
    house = House(folder / "data")
    plan = Plan(house=house, port_base=0, dashboard=False, deaths=10**9)
    async with running_platform(plan, lambda _: None, lambda _: None) as platform:
        cast = await asyncio.to_thread(prepare, platform, COLLARS, SEED, timedelta(minutes=5))
        part = platform.fleet_part(house.fleet / "fleet.json", history="300s", seed=SEED)
        await platform.supervisor.start(part)
        yield platform, cast, part


def release_of(house: House, version: str, **changes: Any) -> ModelPackage:
    """The shipped activity model under another version, signed as this cloud signs."""
    key = Ed25519PrivateKey.from_private_bytes(release_key(house))
    model = msgspec.structs.replace(SHIPPED.manifest.model, **changes)  # type: ignore[type-var]
    manifest = msgspec.structs.replace(SHIPPED.manifest, version=version, model=model)
    content = SHIPPED.model or b""
    assert hashlib.sha256(content).hexdigest() == model.sha256
    answers = LiteRtClassifier(SHIPPED).run(
        inputs_of(model, golden_windows(model.samples, model.rate_hz))
    )
    golden = packed(np.asarray(answers, np.float32))
    signed = Release.signed(
        key, slot="activity", manifest=manifest, size=len(content), golden=golden
    )
    return ModelPackage(release=signed, model=content)


def release_key(house: House) -> bytes:
    """What the cloud signs with; only a test reads it."""
    raw = house.operator_token_file.with_name("release.key").read_bytes()
    return raw if len(raw) == 32 else bytes.fromhex(raw.decode().strip())


def roll_out(platform: Platform, package: ModelPackage) -> str:
    """Bring a model to the cloud and send it to all collars; returns the rollout's id."""
    with platform.house.operator_api(platform.cloud_url) as cloud:
        require(
            cloud.post(
                "/v1/models", content=pack_body(package), headers={"content-type": CONTENT_TYPE}
            )
        )
        body = {"package": package.release.package, "version": package.release.version}
        return str(require(cloud.post("/v1/rollouts", json=body))["rollout_id"])


def in_cloud(platform: Platform, rollout_id: str) -> dict[str, Any]:
    """Where the rollout stands, by collar, as the cloud tells it."""
    with platform.house.operator_api(platform.cloud_url) as cloud:
        return require(cloud.get(f"/v1/rollouts/{rollout_id}"))["collars"]


def at_home(platform: Platform) -> list[dict[str, Any]]:
    """The collars as the gateway knows them."""
    with platform.house.gateway_api(platform.gateway_url) as gateway:
        return require(gateway.get("/v1/collars"))


def patient(ask: Callable[..., Any], otherwise: Any, *args: Any) -> Any:
    """What is answered; the alternative while nobody answers, having just been killed."""
    try:
        return ask(*args)
    except httpx2.TransportError:
        return otherwise


async def until_all(platform: Platform, rollout_id: str, state: str) -> dict[str, Any]:
    """Wait until the cloud knows that every collar is in this state."""

    async def answered() -> bool:
        collars = await asyncio.to_thread(patient, in_cloud, {}, platform, rollout_id)
        return len(collars) == COLLARS and {each["state"] for each in collars.values()} == {state}

    await eventually(answered)
    return in_cloud(platform, rollout_id)


async def test_a_model_reaches_every_collar_though_gateway_and_collars_are_killed_on_its_way(
    tmp_path: Path,
) -> None:
    async with living_home(tmp_path) as (platform, _, _):

        async def all_known() -> bool:
            collars = await asyncio.to_thread(at_home, platform)
            return all(each["slots"] for each in collars) and len(collars) == COLLARS

        await eventually(all_known)
        package = release_of(platform.house, "7.0.0")
        rollout_id = await asyncio.to_thread(roll_out, platform, package)
        for victim in ("gateway", "collars", "gateway", "collars", "cloud"):
            await asyncio.sleep(0.4)

            async def runs(name: str = victim) -> bool:
                return name in platform.supervisor.pids

            await eventually(runs)
            os.kill(platform.supervisor.pids[victim], signal.SIGKILL)
        collars = await until_all(platform, rollout_id, "installed")
        assert {each["version"] for each in collars.values()} == {"7.0.0"}

        async def all_say_so() -> bool:
            held = [
                slot
                for each in await asyncio.to_thread(at_home, platform)
                for slot in each["slots"]
            ]
            active = [slot for slot in held if slot["slot"] == "activity"]
            return [slot["version"] for slot in active] == ["7.0.0"] * COLLARS

        await eventually(all_say_so)


async def test_why_a_collar_refuses_a_model_can_be_read_in_the_cloud(tmp_path: Path) -> None:
    async with living_home(tmp_path) as (platform, cast, part):
        older = release_of(platform.house, "0.0.1")
        rollout_id = await asyncio.to_thread(roll_out, platform, older)
        collars = await until_all(platform, rollout_id, "refused")
        assert {each["reason"] for each in collars.values()} == {"older"}
        assert all(SHIPPED.ref in each["detail"] for each in collars.values())
        await platform.supervisor.end(part.name)
        path = platform.house.fleet / "fleet.json"
        members = json.loads(path.read_text())["collars"]
        strangers = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        path.write_text(
            json.dumps({"collars": [each | {"release_key": strangers} for each in members]})
        )
        await platform.supervisor.start(part)
        package = release_of(platform.house, "8.0.0")
        rollout_id = await asyncio.to_thread(roll_out, platform, package)
        collars = await until_all(platform, rollout_id, "refused")
        assert {each["reason"] for each in collars.values()} == {"unknown_key"}
        versions = {
            slot["version"]
            for each in at_home(platform)
            for slot in each["slots"]
            if slot["slot"] == "activity"
        }
        assert versions == {SHIPPED.manifest.version}
        assert len(cast.collars) == COLLARS


async def test_a_model_of_another_signer_does_not_even_enter_the_cloud(tmp_path: Path) -> None:
    async with living_home(tmp_path) as (platform, _, _):
        package = release_of(platform.house, "9.0.0")
        forged = msgspec.structs.replace(package.release, signature=bytes(64))
        body = pack_body(ModelPackage(release=forged, model=package.model))
        with platform.house.operator_api(platform.cloud_url) as cloud:
            answer = cloud.post("/v1/models", content=body, headers={"content-type": CONTENT_TYPE})
            kept = require(cloud.get("/v1/models"))
        assert answer.status_code == 422
        assert answer.json()["reason"] == "wrong_signature"
        assert [each["state"] for each in kept if each["version"] == "9.0.0"] == ["refused"]
