"""Every field of ``plugin.toml``: what it takes, what it refuses, and that it is documented."""

import json
import re
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.host.discovery import discover
from gateway.wire.messages import MESSAGES, Message
from gateway.wire.topics import Kind
from plugins.sdk import types as sdk_types
from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ManifestError
from plugins.sdk.features import prepare
from plugins.sdk.manifest import (
    SDK_VERSION,
    Budget,
    Input,
    Manifest,
    Model,
    Place,
    Standard,
    Task,
    read_manifest,
)

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference/plugins.md").read_text("utf-8")
NUMBERS = [1.0] * 36

GATEWAY: dict[str, Any] = {
    "id": "echo",
    "version": "1.2.3",
    "name": "Echo",
    "summary": "Says it again.",
    "runs_on": "gateway",
    "sdk": "1.0",
    "entry": "plugin:predict",
    "inputs": {"fix": ["lat_deg"], "epoch": ["steps"], "event": ["name"]},
    "settings": {"loudness": 1.5, "times": 3, "word": "paw", "on": True},
}
MODEL: dict[str, Any] = {
    "file": "net.tflite",
    "sha256": "0" * 64,
    "task": "classify",
    "labels": ["rest", "walk"],
    "sees": "window",
    "abstain_below": 0.4,
    "rate_hz": 50.0,
    "samples": 200,
    "budget": {"flash_bytes": 12_000, "arena_bytes": 4_000},
}
RECONSTRUCTION: dict[str, Any] = {
    "sha256": "0" * 64,
    "task": "reconstruct",
    "threshold": 0.3,
    "standard": {"mean": NUMBERS, "std": NUMBERS},
}
COLLAR = {k: v for k, v in GATEWAY.items() if k not in ("entry", "inputs", "settings")} | {
    "runs_on": "collar",
    "model": MODEL,
}


DESCRIBED = {"mean": [1.0] * 71, "std": [1.0] * 71}
DESCRIBING = COLLAR | {"model": MODEL | {"sees": "features", "standard": DESCRIBED}}
NAN = float("nan")


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value).replace("NaN", "nan")  # texts, numbers and lists are written alike


def write(folder: Path, manifest: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = {toml(value)}" for name, value in manifest.items()]
    (folder / "plugin.toml").write_text("\n".join(lines))
    return folder


def put(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """``manifest`` with ``value`` at ``a.b``, or without it."""
    name, _, rest = path.partition(".")
    if rest:
        return {**manifest, name: put(manifest[name], rest, value)}
    kept = {k: v for k, v in manifest.items() if k != name}
    return kept if value is None else {**kept, name: value}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "echo"


def test_every_field_arrives_as_written(folder: Path) -> None:
    gateway = read_manifest(write(folder, GATEWAY))
    assert msgspec.to_builtins(gateway) == {**GATEWAY, "model": None}
    collar = read_manifest(write(folder, COLLAR))
    assert collar.model is not None
    assert msgspec.to_builtins(collar.model) == {**MODEL, "threshold": None, "standard": None}
    odd = read_manifest(write(folder, {**COLLAR, "model": RECONSTRUCTION}))
    assert odd.model is not None
    assert odd.model.threshold == 0.3
    assert odd.model.standard == Standard(NUMBERS, NUMBERS)


def test_defaults_are_those_of_the_reference(folder: Path) -> None:
    optional = ("sdk", "settings")
    small = read_manifest(write(folder, {k: v for k, v in GATEWAY.items() if k not in optional}))
    assert (small.sdk, small.settings, small.model) == (SDK_VERSION, {}, None)
    model = Model(sha256="0" * 64, task=Task.CLASSIFY, labels=[Behaviour.WALK])
    assert (model.file, model.rate_hz, model.samples) == ("model.tflite", 25.0, 100)
    assert (model.sees, model.input_shape, model.outputs) == ("window", (1, 100, 1, 6), 1)
    assert (model.abstain_below, model.threshold, model.standard) == (0.0, None, None)
    assert model.budget == Budget(flash_bytes=16_384, arena_bytes=8_192)


WRONG: list[tuple[dict[str, Any], str, Any, str]] = [
    (GATEWAY, "id", "Echo!", "id"),
    (GATEWAY, "id", None, "id"),
    (GATEWAY, "version", "1.2", "version"),
    (GATEWAY, "name", "", "name"),
    (GATEWAY, "name", "x" * 61, "name"),
    (GATEWAY, "summary", "x" * 201, "summary"),
    (GATEWAY, "runs_on", "cloud", "runs_on"),
    (GATEWAY, "sdk", "one", "sdk"),
    (GATEWAY, "sdk", "2.0", "SDK 2.0"),
    (GATEWAY, "sdk", "1.9", "SDK 1.9"),
    (GATEWAY, "entry", "plugin.py", "entry"),
    (GATEWAY, "entry", "../evil:predict", "entry"),
    (GATEWAY, "entry", None, "entry"),
    (GATEWAY, "inputs", {}, "inputs"),
    (GATEWAY, "inputs", {"gps": ["lat_deg"]}, "inputs"),
    (GATEWAY, "inputs", {"fix": "lat_deg"}, "inputs"),
    (GATEWAY, "settings", {"list": [1]}, "settings"),
    (GATEWAY, "colour", "red", "colour"),
    (COLLAR, "model", None, "model"),
    (COLLAR, "entry", "plugin:predict", "entry"),
    (COLLAR, "model.file", 3, "model.file"),
    (COLLAR, "model.sha256", "00", "model.sha256"),
    (COLLAR, "model.task", "dream", "model.task"),
    (COLLAR, "model.labels", ["fly"], "model.labels"),
    (COLLAR, "model.labels", [], "labels"),
    (COLLAR, "model.labels", ["walk", "unsure"], "labels"),
    (COLLAR, "model.abstain_below", 1.5, "model.abstain_below"),
    (COLLAR, "model.rate_hz", 0, "model.rate_hz"),
    (COLLAR, "model.samples", 5_000, "model.samples"),
    (COLLAR, "model.budget", {"flash_bytes": 0}, "model.budget.flash_bytes"),
    (COLLAR, "model.budget", {"arena_bytes": -1}, "model.budget.arena_bytes"),
    (COLLAR, "model.budget", {"flash_bytes": 99_999}, "flash"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.threshold", -1.0, "model.threshold"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.threshold", None, "threshold"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard", None, "standard"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.mean", [], "model.standard.mean"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.mean", [1.0], "of 36 features"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.sees", "features", "sees"),
    (COLLAR, "model.sees", "smells", "model.sees"),
    (COLLAR, "model.sees", "features", "model.standard"),
    (COLLAR, "model.standard", {"mean": NUMBERS, "std": NUMBERS}, "sees"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.std", [0.0] * 36, "model.standard.std"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.std", [1e-46] * 36, "model.standard.std"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.mean", [NAN] * 36, "model.standard.mean"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.standard.mean", [1e30] * 36, "standard.mean"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.threshold", NAN, "model.threshold"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.threshold", 1e-46, "model.threshold"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.rate_hz", 16.4, "rate_hz 16.4"),
    ({**COLLAR, "model": RECONSTRUCTION}, "model.samples", 60, "2.5 s"),
    (DESCRIBING, "model.rate_hz", 0.2, "rate_hz 0.2"),
    (DESCRIBING, "model.rate_hz", 1_000.0, "2.5 s"),
    (DESCRIBING, "model.samples", 139, "multiple of 20"),
    (DESCRIBING, "model.samples", 4_096, "multiple of 20"),
]


@pytest.mark.parametrize(("manifest", "path", "value", "named"), WRONG)
def test_a_wrong_field_is_refused_by_name(
    folder: Path, manifest: dict[str, Any], path: str, value: Any, named: str
) -> None:
    with pytest.raises(ManifestError, match=re.escape(named)):
        read_manifest(write(folder, put(manifest, path, value)))


@pytest.mark.parametrize(
    ("model", "rate_hz"),
    [
        *((DESCRIBING["model"], rate_hz) for rate_hz in (14.0, 16.4, 100.0, 1_000.0)),
        *((RECONSTRUCTION, rate_hz) for rate_hz in (25.0, 100.0, 1_000.0)),
    ],
)
def test_every_window_that_a_manifest_may_ask_for_has_its_features(
    folder: Path, model: dict[str, Any], rate_hz: float
) -> None:
    shortest = 20 * ceil(2.5 * rate_hz / 20)
    for samples in (shortest, shortest + 20):
        asked = model | {"rate_hz": rate_hz, "samples": samples}
        read = read_manifest(write(folder, COLLAR | {"model": asked})).model
        assert read is not None
        still = np.zeros((2, samples, 6), np.float32)
        moved = np.random.default_rng(3).normal(0, 1, still.shape).astype(np.float32)
        assert np.isfinite(prepare(read, still)).all()
        assert np.isfinite(prepare(read, moved)).all()


def test_every_field_has_a_wrong_value_here() -> None:
    tried = {path for _, path, _, _ in WRONG}
    assert set(Manifest.__struct_fields__) <= tried
    assert {f"model.{name}" for name in Model.__struct_fields__} <= tried
    assert {f"model.standard.{name}" for name in Standard.__struct_fields__} <= tried


def test_no_manifest_and_no_toml_are_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifest(folder)
    folder.mkdir()
    (folder / "plugin.toml").write_text("id = ")
    with pytest.raises(ManifestError, match=r"plugin\.toml"):
        read_manifest(folder)
    (folder / "plugin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError):
        read_manifest(folder)


@pytest.mark.parametrize("struct", [Manifest, Model, Budget, Standard])
def test_every_field_is_in_the_reference(struct: type[msgspec.Struct]) -> None:
    missing = [name for name in struct.__struct_fields__ if f"`{name}`" not in REFERENCE]
    assert missing == []


def test_every_type_field_and_limit_is_in_the_reference() -> None:
    for name in ("Inputs", "Record", "Zone", "Outputs", "Finding", "Observation", "Context"):
        struct = getattr(sdk_types, name)
        assert f"`{name}" in REFERENCE
        for field in struct.__struct_fields__:
            assert re.search(rf"\b{field}\b", REFERENCE), f"{name}.{field}"
    assert f"{sdk_types.MAX_STATE_BYTES:,}" in REFERENCE
    for fields in sdk_types.STREAM_FIELDS.values():
        assert [name for name in fields if f"`{name}`" not in REFERENCE] == []


@pytest.mark.parametrize("stream", list(Input))
def test_the_fields_a_plugin_may_ask_for_are_the_wires(stream: Input) -> None:
    message = MESSAGES[Kind(stream.value)]
    own = set(message.__struct_fields__) - set(Message.__struct_fields__)
    assert set(sdk_types.STREAM_FIELDS[stream]) == own


def test_a_broken_plugin_never_hides_the_others(tmp_path: Path) -> None:
    for name, manifest in (
        ("good", GATEWAY),
        ("collar", {**COLLAR, "id": "collar"}),
        ("double", GATEWAY),
        ("broken", put(GATEWAY, "version", 1)),
        ("greedy", {**GATEWAY, "id": "greedy", "inputs": {"fix": ["heart_rate"]}}),
        ("empty", {**GATEWAY, "id": "empty", "entry": "missing:predict"}),
    ):
        write(tmp_path / "a" / name, manifest)
        if name != "empty":
            (tmp_path / "a" / name / "plugin.py").touch()
    (tmp_path / "a" / "no-plugin").mkdir()
    write(tmp_path / "b" / "later", {**GATEWAY, "id": "collar"})
    result = discover([tmp_path / "a", tmp_path / "b", tmp_path / "absent"])
    assert [found.folder.name for found in result.found] == ["double"]  # the first by name
    reasons = {broken.folder.name: broken.reason for broken in result.broken}
    assert "version" in reasons["broken"]
    assert "heart_rate" in reasons["greedy"]
    assert "there are lat_deg" in reasons["greedy"]
    assert "missing.py" in reasons["empty"]
    assert "taken by" in reasons["good"]
    assert "taken by" in reasons["later"]


def test_our_own_plugins_are_found() -> None:
    result = discover([ROOT / "plugins"])
    assert [b for b in result.broken if b.folder.name in ("geofence", "emotion")] == []
    found = {each.manifest.id: each.manifest for each in result.found}
    assert {"geofence", "emotion"} <= found.keys()
    assert all(manifest.runs_on is Place.GATEWAY for manifest in found.values())
