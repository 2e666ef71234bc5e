"""Mood hints: calm, active, excited or uneasy, read from movement alone.

What this is: a comparison of each minute's movement with the same pet's own usual movement. What it
is not: a validated measure of emotion, or of health. No collar can see what an animal feels, and we
know of no published agreement between accelerometers and judged emotion to calibrate against. So
the cuts are calibrated by construction: ``excited`` are the liveliest tenth of *this* pet's awake
minutes, ``uneasy`` are minutes that the collar's anomaly model finds odder than 98 in 100 of *this*
pet's minutes, and odd by the model's own threshold. The confidence is the probability that the
minute truly lies on that side of the cuts, given how much minutes of one behaviour scatter; under
``MIN_CONFIDENCE``, with little data or a young baseline, it is ``unsure``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from plugins.sdk import (
    Behaviour,
    Finding,
    FindingState,
    Inputs,
    Observation,
    Outputs,
    Record,
    Severity,
)

BASELINE_MIN = 120  # awake minutes until the pet's own usual is known: about half a day
MEMORY_MIN = 5_000  # after which old minutes fade: 4 days of all, two weeks of awake ones
EXCITED_Z = 1.28  # one awake minute in ten lies above it
UNEASY_Z = 2.05  # one minute in fifty
NOISE_Z = 0.5  # by which minutes of one behaviour scatter about their own mean
ODD = 0.5  # the anomaly model's threshold
MAX_UNSURE = 0.4  # share of windows the collar abstained on, beyond which so do we
WINDOWS_A_LOOK = 4  # neighbouring windows overlap and agree; so many count as one
MIN_CONFIDENCE = 0.6
UNEASY_MIN = 10  # minutes of uneasiness, net of others, that are worth a line to the owner
CLIP_Z = 3.0  # one wild day may not move the baseline far
REST_ODBA_G = 0.01  # a sensor's own noise; keeps the logarithm finite
MAX_OBSERVATIONS = 100  # the SDK's limit; of a longer catch-up the newest are told

CALM, ACTIVE, EXCITED, UNEASY, UNSURE = "calm", "active", "excited", "uneasy", "unsure"


@dataclass(slots=True)
class Baseline:
    """Running mean and variance of what is usual, forgetting slowly.

    Source: Finch 2009, "Incremental calculation of weighted mean and variance", section 9.

    >>> usual = Baseline(least_sd=0.1)
    >>> for x in (1.0, 2.0, 3.0): usual.update(x)
    >>> round(usual.mean, 3), round(usual.variance, 3)
    (2.0, 0.667)
    """

    least_sd: float
    """Spread below which a pet's minutes are not told apart."""
    n: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def z(self, x: float) -> float:
        """How far ``x`` is above the usual, in standard deviations."""
        return (x - self.mean) / max(self.least_sd, math.sqrt(self.variance))

    def update(self, x: float) -> None:
        """Learn ``x``."""
        if self.n >= BASELINE_MIN:
            spread = CLIP_Z * max(self.least_sd, math.sqrt(self.variance))
            x = min(max(x, self.mean - spread), self.mean + spread)
        self.n += 1
        rate = max(1 / self.n, 1 / MEMORY_MIN)
        difference = x - self.mean
        self.mean += rate * difference
        self.variance = (1 - rate) * (self.variance + rate * difference**2)


@dataclass(slots=True)
class Minute:
    """What the rule needs of an epoch."""

    still: float
    """Share of the judged time spent at rest or asleep."""
    vigorous: float
    """Share spent running or playing, where odd movement is no surprise."""
    liveliness: float
    """Logarithm of ODBA."""
    oddness: float
    looks: float
    """Independent looks that the shares rest on."""

    @classmethod
    def of(cls, epoch: Record) -> "Minute | None":
        """The minute, or nothing if too little of it was recognised or the pet was driven."""
        seconds: Mapping[str, float] = epoch["seconds"]
        judged_s = sum(seconds.values()) - seconds.get(Behaviour.UNSURE, 0.0)
        windows = epoch["windows"]
        if not windows or epoch["windows_unsure"] > MAX_UNSURE * windows:
            return None
        if judged_s < epoch["period_s"] / 2 or seconds.get(Behaviour.VEHICLE, 0.0) > judged_s / 2:
            return None

        def share(*behaviours: Behaviour) -> float:
            return sum(seconds.get(each, 0.0) for each in behaviours) / judged_s

        return cls(
            still=share(Behaviour.SLEEP, Behaviour.REST),
            vigorous=share(Behaviour.RUN, Behaviour.PLAY),
            liveliness=math.log(epoch["odba_g"] + REST_ODBA_G),
            oddness=epoch["anomaly"],
            looks=max(1.0, windows / WINDOWS_A_LOOK),
        )


@dataclass(slots=True)
class Mood:
    """What is remembered of one pet; plain numbers, so that it is its own state."""

    movement: Baseline
    oddness: Baseline
    uneasy_s: float = 0.0
    """Uneasy time less other time, from 0 up to 1.5 times what raises the finding."""
    raised: bool = False
    end_at: datetime | None = None

    def read(self, minute: Minute | None) -> tuple[str, float]:
        """Label and confidence of ``minute``, by what was usual before it."""
        if minute is None or min(self.movement.n, self.oddness.n) < BASELINE_MIN:
            return UNSURE, 0.0
        still = _normal((minute.still - 0.5) / (0.5 / math.sqrt(minute.looks)))
        lively = _normal((self.movement.z(minute.liveliness) - EXCITED_Z) / NOISE_Z)
        odd = _normal((self.oddness.z(minute.oddness) - UNEASY_Z) / NOISE_Z)
        uneasy = odd * (1 - minute.vigorous) if minute.oddness >= ODD else 0.0
        shares = {
            UNEASY: uneasy,
            CALM: (1 - uneasy) * still,
            EXCITED: (1 - uneasy) * (1 - still) * lively,
            ACTIVE: (1 - uneasy) * (1 - still) * (1 - lively),
        }
        label = max(shares, key=shares.__getitem__)
        confidence = round(shares[label], 3)
        return (label if confidence >= MIN_CONFIDENCE else UNSURE), confidence

    def learn(self, minute: Minute) -> None:
        """Make ``minute`` part of what is usual."""
        self.oddness.update(minute.oddness)
        if minute.still < 0.5:
            self.movement.update(minute.liveliness)

    def sustain(self, label: str, epoch: Record, raise_s: float) -> bool | None:
        """Add up uneasy time; returns True when it has lasted, False when it is over."""
        gap_s = (epoch.observed_at - self.end_at).total_seconds() if self.end_at else 0.0
        self.uneasy_s = max(0.0, self.uneasy_s - max(0.0, gap_s))  # silence is no uneasiness
        step_s = {UNEASY: 1.0, UNSURE: -0.5}.get(label, -1.0) * epoch["period_s"]
        self.uneasy_s = min(max(0.0, self.uneasy_s + step_s), 1.5 * raise_s)
        was, self.raised = self.raised, self.uneasy_s >= (1.0 if self.raised else raise_s)
        return self.raised if self.raised != was else None


def predict(batch: Inputs) -> Outputs:
    """An observation ``emotion`` per epoch, and a finding ``uneasy`` while it is sustained."""
    mood = _recall(batch)
    raise_s = 60.0 * max(1.0, float(batch.settings.get("uneasy_minutes", UNEASY_MIN)))
    findings: list[Finding] = []
    observations: list[Observation] = []
    for epoch in batch.epochs:
        if mood.end_at is not None and epoch.observed_at < mood.end_at - timedelta(seconds=1):
            continue  # late, or seen before
        minute = Minute.of(epoch)
        label, confidence = mood.read(minute)
        if minute is not None:
            mood.learn(minute)
        news = mood.sustain(label, epoch, raise_s)
        if news is not None:
            findings.append(_finding(news, epoch, confidence, mood.uneasy_s))
        mood.end_at = epoch.observed_at + timedelta(seconds=epoch["period_s"])
        observations.append(
            Observation(
                name="emotion", label=label, confidence=confidence, observed_at=epoch.observed_at
            )
        )
    return Outputs(
        findings=findings, observations=observations[-MAX_OBSERVATIONS:], state=_state(mood)
    )


def _finding(raised: bool, epoch: Record, confidence: float, uneasy_s: float) -> Finding:
    return Finding(
        key="uneasy",
        state=FindingState.RAISED if raised else FindingState.CLEARED,
        title="Moving in an unusual way for a while" if raised else "Moving as usual again",
        severity=Severity.WARNING if raised else Severity.INFO,
        observed_at=epoch.observed_at,
        confidence=confidence,
        detail={"uneasy_s": uneasy_s, "anomaly": float(epoch["anomaly"])},
    )


def _recall(batch: Inputs) -> Mood:
    kept = batch.state
    return Mood(
        movement=Baseline(0.05, *kept.get("movement", ())),  # 5 % of ODBA
        oddness=Baseline(0.05, *kept.get("oddness", ())),
        uneasy_s=kept.get("uneasy_s", 0.0),
        raised=kept.get("raised", False),
        end_at=kept.get("end_at"),
    )


def _state(mood: Mood) -> dict[str, object]:
    movement, oddness = mood.movement, mood.oddness
    return {
        "movement": [movement.n, movement.mean, movement.variance],
        "oddness": [oddness.n, oddness.mean, oddness.variance],
        "uneasy_s": mood.uneasy_s,
        "raised": mood.raised,
        "end_at": mood.end_at,
    }


def _normal(z: float) -> float:
    """Share of a standard normal distribution below ``z``."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
