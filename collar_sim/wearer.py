"""An animal and the collar it wears: all that is kept of one member of a fleet."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from collar_sim.animal import Animal, AnimalMinute, Scenario
from collar_sim.animal.animal import State
from collar_sim.animal.scenario import COURSES
from collar_sim.firmware.bouts import Runs, count
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.minute import Draft, Seen, drafts
from collar_sim.firmware.positioning import Positioning
from collar_sim.firmware.power import Battery
from collar_sim.firmware.sampling import window_drafts
from collar_sim.firmware.slots import ModelSlots
from collar_sim.fleet_file import Member

SEED_STRIDE = 1_000_003  # so that the fleet's seed gives every member another life
INCIDENT_AFTER_S = 60.0  # of the live phase, where nobody says when


class Carried(Struct, frozen=True):
    """What must survive the end of the process, beside the flash log."""

    animal: State | None
    battery: Battery
    incident_at: datetime | None = None
    runs: Runs = {}
    """Bouts that may go on."""


@dataclass
class Produced:
    """One member's minute, ready to be released."""

    truth: AnimalMinute
    drafts: list[Draft]
    battery_pct: float


class Wearer:
    """One member of the fleet at work."""

    def __init__(
        self, member: Member, collar: Collar, slots: ModelSlots, seed: int, scenario: Scenario
    ) -> None:
        """Of a fleet with this seed; ``scenario`` holds where the member names none."""
        self.member = member
        self.collar = collar
        self.slots = slots
        """That run the minute which is being made; belongs to whoever makes it."""
        self.next_slots = slots
        """That run the next one; set by whoever installs models."""
        self._windows_per_hour = 0
        self._seed = member.animal_seed + seed * SEED_STRIDE
        escapes = member.escape_after_s is not None
        self._scenario = member.scenario or (Scenario.ESCAPE if escapes else scenario)
        self._home = (member.lat_deg, member.lon_deg)
        self._positioning = Positioning(self._home, self._seed)
        self._battery = Battery.drawn(self._seed)
        self._incident_at: datetime | None = None
        self._runs: Runs = {}
        self._animal = self._draw(None)

    def carried(self) -> Carried:
        """What to remember."""
        return Carried(self._animal.state, self._battery, self._incident_at, self._runs)

    def resume(self, carried: Carried, minute_index: int) -> None:
        """Go on from what was remembered, if it belongs to this minute (since 1970)."""
        self._battery, self._incident_at = carried.battery, carried.incident_at
        state = carried.animal
        belongs = state is not None and state.minute_index == minute_index
        self._runs = carried.runs if belongs else {}
        self._animal = self._draw(state if belongs else None)

    def go_live(self, live_at: datetime) -> None:
        """The present is met: what the scenario tells of gets its instant."""
        if self._incident_at is not None or COURSES[self._scenario].incident is None:
            return
        after_s = self.member.incident_after_s
        if after_s is None:
            after_s = self.member.escape_after_s
        self._incident_at = live_at + timedelta(
            seconds=INCIDENT_AFTER_S if after_s is None else after_s
        )
        self._animal = self._draw(self._animal.state)

    def prepare(self) -> None:
        """Take up what was installed and desired since the minute before.

        Each is one reference, read once: the minute is made by another thread than sets them.
        """
        self.slots = self.next_slots
        self._windows_per_hour = self.collar.windows_per_hour

    def live(self, start_at: datetime) -> AnimalMinute:
        """The animal's next minute."""
        return self._animal.minute(start_at)

    def report(self, minute: AnimalMinute, seen: Seen, after_s: int) -> Produced:
        """What the collar has to say about a minute of which it saw the part after a second."""
        fixes = self._positioning.minute(minute, seen.window_vedba_g, after_s)
        self._battery = self._battery.after_minute(len(fixes))
        bouts, self._runs = count(self._runs, seen.each_second)
        said = drafts(minute.start_at, seen, fixes, self._battery.pct, bouts)
        said += window_drafts(
            minute.start_at, minute.imu, seen, self._windows_per_hour, self.collar.collar_id
        )
        return Produced(minute, said, self._battery.pct)

    def _draw(self, state: State | None) -> Animal:
        animal = Animal.draw(
            self._seed,
            home=self._home,
            scenario=self._scenario,
            incident_at=self._incident_at,
            wear=self.member.wear,
        )
        animal.state = state
        return animal
