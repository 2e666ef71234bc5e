"""One collar: turns drafts into numbered, sealed messages in its flash."""

from datetime import datetime
from typing import Any

import msgspec
import structlog
from msgspec import NODEFAULT

from collar_sim.firmware.clock import CollarClock
from collar_sim.firmware.link.uploads import AT_ONCE, Uploads
from collar_sim.firmware.log.flash_log import Entry, FlashLog
from collar_sim.firmware.log.sealer import Sealer, SealingKey
from collar_sim.firmware.minute import Draft
from gateway.wire.codec import JSON, MSGPACK, encode
from gateway.wire.errors import TooLarge
from gateway.wire.messages import MESSAGES, Key, Slot
from gateway.wire.topics import Kind
from plugins.sdk.manifest import RATE_HZ

log: structlog.stdlib.BoundLogger = structlog.get_logger()

HARDWARE = "pawmesh-sim"
FIRMWARE = "1.1.0"

_DEFAULTS = {
    kind: {each.name: each.default for each in msgspec.structs.fields(cls)}
    for kind, cls in MESSAGES.items()
}


class Collar:
    """The collar of one pet, through its boots."""

    def __init__(
        self,
        flash: FlashLog,
        key: SealingKey,
        booted_at: datetime,
        uploads: Uploads = AT_ONCE,
    ) -> None:
        self.flash = flash
        self.uploads = uploads
        """When it wakes its radio."""
        self.collar_id = flash.collar_id
        self.birth = b""
        """The first message of this boot, as sent."""
        self.too_large = 0
        """Messages dropped because no broker would take them."""
        self.windows_left_out = 0
        """Raw windows not written, because the flash was needed for the rest."""
        self.windows_per_hour = 0
        """How many raw windows the gateway asks for."""
        self.is_urgent = False
        """Something urgent was written since the flag was cleared."""
        self.opens_batches: bool | None = None
        """Whether the gateway said so; None: it has said nothing on this connection."""
        self.dictionary = 1
        """Of batches: the newest that the gateway and this firmware have."""
        self.is_on = True
        """Without power it says nothing."""
        self.clock = CollarClock(booted_at, is_set=True)
        self._key = key
        self._sealer = Sealer(key, flash.collar_id, flash.boot)
        self._let_go = flash.committed
        self._looked_at = booted_at

    @property
    def sendable(self) -> int:
        """Up to which position messages may be sent now."""
        return self.flash.committed if self.uploads.every is None else self._let_go

    @property
    def packs(self) -> bool:
        """Whether it sends batches."""
        return self.uploads.every is not None and bool(self.opens_batches)

    def lets_go(self, until: datetime, *, at_once: bool) -> bool:
        """Whether the radio is woken for what is safe in flash at this instant."""
        is_due = at_once or self.uploads.is_due(self._looked_at, until)
        self._looked_at = until
        if is_due:
            self._let_go = self.flash.committed
        return is_due

    def reboot(self, flash: FlashLog, booted_at: datetime, *, clock_is_set: bool) -> None:
        """Begin anew with what the flash holds: what was in memory, as the open batch, is lost."""
        jumps = self.clock.jumps
        self.flash, self.is_on = flash, True
        flash.holds_windows = self.windows_per_hour > 0
        self.clock = CollarClock(booted_at, is_set=clock_is_set)
        self.clock.jumps = jumps
        self._sealer = Sealer(self._key, self.collar_id, flash.boot)
        self._let_go = flash.committed

    def be_born(self, slots: list[Slot]) -> None:
        """Write the first message of this boot."""
        fields: dict[str, Any] = {
            "hardware": HARDWARE,
            "firmware": FIRMWARE,
            "sample_rate_hz": RATE_HZ,
            "slots": slots,
            "seals": True,
            "previous": self.flash.last,
        }
        at = self.clock.booted_at
        self.birth = self._write(Kind.BIRTH, at, fields, at) or b""

    def desire(self, windows_per_hour: int) -> None:
        """Send so many raw windows from the next minute on."""
        self.windows_per_hour = windows_per_hour
        self.flash.holds_windows = windows_per_hour > 0

    def say(self, draft: Draft) -> None:
        """Write a message; before it, the seal of the batch that is due."""
        if not self.is_on:
            return
        if draft.kind is Kind.WINDOW and not self.flash.has_room_for_windows:
            self.windows_left_out += 1
            return
        if self._sealer.is_due(draft.release_at):
            self.seal(draft.release_at)
        self._write(draft.kind, draft.observed_at, draft.fields, draft.release_at)

    def seal(self, at: datetime) -> None:
        """Seal what has not been sealed yet, if anything."""
        if self.is_on and len(self._sealer):
            self._write(Kind.SEAL, at, self._sealer.fields(), at)

    def _write(
        self, kind: Kind, observed_at: datetime, fields: dict[str, Any], at: datetime
    ) -> bytes | None:
        flash = self.flash
        message = MESSAGES[kind](
            collar_id=self.collar_id,
            boot=flash.boot,
            seq=flash.next_seq,
            observed_at=self.clock.dated(observed_at, at),
            uptime_s=short(self.clock.uptime_s(observed_at)),
            clock=self.clock.quality(at),
            **short(_telling(kind, fields)),
        )
        try:
            payload = encode(message, MSGPACK if self.uploads.every is None else JSON)
        except TooLarge as error:  # its number goes to the next one: no gap is left behind
            self.too_large += 1
            log.warning("message.too_large", collar_id=self.collar_id, kind=kind, detail=str(error))
            return None
        if kind is not Kind.SEAL:
            self._sealer.add(kind, message.seq, payload, at)
        flash.put(Entry(Key(message.boot, message.seq), kind, payload))
        self.is_urgent |= self.uploads.is_urgent(kind, fields)
        return payload


def _telling(kind: Kind, fields: dict[str, Any]) -> dict[str, Any]:
    """Without what the reader takes for granted."""
    defaults = _DEFAULTS[kind]
    return {name: each for name, each in fields.items() if each != defaults.get(name, NODEFAULT)}


def short(value: Any) -> Any:
    """The same with whole numbers as integers: a byte or two on the wire instead of nine.

    >>> short({"period_s": 60.0, "seconds": {"walk": 12.5, "rest": 47.0}})
    {'period_s': 60, 'seconds': {'walk': 12.5, 'rest': 47}}
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        return {name: short(each) for name, each in fields.items()}
    return value
