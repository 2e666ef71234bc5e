"""What a minute takes from the battery, part by part.

The collar is one that could be built of parts on sale: a nRF52840 that samples, classifies and
seals, beside a nRF9160 as LTE-M modem (Nordic's Thingy:91 pairs the two), an ESP32-C3 as WiFi
modem, a BMI270 and a MAX-M10S. Every figure is from the part's data sheet, or says "by eye".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

DAY_S = 86_400.0
CAPACITY_J = 0.4 * 3_600 * 3.7  # 400 mAh at a lithium cell's mean voltage

# Rails of 3.0, 3.3 and 1.8 V are made from the cell by a buck converter; the LTE modem hangs
# on the cell itself.
EFFICIENCY = 0.9  # by eye: small bucks reach 85 to 93 % from 0.1 mA up
LEAK_W = 0.03 * CAPACITY_J / (30 * DAY_S) + 3e-6 * 3.7  # by eye: 3 % a month, and its protection

# nRF52840 product specification 1.7: System ON with all RAM kept and a running RTC 3.16 uA,
# CoreMark from flash 52 uA/MHz, at 3 V. The modems' own floors are below.
SLEEP_W = 3.16e-6 * 3.0
ACTIVE_W = 64 * 52e-6 * 3.0
MCU_PER_SECOND_S = (
    2e-3  # by eye: a second's 25 samples out of the FIFO, on their grid, into the window
)
MCU_PER_WINDOW_S = 2e-3  # by eye: scaling and quantising a window
MCU_PER_MESSAGE_S = 10e-3  # by eye: encoding, hashing its leaves, TLS
J_PER_MAC = 2e-9  # int8 on a Cortex-M4 class core: MLPerf Tiny 0.7, NUCLEO-L4R5ZI

IMU_W = 685e-6 * 1.8  # BMI270 data sheet 1.5: both sensors, normal mode

# u-blox MAX-M10S: 25 mW in continuous tracking; searching takes a tenth more (SAM-M8Q data sheet
# R04, table 8: 32 mA beside 29).
GNSS_TRACKING_W = 25e-3
GNSS_ACQUIRING_W = GNSS_TRACKING_W * 32 / 29
GNSS_BACKUP_W = 10e-6 * 3.0  # by eye: clock and ephemerides kept while it is off

# ESP32-C3: associated, auto light-sleep, DTIM 10: 0.31 mA; deep sleep 4.8 uA (ESP-IDF guide "Low
# Power Mode in Wi-Fi Scenarios"); receiving 84 mA, sending 802.11n 276 mA (data sheet, table of
# RF modes). 3.3 V.
WIFI_IDLE_W = 0.31e-3 * 3.3
WIFI_OFF_W = 4.8e-6 * 3.3
WIFI_AWAKE_J = 0.1 * 84e-3 * 3.3  # by eye: listens 0.1 s until the gateway has committed
WIFI_SCAN_J = 0.11 * 84e-3 * 3.3  # one beacon interval (102.4 ms) of the one channel
WIFI_J_PER_BYTE = 276e-3 * 3.3 * 8 / 6.5e6  # at the slowest rate of 802.11n

# nRF9160 product specification, modem current, Cat-M1 at 23 dBm, 3.7 V: PSM floor 2.7 uA, eDRX of
# 82 s 18 uA, 115 mA at 180 kbit/s, a tracking area update 105 mJ: idle, connected, a packet, idle.
LTE_OFF_W = 2.7e-6 * 3.7
LTE_IDLE_W = 18e-6 * 3.7
LTE_CONNECT_J = 0.105
LTE_J_PER_BYTE = 115e-3 * 3.7 * 8 / 180e3
# How long the network keeps the radio connected after the last packet is the network's choice:
# 11.6 s in Huang et al. 2012, doi:10.1145/2307636.2307658.
LTE_TAIL_S = 11.6
LTE_TAIL_W = 9e-3 * 3.7  # by eye: connected-mode DRX


class Part(StrEnum):
    """Where energy goes."""

    SLEEP = "sleep"
    """What is never off: the clock, the modems' floors, the receiver's memory."""
    MCU = "mcu"
    INFERENCE = "inference"
    IMU = "imu"
    GNSS = "gnss"
    WIFI = "wifi"
    LTE = "lte"
    LOSSES = "losses"
    """In the converter, and of the cell itself."""


ON_THE_CELL = frozenset({Part.LTE, Part.LOSSES})
"""What the converter does not feed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One waking of the radio: so many bytes to and fro, all framing included."""

    at_s: float
    """Second of the minute."""
    wire_bytes: float
    by_wifi: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one span of time asked of the parts."""

    span_s: float = 60.0
    powered_s: float = 60.0
    windows: int = 0
    """That a model looked at."""
    macs: int = 0
    """Multiplications of the models in all of them."""
    messages: int = 0
    """Written and sealed."""
    acquiring_s: float = 0.0
    """The GNSS receiver searched."""
    tracking_s: float = 0.0
    """It was on and had a fix."""
    wifi_s: float = 0.0
    """In reach of the access point, and associated with it."""
    wifi_scans: int = 0
    """Times it listened for the access point while it was associated with none."""
    lte_tail_s: float = 0.0
    """At its beginning: see `lte_tail_s`."""
    exchanges: tuple[Exchange, ...] = ()
    """In order."""


def joules(use: Use) -> dict[str, float]:
    """Energy that each part took from the battery; what it lost on the way is `LOSSES`.

    >>> night = joules(Use(wifi_s=60.0))
    >>> {part.value: round(1_440 * each) for part, each in night.items() if each}
    {'sleep': 6, 'mcu': 2, 'imu': 107, 'wifi': 88, 'losses': 29}
    """
    on_s, away_s = use.powered_s, max(0.0, use.powered_s - use.wifi_s)
    wifi = [each for each in use.exchanges if each.by_wifi]
    busy_s = (
        MCU_PER_SECOND_S * on_s + MCU_PER_WINDOW_S * use.windows + MCU_PER_MESSAGE_S * use.messages
    )
    spent: dict[str, float] = {
        Part.SLEEP: on_s * (SLEEP_W + GNSS_BACKUP_W + WIFI_OFF_W + LTE_OFF_W),
        Part.MCU: busy_s * ACTIVE_W,
        Part.INFERENCE: use.macs * J_PER_MAC,
        Part.IMU: on_s * IMU_W,
        Part.GNSS: use.acquiring_s * GNSS_ACQUIRING_W + use.tracking_s * GNSS_TRACKING_W,
        Part.WIFI: use.wifi_s * WIFI_IDLE_W
        + use.wifi_scans * WIFI_SCAN_J
        + len(wifi) * WIFI_AWAKE_J
        + sum(each.wire_bytes for each in wifi) * WIFI_J_PER_BYTE,
        Part.LTE: away_s * LTE_IDLE_W
        + _cellular_j([each for each in use.exchanges if not each.by_wifi], use.lte_tail_s),
    }
    fed = sum(each for part, each in spent.items() if part not in ON_THE_CELL)
    spent[Part.LOSSES] = fed * (1 / EFFICIENCY - 1) + use.span_s * LEAK_W
    return spent


def added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """The sum, part by part."""
    return {part: one.get(part, 0.0) + other.get(part, 0.0) for part in {**one, **other}}


def lte_tail_s(use: Use) -> float:
    """For how long, beyond the span, the network keeps the radio connected; that is paid already.

    >>> lte_tail_s(Use(span_s=60.0, exchanges=(Exchange(50.0, 900.0, by_wifi=False),)))
    1.6
    """
    until_s = [each.at_s + LTE_TAIL_S for each in use.exchanges if not each.by_wifi]
    return round(max(0.0, max(until_s, default=use.lte_tail_s) - use.span_s), 6)


def _cellular_j(exchanges: Iterable[Exchange], tail_until_s: float) -> float:
    """Of exchanges in order: one that comes while the radio is still connected only prolongs it."""
    total_j = 0.0
    for each in exchanges:
        if each.at_s >= tail_until_s:
            total_j += LTE_CONNECT_J + LTE_TAIL_S * LTE_TAIL_W
        else:
            total_j += (each.at_s + LTE_TAIL_S - tail_until_s) * LTE_TAIL_W
        total_j += each.wire_bytes * LTE_J_PER_BYTE
        tail_until_s = each.at_s + LTE_TAIL_S
    return total_j
