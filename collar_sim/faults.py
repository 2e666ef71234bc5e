"""What breaks on a collar, on purpose: a list in the fleet file, in seconds of the live phase.

The firmware knows nothing of it. It sees a sensor that says no numbers, a clock that jumps, its
own boot; and has to cope.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from collar_sim.arrays import BoolArray
from collar_sim.firmware.clock import ClockJump
from collar_sim.firmware.sensing.epochs import RATE_HZ
from plugins.sdk.arrays import FloatArray

SECOND = timedelta(seconds=1)
STUCK_AXIS = 2


class FaultKind(StrEnum):
    """What breaks."""

    IMU_NAN = "imu_nan"
    """The motion sensor says no numbers."""
    IMU_STUCK = "imu_stuck"
    """One axis of acceleration stays as it is."""
    CLOCK_JUMP = "clock_jump"
    """The clock is ahead by ``size_s`` (below zero: behind), until the network corrects it."""
    REBOOT = "reboot"
    """The firmware crashes, and is up again after ``for_s``; its clock goes on."""
    DEAD = "dead"
    """No power any more."""


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One fault of one collar."""

    kind: FaultKind
    after_s: Annotated[float, Meta(ge=0, le=1e9)]
    """Seconds of the live phase until it begins."""
    for_s: Annotated[float, Meta(ge=0, le=1e9)] = 1e9
    """How long it lasts; without it, for good. A reboot takes a second at least."""
    size_s: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    """Of a jump of the clock."""

    def __post_init__(self) -> None:
        if self.size_s and self.kind is not FaultKind.CLOCK_JUMP:
            raise ValueError(f"size_s says nothing of {self.kind}")


class Faults:
    """The faults of one collar, once the live phase has begun."""

    def __init__(self, faults: Sequence[Fault], live_at: datetime) -> None:
        """In whole seconds from the beginning of the live phase."""
        self._spans = [(fault, *_span(fault, live_at)) for fault in faults]
        self._held = np.float32(0.0)
        """Where the stuck axis is."""
        self._is_stuck = False

    @property
    def jumps(self) -> list[ClockJump]:
        """What is wrong with its clock."""
        return [
            ClockJump(from_at, until_at, timedelta(seconds=fault.size_s))
            for fault, from_at, until_at in self._spans
            if fault.kind is FaultKind.CLOCK_JUMP
        ]

    def is_down(self, start_at: datetime) -> BoolArray:
        """In which seconds of a minute the firmware does not run; shape (60,)."""
        return self._seconds(FaultKind.REBOOT, start_at) | self._seconds(FaultKind.DEAD, start_at)

    def spoilt(self, imu: FloatArray, start_at: datetime) -> FloatArray:
        """What the sensor says instead of a minute's samples, shape (1500, 6)."""
        lost = self._seconds(FaultKind.IMU_NAN, start_at)
        stuck = self._seconds(FaultKind.IMU_STUCK, start_at)
        if not (lost.any() or stuck.any() or self._is_stuck):
            return imu
        said = imu.copy().reshape(60, RATE_HZ, 6)
        for second, is_stuck in enumerate(stuck.tolist()):
            if is_stuck and not self._is_stuck:
                self._held = said[second, 0, STUCK_AXIS]
            if is_stuck:
                said[second, :, STUCK_AXIS] = self._held
            self._is_stuck = is_stuck
        said[lost] = np.nan
        return said.reshape(imu.shape)

    def _seconds(self, kind: FaultKind, start_at: datetime) -> BoolArray:
        during = np.zeros(60, np.bool_)
        for fault, from_at, until_at in self._spans:
            if fault.kind is kind:
                first, end = ((at - start_at) // SECOND for at in (from_at, until_at))
                during[max(0, min(60, first)) : max(0, min(60, end))] = True
        return during


def _span(fault: Fault, live_at: datetime) -> tuple[datetime, datetime]:
    least_s = 1 if fault.kind is FaultKind.REBOOT else 0
    lasts_s = 1e9 if fault.kind is FaultKind.DEAD else max(fault.for_s, least_s)
    from_at = live_at + timedelta(seconds=round(fault.after_s))
    return from_at, from_at + timedelta(seconds=round(lasts_s))
