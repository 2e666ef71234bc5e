"""What the state of a pet means, in the owner's words. All pure, and plain text: never HTML."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

UNUSUAL_FROM = 0.5  # the anomaly model's own threshold
LOW_BATTERY_PCT, EMPTY_BATTERY_PCT = 25.0, 10.0
BATTERY_STEPS = 7  # icons battery_0_bar .. battery_6_bar, then battery_full

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Kinds of characters that show nothing of themselves, and can turn round what others say."""

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Doing:
    """A behaviour as the page shows it."""

    text: str
    """Continues "Bella is …"."""
    icon: str
    """Name of a Material Symbol."""
    colour: str
    ink: str
    """What stands on the colour, with a contrast of 4.5 or more."""


# Found by a search over OKLab that keeps every two apart, also for eyes that lack red, green or
# blue; a unit test holds the distance. The symbol says it again.
DOINGS = {
    "sleep": Doing("sleeping", "bedtime", "#513384", "#ffffff"),
    "rest": Doing("resting", "weekend", "#b3ace5", "#1f2b29"),
    "sniff": Doing("sniffing around", "air", "#cbe56d", "#1f2b29"),
    "walk": Doing("walking", "directions_walk", "#5fc28b", "#1f2b29"),
    "run": Doing("running", "sprint", "#397a37", "#ffffff"),
    "play": Doing("playing", "sports_baseball", "#f38a04", "#1f2b29"),
    "eat": Doing("eating", "pet_supplies", "#693a15", "#ffffff"),
    "drink": Doing("drinking", "water_drop", "#75eeee", "#1f2b29"),
    "scratch": Doing("scratching", "gesture", "#974c8c", "#ffffff"),
    "vehicle": Doing("riding along", "directions_car", "#8a8a8a", "#12100e"),
    "unsure": Doing("not sure", "help", "#dcdfe4", "#1f2b29"),
}
"""From calm to lively."""
UNSURE = "unsure"
SAYABLE = tuple(behaviour for behaviour in DOINGS if behaviour != UNSURE)
"""What an owner can say a pet does."""
NOTHING_YET = Doing("nothing heard yet", "hourglass_empty", "#dcdfe4", "#1f2b29")
OTHER_COLOUR, OTHER_INK = "#b9a7c9", "#1f2b29"

PET_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Rings and tracks, to tell animals apart; source: Okabe and Ito 2008, for all eyes."""

NOT_A_DIAGNOSIS = "Moods are read from movement alone: observations, not diagnoses."

BY_SOURCE = {"wifi": " by home WiFi", "cell": " by phone mast", "fixed": " by beacon"}
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
    return DOINGS.get(behaviour) or Doing(plain(behaviour), "pets", OTHER_COLOUR, OTHER_INK)


def plain(word: str) -> str:
    """An identifier as words.

    >>> plain("night_rest")
    'night rest'
    """
    return word.replace("_", " ").strip()


def capital(text: str) -> str:
    """The text with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def named(name: str, limit: int = 48) -> str:
    r"""A name as it can stand in a sentence: one line, not too long, in its own direction.

    >>> named("  Rex\n"), named("x" * 60, 5), named("\u202eevil")
    ('Rex', 'xxxx…', 'evil')
    """
    kept = "".join(
        " " if char.isspace() else char
        for char in name[:1_000]
        if char.isspace() or unicodedata.category(char) not in UNSEEN
    )
    text = " ".join(kept.split()) or "(no name)"
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return f"\u2068{text}\u2069"  # isolated, or the sentence around it would turn over
    return text


def people(names: Sequence[str]) -> str:
    """Names in a row.

    >>> people(["Bella", "Luna", "Rex"]), people(["Bella"])
    ('Bella, Luna and Rex', 'Bella')
    """
    shown = [named(name, 24) for name in names[:4]]
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def greeting(now: datetime, zone: tzinfo) -> str:
    """A word to the reader, by their clock."""
    hour = now.astimezone(zone).hour
    if 5 <= hour < 12:
        return "Good morning"
    if 12 <= hour < 18:
        return "Good afternoon"
    return "Good evening"


def clock(at: datetime, zone: tzinfo) -> str:
    """The time of day."""
    return f"{at.astimezone(zone):%H:%M}"


def bouts(scratched: int, drank: int) -> str:
    """How often a pet scratched and drank; nothing of what it did not.

    >>> bouts(1, 12), bouts(0, 2), bouts(0, 0)
    ('Scratched once, drank 12 times', 'Drank twice', '')
    """
    said = [
        f"{did} {'once' if count == 1 else 'twice' if count == 2 else f'{count} times'}"
        for did, count in (("scratched", scratched), ("drank", drank))
        if count
    ]
    return capital(", ".join(said))


def duration(seconds: float) -> str:
    """A span of time, in the unit people would use.

    >>> duration(12.4), duration(200), duration(2 * 3600 + 60), duration(3 * 86400)
    ('12 s', '3 min', '2 h 1 min', '3 days')
    """
    if seconds < MINUTE_S:
        return f"{max(0, int(seconds))} s"
    if seconds < HOUR_S:
        return f"{int(seconds // MINUTE_S)} min"
    if seconds < 6 * HOUR_S and seconds % HOUR_S >= MINUTE_S:
        return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // MINUTE_S)} min"
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


def accuracy(metres: float, source: str = "gnss") -> str:
    """How good a position is, and what it is from, if not from satellites.

    >>> accuracy(0.2), accuracy(20.0, "wifi")
    ('± 1 m', '± 20 m by home WiFi')
    """
    return f"± {length(max(1.0, metres))}{BY_SOURCE.get(source, '')}"


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
