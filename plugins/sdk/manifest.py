"""``plugin.toml``: what a package is, what it needs, and what it may see.

Ours and third parties' packages are the same thing. A package for the collar carries a model and
nothing else; one for the gateway carries a Python entry, and may carry a model beside it.
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from plugins.sdk.behaviours import Behaviour
from plugins.sdk.errors import ManifestError

MANIFEST_FILE = "plugin.toml"
SDK_VERSION = "1.1"
RECONSTRUCTED, DESCRIBED = 36, 71  # features that a reconstruction and a classifier see
MAX_FEATURES = 128
RATE_HZ, WINDOW_SAMPLES = 25.0, 100  # what our collar takes: 4 s, two strides of the slowest walk

SMALLEST, LARGEST = 1e-6, 1e6  # of a standard: what float32 divides by, and squares, in earnest
FEATURES_RATE_HZ = {"described": 14.0, "reconstructed": 25.0}  # twice the highest band's end
FEATURES_SPAN_S = 2.5  # the slowest band must hold a frequency of the window
FEATURES_STEP = 20  # samples; a window is described by its fourths and fifths

Size = Annotated[float, Meta(ge=SMALLEST, le=LARGEST)]
Version = Annotated[str, Meta(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(?!\n)$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Place(StrEnum):
    """Where a package runs."""

    COLLAR = "collar"
    GATEWAY = "gateway"


class Input(StrEnum):
    """A stream of a pet's data that a gateway plugin can ask for."""

    EPOCH = "epoch"
    FIX = "fix"
    EVENT = "event"


class Task(StrEnum):
    """What a model's output means."""

    CLASSIFY = "classify"
    """One score per label."""
    RECONSTRUCT = "reconstruct"
    """The input again; how badly it is met is the anomaly."""


class View(StrEnum):
    """What a classifier sees of a window."""

    WINDOW = "window"
    """The samples themselves."""
    FEATURES = "features"
    """Its descriptors, in standard deviations (`plugins.sdk.descriptors`)."""


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """What the model may cost the collar."""

    flash_bytes: Annotated[int, Meta(gt=0)] = 16_384
    arena_bytes: Annotated[int, Meta(gt=0)] = 8_192


COLLAR_BUDGET = Budget()
"""What a slot of the collar holds: no manifest can ask for more there."""


class Standard(Struct, frozen=True, forbid_unknown_fields=True):
    """What the training animals' features looked like; the model sees distances from it."""

    mean: Annotated[
        list[Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]],
        Meta(min_length=1, max_length=MAX_FEATURES),
    ]
    """One per feature: of `plugins.sdk.features.NAMES` for a reconstruction, of
    `plugins.sdk.descriptors.NAMES` for a classifier."""
    std: Annotated[list[Size], Meta(min_length=1, max_length=MAX_FEATURES)]


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The .tflite of a package."""

    file: str = "model.tflite"
    sha256: Digest
    task: Task
    labels: list[Behaviour] = []
    """Of a classifier, in the order of its outputs."""
    abstain_below: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Best score under which a classifier says ``unsure``."""
    threshold: Size | None = None
    """Of a reconstruction: the error that counts as an anomaly (score 0.5)."""
    sees: View = View.WINDOW
    """Of a classifier. Since SDK 1.1."""
    standard: Standard | None = None
    """What features of a window are measured by, if that is what the model sees."""
    rate_hz: Annotated[float, Meta(gt=0, le=1000)] = RATE_HZ
    samples: Annotated[int, Meta(gt=0, le=4096)] = WINDOW_SAMPLES
    """Window length the model was made for."""
    budget: Budget = Budget()

    def __post_init__(self) -> None:
        if self.task is Task.CLASSIFY and (not self.labels or Behaviour.UNSURE in self.labels):
            raise ValueError("a classifier has labels, and abstains instead of learning 'unsure'")
        if self.task is Task.RECONSTRUCT and (self.threshold is None or self.standard is None):
            raise ValueError("a reconstruction has a threshold and a [model.standard]")
        if self.task is Task.RECONSTRUCT and self.sees is not View.WINDOW:
            raise ValueError("sees is for classifiers; a reconstruction always sees features")
        if (self.standard is not None) != (self.features > 0):
            raise ValueError('a [model.standard] goes with sees = "features"')
        if self.standard is not None and not (
            len(self.standard.mean) == len(self.standard.std) == self.features
        ):
            raise ValueError(f"the standard is of {self.features} features")
        if self.features:
            self._require_describable()

    def _require_describable(self) -> None:
        """A window that is too short, or too coarse, has no such features."""
        is_described = self.task is Task.CLASSIFY
        lowest_hz = FEATURES_RATE_HZ["described" if is_described else "reconstructed"]
        if self.rate_hz < lowest_hz:
            raise ValueError(f"rate_hz {self.rate_hz:g}: its features take at least {lowest_hz:g}")
        if self.samples < FEATURES_SPAN_S * self.rate_hz:
            raise ValueError(f"samples: its features take a window of {FEATURES_SPAN_S:g} s")
        if is_described and self.samples % FEATURES_STEP:
            raise ValueError(f"samples {self.samples}: a multiple of {FEATURES_STEP} has features")

    @property
    def features(self) -> int:
        """How many features of a window it sees; 0 if it sees the window itself."""
        if self.task is Task.RECONSTRUCT:
            return RECONSTRUCTED
        return DESCRIBED if self.sees is View.FEATURES else 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the .tflite on a collar, which makes the input itself."""
        return (1, self.features) if self.features else (1, self.samples, 1, 6)

    @property
    def outputs(self) -> int:
        """How many numbers it returns of a window."""
        return len(self.labels) if self.task is Task.CLASSIFY else RECONSTRUCTED


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package's description of itself."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    version: Version
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    summary: Annotated[str, Meta(min_length=1, max_length=200)]
    runs_on: Place
    sdk: Annotated[str, Meta(pattern=r"^\d+\.\d+$")] = SDK_VERSION
    """The SDK it was written for: same major number, and no newer than the host's."""
    model: Model | None = None
    entry: Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]*:[a-z_][a-z0-9_]*$")] | None = None
    """``module:function`` of a gateway plugin."""
    inputs: dict[Input, list[str]] = {}
    """Per stream, the fields it sees; the host gives no others."""
    settings: dict[str, float | int | str | bool] = {}
    """Defaults of what the owner may adjust."""

    def __post_init__(self) -> None:
        host_major, host_minor = map(int, SDK_VERSION.split("."))
        major, minor = map(int, self.sdk.split("."))
        if major != host_major or minor > host_minor:
            raise ValueError(f"written for SDK {self.sdk}, this host speaks {SDK_VERSION}")
        if self.runs_on is Place.COLLAR and (self.model is None or self.entry is not None):
            raise ValueError("a collar package has a [model] and no entry")
        if self.runs_on is Place.COLLAR and self.model is not None:
            asked = self.model.budget
            if (
                asked.flash_bytes > COLLAR_BUDGET.flash_bytes
                or asked.arena_bytes > COLLAR_BUDGET.arena_bytes
            ):
                raise ValueError(
                    f"a collar's slot holds {COLLAR_BUDGET.flash_bytes} B of flash and "
                    f"{COLLAR_BUDGET.arena_bytes} B of arena"
                )
        if self.runs_on is Place.GATEWAY and (self.entry is None or not self.inputs):
            raise ValueError("a gateway plugin has an entry and at least one of [inputs]")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the package in ``folder``.

    Raises:
        ManifestError: Missing, not TOML, or a field is wrong.
    """
    path = folder / MANIFEST_FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Manifest)
    except FileNotFoundError:
        raise ManifestError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path}: {error}") from None
