"""Print the measured tables of "Place and GNSS" in ``docs/reference/animal.md``, as Markdown.

``python scripts/place_figures.py [--animals 24]``: a calm day of each, every one at another home.
Some minutes of CPU.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal import Animal, AnimalMinute, Species
from collar_sim.animal.place.ground import METRES_PER_DEG, Ground
from collar_sim.animal.signals.receiver import Receiver
from collar_sim.firmware.sensing.positioning import Positioning, ReceiverUse

START_AT = datetime(2026, 5, 1, tzinfo=UTC)
RUNNING = ("run", "play")
RUN_VEDBA_G, CALM_VEDBA_G = 1.0, 0.05  # as the accelerometer would tell them apart
NO_WIFI = np.zeros(60, np.bool_)


def error_m(minute: AnimalMinute) -> NDArray[np.float64]:
    """How far the receiver's position is from the true one, each second."""
    east = (minute.gnss.lon_deg - minute.lon_deg) * np.cos(np.deg2rad(minute.lat_deg))
    return METRES_PER_DEG * np.hypot(minute.gnss.lat_deg - minute.lat_deg, east)


def row(*cells: object) -> str:
    """One line of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def report(lines: Iterable[str]) -> None:
    """Write lines to stdout."""
    print("\n".join(lines), end="\n\n")


def main(animals: int) -> None:
    """Live the days, and print what they were like."""
    columns: dict[str, list[NDArray[np.float64]]] = {"ground": [], "error": [], "claim": []}
    usable: list[NDArray[np.bool_]] = []
    astray: list[NDArray[np.bool_]] = []
    spent = {species: Counter[Ground]() for species in Species}
    days = Counter[Species]()
    use = {name: ReceiverUse() for name in ("with", "without")}
    for seed in range(animals):
        home = (45.0 + seed / 10, 0.0)
        animal = Animal.draw(seed, home=home)
        days[animal.profile.species] += 1
        receivers = [Receiver(seed) for _ in range(2)]
        heard, deaf = (Positioning(home, seed, receiver) for receiver in receivers)
        for minute in animal.minutes(START_AT, 1440):
            spent[animal.profile.species].update(Ground(k) for k in minute.ground.tolist())
            columns["ground"].append(minute.ground.astype(float))
            columns["error"].append(error_m(minute))
            columns["claim"].append(minute.gnss.accuracy_m)
            usable.append(minute.gnss.valid)
            astray.append(minute.gnss.astray)
            runs = np.isin(minute.behaviour, RUNNING).reshape(15, -1).any(axis=1)
            vedba_g = np.where(runs, RUN_VEDBA_G, CALM_VEDBA_G).tolist()
            for receiver in receivers:
                receiver.under(minute.gnss, int(minute.start_at.timestamp()))
            use["with"] += heard.minute(minute, vedba_g)[1]
            away = replace(minute, at_home_wifi=NO_WIFI)
            use["without"] += deaf.minute(away, vedba_g)[1]
    ground, error, claim = (np.concatenate(columns[name]) for name in columns)
    valid, off = np.concatenate(usable), np.concatenate(astray)
    report(
        [
            row("on", *(f"hours a {species.value}'s day" for species in Species)),
            *(
                row(k.name.lower(), *(f"{spent[s][k] / 3600 / days[s]:.2f}" for s in Species))
                for k in Ground
            ),
        ]
    )
    lines = [row("on", "a fix in % of the time", "median error, m", "95 %, m", "within its claim")]
    for k in Ground:
        here = (ground == k) & valid & ~off
        if here.sum() > 600:
            within = np.mean(error[here] <= claim[here])
            middle, most = np.quantile(error[here], (0.5, 0.95))
            shares = f"{100 * np.mean(valid[ground == k]):.0f}", f"{middle:.1f}", f"{most:.1f}"
            lines.append(row(k.name.lower(), *shares, f"{100 * within:.0f} %"))
    report(lines)
    bursts = int((np.diff(off.astype(np.int8)) == 1).sum())
    report([f"over-confident: {bursts} bursts in {animals} days, {off.sum() / bursts:.0f} s each"])
    report(
        f"{name} home WiFi: receiver on {each.gnss_on_s / animals / 60:.0f} min a day "
        f"({each.acquiring_s / animals / 60:.0f} searching), "
        f"{each.starts / animals:.0f} starts"
        for name, each in use.items()
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--animals", type=int, default=24)
    main(parser.parse_args().animals)
