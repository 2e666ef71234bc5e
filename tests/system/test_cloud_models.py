"""Models and rollouts in the cloud: who may bring one, who may fetch it, who may speak of it."""

import asyncio
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud.errors import KeyFileUnusable
from cloud.models.interpreter import golden_answers
from cloud.models.release_key import ReleaseKey
from cloud.models.shipped import shipped_folder
from gateway.wire.messages import ModelState
from gateway.wire.release import ModelRefusal, Release
from gateway.wire.uplink import (
    DeliveryReport,
    DeliveryReports,
    ModelPackage,
    pack_body,
    unpack_body,
)
from plugins.sdk.golden import packed
from plugins.sdk.package import Package
from tests.system.cloud_kit import Cloud, Home, open_cloud, settings_for

SHIPPED = Package.load(shipped_folder() / "activity")


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def key(cloud: Cloud) -> ReleaseKey:
    return ReleaseKey.kept(cloud.settings.release_key_path)


def made(
    key: ReleaseKey,
    version: str = "7.0.0",
    *,
    content: bytes | None = None,
    slot: str = "activity",
    **changes: Any,
) -> ModelPackage:
    """The shipped model as somebody's own package."""
    content = SHIPPED.model if content is None else content
    model = SHIPPED.manifest.model
    assert content is not None
    assert model is not None
    model = msgspec.structs.replace(model, sha256=hashlib.sha256(content).hexdigest())
    golden = packed(golden_answers(model, SHIPPED.model or b""))
    manifest = msgspec.structs.replace(SHIPPED.manifest, version=version, model=model)
    given = {"slot": slot, "manifest": manifest, "size": len(content), "golden": golden} | changes
    return ModelPackage(release=Release.signed(key.private, **given), model=content)


def altered(package: ModelPackage, **changes: Any) -> ModelPackage:
    """Somebody changed the release on its way."""
    release = msgspec.structs.replace(package.release, **changes)
    return msgspec.structs.replace(package, release=release)


async def upload(cloud: Cloud, package: ModelPackage, headers: Any = None) -> httpx2.Response:
    token = cloud.settings.operator_token_file.read_text().strip()
    headers = headers or {"authorization": f"Bearer {token}"}
    return await cloud.http.post("/v1/models", content=pack_body(package), headers=headers)


async def models(cloud: Cloud) -> list[dict[str, Any]]:
    return await cloud.operator("GET", "/v1/models")


async def rolled_out(cloud: Cloud, key: ReleaseKey, *collars: str, version: str = "7.0.0") -> str:
    package = made(key, version)
    assert (await upload(cloud, package)).status_code == 201
    body: dict[str, Any] = {"package": "activity", "version": version}
    if collars:
        body["collar_ids"] = list(collars)
    return (await cloud.operator("POST", "/v1/rollouts", body, expect=201))["rollout_id"]


def told(rollout: str, collar_id: str, state: str, **more: Any) -> DeliveryReport:
    values = {"changed_at": now()} | more
    return DeliveryReport(rollout=rollout, collar_id=collar_id, state=ModelState(state), **values)


# the release key


def test_the_key_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "cloud" / "release.key"
    with ThreadPoolExecutor(8) as starters:
        keys = list(starters.map(lambda _: ReleaseKey.kept(file).public, range(16)))
    assert len(set(keys)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["release.key"]
    assert file.read_text().strip() not in repr(ReleaseKey.kept(file))


@pytest.mark.parametrize("content", ["", "ab", "zz" * 32, "ab" * 33, "é"])
def test_a_file_that_holds_no_key_is_left_alone_and_said(tmp_path: Path, content: str) -> None:
    file = tmp_path / "release.key"
    file.write_text(content, "utf-8")
    with pytest.raises(KeyFileUnusable, match=r"release\.key"):
        ReleaseKey.kept(file)
    assert file.read_text("utf-8") == content


async def test_everyone_signed_in_learns_the_public_half(cloud: Cloud, key: ReleaseKey) -> None:
    home = await cloud.home()
    for answer in (
        await home.call("GET", "/v1/release-key"),
        await cloud.operator("GET", "/v1/release-key"),
    ):
        assert answer == {"public_key": key.public.hex(), "key_id": key.key_id}


# the shipped models


async def test_the_shipped_models_are_the_first_champions(cloud: Cloud) -> None:
    found = {each["slot"]: each for each in await models(cloud)}
    assert set(found) == {"activity", "anomaly"}
    assert {each["state"] for each in found.values()} == {"champion"}
    assert found["activity"]["sha256"] == hashlib.sha256(SHIPPED.model or b"").hexdigest()
    card = await cloud.operator("GET", f"/v1/models/activity/{SHIPPED.manifest.version}")
    assert card["origin"] == "shipped"
    assert card["card"]["id"] == SHIPPED.ref
    assert await cloud.operator("GET", "/v1/rollouts") == []


def shipped_as(folder: Path, version: str) -> Path:
    """A folder of packages with another version of the activity model."""
    target = folder / version
    shutil.copytree(shipped_folder() / "activity", target / "activity")
    manifest = target / "activity" / "plugin.toml"
    said = f'version = "{SHIPPED.manifest.version}"'
    assert said in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(said, f'version = "{version}"'))
    return target


async def states(database: str, folder: Path, models_dir: Path) -> dict[str, str]:
    async with open_cloud(settings_for(database, folder, models_dir=models_dir)) as cloud:
        return {each["version"]: each["state"] for each in await models(cloud)}


async def test_a_newer_shipped_model_takes_over_and_an_older_one_does_not(
    database: str, tmp_path: Path
) -> None:
    first, newer, older = (shipped_as(tmp_path, v) for v in ("0.9.0", "0.10.0", "0.2.5"))
    assert await states(database, tmp_path, first) == {"0.9.0": "champion"}
    assert await states(database, tmp_path, first) == {"0.9.0": "champion"}
    now_ = {"0.9.0": "retired", "0.10.0": "champion"}
    assert await states(database, tmp_path, newer) == now_
    assert await states(database, tmp_path, older) == now_ | {"0.2.5": "retired"}
    assert await states(database, tmp_path, first) == now_ | {"0.2.5": "retired"}


async def test_a_shipped_package_that_may_not_run_is_left_out(
    database: str, tmp_path: Path
) -> None:
    folder = shipped_as(tmp_path, "0.9.0")
    shutil.copytree(folder / "activity", folder / "broken")
    (folder / "broken" / "model.tflite").write_bytes(b"TFL3")
    (folder / "empty").mkdir()
    (folder / "empty" / "plugin.toml").write_text("id = 3")
    assert await states(database, tmp_path, folder) == {"0.9.0": "champion"}


# uploads


async def test_a_model_that_our_key_signed_is_a_candidate(cloud: Cloud, key: ReleaseKey) -> None:
    package = made(key)
    for _ in range(2):
        assert (await upload(cloud, package)).status_code == 201
    found = [each for each in await models(cloud) if each["version"] == "7.0.0"]
    assert [each["state"] for each in found] == ["candidate"]
    other = made(key, golden=packed(golden_answers(SHIPPED.manifest.model, SHIPPED.model)))  # type: ignore[arg-type]
    assert (await upload(cloud, other)).status_code == 201
    loud = made(key, content=(SHIPPED.model or b"") + b"\0" * 8)
    assert (await upload(cloud, loud)).status_code == 409


async def test_only_the_operator_brings_models(cloud: Cloud, key: ReleaseKey) -> None:
    home = await cloud.home()
    assert (await upload(cloud, made(key), home.headers)).status_code == 403
    assert len(await models(cloud)) == 2


def wrong_models(key: ReleaseKey) -> dict[ModelRefusal, ModelPackage]:
    stranger = ReleaseKey(Ed25519PrivateKey.generate())
    good = made(key)
    content = SHIPPED.model or b""
    other = msgspec.structs.replace(SHIPPED.manifest, version="9.9.9")
    return {
        ModelRefusal.UNKNOWN_KEY: made(stranger),
        ModelRefusal.WRONG_SIGNATURE: altered(good, signature=bytes(64)),
        ModelRefusal.INVALID_MANIFEST: made(key, manifest=other, size=7),
        ModelRefusal.UNKNOWN_SLOT: made(key, slot="anomaly"),
        ModelRefusal.TOO_LARGE: made(key, size=16_385),
        ModelRefusal.TRUNCATED: msgspec.structs.replace(good, model=content[:-1]),
        ModelRefusal.CORRUPT: msgspec.structs.replace(good, model=bytes(len(content))),
        ModelRefusal.NOT_ADMITTED: made(key, content=bytes(1_000)),
        ModelRefusal.SELF_TEST_FAILED: made(key, golden=bytes(64)),
    }


@pytest.mark.parametrize(
    "reason",
    [
        ModelRefusal.UNKNOWN_KEY,
        ModelRefusal.WRONG_SIGNATURE,
        ModelRefusal.UNKNOWN_SLOT,
        ModelRefusal.TOO_LARGE,
        ModelRefusal.TRUNCATED,
        ModelRefusal.CORRUPT,
        ModelRefusal.NOT_ADMITTED,
        ModelRefusal.SELF_TEST_FAILED,
    ],
)
async def test_a_wrong_model_is_refused_with_a_reason_and_stays_to_be_seen(
    cloud: Cloud, key: ReleaseKey, reason: ModelRefusal
) -> None:
    package = wrong_models(key)[reason]
    for _ in range(2):
        response = await upload(cloud, package)
        assert response.status_code == 422, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["reason"] == reason
    refused = [each for each in await models(cloud) if each["state"] == "refused"]
    assert [each["reason"] for each in refused] == [reason]
    assert refused[0]["detail"]
    body = {"package": "activity", "version": "7.0.0"}
    await cloud.operator("POST", "/v1/rollouts", body, expect=404)
    assert (await upload(cloud, made(key))).status_code == 201, "it took no version"


@pytest.mark.parametrize(
    "body", [b"", b"x" * 1000, pack_body(DeliveryReports(site="s", reports=[]))]
)
async def test_a_body_that_is_no_model_is_refused(cloud: Cloud, body: bytes) -> None:
    token = cloud.settings.operator_token_file.read_text().strip()
    headers = {"authorization": f"Bearer {token}"}
    response = await cloud.http.post("/v1/models", content=body, headers=headers)
    assert response.status_code == 422
    assert len(await models(cloud)) == 2


# rollouts


async def test_a_rollout_for_all_reaches_every_gateway_and_later_collars(
    cloud: Cloud, key: ReleaseKey
) -> None:
    homes = [await cloud.home(), await cloud.home()]
    devices = [(await home.enrol(2)) for home in homes]
    before = [(await home.registry()).version for home in homes]
    rollout = await rolled_out(cloud, key)
    for home, mine, version in zip(homes, devices, before, strict=True):
        registry = await home.registry()
        assert registry.version > version
        [deployment] = registry.deployments
        assert (deployment.rollout, deployment.slot) == (rollout, "activity")
        assert deployment.collars == sorted(device.collar_id for device in mine)
        response = await home.signed("GET", f"/v1/releases/{deployment.sha256}")
        package = unpack_body(response.content, ModelPackage)
        assert package.release.verified([key.public]).version == "7.0.0"
        assert hashlib.sha256(package.model).hexdigest() == deployment.sha256
    [late] = await homes[0].enrol()
    [deployment] = (await homes[0].registry()).deployments
    assert late.collar_id in deployment.collars


async def test_an_unchanged_registry_is_still_no_answer_at_all(
    cloud: Cloud, key: ReleaseKey
) -> None:
    home = await cloud.home()
    await home.enrol()
    await rolled_out(cloud, key)
    version = (await home.registry()).version
    assert (await home.signed("GET", "/v1/registry", version=version)).status_code == 304
    rollout = (await home.registry()).deployments[0].rollout
    [collar] = (await home.registry()).collars
    await home.report(told(rollout, collar.collar_id, "installed"))
    assert (await home.signed("GET", "/v1/registry", version=version)).status_code == 304


async def test_each_collar_is_told_the_newest_rollout_alone(cloud: Cloud, key: ReleaseKey) -> None:
    home = await cloud.home()
    one, two = await home.enrol(2)
    for_all = await rolled_out(cloud, key)
    chosen = await rolled_out(cloud, key, one.collar_id, version="7.1.0")
    told_ = {each.rollout: each.collars for each in (await home.registry()).deployments}
    assert told_ == {for_all: [two.collar_id], chosen: [one.collar_id]}
    last = await rolled_out(cloud, key, version="7.2.0")
    [deployment] = (await home.registry()).deployments
    assert deployment.rollout == last
    listed = {each["rollout_id"]: each["state"] for each in await home.call("GET", "/v1/rollouts")}
    assert listed == {for_all: "superseded", chosen: "superseded", last: "running"}


async def test_reports_make_the_rollouts_state(cloud: Cloud, key: ReleaseKey) -> None:
    home = await cloud.home()
    one, two = await home.enrol(2)
    rollout = await rolled_out(cloud, key)
    path = f"/v1/rollouts/{rollout}"
    seen = await home.call("GET", path)
    assert (seen["state"], seen["pending"], seen["updated"]) == ("running", 2, 0)
    assert seen["collars"][one.collar_id]["state"] == "pending"
    taken = await home.report(
        told(rollout, one.collar_id, "receiving"),
        told(rollout, two.collar_id, "refused", reason=ModelRefusal.OLDER, detail="has 8.0.0"),
    )
    assert taken == {"taken": 2, "refused": {}}
    seen = await home.call("GET", path)
    assert (seen["state"], seen["receiving"], seen["refused"]) == ("running", 1, 1)
    await home.report(told(rollout, one.collar_id, "installed"))
    seen = await home.call("GET", path)
    assert (seen["state"], seen["updated"], seen["refused"]) == ("done", 1, 1)
    progress = seen["collars"][two.collar_id]
    assert (progress["slot"], progress["version"]) == ("activity", "7.0.0")
    assert (progress["reason"], progress["detail"]) == ("older", "has 8.0.0")


async def test_the_last_change_counts_in_whatever_order_it_is_told(
    cloud: Cloud, key: ReleaseKey
) -> None:
    home = await cloud.home()
    [device] = await home.enrol()
    rollout = await rolled_out(cloud, key)
    begin = now() - timedelta(minutes=5)
    story = [
        told(rollout, device.collar_id, state, changed_at=begin + timedelta(seconds=n))
        for n, state in enumerate(("pending", "receiving", "installed"))
    ]

    async def state() -> str:
        seen = await home.call("GET", f"/v1/rollouts/{rollout}")
        return seen["collars"][device.collar_id]["state"]

    await home.report(*reversed(story))
    assert await state() == "installed"
    await home.report(*story[:2])
    assert await state() == "installed"
    ahead = told(rollout, device.collar_id, "receiving", changed_at=now() + timedelta(days=400))
    await home.report(ahead)
    await asyncio.sleep(0.01)
    fell_back = told(
        rollout, device.collar_id, "refused", reason=ModelRefusal.SELF_TEST_FAILED, detail="a\0b"
    )
    await home.report(fell_back)
    assert await state() == "refused"
    early = told(rollout, device.collar_id, "pending", changed_at=datetime.min.replace(tzinfo=UTC))
    await home.report(early)
    assert await state() == "refused"


async def test_a_gateway_speaks_of_its_own_collars_only(cloud: Cloud, key: ReleaseKey) -> None:
    home, stranger = await cloud.home(), await cloud.home()
    [mine], [theirs] = await home.enrol(), await stranger.enrol()
    rollout = await rolled_out(cloud, key, mine.collar_id)
    taken = await stranger.report(
        told(rollout, mine.collar_id, "installed"),
        told(rollout, theirs.collar_id, "installed"),
    )
    refused = {mine.collar_id: "unknown_collar", theirs.collar_id: "unknown_rollout"}
    assert taken == {"taken": 0, "refused": refused}
    taken = await home.report(
        told("no-such-rollout", mine.collar_id, "installed"),
        told(rollout, mine.collar_id, "receiving"),
    )
    assert taken == {"taken": 1, "refused": {mine.collar_id: "unknown_rollout"}}
    body = pack_body(DeliveryReports(site=home.site, reports=[]))
    response = await stranger.signed("POST", "/v1/rollouts/reports", body)
    assert response.status_code == 403
    assert (await stranger.registry()).deployments == []
    sha256 = (await home.registry()).deployments[0].sha256
    assert (await stranger.signed("GET", f"/v1/releases/{sha256}")).status_code == 404
    assert (await home.signed("GET", f"/v1/releases/{'0' * 64}")).status_code == 404
    assert (await home.signed("GET", "/v1/releases/nonsense")).status_code == 422


async def test_an_owner_sees_their_own_collars_in_a_rollout(cloud: Cloud, key: ReleaseKey) -> None:
    home, stranger = await cloud.home(), await cloud.home()
    [mine], [theirs] = await home.enrol(), await stranger.enrol()
    chosen = await rolled_out(cloud, key, mine.collar_id)
    for_all = await rolled_out(cloud, key, version="7.1.0")
    assert [each["rollout_id"] for each in await stranger.call("GET", "/v1/rollouts")] == [for_all]
    await stranger.call("GET", f"/v1/rollouts/{chosen}", expect=404)
    seen = await stranger.call("GET", f"/v1/rollouts/{for_all}")
    assert list(seen["collars"]) == [theirs.collar_id]
    assert seen["pending"] == 1
    whole = await cloud.operator("GET", f"/v1/rollouts/{for_all}")
    assert sorted(whole["collars"]) == sorted([mine.collar_id, theirs.collar_id])


async def test_a_rollout_needs_a_model_and_collars_that_exist(
    cloud: Cloud, key: ReleaseKey, database: str
) -> None:
    home = await cloud.home()
    await upload(cloud, made(key))
    good = {"package": "activity", "version": "7.0.0"}
    await cloud.operator("POST", "/v1/rollouts", good | {"version": "7.0.1"}, expect=404)
    await cloud.operator("POST", "/v1/rollouts", good | {"collar_ids": ["nobody"]}, expect=404)
    await cloud.operator("POST", "/v1/rollouts", good | {"collar_ids": []}, expect=422)
    await cloud.operator("POST", "/v1/rollouts", good | {"version": "7"}, expect=422)
    await home.call("POST", "/v1/rollouts", good, expect=403)
    with psycopg.connect(database) as db:
        assert db.execute("SELECT count(*) FROM rollout").fetchone() == (0,)


async def test_five_hundred_collars_are_told_in_one_registry(cloud: Cloud, key: ReleaseKey) -> None:
    home = await cloud.home()
    devices = await home.enrol(500)
    rollout = await rolled_out(cloud, key)
    [deployment] = (await home.registry()).deployments
    assert len(deployment.collars) == 500
    await home.report(*(told(rollout, each.collar_id, "installed") for each in devices))
    seen = await home.call("GET", f"/v1/rollouts/{rollout}")
    assert (seen["state"], seen["updated"]) == ("done", 500)


# the service itself


def test_the_service_runs_without_anything_that_only_training_needs() -> None:
    code = (
        "import sys, cloud.main\n"
        "print({'tensorflow', 'keras', 'sklearn', 'pandas'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "set()"


def test_a_service_whose_key_file_is_broken_says_so_and_ends(database: str, tmp_path: Path) -> None:
    (tmp_path / "release.key").write_text("not a key")
    environment = {
        **os.environ,
        "CLOUD_DATABASE_URL": database,
        "CLOUD_PORT": "0",
        "CLOUD_OPERATOR_TOKEN_FILE": str(tmp_path / "operator.token"),
        "CLOUD_INGEST_WORKERS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cloud"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 6, done.stderr
    assert "release.key holds no key" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_home_has_no_models_of_its_own(cloud: Cloud) -> None:
    home: Home = await cloud.home()
    assert len(await home.call("GET", "/v1/models")) == 2
    await home.call("GET", "/v1/models/activity/9.9.9", expect=404)
    assert await home.call("GET", "/v1/training/runs") == []
    await home.call("GET", "/v1/training/runs/no-such-run", expect=404)
