"""The battery: what a minute costs, and when the owner puts the collar on its charger."""

from dataclasses import dataclass

IDLE_PCT_PER_MIN = 0.012  # IMU, inference and a connected radio: 400 mAh in six days
FIX_PCT = 0.005  # a hot-start fix, 2.5 s at 29 mA
CHARGE_AT_PCT = 15.0
CHARGE_PCT_PER_MIN = 1.0


@dataclass(frozen=True)
class Battery:
    """State of charge; still worn while it charges, as with a clip-on power bank."""

    pct: float = 100.0
    charging: bool = False

    @classmethod
    def drawn(cls, seed: int) -> "Battery":
        """Somewhere in its cycle, by the collar's seed.

        >>> Battery.drawn(3).pct
        91.0
        """
        return cls(pct=100.0 - seed * 3 % 40)

    def after_minute(self, fixes: int) -> "Battery":
        """A minute and so many fixes later.

        >>> Battery(50.0).after_minute(2).pct
        49.978
        """
        pct = self.pct - IDLE_PCT_PER_MIN - fixes * FIX_PCT
        if self.charging:
            pct += CHARGE_PCT_PER_MIN
        pct = min(100.0, max(0.0, pct))
        charging = pct < 100.0 if self.charging else pct <= CHARGE_AT_PCT
        return Battery(pct, charging)
