"""Minutes of a whole fleet, made ahead of the clock: the part that takes the CPU.

Runs in a worker thread, one minute at a time, so that the connections never wait for it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import numpy as np
import structlog

from collar_sim.animal import AnimalMinute
from collar_sim.duty import PowerChange
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.minute import MINUTE, Draft, Seen, look
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.stages import Stage, Stopwatch
from collar_sim.wearer import Carried, Produced, Sensed, Wearer
from collar_sim.whereabouts import Move

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BATCH = 64  # collars per pass through the models: 960 windows, 2.3 MB of samples: fits a cache

NO_SAMPLES = np.empty((0, 6), np.float32)
Lived = list[tuple[Wearer, Sensed]]

_carried = msgspec.msgpack.Decoder(dict[str, Carried])
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class FleetMinute:
    """One minute of all collars."""

    start_at: datetime
    drafts: list[tuple[Draft | PowerChange | Move, Collar]]
    """What is said and what happens, in the order of its release."""
    truth: list[tuple[str, AnimalMinute, float]]
    """Collar, what really happened (without the samples), battery in %; empty unless wanted."""
    carried: bytes
    """What each member carries into the next minute; see `unpack_carried`."""

    @property
    def end_at(self) -> datetime:
        """When it is over."""
        return self.start_at + MINUTE


def unpack_carried(blob: bytes) -> dict[str, Carried]:
    """What each member carried, by collar."""
    return _carried.decode(blob)


def _truth(wearer: Wearer, made: Produced) -> tuple[str, AnimalMinute, float]:
    """What is kept until the minute is over: not the samples, 36 kB of a collar."""
    return wearer.collar.collar_id, replace(made.truth, imu=NO_SAMPLES), made.battery_pct


class Production:
    """Makes the minutes of the fleet, one after the other."""

    def __init__(self, wearers: list[Wearer], after_at: datetime) -> None:
        """Of these members, leaving out what they said up to ``after_at``."""
        self._wearers = wearers
        self._after_at = after_at
        self.watch = Stopwatch()
        self.keeps_truth = False
        self.failed: dict[str, str] = {}
        """Members that broke, and how; the others go on."""

    def minute(self, start_at: datetime) -> FleetMinute:
        """The minute that begins at an instant; the next one each time."""
        groups: dict[int, list[Wearer]] = {}
        for wearer in self._wearers:
            wearer.prepare()
            groups.setdefault(id(wearer.slots), []).append(wearer)
        produced: list[tuple[Wearer, Produced]] = []
        for group in groups.values():
            for at in range(0, len(group), BATCH):
                produced += self._batch(group[0].slots, group[at : at + BATCH], start_at)
        drafts: list[tuple[Draft | PowerChange | Move, Collar]] = [
            (move, wearer.collar)  # where it was is of use whenever it was
            for wearer, made in produced
            if wearer.radio is not None
            for move in made.moves
        ]
        drafts += [
            (draft, wearer.collar)
            for wearer, made in produced
            for draft in made.drafts
            if draft.release_at > self._after_at
        ]
        drafts.sort(key=lambda pair: pair[0].release_at)  # stable: each collar keeps its order
        return FleetMinute(
            start_at,
            drafts,
            [_truth(wearer, made) for wearer, made in produced] if self.keeps_truth else [],
            _encode({w.collar.collar_id: w.carried() for w in self._wearers}),
        )

    def _batch(
        self, slots: ModelSlots, wearers: list[Wearer], start_at: datetime
    ) -> list[tuple[Wearer, Produced]]:
        with self.watch.timing(Stage.ANIMAL):
            lived = self._lived(wearers, start_at)
        with self.watch.timing(Stage.MODELS):
            return self._seen(slots, lived, start_at)

    def _lived(self, wearers: list[Wearer], start_at: datetime) -> Lived:
        lived: Lived = []
        for wearer in wearers:
            try:
                lived.append((wearer, wearer.live(start_at)))
            except Exception as error:  # one animal's trouble is not the fleet's
                self._drop(wearer, error)
        return lived

    def _seen(
        self, slots: ModelSlots, lived: Lived, start_at: datetime
    ) -> list[tuple[Wearer, Produced]]:
        if not lived:
            return []
        after_s = int((self._after_at - start_at).total_seconds())
        lived, seen = self._looked(slots, lived)
        made: list[tuple[Wearer, Produced]] = []
        for (wearer, minute), each in zip(lived, seen, strict=True):
            try:
                made.append((wearer, wearer.report(minute, each, max(-1, after_s))))
            except Exception as error:
                self._drop(wearer, error)
        return made

    def _looked(self, slots: ModelSlots, lived: Lived) -> tuple[Lived, list[Seen]]:
        """Those whose minute the models could bear, and what they made of it."""
        try:
            return lived, look(
                slots,
                [sensed for _, sensed in lived],
                np.stack([sensed.sound for _, sensed in lived]),
                [sensed.duty.since_s for _, sensed in lived],
            )
        except Exception as error:  # one collar's samples are not the batch's
            if len(lived) == 1:
                self._drop(lived[0][0], error)
                return [], []
        alone = [self._looked(slots, [each]) for each in lived]
        return [pair for kept, _ in alone for pair in kept], [s for _, seen in alone for s in seen]

    def _drop(self, wearer: Wearer, error: Exception) -> None:
        self.failed[wearer.collar.collar_id] = repr(error)
        self._wearers = [other for other in self._wearers if other is not wearer]
        log.error("collar.failed", collar_id=wearer.collar.collar_id, exc_info=error)
