"""The bouts of a fit: it cramps, then jerks, then lies dazed.

Phases after Berendt et al. 2015, doi:10.1186/s12917-015-0461-2, who say that most fits end within
two or three minutes; their own lengths are by eye, as vets tell owners.
"""

from dataclasses import replace

import numpy as np

from collar_sim.animal.ethogram.anomaly import TREMOR_HZ, Episode, Phase
from collar_sim.animal.ethogram.bout import Bout
from plugins.sdk.behaviours import Behaviour

TONIC_S = (10, 31)
CLONIC_S = (40, 121)
DAZED_S, DAZED_SPREAD = 720.0, 0.5  # by eye: minutes to hours are seen
PITCH_DEG, LEAN_DEG = -30.0, 80.0  # head thrown back, on the side


def cramp(fit: Episode, rng: np.random.Generator) -> tuple[Bout, int]:
    """How a fit begins, and for how many seconds."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    bout = Bout(
        Behaviour.REST,  # the nearest word there is; the truth of the fit is `Segment.episode`
        rhythm_hz=float(rng.uniform(*TREMOR_HZ)),
        pitch_deg=PITCH_DEG,
        lean_deg=side * LEAN_DEG,
        fit=replace(fit, phase=Phase.TONIC),
    )
    return bout, int(rng.integers(*TONIC_S))


def jerks(last: Bout, rng: np.random.Generator) -> tuple[Bout, int]:
    """What follows the cramp, and for how many seconds."""
    fit = replace(last.fit, phase=Phase.CLONIC)
    return replace(last, rhythm_hz=fit.rhythm_hz, fit=fit), int(rng.integers(*CLONIC_S))


def dazed_s(rng: np.random.Generator) -> int:
    """For how many seconds it lies there after the jerks."""
    return round(DAZED_S * rng.lognormal(0.0, DAZED_SPREAD))
