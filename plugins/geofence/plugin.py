"""Safe zones: circles with a margin, judged by positions that can be trusted.

Receivers claim 1.9 m while 200 m off (Tracelet#274), so one position decides nothing. Around the
edge lies a band as wide as the hysteresis plus what the receiver says of its own accuracy. A pet
has left when two good positions in a row lie beyond the band, and is back when two lie within it.
At the start, after an outage and for a new zone it is not known where the pet is: being found
inside is silent, being found outside is told as such.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from plugins.sdk import Finding, FindingState, Inputs, Outputs, Record, Severity, Zone

HYSTERESIS_M = 8.0  # about one GPS sigma, hdop < 2; the owner may widen it
ACCURACIES = 1.0  # the band's width beyond that: the radius that holds two of three positions
CONFIRMING_FIXES = 2
BAD_ACCURACY_M = 50.0  # worse than a garden is wide: WiFi and cell positions, a receiver indoors
BAD_AGE_S = 60.0  # a dog at a run is 300 m further by then
MIN_APART = timedelta(seconds=0.5)  # under the fastest receivers' 1 s: one reading told twice
OUTAGE = timedelta(minutes=30)  # longer than collars at rest stay silent
SIGMAS_OF_ACCURACY = 1.51  # radius that holds 68 % of a round normal distribution, in sigmas
EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
MAX_FINDINGS = 100  # the SDK's limit, met only by a day of catch-up in one call

UNKNOWN, INSIDE, OUTSIDE = "unknown", "inside", "outside"


@dataclass(slots=True)
class Watch:
    """What is known about one zone. ``outside`` means that the owner has been told."""

    circle: list[float]
    where: str = UNKNOWN
    streak: int = 0
    """Good positions in a row beyond the band (positive) or within it (negative)."""

    def see(self, distance_m: float, band_m: float) -> str | None:
        """Take in a position; returns where the pet is now if that is news."""
        radius_m = self.circle[2]
        if distance_m > radius_m + band_m:
            self.streak = max(self.streak, 0) + 1
        elif distance_m < max(radius_m - band_m, radius_m / 2):  # a small zone can be entered too
            self.streak = min(self.streak, 0) - 1
        else:
            self.streak = 0
        if abs(self.streak) < CONFIRMING_FIXES:
            return None
        now = OUTSIDE if self.streak > 0 else INSIDE
        was, self.where = self.where, now
        return now if was != now else None

    def doubt(self) -> None:
        """What was last seen may no longer hold; an alert stands until the pet is seen inside."""
        self.streak = 0
        if self.where == INSIDE:
            self.where = UNKNOWN


def predict(batch: Inputs) -> Outputs:
    """Findings ``outside:{zone_id}``, raised when the pet has left and cleared when it is back."""
    hysteresis_m = max(0.0, float(batch.settings.get("hysteresis_m", HYSTERESIS_M)))
    last_at: datetime | None = batch.state.get("last_at")
    watches = {key: Watch(**kept) for key, kept in batch.state.get("zones", {}).items()}
    findings = _forget_zones(batch, watches)
    for fix in filter(_is_good, batch.fixes):
        measured_at = fix.observed_at - timedelta(seconds=fix["age_s"])
        if last_at is not None and measured_at - last_at < MIN_APART:
            continue  # late, or the reading we have already seen
        if last_at is not None and measured_at - last_at > OUTAGE:
            for watch in watches.values():
                watch.doubt()
        last_at = measured_at
        for zone in batch.zones:
            watch = watches[zone.zone_id]
            distance_m = _distance_m(zone, fix["lat_deg"], fix["lon_deg"])
            was = watch.where
            news = watch.see(distance_m, hysteresis_m + ACCURACIES * fix["accuracy_m"])
            if news == OUTSIDE:
                findings.append(
                    _raised(zone, fix, distance_m, "Left" if was == INSIDE else "Outside")
                )
            elif news == INSIDE and was == OUTSIDE:
                findings.append(_cleared(zone.zone_id, f"Back in {_name(zone)}", fix.observed_at))
    kept = {
        key: {"circle": watch.circle, "where": watch.where, "streak": watch.streak}
        for key, watch in watches.items()
    }
    return Outputs(findings=findings[-MAX_FINDINGS:], state={"last_at": last_at, "zones": kept})


def _is_good(fix: Record) -> bool:
    """Whether a position may confirm anything."""
    return fix["accuracy_m"] <= BAD_ACCURACY_M and fix["age_s"] <= BAD_AGE_S


def _forget_zones(batch: Inputs, watches: dict[str, Watch]) -> list[Finding]:
    """Bring ``watches`` in line with the zones there are; what is no zone any more is cleared."""
    circles = {zone.zone_id: [zone.lat_deg, zone.lon_deg, zone.radius_m] for zone in batch.zones}
    gone = [key for key in watches if key not in circles]
    cleared = [
        _cleared(key, "Zone removed", batch.now)
        for key in gone
        if watches.pop(key).where == OUTSIDE
    ]
    for key, circle in circles.items():
        watch = watches.setdefault(key, Watch(circle))
        if watch.circle != circle:
            watch.circle = circle
            watch.doubt()
    return cleared


def _raised(zone: Zone, fix: Record, distance_m: float, verb: str) -> Finding:
    beyond_m = distance_m - zone.radius_m
    return Finding(
        key=f"outside:{zone.zone_id}",
        state=FindingState.RAISED,
        title=f"{verb} {_name(zone)}",
        severity=Severity.CRITICAL,
        observed_at=fix.observed_at,
        confidence=_confidence(beyond_m, fix["accuracy_m"]),
        detail={
            "distance_m": round(distance_m, 1),
            "beyond_m": round(beyond_m, 1),
            "accuracy_m": float(fix["accuracy_m"]),
        },
    )


def _cleared(zone_id: str, title: str, observed_at: datetime) -> Finding:
    return Finding(
        key=f"outside:{zone_id}",
        state=FindingState.CLEARED,
        title=title,
        severity=Severity.INFO,
        observed_at=observed_at,
    )


def _confidence(beyond_m: float, accuracy_m: float) -> float:
    """Share of a normal error of ``accuracy_m`` that leaves the pet beyond the edge.

    >>> _confidence(0.0, 5.0), _confidence(15.0, 5.0)
    (0.5, 1.0)
    """
    sigma_m = max(accuracy_m, 1.0) / SIGMAS_OF_ACCURACY
    return round(0.5 * (1 + math.erf(beyond_m / sigma_m / math.sqrt(2))), 3)


def _name(zone: Zone) -> str:
    return "".join(filter(str.isprintable, zone.name))[:80] or zone.zone_id


def _distance_m(zone: Zone, lat_deg: float, lon_deg: float) -> float:
    """Great-circle distance from the zone's centre, in m (haversine: exact for small distances).

    Source: Sinnott 1984, "Virtues of the haversine", Sky & Telescope 68(2).
    """
    lat_1, lat_2 = math.radians(zone.lat_deg), math.radians(lat_deg)
    half_lat = (lat_2 - lat_1) / 2
    half_lon = math.radians(lon_deg - zone.lon_deg) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_1) * math.cos(lat_2) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))
