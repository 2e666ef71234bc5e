"""The collar's battery in the owner's words: how long it lasts, and what takes its energy. Pure."""

from collections.abc import Mapping

from dashboard.words import DAY_S, capital, plain

PARTS = {
    "wifi": "WiFi at home",
    "lte": "mobile network",
    "gnss": "satellite position",
    "imu": "motion sensor",
    "mcu": "processor",
    "inference": "recognising",
    "sleep": "standby",
    "losses": "charge lost on the way",
}
SHOWN_FROM = 0.03  # a smaller share is not worth a name of its own
OTHER = "all else"
FEW_DAYS = 3.0  # below, hours matter


def lasting(days_left: float | None, *, charging: bool) -> str:
    """How long the charge lasts.

    >>> lasting(11.4, charging=False), lasting(1.42, charging=False), lasting(0.03, charging=False)
    ('battery lasts about 11 days', 'battery lasts about 34 hours', 'battery is as good as empty')
    >>> lasting(2.0, charging=True), lasting(None, charging=False)
    ('battery is charging', 'battery: days left not known yet')
    """
    if charging:
        return "battery is charging"
    if days_left is None:
        return "battery: days left not known yet"
    if days_left >= FEW_DAYS:
        return f"battery lasts about {days_left:.0f} days"
    hours = round(days_left * 24)
    return f"battery lasts about {hours} hours" if hours > 1 else "battery is as good as empty"


def shares(joules: Mapping[str, float]) -> list[tuple[str, float]]:
    """What took the energy, the largest first, and its share of the whole; small ones together.

    >>> shares({"wifi": 60.0, "imu": 38.0, "mcu": 1.0, "sleep": 1.0})
    [('WiFi at home', 0.6), ('Motion sensor', 0.38), ('All else', 0.02)]
    """
    total_j = sum(joules.values())
    if total_j <= 0:
        return []
    found = {part: each / total_j for part, each in joules.items()}
    named = {part: share for part, share in found.items() if share >= SHOWN_FROM}
    shown = [
        (capital(PARTS.get(part, plain(part))), share)
        for part, share in sorted(named.items(), key=lambda item: -item[1])
    ]
    rest = 1.0 - sum(named.values())
    return [*shown, (capital(OTHER), round(rest, 6))] if len(named) < len(found) else shown


def span(span_s: float) -> str:
    """What the shares are of.

    >>> span(86_400.0), span(7_200.0), span(3_600.0)
    ('of the last day', 'of 2 hours', 'of an hour')
    """
    hours = round(span_s / 3_600)
    if span_s > 0.9 * DAY_S:
        return "of the last day"
    return f"of {hours} hours" if hours > 1 else "of an hour"
