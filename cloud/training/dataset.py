"""Labelled windows of several animals, as plain arrays."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plugins.sdk.arrays import FloatArray
from plugins.sdk.manifest import RATE_HZ, WINDOW_SAMPLES

Text = NDArray[np.str_]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Dataset:
    """Windows and what was true in them; all arrays have the same length n."""

    windows: FloatArray
    """Shape (n, samples, 6): g and deg/s."""
    labels: Text
    """The behaviour that fills most of the window."""
    purity: FloatArray
    """The share of the window that it fills."""
    anomalies: Text
    """What was wrong with the animal for at least half of the window; empty if nothing."""
    animals: Text
    """Whose window it is: splits never cut an animal in two."""

    def __len__(self) -> int:
        return len(self.windows)

    def where(self, mask: Mask) -> Self:
        """The windows that a mask selects."""
        return type(self)(
            self.windows[mask],
            self.labels[mask],
            self.purity[mask],
            self.anomalies[mask],
            self.animals[mask],
        )

    def of(self, animals: Iterable[str]) -> Self:
        """The windows of some animals."""
        return self.where(np.isin(self.animals, list(animals)))

    def digest(self) -> str:
        """SHA-256 of every byte that a training could see."""
        digest = hashlib.sha256()
        for array in (self.windows, self.labels, self.purity, self.anomalies, self.animals):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def capped(self, per_class: int, rng: np.random.Generator) -> Self:
        """At most so many windows of each class of each animal, drawn at random.

        Animals rest most of the day; a model learns nothing from the ten-thousandth still window.
        """
        keep = np.zeros(len(self), np.bool_)
        for animal in np.unique(self.animals):
            for label in np.unique(self.labels):
                rows = np.flatnonzero((self.animals == animal) & (self.labels == label))
                keep[rng.permutation(rows)[:per_class]] = True
        return self.where(keep)


def cut(
    imu: FloatArray,
    behaviour: Text,
    anomaly: Text,
    animal: str,
    *,
    rate_hz: int = int(RATE_HZ),
    samples: int = WINDOW_SAMPLES,
    hop_s: int = 4,
) -> Dataset:
    """Windows of one unbroken recording.

    Args:
        imu: Shape (n, 6) at ``rate_hz``.
        behaviour: One word per second.
        anomaly: One word per second; empty where nothing is wrong.
        animal: Whose recording it is.
        rate_hz: Whole samples per second.
        samples: Window length, a whole number of seconds.
        hop_s: From the start of one window to the next.

    Raises:
        ValueError: The window is no whole number of seconds.
    """
    length_s, rest = divmod(samples, rate_hz)
    if rest:
        raise ValueError(f"{samples} samples at {rate_hz} Hz are no whole number of seconds")
    starts_s = np.arange(0, len(behaviour) - length_s + 1, hop_s)
    seconds = starts_s[:, None] + np.arange(length_s)
    rows = starts_s[:, None] * rate_hz + np.arange(samples)
    labels, purity = _majority(behaviour[seconds])
    wrong, share = _majority(anomaly[seconds])
    return Dataset(
        windows=imu[rows],
        labels=labels,
        purity=purity,
        anomalies=np.where(share >= 0.5, wrong, ""),
        animals=np.full(len(starts_s), animal, "<U24"),
    )


def joined(parts: Iterable[Dataset]) -> Dataset:
    """Several datasets as one."""
    every = list(parts)
    return Dataset(
        np.concatenate([part.windows for part in every]),
        np.concatenate([part.labels for part in every]),
        np.concatenate([part.purity for part in every]),
        np.concatenate([part.anomalies for part in every]),
        np.concatenate([part.animals for part in every]),
    )


def _majority(words: Text) -> tuple[Text, FloatArray]:
    """Per row, its most frequent word (the first in the alphabet on a tie) and its share."""
    names = np.unique(words)
    counts = np.stack([np.sum(words == name, axis=1) for name in names])
    return names[np.argmax(counts, axis=0)], (counts.max(axis=0) / words.shape[1]).astype("f4")
