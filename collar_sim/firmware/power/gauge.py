"""The collar's fuel gauge: each minute's use of its parts, taken from the battery and reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from collar_sim.firmware.link.uploads import Uploads, exchanges
from collar_sim.firmware.minute import MINUTE, Draft
from collar_sim.firmware.models.macs import macs_of
from collar_sim.firmware.models.slots import ACTIVITY, ANOMALY, ModelSlots
from collar_sim.firmware.power.battery import REPORT_MINUTES, Battery
from collar_sim.firmware.power.energy import Use, joules, lte_tail_s
from collar_sim.firmware.sensing.positioning import ReceiverUse
from gateway.wire.topics import Kind
from plugins.sdk.features import input_macs


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What of a minute is not in its messages."""

    start_at: datetime
    powered_s: float
    ends_on: bool = True
    """It runs as the minute is over."""
    windows: int
    """That do not overlap; the activity model looks at those between them too."""
    receiver: ReceiverUse
    at_home: Sequence[bool]
    """Of each second, whether the home's WiFi is heard."""


def macs_of_minute(slots: ModelSlots, windows: int) -> int:
    """Multiplications of the models, and of what they see, on so many windows side by side."""
    looks = {ACTIVITY: 2 * windows - 1, ANOMALY: windows}
    return sum(
        looks[slot] * (input_macs(package.manifest.model) + macs_of(package.model))
        for slot, package in slots.packages.items()
        if package.manifest.model is not None and package.model is not None
    )


class Gauge:
    """One collar's battery, minute by minute."""

    def __init__(self, battery: Battery, uploads: Uploads, phase: int) -> None:
        """Of a collar with this setting; reports of a fleet are spread over the hour by phase."""
        self.battery = battery
        self.kept_bytes = 0.0
        """What waits to be sent, as it will be on the wire."""
        self.lte_tail_s = 0.0
        """For so long the network keeps the radio connected after what was sent last."""
        self._uploads = uploads
        self._phase = phase % REPORT_MINUTES

    def resume(self, battery: Battery, kept_bytes: float, lte_tail_s: float) -> None:
        """Go on from what was remembered."""
        self.battery, self.kept_bytes, self.lte_tail_s = battery, kept_bytes, lte_tail_s

    def minute(self, worked: Worked, said: Sequence[Draft], slots: ModelSlots) -> list[Draft]:
        """Take a minute from the battery; returns the report, when the hour is over.

        Args:
            worked: What the collar did.
            said: What it said in this minute; not what it did not live to say.
            slots: The models it ran.
        """
        sent, self.kept_bytes = exchanges(
            self._uploads,
            worked.start_at,
            sorted(said, key=lambda draft: draft.release_at),
            self.kept_bytes,
            worked.at_home,
        )
        use = Use(
            powered_s=worked.powered_s,
            windows=3 * worked.windows - 1 if worked.windows else 0,
            macs=macs_of_minute(slots, worked.windows) if worked.windows else 0,
            messages=len(said),
            acquiring_s=worked.receiver.acquiring_s,
            tracking_s=worked.receiver.tracking_s,
            wifi_s=min(worked.powered_s, float(sum(worked.at_home))),
            wifi_scans=worked.receiver.wifi_scans,
            lte_tail_s=self.lte_tail_s,
            exchanges=sent,
        )
        self.lte_tail_s = lte_tail_s(use) if worked.ends_on else 0.0
        self.battery = self.battery.after(joules(use), use.span_s)
        end_at = worked.start_at + MINUTE
        if not worked.ends_on or int(end_at.timestamp()) // 60 % REPORT_MINUTES != self._phase:
            return []
        fields, self.battery = self.battery.reported()
        return [Draft(end_at, Kind.POWER, end_at, fields)]
