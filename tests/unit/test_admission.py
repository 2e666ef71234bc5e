"""Hostile and broken models: each is refused with a reason, and what is admitted is safe to run."""

import hashlib
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter as LiteRt

from collar_sim.firmware.models.classifier import micro_available
from plugins.sdk.admission import MAX_FILE_BYTES, admit
from plugins.sdk.errors import ManifestError, ModelRefused
from plugins.sdk.manifest import COLLAR_BUDGET, Budget, Place, read_manifest
from plugins.sdk.package import Package, admitted

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "plugins"
CNN = ROOT / "tests" / "data" / "window-cnn"
"""A convolution over the samples themselves: more operators than the shipped models have."""
RAW = (CNN / "model.tflite").read_bytes()
SHAPE, OUTPUTS = (1, 100, 1, 6), 10


def admit_activity(raw: bytes, budget: Budget = COLLAR_BUDGET) -> bytes:
    return admit(raw, budget, input_shape=SHAPE, outputs=OUTPUTS)


def copy_of(package: str, into: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / package, into / package))


def rewritten(change) -> bytes:
    """The model with one thing changed, as a well-formed flatbuffer."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(bytearray(RAW), 0)
    change(model)
    builder = flatbuffers.Builder(len(RAW))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_the_canonical_form_is_its_own_canonical_form():
    assert admit_activity(RAW) == RAW


def test_names_and_metadata_are_left_behind():
    def label(model):
        model.description = "attack" * 100
        model.subgraphs[0].tensors[0].name = "attack"

    assert admit_activity(rewritten(label)) == RAW


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "file is 0 B"),
        (bytes(MAX_FILE_BYTES + 1), "at most"),
        (bytes(1000), "not a TFL3"),
        (RAW[:4] + b"TFL3" + bytes(1000), "malformed|schema version"),
        (RAW[: len(RAW) // 2], "malformed"),
        (RAW[:-1], "malformed"),
        (b"\xff\xff\xff\xff" + RAW[4:], "malformed"),
    ],
    ids=["empty", "huge", "zeros", "header-only", "half", "one-byte-short", "root-outside"],
)
def test_a_corrupt_file_is_refused(raw, reason):
    with pytest.raises(ModelRefused, match=reason):
        admit_activity(raw)


def test_every_truncation_is_refused_or_complete():
    for size in range(0, len(RAW), 97):
        with pytest.raises(ModelRefused):
            admit_activity(RAW[:size])


def test_what_does_not_fit_the_collar_is_refused():
    with pytest.raises(ModelRefused, match="budget is 1000 B of flash"):
        admit_activity(RAW, Budget(flash_bytes=1000))
    with pytest.raises(ModelRefused, match="budget is 100 B of arena"):
        admit_activity(RAW, Budget(arena_bytes=100))


def test_another_window_or_label_count_is_refused():
    with pytest.raises(ModelRefused, match=r"input is \[1, 100, 1, 6\], the host feeds"):
        admit(RAW, COLLAR_BUDGET, input_shape=(1, 50, 1, 6), outputs=OUTPUTS)
    with pytest.raises(ModelRefused, match=r"not \[1, 5\]"):
        admit(RAW, COLLAR_BUDGET, input_shape=SHAPE, outputs=5)


def _first(model):
    return model.subgraphs[0].operators[0]


CHANGES = {
    "two subgraphs": (lambda m: m.subgraphs.append(m.subgraphs[0]), "one subgraph"),
    "custom operator": (
        lambda m: setattr(m.operatorCodes[0], "customCode", "evil"),
        "not allowed",
    ),
    "other operator": (
        lambda m: (
            setattr(m.operatorCodes[0], "builtinCode", schema.BuiltinOperator.WHILE),
            setattr(m.operatorCodes[0], "deprecatedBuiltinCode", schema.BuiltinOperator.WHILE),
        ),
        "not allowed|options",
    ),
    "operator of no code": (lambda m: setattr(_first(m), "opcodeIndex", 99), "code index"),
    "tensor out of range": (lambda m: setattr(_first(m), "inputs", [99, 1, 2]), "tensor index"),
    "reads itself": (
        lambda m: setattr(_first(m), "inputs", [_first(m).outputs[0], *_first(m).inputs[1:]]),
        "nobody computed",
    ),
    "stride of nought": (lambda m: setattr(_first(m).builtinOptions, "strideH", 0), "stride"),
    "dilated": (lambda m: setattr(_first(m).builtinOptions, "dilationHFactor", 7), "dilation"),
    "huge shape": (
        lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1, 1 << 30, 1, 6]),
        "shape",
    ),
    "negative shape": (
        lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1, -1, 1, 6]),
        "shape",
    ),
    "scale of nought": (
        lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "scale", [0.0]),
        "scale",
    ),
    "scale not a number": (
        lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "scale", [float("nan")]),
        "scale",
    ),
    "buffer out of range": (lambda m: setattr(m.subgraphs[0].tensors[0], "buffer", 999), "buffer"),
    "variable tensor": (
        lambda m: setattr(m.subgraphs[0].tensors[0], "isVariable", True),
        "variable",
    ),
    "no output": (lambda m: setattr(m.subgraphs[0], "outputs", []), "one output"),
    "output is input": (
        lambda m: setattr(m.subgraphs[0], "outputs", m.subgraphs[0].inputs),
        "never computed",
    ),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_wellformed_but_wrong_model_is_refused_with_the_reason(change, reason):
    with pytest.raises(ModelRefused, match=reason):
        admit_activity(rewritten(change))


def test_a_small_file_cannot_ask_for_endless_reading():
    """A reference to a table costs four bytes to write, and the whole table to read."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(RAW), 0)
    entry = model.subgraphs[0].tensors[0]

    def swell(m):
        m.subgraphs[0].tensors.extend([entry] * 500)

    with pytest.raises(ModelRefused, match="too many tensors"):
        admit_activity(rewritten(swell))


def mutations(count: int):
    """The shipped model with one to four fields overwritten, seeded."""
    rng = np.random.default_rng(11)
    kinds = ("<i", "<f", "<h", "<B")
    for _ in range(count):
        raw = bytearray(RAW)
        for _ in range(int(rng.integers(1, 5))):
            kind = kinds[rng.integers(len(kinds))]
            size = struct.calcsize(kind)
            at = int(rng.integers(0, len(raw) - size))
            if kind == "<f":
                value = float(np.float32(rng.choice([0, -1, 1e-30, 1e30, np.inf, np.nan, 0.5])))
            else:
                bits = 8 * size - (kind != "<B")
                value = int(rng.choice([0, 1, 2, 7, 127, 2**bits - 1, rng.integers(2**bits)]))
            struct.pack_into(kind, raw, at, value)
        yield bytes(raw)


def run_everywhere(canonical: bytes) -> None:
    """Load and run what was admitted, on every interpreter there is."""
    window = np.random.default_rng(0).integers(-128, 128, SHAPE, np.int8)
    interpreter = LiteRt(model_content=canonical, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
    interpreter.invoke()
    if micro_available():
        from tflite_micro import runtime

        micro = runtime.Interpreter.from_bytes(canonical, arena_size=65_536)
        micro.set_input(window, 0)
        micro.invoke()


def survive(count: int) -> None:
    """Admit or refuse so many corrupted models, and run the admitted ones."""
    refused = run = 0
    for raw in mutations(count):
        try:
            canonical = admit_activity(raw)
        except ModelRefused:
            refused += 1
        else:
            run_everywhere(canonical)
            run += 1
    assert refused > count / 10, (refused, run)
    assert run > count / 10, (refused, run)


def test_no_field_corruption_crashes_an_interpreter():
    """In a child process, so that a crash is seen as one."""
    code = "from tests.unit.test_admission import survive; survive(400)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_package_whose_model_is_not_the_one_it_names_is_refused(tmp_path):
    folder = copy_of("activity", tmp_path)
    path = folder / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(ModelRefused, match="the manifest says"):
        Package.load(folder)
    path.unlink()
    with pytest.raises(ModelRefused, match="No such file"):
        Package.load(folder)


def test_a_model_outside_its_folder_is_refused(tmp_path):
    folder = copy_of("activity", tmp_path)
    (tmp_path / "stolen.tflite").write_bytes(RAW)
    manifest = folder / "plugin.toml"
    manifest.write_text(manifest.read_text().replace('"model.tflite"', '"../stolen.tflite"'))
    with pytest.raises(ManifestError, match="own folder"):
        Package.load(folder)


def test_a_manifest_cannot_ask_for_more_than_a_slot_holds(tmp_path):
    folder = copy_of("activity", tmp_path)
    manifest = folder / "plugin.toml"
    manifest.write_text(manifest.read_text().replace("16384", "1638400"))
    with pytest.raises(ManifestError, match="slot holds 16384 B"):
        Package.load(folder)


def test_a_classifier_with_other_labels_than_outputs_is_refused():
    model = read_manifest(CNN).model
    assert model is not None
    fewer = msgspec.structs.replace(model, labels=model.labels[:3])
    assert hashlib.sha256(RAW).hexdigest() == model.sha256
    with pytest.raises(ModelRefused, match=r"not \[1, 3\]"):
        admitted(RAW, fewer, Place.COLLAR)
    with pytest.raises(ModelRefused, match="the host feeds"):
        admitted(RAW, msgspec.structs.replace(model, samples=50), Place.COLLAR)


@pytest.mark.parametrize("folder", [SHIPPED / "activity", SHIPPED / "anomaly", CNN])
def test_a_package_that_was_admitted_once_is_admitted_again(folder: Path):
    assert Package.load(folder).model == (folder / "model.tflite").read_bytes()
