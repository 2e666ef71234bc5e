"""What a recording gives the firmware: steps, each a minute of motion or a position."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from collar_sim.firmware.minute import Draft, Seen, drafts, look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.sensing.epochs import RATE_HZ, WINDOW_S, WINDOW_SAMPLES, WINDOWS
from collar_sim.firmware.sensing.usual import Memory, considered
from collar_sim.replay.instants import to_datetime
from collar_sim.replay.labels import Tally
from collar_sim.replay.resample import to_firmware
from collar_sim.replay.stretches import Stretch
from plugins.sdk.arrays import FloatArray

LENIENT = 0.01  # of a window: one sample at its end, which a clock may be off by
BATCH = 64  # minutes per pass through the models: 960 windows, as a fleet's


@dataclass(frozen=True)
class Step:
    """What a collar says about a minute, or about a position."""

    began_at: datetime
    drafts: list[Draft]
    tally: Tally = field(default_factory=dict[str, dict[str, int]])


class Source(Protocol):
    """One animal's recording, cut into steps that are the same whenever it is read."""

    @property
    def steps(self) -> int:
        """How many there are."""
        ...

    @property
    def first_at(self) -> datetime:
        """When the first one begins."""
        ...

    @property
    def last_at(self) -> datetime:
        """When the last one is over."""
        ...

    def batches(self, first: int) -> Iterator[list[Step]]:
        """The steps from a number on; takes the CPU."""
        ...


@dataclass(frozen=True)
class RecordedMinute:
    """Samples at the firmware's rate, at most a minute of them."""

    imu: FloatArray


class MotionSource:
    """Motion of one animal through the models of one collar."""

    def __init__(self, stretches: list[Stretch], words: list[str], slots: ModelSlots) -> None:
        """Of these stretches, in the order of time; ``words`` are those that labels point to."""
        self.slots = slots
        self._words = words
        self._stretches = [each for each in stretches if windows_in(each)]
        self._minutes = [-(-windows_in(each) // WINDOWS) for each in self._stretches]

    @property
    def steps(self) -> int:
        """See `Source.steps`."""
        return sum(self._minutes)

    @property
    def windows(self) -> int:
        """How many there are."""
        return sum(map(windows_in, self._stretches))

    @property
    def first_at(self) -> datetime:
        """See `Source.first_at`."""
        return to_datetime(self._stretches[0].start_us)

    @property
    def last_at(self) -> datetime:
        """See `Source.last_at`."""
        last = self._stretches[-1]
        return to_datetime(last.start_us + round(windows_in(last) * WINDOW_S * 1e6))

    def batches(self, first: int) -> Iterator[list[Step]]:
        """See `Source.batches`. What went before is looked at again, for what it left behind."""
        memory = Memory()
        for stretch, minutes in zip(self._stretches, self._minutes, strict=True):
            for at, batch in self._stretch(stretch, memory.interrupted()):
                memory = batch[-1][1]
                if at + len(batch) > first:
                    yield [step for step, _ in batch[max(0, first - at) :]]
            first -= minutes

    def _stretch(
        self, stretch: Stretch, memory: Memory
    ) -> Iterator[tuple[int, list[tuple[Step, Memory]]]]:
        """Its steps by the batch, each with what the collar remembers then; and which is first."""
        windows = windows_in(stretch)
        size = windows * WINDOW_SAMPLES
        imu = to_firmware(stretch.imu, stretch.rate_hz)[:size]
        imu = np.pad(imu, ((0, size - len(imu)), (0, 0)), mode="edge")
        words = self._words_of(stretch, windows)
        whole = windows // WINDOWS
        size = WINDOWS * WINDOW_SAMPLES
        for at in range(0, whole, BATCH):
            stop = min(at + BATCH, whole)
            minutes = [RecordedMinute(imu[n * size : (n + 1) * size]) for n in range(at, stop)]
            made: list[tuple[Step, Memory]] = []
            for n, seen in enumerate(look(self.slots, minutes), at):
                said, memory = considered(memory, seen)
                made.append((self._step(stretch, n, said, words), memory))
            yield at, made
        if windows % WINDOWS:
            [seen] = look(self.slots, [RecordedMinute(imu[whole * size :])])
            said, memory = considered(memory, seen)
            yield whole, [(self._step(stretch, whole, said, words), memory)]

    def _step(self, stretch: Stretch, minute: int, seen: Seen, words: list[str]) -> Step:
        start_at = to_datetime(stretch.start_us + minute * 60_000_000)
        tally: Tally = {}
        for word, said in zip(words[minute * WINDOWS :], seen.said, strict=False):
            row = tally.setdefault(word, {})
            row[said.value] = row.get(said.value, 0) + 1
        return Step(start_at, drafts(start_at, seen, [], None), tally)

    def _words_of(self, stretch: Stretch, windows: int) -> list[str]:
        """Each window's label: that of more than half of its samples, else empty."""
        at = np.arange(windows * WINDOW_SAMPLES) * (stretch.rate_hz / RATE_HZ)
        nearest = np.minimum(np.rint(at).astype(np.intp), len(stretch.labels) - 1)
        codes = stretch.labels[nearest].reshape(windows, WINDOW_SAMPLES)
        middle = np.sort(codes, axis=1)[:, WINDOW_SAMPLES // 2]  # has the majority, if any has
        most = (codes == middle[:, None]).sum(axis=1) * 2 > WINDOW_SAMPLES
        return [
            self._words[code] if held and code >= 0 else ""
            for code, held in zip(middle.tolist(), most.tolist(), strict=True)
        ]


def windows_in(stretch: Stretch) -> int:
    """Whole windows that a stretch fills.

    >>> windows_in(Stretch("s", 0, 50.0, np.zeros((390, 6), np.float32), np.zeros(390, np.int32)))
    1
    """
    return int(len(stretch.imu) / stretch.rate_hz / WINDOW_S + LENIENT)
