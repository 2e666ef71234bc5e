"""The battery of a pet's collar: how long it lasts, and a bar of what took its energy."""

from collections.abc import Sequence

from dashboard.answers import Power
from dashboard.energy import lasting, shares, span
from dashboard.markup import Html, icon, joined, tag
from dashboard.words import capital


def energy_strip(power: Power) -> Html:
    """What the collar says of its battery, small enough to stand at the foot of a card."""
    text = capital(lasting(power.days_left, charging=power.charging))
    parts = shares(power.joules)
    line = tag(
        "div",
        "pm-fact",
        icon("battery_charging_full" if power.charging else "hourglass_bottom"),
        tag("span", "", text, tag("span", "pm-faint", _what_for(parts, power.span_s))),
    )
    if not parts:
        return tag("div", "pm-energy", line)
    return tag("div", "pm-energy", line, _bar(parts), tag("div", "pm-legend", joined(_key(parts))))


def _what_for(parts: Sequence[tuple[str, float]], span_s: float) -> str:
    return f"  · where the energy {span(span_s)} went" if parts else ""


def _bar(parts: Sequence[tuple[str, float]]) -> Html:
    told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in parts)
    pieces = (
        tag(
            "span",
            "",
            style=f"flex-grow: {share:.4f}; {_shade(n)}",
            title=f"{name} {100 * share:.0f} %",
        )
        for n, (name, share) in enumerate(parts)
    )
    return tag("div", "pm-energy-bar", *pieces, role="img", aria_label=told)


def _key(parts: Sequence[tuple[str, float]]) -> list[Html]:
    return [
        tag(
            "span",
            "pm-key",
            tag("span", "pm-energy-dot", style=_shade(n)),
            name,
            tag("span", "pm-faint", f"{100 * share:.0f} %"),
        )
        for n, (name, share) in enumerate(parts)
    ]


def _shade(rank: int) -> str:
    """The page's one green, the paler the less it took."""
    strength = max(16, 92 - 19 * rank)
    return f"background: color-mix(in oklab, var(--pm-accent) {strength}%, var(--pm-sunk))"
