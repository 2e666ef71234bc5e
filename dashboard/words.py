"""What the state of a pet means, in the owner's words. All pure, and plain text: never HTML."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

UNUSUAL_FROM = 0.5  # the anomaly model's own threshold
LOW_BATTERY_PCT, EMPTY_BATTERY_PCT = 25.0, 10.0
BATTERY_STEPS = 7  # icons battery_0_bar .. battery_6_bar, then battery_full

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Doing:
    """A behaviour as the page shows it."""

    text: str
    """Continues "Bella is …"."""
    icon: str
    """Name of a Material Symbol."""
    colour: str


DOINGS = {
    "sleep": Doing("sleeping", "bedtime", "#5f6fa3"),
    "rest": Doing("resting", "weekend", "#a3b3d6"),
    "sniff": Doing("sniffing around", "air", "#d3c07a"),
    "walk": Doing("walking", "directions_walk", "#7cbd97"),
    "run": Doing("running", "sprint", "#2f8f6e"),
    "play": Doing("playing", "sports_baseball", "#e8a95f"),
    "eat": Doing("eating", "pet_supplies", "#c98a68"),
    "drink": Doing("drinking", "water_drop", "#66b4c8"),
    "scratch": Doing("scratching", "gesture", "#c4657f"),
    "vehicle": Doing("riding along", "directions_car", "#8b929b"),
    "unsure": Doing("not sure", "help", "#dcdfe4"),
}
"""In the order of the day chart's stack: from calm to lively."""
NOTHING_YET = Doing("nothing heard yet", "hourglass_empty", "#dcdfe4")
OTHER_COLOUR = "#b9a7c9"

NOT_A_DIAGNOSIS = "Moods are read from movement alone: observations, not diagnoses."

SEVERITIES = {"critical": "Urgent", "warning": "Look after", "info": "Good to know"}
UNITS = {
    "m": "m",
    "s": "s",
    "min": "min",
    "h": "h",
    "pct": "%",
    "deg": "°",
    "g": "g",
    "hz": "Hz",
    "mps": "m/s",
    "ms": "ms",
}


def doing(behaviour: str | None) -> Doing:
    """How a behaviour is shown; one from a model we do not know, by its own name.

    >>> doing("walk").text
    'walking'
    >>> doing("dig_hole").text
    'dig hole'
    """
    if behaviour is None:
        return NOTHING_YET
    return DOINGS.get(behaviour) or Doing(plain(behaviour), "pets", OTHER_COLOUR)


def plain(word: str) -> str:
    """An identifier as words.

    >>> plain("night_rest")
    'night rest'
    """
    return word.replace("_", " ").strip()


def capital(text: str) -> str:
    """The text with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """A span of time, in the unit people would use.

    >>> duration(12.4), duration(200), duration(2 * 3600 + 60), duration(3 * 86400)
    ('12 s', '3 min', '2 h', '3 days')
    """
    if seconds < MINUTE_S:
        return f"{max(0, int(seconds))} s"
    if seconds < HOUR_S:
        return f"{int(seconds // MINUTE_S)} min"
    if seconds < 2 * DAY_S:
        return f"{int(seconds // HOUR_S)} h"
    return f"{int(seconds // DAY_S)} days"


def freshness(at: datetime | None, now: datetime) -> str:
    """How long ago that was; a collar's clock may be a little ahead of ours.

    >>> from datetime import UTC, timedelta
    >>> now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> freshness(now - timedelta(seconds=12), now)
    '12 s ago'
    >>> freshness(now + timedelta(seconds=3), now)
    'just now'
    """
    if at is None:
        return "never"
    age_s = (now - at).total_seconds()
    return "just now" if age_s < 2 else f"{duration(age_s)} ago"


def clock_time(at: datetime, zone: tzinfo, now: datetime) -> str:
    """The time of day, with the weekday unless it is today."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%a %d %b %H:%M}"


def length(metres: float) -> str:
    """A distance.

    >>> length(6.4), length(140.2), length(1_240)
    ('6 m', '140 m', '1.2 km')
    """
    return f"{metres:.0f} m" if metres < 1_000 else f"{metres / 1_000:.1f} km"


def accuracy(metres: float) -> str:
    """How good a position is.

    >>> accuracy(5.7), accuracy(0.2)
    ('± 6 m', '± 1 m')
    """
    return f"± {length(max(1.0, metres))}"


def sureness(confidence: float) -> str:
    """How sure a model was.

    >>> sureness(0.724), sureness(0.999)
    ('72 % sure', '99 % sure')
    """
    return f"{min(99, round(confidence * 100))} % sure"


def observed(name: str, label: str, confidence: float) -> str:
    """What a plugin read from a moment: an observation, never a diagnosis.

    >>> observed("emotion", "calm", 0.72)
    'Seems calm · 72 % sure'
    >>> observed("emotion", "unsure", 0.4)
    'Mood not clear enough to say'
    >>> observed("gait", "short_steps", 0.8)
    'Gait: short steps · 80 % sure'
    """
    if label == "unsure":
        return f"{'Mood' if name == 'emotion' else capital(plain(name))} not clear enough to say"
    seems = "Seems" if name == "emotion" else f"{capital(plain(name))}:"
    return f"{seems} {plain(label)} · {sureness(confidence)}"


def battery(battery_pct: float | None) -> tuple[str, str, str]:
    """A battery's text, icon and tone (``good``, ``low``, ``alarm``, ``unknown``).

    >>> battery(83.4)
    ('83 %', 'battery_5_bar', 'good')
    """
    if battery_pct is None:
        return "battery unknown", "battery_unknown", "unknown"
    step = int(battery_pct / 100 * BATTERY_STEPS)
    icon = "battery_full" if step >= BATTERY_STEPS else f"battery_{step}_bar"
    if battery_pct < EMPTY_BATTERY_PCT:
        return f"{battery_pct:.0f} %", icon, "alarm"
    return f"{battery_pct:.0f} %", icon, "low" if battery_pct < LOW_BATTERY_PCT else "good"


def fact(name: str, value: object) -> str:
    """One detail of an alert; its unit is in its name.

    >>> fact("distance_m", 23.44), fact("uneasy_s", 660.0), fact("zone", "Home")
    ('distance 23.4 m', 'uneasy 11 min', 'zone Home')
    """
    stem, _, suffix = name.rpartition("_")
    unit = UNITS.get(suffix) if stem else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if unit == "s":
            return f"{plain(stem)} {duration(value)}"
        number = f"{value:,.1f}".removesuffix(".0")
        return f"{plain(stem if unit else name)} {number}{f' {unit}' if unit else ''}"
    return f"{plain(name)} {value}"
