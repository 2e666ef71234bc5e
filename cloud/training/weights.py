"""What a later training goes on from, as one .npz: float weights, and examples against forgetting.

The examples are windows of the animals that the first training knew (simulated, for what ships).
They pass from training to training unchanged: windows that an owner shared are never among them,
so that a grant that ends leaves nothing behind here.
"""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.training.errors import WeightsRefused

FloatArray = NDArray[np.float32]

MAX_BYTES = 2_000_000  # unpacked; the networks of this package have some ten thousand weights
WINDOWS, TARGETS = "windows", "targets"


@dataclass(frozen=True)
class Examples:
    """Windows that a model must go on getting right."""

    windows: NDArray[np.int8]
    """Shape (n, samples, 6): the input's int8 grid."""
    targets: NDArray[np.uint8]
    """The number of the label of each."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Start:
    """Where a training begins, if not from nothing."""

    weights: list[FloatArray]
    """In the order of the network's own."""
    examples: Examples

    def pack(self) -> bytes:
        """As an .npz; the same content gives the same bytes."""
        named: dict[str, Any] = {
            _name(k): array.astype(np.float32) for k, array in enumerate(self.weights)
        }
        named |= {WINDOWS: self.examples.windows, TARGETS: self.examples.targets}
        file = io.BytesIO()
        np.savez_compressed(file, **named)
        return file.getvalue()


def unpack(packed: bytes, shapes: list[tuple[int, ...]], samples: int, labels: int) -> Start:
    """The content of a file that someone else may have written.

    Args:
        packed: What `Start.pack` made. Nothing in it is executed.
        shapes: Of the weights of the network that is to start from it.
        samples: Of a window.
        labels: How many the network tells apart.

    Raises:
        WeightsRefused: It is no such file, or of another network.
    """
    names = [_name(k) for k in range(len(shapes))]
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise WeightsRefused(f"the weights unpack to more than {MAX_BYTES} bytes")
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            if set(file.files) != {*names, WINDOWS, TARGETS}:
                held = len(file.files) - 2
                raise WeightsRefused(f"{held} arrays of weights, the network has {len(shapes)}")
            arrays = [file[name] for name in names]
            windows, targets = file[WINDOWS], file[TARGETS]
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, NotImplementedError) as e:
        raise WeightsRefused(f"the weights are no .npz of plain numbers: {e}") from e
    for name, array, shape in zip(names, arrays, shapes, strict=True):
        if array.shape != shape:
            raise WeightsRefused(f"array {name} is {array.shape}, the network has {shape}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise WeightsRefused(f"array {name} holds something that is no number")
    if windows.dtype != np.int8 or windows.ndim != 3 or windows.shape[1:] != (samples, 6):
        raise WeightsRefused(f"the examples are {windows.dtype} {windows.shape}, no int8 windows")
    if len(windows) == 0:
        raise WeightsRefused("the weights come without examples, and would forget what they knew")
    if targets.dtype != np.uint8 or targets.shape != windows.shape[:1] or (targets >= labels).any():
        raise WeightsRefused(f"the examples have targets that are none of {labels} labels")
    return Start([array.astype(np.float32) for array in arrays], Examples(windows, targets))


def _name(index: int) -> str:
    return f"w{index:03d}"
