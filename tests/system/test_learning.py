"""From what owners share to a better model on its way to collars, or to a reason why not."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest

from cloud.models.models import Champion, champion_of
from cloud.models.release_key import ReleaseKey
from cloud.models.shipped import register_shipped, shipped_folder
from cloud.settings import Settings
from cloud.training.challenger import Recipe, train
from cloud.training.dataset import Dataset
from cloud.training.granted import Granted, granted_windows, roles_of
from cloud.training.retrain import retrain
from collar_sim.firmware.models.classifier import LiteRtClassifier, MicroClassifier, micro_available
from gateway.wire.topics import Kind
from gateway.wire.uplink import ModelPackage, OwnerLabel, unpack_body
from plugins.sdk.golden import golden_windows, output_step, require_agreement
from plugins.sdk.manifest import Manifest, Model, Place
from plugins.sdk.package import Package, admitted
from tests.system.cloud_kit import Cloud, Device, Home, open_cloud, settings_for
from tests.system.learning_kit import Moment, label, lived, pets_that_teach, share, words
from tests.system.test_cloud_service import eventually, running

ROUNDS = int(os.environ.get("SOAK", "5"))
PATIENCE_S = 240.0  # a training takes half a minute where nobody else wants the cores
AGO = timedelta(hours=2)
MISTAKES = {"rest": "run", "run": "rest", "walk": "scratch", "scratch": "walk"}


def now() -> datetime:
    return datetime.now(UTC)


def quiet(_: str) -> None:
    """Nobody listens."""


def shipped_model() -> Model:
    model = Package.load(shipped_folder() / "activity").manifest.model
    assert model is not None
    return model


def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "CLOUD_DATABASE_URL": settings.database_url.get_secret_value(),
        "CLOUD_OPERATOR_TOKEN_FILE": str(settings.operator_token_file),
    }


def trainer(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cloud.training", *arguments],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def trained(cloud: Cloud, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The trainer's exit code, report and words."""
    process = trainer(cloud.settings, "--json", *arguments)
    stdout, stderr = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    return process.returncode, json.loads(stdout) if stdout else {}, stderr


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as db:
        return db.execute(query.encode()).fetchall()


def kept(database: str) -> list[tuple[Any, ...]]:
    """All that a training can change, but for its own row."""
    found: list[tuple[Any, ...]] = []
    for query in (
        "SELECT model_id, package, version, state, sha256 FROM model ORDER BY model_id",
        "SELECT rollout_id FROM rollout",
        "SELECT site_id, version FROM site ORDER BY site_id",
    ):
        found += rows(database, query)
    return found


def dataset(database: str, model: Model | None = None) -> Granted:
    with psycopg.connect(database) as db:
        return granted_windows(db, model or shipped_model(), now())


async def teaching(home: Home) -> tuple[Device, str]:
    [device] = await home.enrol()
    return device, await home.grant(device.pet_id, "raw", purpose="training")


# what a dataset is made of


async def shared(home: Home, labels: Callable[[Device, str, datetime], list[OwnerLabel]]) -> str:
    """A pet with one window ten seconds after an instant, and the labels that are said of it."""
    device, grant = await teaching(home)
    at = now() - AGO
    moment = Moment(at + timedelta(seconds=10), "walk", np.zeros((100, 6), np.float32))
    await share(home, device, grant, (moment,))
    receipt = await home.say(*labels(device, grant, at))
    assert receipt.refused == {}
    return device.pet_id


def spans(*given: tuple[float, float, str]) -> Callable[[Device, str, datetime], list[OwnerLabel]]:
    """Labels from one second to another after an instant; each said after the one before."""

    def say(device: Device, grant: str, at: datetime) -> list[OwnerLabel]:
        return [
            label(
                *(device, grant, at + timedelta(seconds=first), behaviour, n),
                end_at=at + timedelta(seconds=last),
                said_at=at + timedelta(minutes=n + 1),
            )
            for n, (first, last, behaviour) in enumerate(given)
        ]

    return say


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (spans((0, 60, "walk")), ["walk"]),
        (spans((10, 14, "walk")), ["walk"]),
        (spans((10.001, 60, "walk")), []),
        (spans((0, 13.999, "walk")), []),
        (spans((20, 60, "walk")), []),
        (spans((0, 60, "walk"), (0, 60, "run")), ["run"]),
        (spans((0, 60, "walk"), (12, 60, "run")), []),
        (spans((0, 60, "walk"), (14, 60, "run")), ["walk"]),
        (spans((0, 11, "run"), (0, 60, "walk")), ["walk"]),
    ],
)
async def test_a_window_has_the_last_word_that_holds_it_wholly(
    cloud: Cloud,
    database: str,
    said: Callable[[Device, str, datetime], list[OwnerLabel]],
    heard: list[str],
) -> None:
    await shared(await cloud.home(), said)
    assert dataset(database).data.labels.tolist() == heard


async def test_what_was_shared_comes_back_as_it_was_felt(cloud: Cloud, database: str) -> None:
    home = await cloud.home()
    device, grant = await teaching(home)
    moments = lived(500)[:30]
    await share(home, device, grant, moments)
    await home.say(*words(device, grant, moments))
    granted = dataset(database)
    felt = np.stack([moment.imu for moment in moments])
    assert np.abs(granted.data.windows[..., :3] - felt[..., :3]).max() <= 1 / 8192 + 1e-6
    assert granted.data.labels.tolist() == [moment.behaviour for moment in moments]
    assert granted.fair.tolist() == [n % 3 != 2 for n in range(30)]
    assert granted.grants == [grant]
    assert granted.data.digest() == dataset(database).data.digest()


async def test_nothing_is_learned_without_a_grant_for_it(cloud: Cloud, database: str) -> None:
    home = await cloud.home()
    moments = lived(500)[:8]
    devices = {name: (await teaching(home))[0] for name in ("kept", "withdrawn", "other purpose")}
    unsealed, late_label = (await teaching(home))[0], (await teaching(home))[0]
    everyone = [*devices.values(), unsealed, late_label]
    grants = {
        each.pet_id: await home.grant(each.pet_id, "raw", purpose="training") for each in everyone
    }
    for device in everyone:
        grant = grants[device.pet_id]
        under = grant
        if device is devices["other purpose"]:
            under = await home.grant(device.pet_id, "raw", purpose="research")
        await share(home, device, under, moments, sealed=device is not unsealed)
        if device is late_label:  # its label rests on a grant of its own
            grant = await home.grant(device.pet_id, "raw", purpose="training")
            grants["label"] = grant
        await home.say(*words(device, grant, moments))
    both = {devices["kept"].pet_id, devices["withdrawn"].pet_id, late_label.pet_id}
    assert set(dataset(database).data.animals.tolist()) == both
    for name in (devices["withdrawn"].pet_id, "label"):
        await home.call("DELETE", f"/v1/grants/{grants[name]}", expect=204)
    granted = dataset(database)
    assert set(granted.data.animals.tolist()) == {devices["kept"].pet_id}
    assert granted.grants == [grants[devices["kept"].pet_id]]
    with psycopg.connect(database) as db:
        db.execute("UPDATE grant_ SET expires_at = now() - interval '1 second'")
    assert len(dataset(database).data) == 0


async def test_a_label_taken_back_teaches_nothing(cloud: Cloud, database: str) -> None:
    home = await cloud.home()
    device, grant = await teaching(home)
    moments = lived(500)[:2]
    await share(home, device, grant, moments)
    first, second = words(device, grant, moments)
    await home.say(first, second)
    await home.signed("DELETE", f"/v1/labels/{first.label_id}")
    assert len(dataset(database).data) == 1


async def test_windows_of_another_form_or_word_are_counted_and_left_out(
    cloud: Cloud, database: str
) -> None:
    home = await cloud.home()
    device, grant = await teaching(home)
    at = now() - AGO
    messages = [
        (Kind.WINDOW, device.window(0, at)),
        (Kind.WINDOW, device.window(1, at, rate_hz=50.0)),
        (Kind.WINDOW, device.window(2, at, samples=bytes(1188))),
        (Kind.WINDOW, device.window(3, at + timedelta(seconds=60))),
    ]
    receipt = await home.send(device.group(messages, {Kind.WINDOW: (grant, None)}))
    assert receipt.accepted == 4
    await home.say(
        label(device, grant, at, "walk", 1),
        label(device, grant, at + timedelta(seconds=60), "vehicle", 2),
    )
    model = msgspec.structs.replace(shipped_model(), labels=["rest", "walk"])
    granted = dataset(database, model)
    assert (len(granted.data), granted.other_shape, granted.other_words) == (1, 2, 1)


async def test_a_pets_role_is_decided_once(cloud: Cloud, database: str) -> None:
    home = await cloud.home()
    pets = [device.pet_id for device in await home.enrol(9)]
    with psycopg.connect(database) as db, db.transaction():
        first = roles_of(db, pets[:4])
    with psycopg.connect(database) as db, db.transaction():
        later = roles_of(db, pets)
    assert {pet: later[pet] for pet in first} == first
    assert list(later.values()).count("judge") == 3
    with psycopg.connect(database) as db:
        assert roles_of(db, pets[:1]) == {pets[0]: first[pets[0]]}


# runs that end


async def test_a_better_model_is_promoted_signed_and_on_its_way(
    cloud: Cloud, database: str
) -> None:
    home = await cloud.home()
    taught = await pets_that_teach(home, 8, padded=True)
    before = (await home.registry()).version
    [old] = [
        each for each in await cloud.operator("GET", "/v1/models") if each["slot"] == "activity"
    ]
    code, report, said = await trained(cloud, "--seed", "3", "--epochs", "12")
    assert (code, report["state"]) == (0, "promoted"), said
    assert "promoted" in said
    assert (report["champion"]["sha256"], report["reason"]) == (old["sha256"], None)
    assert report["challenger"]["macro_f1"] >= report["champion"]["macro_f1"] + 0.01
    assert abs(report["challenger"]["float_macro_f1"] - report["challenger"]["macro_f1"]) < 0.1
    assert report["challenger"]["flash_bytes"] <= 16_384
    data = report["dataset"]
    assert set(report["per_pet"]) == set(data["judge"])
    assert not set(data["judge"]) & (set(data["fit"]) | set(data["tune"]))
    assert (len(data["judge"]), len(data["fit"]), len(data["tune"])) == (3, 4, 1)
    assert sorted(data["grants"]) == sorted(grant for _, grant in taught)

    found = {each["version"]: each for each in await home.call("GET", "/v1/models")}
    major, minor, _ = old["version"].split(".")
    version = f"{major}.{int(minor) + 1}.0"
    new = found[version]
    assert (found[old["version"]]["state"], new["state"]) == ("retired", "champion")
    assert new["macro_f1_after"] == pytest.approx(report["challenger"]["macro_f1"], abs=1e-4)
    assert new["macro_f1_before"] == pytest.approx(report["champion"]["macro_f1"], abs=1e-4)
    card = (await home.call("GET", f"/v1/models/activity/{version}"))["card"]
    assert card["training"]["seed"] == 3
    assert card["judged_on"]["pets"] == 3
    assert not [device for device, _ in taught if device.pet_id in str(card)]

    registry = await home.registry()
    [deployment] = registry.deployments
    assert registry.version > before
    assert (deployment.rollout, deployment.version) == (report["rollout_id"], version)
    assert deployment.sha256 == new["sha256"] == report["challenger"]["sha256"]
    answer = await home.signed("GET", f"/v1/releases/{deployment.sha256}")
    require_runs_on_a_collar(unpack_body(answer.content, ModelPackage), cloud)

    [run] = await home.call("GET", "/v1/training/runs")
    assert (run["run_id"], run["state"]) == (report["run_id"], "promoted")
    stranger = await cloud.home()
    seen = await stranger.call("GET", f"/v1/training/runs/{report['run_id']}")
    assert "rex" not in str(seen)
    assert "grant-" not in str(seen)
    assert seen["report"]["challenger"] == report["challenger"]

    for device, grant in taught:
        if device.pet_id not in data["judge"]:
            await home.call("DELETE", f"/v1/grants/{grant}", expect=204)
    before = kept(database)
    code, report, _ = await trained(cloud)
    assert (code, report["state"], report["reason"]) == (1, "refused", "too_few_windows")
    assert set(report["dataset"]["judge"]) == set(data["judge"]), "judges stay judges"
    assert kept(database) == before


def require_runs_on_a_collar(package: ModelPackage, cloud: Cloud) -> None:
    """What a collar will ask of it: signature, admission, self-test on both interpreters."""
    key = ReleaseKey.kept(cloud.settings.release_key_path)
    manifest: Manifest = package.release.verified([key.public])
    assert manifest.model is not None
    canonical = admitted(package.model, manifest.model, Place.COLLAR)
    loaded = Package(Path(), manifest, canonical)
    windows = golden_windows(manifest.model.samples, manifest.model.rate_hz)
    for engine in (LiteRtClassifier, *([MicroClassifier] if micro_available() else [])):
        answers = engine(loaded).predict(windows)
        require_agreement(package.release.golden, answers, output_step(canonical))


async def test_a_model_that_learned_from_mistakes_is_refused_and_stays_to_be_seen(
    cloud: Cloud, database: str
) -> None:
    home = await cloud.home()
    await pets_that_teach(home, 8, lie=MISTAKES, per_class=16)
    before = kept(database)
    recipe = Recipe(seed=1, epochs=12, learning_rate=3e-3)
    report = await asyncio.to_thread(retrain, cloud.settings, recipe, quiet)
    assert (report["state"], report["reason"]) == ("refused", "no_better")
    assert report["challenger"]["macro_f1"] < report["champion"]["macro_f1"]
    assert report["rollout_id"] is None
    assert [row for row in kept(database) if "refused" not in row] == before
    [refused] = [
        each for each in await home.call("GET", "/v1/models") if each["state"] == "refused"
    ]
    assert (refused["origin"], refused["reason"]) == ("trained", "no_better")
    assert "macro-F1" in refused["detail"]
    assert rows(database, "SELECT release FROM model WHERE state = 'refused'") == [(None,)]
    assert (await home.registry()).deployments == []
    [run] = await home.call("GET", "/v1/training/runs")
    assert (run["state"], run["reason"]) == ("refused", "no_better")


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        ("UPDATE grant_ SET withdrawn_at = now() WHERE pet_id = 'home1-rex-0'", "grant_withdrawn"),
        (
            "UPDATE model SET state = 'retired' WHERE slot = 'activity'",
            "champion_changed",
        ),
    ],
)
async def test_what_changed_while_it_learned_keeps_a_model_back(
    cloud: Cloud, database: str, meanwhile: str, reason: str
) -> None:
    home = await cloud.home()
    await pets_that_teach(home, 8, padded=True, per_class=16)
    models = len(kept(database))

    def change(said: str) -> None:
        if said == "promoting":
            with psycopg.connect(database) as db:
                db.execute(meanwhile.encode())

    report = await asyncio.to_thread(retrain, cloud.settings, Recipe(epochs=12), change)
    assert (report["state"], report["reason"]) == ("refused", reason)
    assert len(kept(database)) == models
    assert (await home.registry()).deployments == []


async def test_too_little_to_judge_by_is_said_before_anything_is_learned(cloud: Cloud) -> None:
    code, report, said = await trained(cloud)
    assert (code, report["reason"]) == (1, "too_few_pets"), said
    home = await cloud.home()
    await pets_that_teach(home, 5, per_class=4)  # of which a judge has ten fair windows, at most
    code, report, _ = await trained(cloud)
    assert (code, report["reason"]) == (1, "too_few_windows")
    assert report["challenger"] is None
    assert [run["state"] for run in await home.call("GET", "/v1/training/runs")] == [
        "refused",
        "refused",
    ]


def random_windows(labels: list[str]) -> Dataset:
    rng = np.random.default_rng(7)
    count = 8 * len(labels)
    windows = rng.normal(0, 1, (count, 100, 6)).astype(np.float32)
    windows *= np.repeat(np.linspace(0.05, 2.0, len(labels)), 8)[:, None, None].astype(np.float32)
    return Dataset(
        windows=windows,
        labels=np.repeat(np.array(labels, "<U24"), 8),
        purity=np.ones(count, np.float32),
        anomalies=np.full(count, "", "<U24"),
        animals=np.array([f"pet-{n % 3}" for n in range(count)]),
    )


def test_the_same_windows_and_seed_give_the_same_bytes(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as db:
        register_shipped(db, shipped_folder(), ReleaseKey.kept(tmp_path / "release.key"))
        champion = champion_of(db, "activity")
    assert isinstance(champion, Champion)
    model = shipped_model()
    data = random_windows([str(each) for each in model.labels])
    first, again, other = (
        train(champion, model, data, data, Recipe(seed=seed, epochs=1)) for seed in (1, 1, 2)
    )
    assert first.content == again.content
    assert first.model == again.model
    assert first.golden == again.golden
    assert first.fitted.weights() == again.fitted.weights()
    assert first.content != other.content


# the trainer as a process


MOMENTS = {
    "reading": "",
    "learning": "",
    "judging": "LOCK TABLE rollout IN EXCLUSIVE MODE",
    "promoting": "LOCK TABLE rollout IN EXCLUSIVE MODE",
    "promoting at last": "SELECT * FROM training_run WHERE state = 'running' FOR UPDATE",
}
"""When the trainer is killed; with a lock, so that it cannot have done what comes last."""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1885435762"


def count(connection: psycopg.Connection[Any], query: str) -> int:
    [(found,)] = connection.execute(query.encode()).fetchall()
    return found


def kill_trainer(settings: Settings, database: str, moment: str) -> None:
    """SIGKILL it a little after it said what it does, or while it waits to commit."""
    lock = MOMENTS[moment]
    word = moment.split()[0]
    with (
        trainer(settings, "--epochs", "12") as process,
        psycopg.connect(database, autocommit=True) as holder,
        psycopg.connect(database, autocommit=True) as watch,
    ):
        assert process.stderr is not None
        said = ""
        with holder.transaction():
            for said in process.stderr:
                if lock and "learning" in said:
                    holder.execute(lock.encode())
                if word in said:
                    break
            assert word in said, "it ended before"
            if word == "promoting":
                wait_for(lambda: count(watch, WAITING) > 0)
            elif word == "learning":  # of the others, each is over within half a second
                time.sleep(random.uniform(0, 0.5))
            assert process.poll() is None, "it was done before it was killed"
            process.send_signal(signal.SIGKILL)
            process.wait()
        eventually(lambda: count(watch, HELD) == 0)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_sigkill_leaves_no_half_model_and_the_next_run_says_that_it_died(
    database: str, tmp_path: Path
) -> None:
    settings = settings_for(database, tmp_path)

    async def household() -> None:
        async with open_cloud(settings) as cloud:
            await pets_that_teach(await cloud.home(), 8, padded=True, per_class=16)

    asyncio.run(household())
    before = kept(database)
    for n in range(ROUNDS):
        kill_trainer(settings, database, list(MOMENTS)[n % len(MOMENTS)])
        assert kept(database) == before
        last = "SELECT state FROM training_run ORDER BY run_no DESC LIMIT 1"
        assert rows(database, last) == [("running",)]

    async def states() -> list[str]:
        async with open_cloud(settings) as cloud:
            return [run["state"] for run in await cloud.operator("GET", "/v1/training/runs")]

    assert asyncio.run(states()) == ["died"] * ROUNDS
    with trainer(settings, "--epochs", "12", "--json") as process:
        stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["state"] == "promoted"
    runs = [state for (state,) in rows(database, "SELECT state FROM training_run ORDER BY run_no")]
    assert runs == ["died"] * ROUNDS + ["promoted"]


def exit_of(settings: Settings, *arguments: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "cloud.training", *arguments],
        env=environment(settings) | more,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments", [["--seed", "-1"], ["--seed", "x"], ["--epochs", "0"], ["--speed", "1"]]
)
def test_wrong_usage_is_told_at_once(arguments: list[str], tmp_path: Path) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    code, said = exit_of(settings, *arguments)
    assert code == 2
    assert arguments[0] in said


def test_each_thing_that_is_missing_has_its_exit_code(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    nowhere = settings_for("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    assert exit_of(nowhere)[0] == 1
    assert exit_of(nowhere, CLOUD_POOL_SIZE="many")[0] == 2
    broken = settings_for(database, tmp_path / "broken")
    (tmp_path / "broken").mkdir()
    broken.release_key_path.write_text("no key")
    code, said = exit_of(broken)
    assert (code, "release.key" in said) == (6, True)
    with psycopg.connect(empty_database) as db:
        db.execute("CREATE TABLE schema_migration (name text PRIMARY KEY, checksum text NOT NULL)")
        db.execute("INSERT INTO schema_migration VALUES ('9999_from_the_future.sql', 'x')")
    code, said = exit_of(settings_for(empty_database, tmp_path))
    assert (code, "9999_from_the_future" in said) == (5, True)


def test_without_tensorflow_the_remedy_is_said(database: str, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from cloud.training.__main__ import main; sys.exit(main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(settings_for(database, tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "tensorflow-cpu" in done.stderr
    assert "pip install" in done.stderr
    assert rows(database, "SELECT * FROM training_run") == []


def test_two_trainings_at_once_are_one_too_many(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1885435762)")
        code, said = exit_of(settings_for(database, tmp_path))
    assert (code, "another training run is under way" in said) == (1, True)
    assert rows(database, "SELECT * FROM training_run") == []


# the command


def pawmesh(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pawmesh", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_command_trains_lists_and_shows_on_what_runs(database: str, tmp_path: Path) -> None:
    cloud_folder = tmp_path / "cloud"
    cloud_folder.mkdir()
    with running(database, cloud_folder) as service:
        house = {
            "cloud_url": service.url,
            "database_url": database,
            "operator_token_file": str(cloud_folder / "operator.token"),
            "supervisor_pid": os.getpid(),
        }
        (tmp_path / "running.json").write_text(json.dumps(house))
        here = ("--data-dir", str(tmp_path))
        done = pawmesh("models", "retrain", "--json", *here)
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["reason"] == "too_few_pets"
        done = pawmesh("models", "list", "--json", *here)
        version = shipped_version()
        assert f"activity@{version}" in [
            f"{each['package']}@{each['version']}" for each in json.loads(done.stdout)
        ]
        done = pawmesh("models", "list", *here)
        assert f"activity@{version}" in done.stdout
        done = pawmesh("models", "show", f"activity@{version}", "--json", *here)
        assert json.loads(done.stdout)["card"]["id"] == f"activity@{version}"
        assert pawmesh("models", "show", "activity", *here).returncode == 2
        assert pawmesh("models", "show", "activity@9.9.9", *here).returncode == 1
    done = pawmesh("models", "retrain", "--data-dir", str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert "pawmesh up" in done.stderr


def shipped_version() -> str:
    return Package.load(shipped_folder() / "activity").manifest.version
