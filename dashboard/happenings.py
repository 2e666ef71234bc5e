"""What a collar's events of the last day mean to an owner, in their words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import takewhile

from dashboard.answers import Event
from dashboard.words import clock_time, duration

ITCH, SENSOR_FAULT = "itch", "sensor_fault"
RECENT = timedelta(hours=12)  # a collar says an itch once in so long
NO_DIAGNOSIS = "Scratching is counted from movement alone: an observation, no diagnosis."
NO_SENSOR = "Without its motion sensor a collar cannot tell what its pet does; it still says where."


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a card."""

    icon: str
    text: str
    faint: str
    tip: str


def happenings(events: Sequence[Event], zone: tzinfo, now: datetime) -> list[Happening]:
    """What is worth a line, the most pressing first.

    Args:
        events: Of one pet's last day, oldest first.
        zone: Of the reader's clock.
        now: Aware.
    """
    past = [event for event in events if event.observed_at <= now]
    latest = {event.name: event for event in past}
    found: list[Happening] = []
    if (fault := latest.get(SENSOR_FAULT)) is not None:
        if not fault.duration_s:  # it says so daily, and with how long it took once it is whole
            said = [event for event in reversed(past) if event.name == SENSOR_FAULT]
            *_, first = takewhile(lambda event: not event.duration_s, said)
            since = f"at least since {clock_time(first.observed_at, zone, now)}"
            found.append(Happening("sensors_off", "Motion sensor fails", since, NO_SENSOR))
        else:
            at = clock_time(fault.observed_at, zone, now)
            text = f"Motion sensor failed for {duration(fault.duration_s)}"
            found.append(Happening("sensors", text, f"whole again since {at}", NO_SENSOR))
    if (itch := latest.get(ITCH)) is not None and now - itch.observed_at < RECENT:
        at = clock_time(itch.observed_at, zone, now)
        text = "Scratches much more than healthy pets do"
        found.append(Happening("gesture", text, f"noticed {at}", NO_DIAGNOSIS))
    return found
