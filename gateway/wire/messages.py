"""Every message a collar and a gateway exchange.

Readers tolerate unknown fields and refuse missing or ill-typed ones, so firmware and gateways
can be upgraded in any order. Instants are aware UTC datetimes; units are in the names.
"""

import math
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from gateway.wire.release import ModelRefusal, Release
from gateway.wire.scalars import END, Counter, Id, Instant, Name, Seconds, Sha256, Share
from gateway.wire.topics import Kind

MAX_PAYLOAD_BYTES = 16_384  # below what every broker we know passes on by default
MAX_FUTURE_S = 300.0  # a collar clock may run ahead of the gateway's by this much
MAX_GAPS = 128  # about 6 kB in a status
MODEL_CHUNK_BYTES = 2_048  # a collar's flash page, and small beside what a radio may lose


class ClockQuality(StrEnum):
    """How far ``observed_at`` can be trusted."""

    GNSS = "gnss"
    NETWORK = "network"
    RTC = "rtc"
    UNSET = "unset"


class Key(Struct, frozen=True, order=True):
    """Identifies a message of a collar for ever; ordered as the collar wrote them."""

    boot: Counter
    seq: Counter


class Gap(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Messages ``first_seq..last_seq`` of a boot, which a collar had no room to keep."""

    boot: Counter
    first_seq: Counter
    last_seq: Counter
    previous: Key | None = None
    """Where ``first_seq`` is 0: what the birth that is gone had named as ``previous``."""

    def __post_init__(self) -> None:
        if self.last_seq < self.first_seq:
            raise ValueError(f"a gap from {self.first_seq} to {self.last_seq}")
        if self.previous is not None and (self.first_seq or self.previous.boot >= self.boot):
            raise ValueError("only a birth names what was before its boot")

    @property
    def first(self) -> Key:
        """The first key of it."""
        return Key(self.boot, self.first_seq)

    @property
    def last(self) -> Key:
        """The last key of it."""
        return Key(self.boot, self.last_seq)


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all keyed messages (the codec tolerates unknown fields, and keeps them aside)."""

    collar_id: Id
    boot: Counter
    """Kept in non-volatile memory; rises at each start."""
    seq: Counter
    """Rises by one per message within a boot, from 0."""
    observed_at: Instant
    """When it happened, by the collar's clock."""
    uptime_s: Seconds = 0.0
    """Since this boot; no clock can set it back."""
    clock: ClockQuality = ClockQuality.NETWORK
    """How far ``observed_at`` can be trusted."""

    @property
    def key(self) -> Key:
        """The message's key within its collar."""
        return Key(self.boot, self.seq)


class Slot(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the places on a collar that can hold a model."""

    slot: Name
    package: Name
    version: Name
    sha256: Sha256


class Birth(Message, frozen=True, kw_only=True, omit_defaults=True):
    """First message of every boot (``seq`` 0), retained: what this collar is."""

    hardware: Name
    """Board and revision, in the maker's words."""
    firmware: Name
    """Its version, in the maker's words."""
    sample_rate_hz: Annotated[float, Meta(gt=0, le=1000)] | None = None
    """Of the motion sensor."""
    slots: Annotated[list[Slot], Meta(max_length=8)] = []
    """Models that it runs."""
    seals: bool = False
    """The collar publishes seals, so the gateway waits for them before it shares anything."""
    previous: Key | None = None
    """The last message written before this boot; nothing lies between it and this one."""


class ActivityEpoch(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What one period held; ``observed_at`` is its beginning."""

    period_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    seconds: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,23}$" + END)], Seconds],
        Meta(max_length=32),
    ]
    """Seconds per behaviour, ``unsure`` included."""
    odba_g: Annotated[float, Meta(ge=0, le=64)] = 0.0
    """Mean overall dynamic body acceleration over the period."""
    vedba_g: Annotated[float, Meta(ge=0, le=64)] = 0.0
    """Mean vectorial dynamic body acceleration; where the collar turns, the better of the two."""
    steps: Annotated[int, Meta(ge=0, le=100_000)] = 0
    scratch_bouts: Annotated[int, Meta(ge=0, le=3600)] = 0
    """Bouts of scratching that became certain in the period; one counts once wherever it ends."""
    drink_bouts: Annotated[int, Meta(ge=0, le=3600)] = 0
    """The same of drinking."""
    anomaly: Share = 0.0
    """How unusual the period was, by a model of the collar; 0.5 is its threshold."""
    windows: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How many windows, one after the other, the period has."""
    windows_unsure: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """Of these, how many it abstained on."""
    battery_pct: Annotated[float, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        total_s = sum(self.seconds.values())
        if total_s > self.period_s * 1.05 + 1.0:
            raise ValueError(f"seconds add up to {total_s:.1f}, the period is {self.period_s:.1f}")
        if self.windows_unsure > self.windows:
            raise ValueError("windows_unsure exceeds windows")


class FixSource(StrEnum):
    """Where a position came from."""

    GNSS = "gnss"
    WIFI = "wifi"
    CELL = "cell"
    FIXED = "fixed"


class Fix(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A position, and how good it is."""

    lat_deg: Annotated[float, Meta(ge=-90, le=90)]
    lon_deg: Annotated[float, Meta(ge=-180, le=180)]
    accuracy_m: Annotated[float, Meta(ge=0, le=100_000)]
    """Radius that holds the true position in two of three cases."""
    source: FixSource = FixSource.GNSS
    """Satellites, access points, a phone mast, or a beacon whose place is known."""
    age_s: Seconds = 0.0
    """How old the position already was at ``observed_at``."""
    hdop: Annotated[float, Meta(ge=0, le=100)] | None = None
    """Horizontal dilution of precision."""
    speed_mps: Annotated[float, Meta(ge=0, le=200)] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lat_deg) and math.isfinite(self.lon_deg)):
            raise ValueError("position is not a number")


class Event(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Something a model on the collar saw, sent at once."""

    name: Name
    """For example ``anomaly`` or ``scratch``."""
    confidence: Share
    duration_s: Seconds = 0.0
    package: Name | None = None
    """The model that saw it, as ``id@version``."""


class Choice(StrEnum):
    """Why a collar sends just this window."""

    UNCERTAIN = "uncertain"
    """Its model was least sure of it: the best to learn from."""
    RANDOM = "random"
    """Drawn by lot: the only fair ones to judge a model by."""


class Window(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A raw window, packed (see ``wire.windows``); sent only when a grant asks for it."""

    rate_hz: Annotated[float, Meta(gt=0, le=1000)]
    """Samples a second."""
    acc_g_per_lsb: Annotated[float, Meta(gt=0, le=1)]
    """What one step of an acceleration is worth."""
    gyr_dps_per_lsb: Annotated[float, Meta(gt=0, le=100)]
    """What one step of a rotation is worth."""
    samples: Annotated[bytes, Meta(min_length=12, max_length=12_000)]
    """int16 little-endian, ``ax ay az gx gy gz`` per sample."""
    label: str | None = None
    """What the collar's model took it for."""
    confidence: Share | None = None
    """How sure that model was."""
    choice: Choice | None = None
    """Why this one was sent."""

    def __post_init__(self) -> None:
        if len(self.samples) % 12:
            raise ValueError(f"{len(self.samples)} sample bytes are no multiple of 12")


class Seal(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Signature over the Merkle root of messages ``first_seq..last_seq`` (see ``wire.seal``)."""

    first_seq: Counter
    last_seq: Counter
    root: Annotated[bytes, Meta(min_length=32, max_length=32)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]

    def __post_init__(self) -> None:
        if not self.first_seq <= self.last_seq < self.seq:
            raise ValueError("a seal covers earlier messages of its own boot")


class Slots(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What the slots hold after a change; what a birth said of them is over."""

    slots: Annotated[list[Slot], Meta(max_length=8)]
    rollout: Id | None = None
    """The delivery that changed them; nothing when the collar fell back by itself."""


class Power(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What the battery holds and where its energy went; ``observed_at`` ends the period."""

    period_s: Annotated[float, Meta(gt=0, le=86_400)]
    battery_pct: Annotated[float, Meta(ge=0, le=100)]
    days_left: Annotated[float, Meta(ge=0, le=3_650)] | None = None
    """At the consumption of late; nothing while the collar cannot tell yet."""
    charging: bool = False
    """It is on its charger."""
    joules: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,23}$" + END)],
            Annotated[float, Meta(ge=0, le=1e6)],
        ],
        Meta(max_length=16),
    ] = {}
    """Taken from the battery over the period, by component, losses included."""


class Presence(StrEnum):
    """Whether a collar is connected."""

    ONLINE = "online"
    OFFLINE = "offline"


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Presence, retained, ``offline`` is the last will. It has no key, so no acknowledgement."""

    collar_id: Id
    state: Presence
    boot: Counter = 0
    log_start: Key | None = None
    """Oldest message still owed: what lies before it and was never received is lost for good."""
    gaps: Annotated[list[Gap], Meta(max_length=MAX_GAPS)] = []
    """What will never come, though older messages are still owed: the memory was full."""
    dropped: Annotated[dict[Name, Counter], Meta(max_length=32)] = {}
    """How many messages of each kind a full memory ever cost."""


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Keyed messages in one packet, compressed (see ``wire.batch``), for whoever saves energy."""

    collar_id: Id
    sent_at: Instant | None = None
    """By the collar's clock; stands for the user property of packets that carry one message."""
    dictionary: Annotated[int, Meta(ge=1, le=255)] = 1
    """Which one it was compressed with."""
    deflated: Annotated[bytes, Meta(min_length=1, max_length=16_000)]
    """Lines of a kind and its message in JSON, in the order of their keys."""


class Ack(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Gateway to collar: everything up to this key is safe and may be forgotten."""

    collar_id: Id
    boot: Counter | None = None
    seq: Counter | None = None
    refused: list[str] = []
    """Reasons of messages refused since the last acknowledgement, for the person debugging."""

    @property
    def key(self) -> Key | None:
        """The highest contiguous key held, if any."""
        return None if self.boot is None or self.seq is None else Key(self.boot, self.seq)


class Desired(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Gateway to collar: how it shall be set; said again whenever it connects."""

    collar_id: Id
    version: Counter
    """Rises with every change; within a connection an older one is late and means nothing."""
    windows_per_hour: Annotated[int, Meta(ge=0, le=3600)] = 0
    """How many raw windows a grant asks for. Without one, none: they stay on the collar."""
    batches: bool = False
    """This gateway opens ``batch`` messages; to one that does not say so, none is sent."""
    dictionary: Annotated[int, Meta(ge=1, le=255)] = 1
    """The newest dictionary of batches that it has; it has all those before, too."""


class ModelOffer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Gateway to collar: this signed model is for you. Answered by a ``ModelAnswer``."""

    collar_id: Id
    rollout: Id
    release: Release
    chunk_bytes: Annotated[int, Meta(ge=64, le=8192)] = MODEL_CHUNK_BYTES
    """Every chunk but the last has this size."""


class ModelChunk(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Gateway to collar: part ``index`` of an offered model. Answered by a ``ModelAnswer``."""

    collar_id: Id
    rollout: Id
    index: Annotated[int, Meta(ge=0, le=4095)]
    data: Annotated[bytes, Meta(min_length=1, max_length=8192)]


class ModelState(StrEnum):
    """How far a model is on its way to a collar."""

    PENDING = "pending"
    """The gateway has it; the collar has not answered yet."""
    RECEIVING = "receiving"
    INSTALLED = "installed"
    REFUSED = "refused"


class ModelAnswer(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Collar to gateway: what became of an offer, or of the chunks since. It has no key."""

    collar_id: Id
    rollout: Id
    state: ModelState
    next_chunk: Annotated[int, Meta(ge=0, le=4096)] = 0
    """All chunks before this one are in the collar's flash; send from here."""
    reason: ModelRefusal | None = None
    """With ``refused``: why, in one word."""
    detail: Annotated[str, Meta(max_length=300)] = ""
    """And in a sentence."""


MESSAGES: dict[Kind, type[Message]] = {
    Kind.BIRTH: Birth,
    Kind.EPOCH: ActivityEpoch,
    Kind.FIX: Fix,
    Kind.EVENT: Event,
    Kind.WINDOW: Window,
    Kind.SEAL: Seal,
    Kind.SLOTS: Slots,
    Kind.POWER: Power,
}
"""Those with a key, which the gateway stores and acknowledges."""
