"""A collar that recognises what its animal does, beside one that streams what it feels.

One simulated animal, one day, through the same broker with QoS 1 over TLS, every byte counted in
both directions (``bench.edge_day``, ``bench.wire_meter``). What each way costs in energy follows
from its exchanges by the budget of ``collar_sim.firmware.power.energy``. Positions are shown apart:
the stream would need them as well. docs/explanations/edge-savings.md has the assumptions.
"""

import asyncio
import sys
import tempfile
import zlib
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.edge_day import BEGIN_AT, Day, Traffic, recognised, simulated_day, streamed
from bench.edge_home import home_at
from bench.report import Figure, run
from collar_sim.firmware.link.uploads import Uploads, exchanges
from collar_sim.firmware.minute import MINUTE, Draft
from collar_sim.firmware.power.energy import (
    CAPACITY_J,
    DAY_S,
    GNSS_ACQUIRING_W,
    Exchange,
    Part,
    Use,
    joules,
)
from gateway.wire.topics import Kind

MINUTES = 1_440
TEN_MINUTES = timedelta(minutes=10)
AT_ONCE_BAR, BATCHED_BAR, DAYS_BAR = 30.0, 200.0, 1.0
WINDOW_S, LONG_S = 4, 30  # of samples in a packet: what a model reads; as many as a packet takes
PING_BYTES = 2 * (2 + 22 + 40) + 40  # PINGREQ and PINGRESP in TLS, one acknowledgement alone
PINGS_AFTER = 0.8  # of the keepalive in silence, as the client does
SCANS_PER_S = 1 / 30  # for the home's WiFi, while away


@dataclass(frozen=True)
class Cost:
    """What a way of sending costs."""

    bytes_per_day: float
    home_days: float
    """Battery days at home, by WiFi."""
    away_days: float
    """Battery days away, by LTE-M."""
    home_radio_j: float
    away_radio_j: float
    """Of the radio alone, a day."""


def measure() -> list[Figure]:
    """Bytes, radio energy and battery days: recognised on the collar beside streamed raw."""
    with tempfile.TemporaryDirectory() as folder:
        day, traffic = asyncio.run(_measured(Path(folder)))
    cost = {
        name: _cost(day, sent, recognises=not name.startswith("raw"))
        for name, sent in traffic.items()
    }
    raw = min(cost["raw"].bytes_per_day, cost["raw_long"].bytes_per_day)
    figures = [
        Figure(
            name=f"edge_savings_{name}",
            value=cost[name].bytes_per_day,
            unit="bytes a day on the wire, positions apart",
            baseline=raw,
            ratio=raw / cost[name].bytes_per_day,
            bar=bar,
            passed=raw / cost[name].bytes_per_day >= bar,
            n=traffic[name].messages,
            notes=_notes(name, day, cost),
        )
        for name, bar in (("at_once", AT_ONCE_BAR), ("ten_minutes", BATCHED_BAR))
    ]
    ours, theirs = cost["ten_minutes"], cost["raw_long"]
    for place, value, baseline in (
        ("home", ours.home_days, theirs.home_days),
        ("away", ours.away_days, theirs.away_days),
    ):
        figures.append(
            Figure(
                name=f"edge_savings_days_{place}",
                value=value,
                unit=f"battery days {place}, 10-minute uploads, positions apart",
                baseline=baseline,
                ratio=value / baseline,
                bar=DAYS_BAR,
                passed=value / baseline >= DAYS_BAR,
                n=traffic["ten_minutes"].messages,
                notes=_days(cost, place),
            )
        )
    return figures


async def _measured(folder: Path) -> tuple[Day, dict[str, Traffic]]:
    day = await asyncio.to_thread(simulated_day, folder / "day", MINUTES)

    def no_fix(draft: Draft) -> bool:
        return draft.kind is not Kind.FIX

    ways = {
        "at_once": lambda home: recognised(home, day, None, no_fix),
        "at_once_fixes": lambda home: recognised(home, day),
        "each_minute": lambda home: recognised(home, day, MINUTE, no_fix),
        "ten_minutes": lambda home: recognised(home, day, TEN_MINUTES, no_fix),
        "ten_minutes_fixes": lambda home: recognised(home, day, TEN_MINUTES),
        "raw": lambda home: streamed(home, day, WINDOW_S),
        "raw_long": lambda home: streamed(home, day, LONG_S),
    }

    async def one(name: str) -> Traffic:
        async with home_at(folder / name) as home:
            return await ways[name](home)

    measured = await asyncio.gather(*(one(name) for name in ways))
    return day, dict(zip(ways, measured, strict=True))


def _cost(day: Day, sent: Traffic, *, recognises: bool) -> Cost:
    scale = DAY_S / day.span_s
    pings = sum(
        int(gap // (PINGS_AFTER * sent.keepalive_s))
        for gap in np.diff([*sent.at_s, day.span_s]).tolist()
    )
    home, away = (_spent(day, sent, recognises=recognises, by_wifi=wifi) for wifi in (True, False))
    return Cost(
        bytes_per_day=scale * (sum(sent.wire_bytes) + pings * PING_BYTES),
        home_days=CAPACITY_J / sum(home.values()) / scale,
        away_days=CAPACITY_J / sum(away.values()) / scale,
        home_radio_j=scale * home[Part.WIFI],
        away_radio_j=scale * away[Part.LTE],
    )


def _spent(day: Day, sent: Traffic, *, recognises: bool, by_wifi: bool) -> dict[str, float]:
    """Energy of the day's parts; the receiver as on that day, wherever the collar is."""
    pairs = zip(sent.at_s, sent.wire_bytes, strict=True)
    return joules(
        Use(
            span_s=day.span_s,
            powered_s=day.span_s,
            windows=day.windows if recognises else 0,
            macs=day.macs if recognises else 0,
            messages=sent.messages,
            acquiring_s=day.joules[Part.GNSS] / GNSS_ACQUIRING_W,
            wifi_s=day.span_s if by_wifi else 0.0,
            wifi_scans=0 if by_wifi else int(day.span_s * SCANS_PER_S),
            exchanges=tuple(Exchange(at_s, size, by_wifi) for at_s, size in pairs),
        )
    )


def _notes(name: str, day: Day, cost: dict[str, Cost]) -> str:
    own, with_fixes = cost[name].bytes_per_day, cost[f"{name}_fixes"].bytes_per_day
    lines = [
        f"raw in packets of {LONG_S} s {cost['raw_long'].bytes_per_day / 1e6:.1f} MB a day, "
        f"of {WINDOW_S} s {cost['raw'].bytes_per_day / 1e6:.1f} MB "
        f"(ratio {cost['raw'].bytes_per_day / own:.0f})",
        f"raw deflated would be {_deflated(day):.0%} of its samples' size",
        f"positions beside: {(with_fixes - own) / 1e3:.0f} kB",
        "epochs, events, power reports, seals, acknowledgements, TLS, TCP and IP, one connection",
    ]
    every = None if name == "at_once" else TEN_MINUTES
    lines.append(f"the collar reckons with {_reckoned(day, every) / own:.0%} of these bytes")
    if name == "at_once":
        packed = cost["each_minute"].bytes_per_day
        lines.append(f"each minute's in one batch: {packed / 1e3:.0f} kB")
    return "; ".join(lines)


def _reckoned(day: Day, upload_every: timedelta | None) -> float:
    """Bytes that the collar's own gauge takes for the same messages."""
    uploads, kept, total = Uploads(upload_every), 0.0, 0.0
    spoken = [draft for draft in day.drafts if draft.kind is not Kind.FIX]
    by_minute = groupby(spoken, key=lambda draft: -((BEGIN_AT - draft.release_at) // MINUTE))
    for minute, said in by_minute:
        start_at = BEGIN_AT + (minute - 1) * MINUTE
        sent, kept = exchanges(uploads, start_at, list(said), kept, [True])
        total += sum(each.wire_bytes for each in sent)
    return (total + kept) * DAY_S / day.span_s


def _days(cost: dict[str, Cost], place: str) -> str:
    names = {
        "ten_minutes": "10-minute uploads",
        "ten_minutes_fixes": "10-minute uploads with positions",
        "at_once": "at once",
        "at_once_fixes": "at once with positions",
        "raw_long": f"raw in {LONG_S} s",
        "raw": f"raw in {WINDOW_S} s",
    }
    return "; ".join(
        f"{said}: {getattr(cost[name], f'{place}_days'):.1f} days, "
        f"radio {getattr(cost[name], f'{place}_radio_j'):.0f} J a day"
        for name, said in names.items()
    )


def _deflated(day: Day) -> float:
    """What deflate leaves of the samples' differences, which is the best it does to them."""
    samples = np.frombuffer(b"".join(day.samples), "<i2").reshape(-1, 6)
    steps = np.diff(samples, axis=0).T.astype("<i2").tobytes()
    return len(zlib.compress(steps, 6)) / len(steps)


if __name__ == "__main__":
    sys.exit(run(measure))
