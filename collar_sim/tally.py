"""Counts of a running fleet: a report at its end, and a pulse whenever someone looks."""

import time
from collections import Counter
from datetime import datetime

import psutil
from msgspec import Struct

from collar_sim.assembly import Assembly
from collar_sim.firmware.log.flash import Flash
from collar_sim.pace import Pace
from collar_sim.report import Report
from collar_sim.stages import Stopwatch, shares_of
from gateway.wire.topics import Kind


class Pulse(Struct, kw_only=True):
    """How things stand, cheap enough for every second; counts as in `Report`."""

    simulated_until: datetime
    present: datetime
    """What the fleet's clock shows."""
    is_live: bool
    collars: int
    connected: int
    """Collars that have a session with the broker now."""
    published: int
    acked: int
    owed: int
    transmissions: int
    radio_lost: int
    lag_s: float
    seconds: float
    """Since the start."""


class Tally:
    """Counts an assembly's doings, beside the flash that keeps them."""

    def __init__(self, parts: Assembly, flash: Flash, watch: Stopwatch) -> None:
        self.pace = Pace(parts.clock)
        self._parts = parts
        self._flash = flash
        self._watch = watch
        self._began_s = time.monotonic()
        self._before = sum(flash.published().values()) - self._positions()

    def pulse(self, until: datetime, *, is_live: bool) -> Pulse:
        """How things stand."""
        logs, link = self._flash.logs.values(), self._parts.link
        return Pulse(
            simulated_until=until,
            present=self._parts.clock.now(),
            is_live=is_live,
            collars=len(self._parts.wearers),
            connected=sum(uplink.is_connected for uplink in self._parts.uplinks.values()),
            published=self._before + self._positions(),
            acked=sum(log.acked for log in logs),
            owed=sum(map(len, logs)),
            transmissions=link.transmissions,
            radio_lost=link.radio_lost,
            lag_s=round(self.pace.lag_s, 3),
            seconds=round(time.monotonic() - self._began_s, 3),
        )

    def report(self, until: datetime, *, is_live: bool) -> Report:
        """What it came to."""
        logs, parts = self._flash.logs.values(), self._parts
        by_kind = self._flash.published()
        seconds = time.monotonic() - self._began_s
        in_use = parts.shelf.slots
        windows = sum(slots.windows for slots in in_use)
        cpu_s = self._watch.cpu_s()
        return Report(
            collars=len(parts.wearers),
            published=sum(by_kind.values()),
            by_kind=by_kind,
            transmissions=parts.link.transmissions,
            radio_lost=parts.link.radio_lost,
            overwritten=sum(log.overwritten for log in logs),
            dropped=dict(sum((log.dropped for log in logs), Counter[str]())),
            acked=sum(log.acked for log in logs),
            owed=sum(map(len, logs)),
            off=len(parts.switch.off),
            too_large=sum(wearer.collar.too_large for wearer in parts.wearers),
            boots=max((log.boot for log in logs), default=0),
            seconds=round(seconds, 3),
            windows=windows,
            windows_per_s=round(windows / seconds, 1) if seconds else 0.0,
            simulated_until=until,
            is_live=is_live,
            refused={**parts.refused, **parts.production.failed},
            refused_models=parts.installation.refused
            | {slot: reason for slots in in_use for slot, reason in slots.refused.items()},
            updated=parts.installation.updated,
            windows_sent=by_kind.get(Kind.WINDOW, 0),
            real_time_factor=round(self.pace.real_time_factor, 3),
            lag_s=round(self.pace.lag_s, 3),
            max_lag_s=round(self.pace.max_lag_s, 3),
            cpu_s=cpu_s,
            cpu_share=shares_of(cpu_s),
            messages_refused=parts.link.refused,
            unreached=parts.link.unreached if parts.wearers else "",
            rss_mb=round(psutil.Process().memory_info().rss / 2**20, 1),
        )

    def _positions(self) -> int:
        """Messages written by this process, and those it found in flash."""
        return sum(log.end for log in self._flash.logs.values())
