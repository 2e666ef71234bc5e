"""An animal and the collar it wears: all that is kept of one member of a fleet."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from collar_sim.animal import Animal, AnimalMinute, Radio, Scenario
from collar_sim.animal.animal import State
from collar_sim.animal.life.scenario import COURSES
from collar_sim.animal.signals.receiver import Receiver
from collar_sim.arrays import BoolArray, Samples
from collar_sim.duty import Duty, PowerChange
from collar_sim.faults import Faults
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.minute import Draft, Seen, drafts, sensor_drafts
from collar_sim.firmware.models.slots import ModelSlots
from collar_sim.firmware.power.battery import Battery
from collar_sim.firmware.power.gauge import Gauge, Worked
from collar_sim.firmware.sensing.positioning import Positioning, ReceiverUse, TimedFix
from collar_sim.firmware.sensing.raw_windows import window_drafts
from collar_sim.firmware.sensing.sensor_check import SensorWatch, sound_seconds, without
from collar_sim.firmware.sensing.usual import Memory, considered
from collar_sim.fleet_file import Member
from collar_sim.whereabouts import Move, moves
from gateway.wire.codec import EARLIEST

SEED_STRIDE = 1_000_003  # so that the fleet's seed gives every member another life
INCIDENT_AFTER_S = 60.0  # of the live phase, where nobody says when


class Carried(Struct, frozen=True):
    """What must survive the end of the process, beside the flash log."""

    animal: State | None
    battery: Battery
    incident_at: datetime | None = None
    memory: Memory = Memory()
    """What its collar remembers of it."""
    kept_bytes: float = 0.0
    """See `Gauge.kept_bytes`."""
    lte_tail_s: float = 0.0
    """See `Gauge.lte_tail_s`."""


@dataclass(frozen=True)
class Sensed:
    """One member's minute as its collar had it."""

    truth: AnimalMinute
    imu: Samples
    """Shape (1500, 6), without anything that is no number."""
    sound: BoolArray
    """Shape (60,), in which seconds there were samples to be believed, and not lost by a boot."""
    duty: Duty


@dataclass
class Produced:
    """One member's minute, ready to be released."""

    truth: AnimalMinute
    drafts: list[Draft | PowerChange]
    battery_pct: float
    moves: list[Move]
    """What its radio is to be told, in its second."""


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
        self.radio: Radio | None = None
        """That its collar speaks by; None loses nothing. Whoever releases a `Move` tells it."""
        self._was_home: bool | None = None
        self._windows_per_hour = 0
        self._seed = member.animal_seed + seed * SEED_STRIDE
        escapes = member.escape_after_s is not None
        self._scenario = member.scenario or (Scenario.ESCAPE if escapes else scenario)
        self._home = (member.lat_deg, member.lon_deg)
        self._receiver, self._positioning = self._unlocated()
        self._gauge = Gauge(Battery.drawn(self._seed), collar.uploads, self._seed)
        self._incident_at: datetime | None = None
        self._memory = Memory()
        self._sensor = SensorWatch()
        self._faults = Faults((), EARLIEST)
        self._was_on = self._had_battery = True
        self._animal = self._draw(None)

    def carried(self) -> Carried:
        """What to remember."""
        gauge = self._gauge
        return Carried(
            self._animal.state,
            gauge.battery,
            self._incident_at,
            self._memory,
            gauge.kept_bytes,
            gauge.lte_tail_s,
        )

    def resume(self, carried: Carried, minute_index: int) -> None:
        """Go on from what was remembered, if it belongs to this minute (since 1970)."""
        self._gauge.resume(carried.battery, carried.kept_bytes, carried.lte_tail_s)
        self._incident_at = carried.incident_at
        state = carried.animal
        belongs = state is not None and state.minute_index == minute_index
        self._memory = carried.memory if belongs else carried.memory.interrupted()
        self._animal = self._draw(state if belongs else None)

    def go_live(self, live_at: datetime) -> None:
        """The present is met: what the scenario tells of gets its instant, and what breaks."""
        self._faults = Faults(self.member.faults, live_at)
        self.collar.clock.jumps = self._faults.jumps
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

    def live(self, start_at: datetime) -> Sensed:
        """The animal's next minute, as the collar has it."""
        truth = self._animal.minute(start_at)
        on = truth.powered & ~self._faults.is_down(start_at)
        duty = Duty(on, truth.powered, self._was_on, self._had_battery)
        said = self._faults.spoilt(truth.imu, start_at)
        sound = sound_seconds(said) & duty.remembered
        return Sensed(truth, without(said, sound), sound, duty)

    def report(self, sensed: Sensed, seen: Seen, after_s: int) -> Produced:
        """What the collar has to say about a minute of which it saw the part after a second."""
        duty, start_at = sensed.duty, sensed.truth.start_at
        if duty.is_cut:
            self._memory, self._sensor = self._memory.interrupted(), SensorWatch()
        fixes, use = self._located(sensed, seen, after_s)
        seen, self._memory = considered(self._memory, seen)
        said = drafts(start_at, seen, fixes, self._gauge.battery.pct, duty.since_s)
        said += sensor_drafts(self._sensor.minute(sensed.sound, duty.remembered, start_at))
        said += window_drafts(
            start_at,
            sensed.imu,
            seen,
            self._windows_per_hour,
            self.collar.collar_id,
            sensed.sound,
        )
        lived = duty.lived(said, start_at)
        worked = Worked(
            start_at=start_at,
            powered_s=float(duty.on.sum()),
            ends_on=duty.ends_on,
            windows=sum(seen.heard),
            receiver=use,
            at_home=sensed.truth.at_home_wifi.tolist(),
        )
        lived += self._gauge.minute(worked, lived, self.slots)
        self._was_on, self._had_battery = duty.ends_on, bool(duty.battery[-1])
        at_home = worked.at_home
        moved = moves(start_at, at_home, self._was_home)
        self._was_home = at_home[-1]
        told = duty.with_changes(lived, start_at)
        return Produced(sensed.truth, told, self._gauge.battery.pct, moved)

    def _located(
        self, sensed: Sensed, seen: Seen, after_s: int
    ) -> tuple[list[TimedFix], ReceiverUse]:
        fixes: list[TimedFix] = []
        use = ReceiverUse()
        sky, from_s = sensed.truth.gnss, int(sensed.truth.start_at.timestamp())
        for span in sensed.duty.spans:
            if span.is_boot:  # where it was, and what the receiver knew, was in memory
                self._receiver, self._positioning = self._unlocated()
            self._receiver.under(sky, from_s)
            taken, used = self._positioning.minute(
                sensed.truth, seen.window_vedba_g, max(after_s, span.first - 1), span.end
            )
            fixes, use = fixes + taken, use + used
        return fixes, use

    def _unlocated(self) -> tuple[Receiver, Positioning]:
        receiver = Receiver(self._seed)
        return receiver, Positioning(self._home, self._seed, receiver)

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
