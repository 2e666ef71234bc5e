"""When the collar turns its receiver on: never while it hears the home's WiFi, often otherwise.

It decides by what a collar knows: the WiFi, its last fix and its own accelerometer. At home a fix
is the home's own position, and costs a moment's listening. Out of hearing, the receiver is turned
on at once: soon after come the fixes that say whether the pet has left. While the pet moves, or is
far from home, the receiver stays on; while it is calm, it sleeps between fixes.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from collar_sim.firmware.sensing.epochs import WINDOW_S
from collar_sim.firmware.sensing.receiver import Heard, Measured, Receiver
from gateway.wire.messages import FixSource

CALM_S = 30
ALERT_S = 5  # an escape alert needs two fixes: ten seconds
AT_HOME_S = 5  # between two times it listens for the access point that it heard
AWAY_S = 30  # ditto when it did not hear it
WATCHFUL_S = 30  # after it lost the access point, until it knows where the pet is heading
LEAD_S = 1  # a hot start takes that long: the receiver is on before the fix is due
GIVE_UP_S = 90  # without a fix; indoors there is none, and listening costs most of all
RETRY_S = 120
AIDED_S = 2 * 3600  # orbits told over the home's WiFi (u-blox AssistNow Online) hold so long
WIFI_ACCURACY_M = 20.0  # 68 of 100 seconds in which the access point is heard lie within
WALK_MPS = 1.8  # a large dog trots beyond (Froude 0.5 at 0.65 m of hip height)
RUN_VEDBA_G = 0.6  # mean of one window; 97 of 100 simulated walking windows lie below
METRES_PER_DEG = 111_195.0  # of latitude, on a sphere of the Earth's mean radius
NEAR_M = 60.0  # a garden; within, the owner knows where the pet is


@dataclass(frozen=True)
class TimedFix:
    """What one fix says, as the message's own fields."""

    observed_at: datetime
    fields: dict[str, Any]


@dataclass(frozen=True)
class ReceiverUse:
    """What a minute of positioning asked of the hardware."""

    acquiring_s: int = 0
    """Seconds in which the GNSS receiver searched."""
    tracking_s: int = 0
    """Seconds in which it was on and had a fix."""
    starts: int = 0
    """How often it was turned on."""
    wifi_scans: int = 0
    """How often it listened for an access point that it was not associated with, on one channel."""

    def __add__(self, other: "ReceiverUse") -> "ReceiverUse":
        """Of both together."""
        return ReceiverUse(
            self.acquiring_s + other.acquiring_s,
            self.tracking_s + other.tracking_s,
            self.starts + other.starts,
            self.wifi_scans + other.wifi_scans,
        )

    @property
    def gnss_on_s(self) -> int:
        """Seconds in which the GNSS receiver was on."""
        return self.acquiring_s + self.tracking_s


class Positioning:
    """Plans and takes the fixes of one collar."""

    def __init__(self, home: tuple[float, float], phase: int, receiver: Receiver) -> None:
        """Of a collar whose owner lives at ``home``; the phase spreads a fleet over `CALM_S`."""
        self._home = home
        self._phase_s = phase % CALM_S
        self._receiver = receiver
        self._searching_s = 0  # since 1970, as the others
        self._due_s: int | None = None
        self._look_s = 0
        self._heard_s: int | None = None
        self._is_home = False
        self._is_alert = False
        self._watch_until_s = 0
        self._last_s: int | None = None

    def minute(
        self,
        heard: Heard,
        window_vedba_g: list[float],
        after_s: int = -1,
        until_s: int = 60,
    ) -> tuple[list[TimedFix], ReceiverUse]:
        """The fixes of a minute, and what they asked of the hardware.

        Args:
            heard: When it is, and what the WiFi hears in it.
            window_vedba_g: Of each window of the minute; known at its end.
            after_s: Second of this minute at which the collar started, for the first minute.
            until_s: Second at which its power went.
        """
        fixes: list[TimedFix] = []
        acquiring_s = tracking_s = starts = scans = 0
        start_s = int(heard.start_at.timestamp())
        if self._due_s is None:
            self._due_s = start_s + after_s + 1 + self._phase_s
        runs = [vedba_g > RUN_VEDBA_G for vedba_g in window_vedba_g]
        receiver = self._receiver
        for second in range(after_s + 1, until_s):
            now_s = start_s + second
            if now_s >= self._look_s:
                scans += not self._is_home  # one that it is associated with it hears anyway
                self._look(now_s, is_heard=bool(heard.at_home_wifi[second]))
            if self._is_home:
                if now_s >= self._due_s:
                    fixes.append(TimedFix(_at(heard, second), self._at_home(now_s)))
                    self._due_s = now_s + CALM_S
                continue
            windows_done = int(second // WINDOW_S)
            if self._last_s is not None and windows_done > 0 and runs[windows_done - 1]:
                self._due_s = min(self._due_s, max(now_s, self._last_s + ALERT_S))
            if not receiver.is_on and now_s >= self._due_s - LEAD_S:
                self._turn_on(now_s)
                starts += 1
            if not receiver.is_on:
                continue
            seen = receiver.listen(now_s)
            if seen is None:
                acquiring_s += 1
                self._give_up(now_s)
                continue
            tracking_s += 1
            self._searching_s = now_s
            if now_s >= self._due_s:
                fixes.append(TimedFix(_at(heard, second), _fields(seen)))
                self._plan(now_s, seen)
        return fixes, ReceiverUse(acquiring_s, tracking_s, starts, scans)

    def _look(self, now_s: int, *, is_heard: bool) -> None:
        """Listen for the access point."""
        if is_heard:
            self._heard_s = now_s
            self._receiver.turn_off()
            self._is_alert = False
        elif self._is_home:  # just lost: is it still near?
            self._is_alert = True
            self._due_s = now_s
            self._watch_until_s = now_s + WATCHFUL_S
        self._is_home = is_heard
        self._look_s = now_s + (AT_HOME_S if is_heard else AWAY_S)

    def _turn_on(self, now_s: int) -> None:
        aided = self._heard_s is not None and now_s - self._heard_s < AIDED_S
        self._receiver.turn_on(now_s, aided=aided)
        self._searching_s = now_s

    def _give_up(self, now_s: int) -> None:
        if now_s - self._searching_s >= GIVE_UP_S:
            self._receiver.turn_off()
            self._due_s = now_s + RETRY_S

    def _plan(self, now_s: int, seen: Measured) -> None:
        """After a fix: when the next one is due, and whether to stay on for it."""
        self._last_s = now_s
        moves, is_far = seen.speed_mps > WALK_MPS, self._from_home_m(seen) > NEAR_M
        self._is_alert = moves or is_far or now_s < self._watch_until_s
        self._due_s = now_s + (ALERT_S if self._is_alert else CALM_S)
        if not self._is_alert:
            self._receiver.turn_off()

    def _at_home(self, now_s: int) -> dict[str, Any]:
        """The home's own position, as the access point tells it."""
        heard_s = now_s if self._heard_s is None else self._heard_s
        return {
            "lat_deg": round(self._home[0], 6),
            "lon_deg": round(self._home[1], 6),
            "accuracy_m": WIFI_ACCURACY_M,
            "source": FixSource.WIFI,
            "age_s": float(now_s - heard_s),
        }

    def _from_home_m(self, seen: Measured) -> float:
        lat, lon = self._home
        east_m = (seen.lon_deg - lon) * METRES_PER_DEG * math.cos(math.radians(lat))
        return math.hypot(east_m, (seen.lat_deg - lat) * METRES_PER_DEG)


def _at(heard: Heard, second: int) -> datetime:
    return heard.start_at + timedelta(seconds=second)


def _fields(seen: Measured) -> dict[str, Any]:
    return {
        "lat_deg": round(seen.lat_deg, 6),  # 0.1 m
        "lon_deg": round(seen.lon_deg, 6),
        "accuracy_m": round(seen.accuracy_m, 1),
        "hdop": round(seen.hdop, 1),
        "speed_mps": round(seen.speed_mps, 2),
    }
