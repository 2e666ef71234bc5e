"""What a later training goes on from, as one .npz: float weights, and examples against forgetting.

The examples are of the animals that the first training knew (simulated, for what ships). They pass
from training to training unchanged: windows that an owner shared are never among them, so that a
grant that ends leaves nothing behind here.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.errors import WeightsRefused
from plugins.sdk.arrays import FloatArray
from plugins.sdk.manifest import LARGEST, SMALLEST, Standard

MAX_BYTES = 2_000_000  # unpacked; the networks of this package have some ten thousand weights
INPUTS, TARGETS, STANDARD = "inputs", "targets", "standard"


@dataclass(frozen=True)
class Examples:
    """Inputs that a model must go on getting right."""

    inputs: NDArray[np.int8]
    """Shape (n, descriptors): the input's int8 grid."""
    targets: NDArray[np.uint8]
    """The number of the label of each."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Start:
    """Where a training begins, if not from nothing."""

    weights: list[FloatArray]
    """In the order of the network's own."""
    standard: Standard
    """What its inputs are measured by; the weights mean nothing without."""
    examples: Examples

    def pack(self) -> bytes:
        """As an .npz; the same content gives the same bytes."""
        named: dict[str, Any] = {
            _name(k): array.astype(np.float32) for k, array in enumerate(self.weights)
        }
        named[STANDARD] = np.array([self.standard.mean, self.standard.std])
        named |= {INPUTS: self.examples.inputs, TARGETS: self.examples.targets}
        file = io.BytesIO()
        np.savez_compressed(file, **named)
        return file.getvalue()


def unpack(packed: bytes, shapes: list[tuple[int, ...]]) -> Start:
    """The content of a file that someone else may have written.

    Args:
        packed: What `Start.pack` made. Nothing in it is executed.
        shapes: Of the weights of the network that is to start from it: the first axis of the first
            is its inputs, the last axis of the last its labels.

    Raises:
        WeightsRefused: It is no such file, or of another network.
    """
    names = [_name(k) for k in range(len(shapes))]
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise WeightsRefused(f"the weights unpack to more than {MAX_BYTES} bytes")
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            if set(file.files) != {*names, INPUTS, TARGETS, STANDARD}:
                held = len([name for name in file.files if name.startswith("w")])
                raise WeightsRefused(f"{held} arrays of weights, the network has {len(shapes)}")
            arrays = [file[name] for name in names]
            inputs, targets, standard = file[INPUTS], file[TARGETS], file[STANDARD]
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, NotImplementedError) as e:
        raise WeightsRefused(f"the weights are no .npz of plain numbers: {e}") from e
    for name, array, shape in zip(names, arrays, shapes, strict=True):
        if array.shape != shape:
            raise WeightsRefused(f"array {name} is {array.shape}, the network has {shape}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise WeightsRefused(f"array {name} holds something that is no number")
    width, labels = shapes[0][0], shapes[-1][-1]
    _require_standard(standard, width)
    _require_examples(inputs, targets, width, labels)
    return Start(
        [array.astype(np.float32) for array in arrays],
        Standard(mean=standard[0].tolist(), std=standard[1].tolist()),
        Examples(inputs, targets),
    )


def _require_standard(standard: NDArray[Any], width: int) -> None:
    if standard.shape != (2, width) or standard.dtype.kind != "f":
        raise WeightsRefused(f"the standard is {standard.shape}, the network has {width} inputs")
    if not (np.abs(standard) <= LARGEST).all() or not (standard[1] >= SMALLEST).all():
        raise WeightsRefused("the standard holds something that is no number, or no deviation")


def _require_examples(inputs: NDArray[Any], targets: NDArray[Any], width: int, labels: int) -> None:
    if inputs.dtype != np.int8 or inputs.ndim != 2 or inputs.shape[1] != width:
        raise WeightsRefused(f"the examples are {inputs.dtype} {inputs.shape}, no int8 inputs")
    if len(inputs) == 0:
        raise WeightsRefused("the weights come without examples, and would forget what they knew")
    if targets.dtype != np.uint8 or targets.shape != inputs.shape[:1] or (targets >= labels).any():
        raise WeightsRefused(f"the examples have targets that are none of {labels} labels")


def _name(index: int) -> str:
    return f"w{index:03d}"
