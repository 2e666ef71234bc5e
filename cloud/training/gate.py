"""When a new model may replace the old one: a pure rule, so that anyone can apply it again.

Why these numbers, and why only these windows, is in ``docs/decisions/0009``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MIN_PETS = 2
"""One judge's habits are no evidence."""
MIN_PET_WINDOWS = 10
"""A pet with fewer fair windows does not judge: its F1 would be a matter of luck."""
MIN_WINDOWS = 40
"""Below that, a single window moves macro-F1 by more than the gain that is asked for."""
MIN_GAIN = 0.01
"""Macro-F1, on the same windows."""
MAX_LOSS = 0.10
"""Macro-F1, of any one pet, beyond what chance explains: no animal pays for the average."""


class Reason(StrEnum):
    """Why a run promoted nothing. The value is part of the contract: people read it."""

    NO_CHAMPION = "no_champion"
    """There is nothing to start from and to beat. Start the cloud once, with its shipped models."""
    TOO_FEW_PETS = "too_few_pets"
    """Fewer than two strangers have enough fair windows with an owner's word."""
    TOO_FEW_WINDOWS = "too_few_windows"
    """The strangers have fewer than 40 fair windows, or nobody else has any to learn from."""
    TOO_FEW_LABELS = "too_few_labels"
    """A behaviour that the model has to know was never named."""
    NOT_ADMITTED = "not_admitted"
    """Its int8 form is not what a collar may run, or too large."""
    NO_BETTER = "no_better"
    """It does not beat the champion by what is asked for."""
    WORSE_FOR_A_PET = "worse_for_a_pet"
    """It is better on the whole, and much worse for one animal."""
    CHAMPION_CHANGED = "champion_changed"
    """Another model became champion meanwhile. Run it again."""
    GRANT_WITHDRAWN = "grant_withdrawn"
    """A grant that it learned under ended meanwhile, so it is not kept. Run it again."""


class RunRefused(Exception):
    """A run promotes nothing; ``reason`` in one word, ``detail`` in a sentence."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Scores:
    """Macro-F1 of both models on the same windows."""

    windows: int
    champion: float
    challenger: float
    chance: float = 0.0
    """How much worse the challenger may look by the luck of the draw: of 100 such draws of windows,
    95 would show at least the loss that was found, less this."""


def judges_among(fair_windows: Mapping[str, int]) -> list[str]:
    """The pets that can judge, of those with the role.

    Args:
        fair_windows: By pet: windows drawn by lot that have an owner's word.

    Raises:
        RunRefused: They or their windows are too few.

    >>> judges_among({"rex": 30, "tiny": 3, "luna": 12})
    ['luna', 'rex']
    """
    able = sorted(pet for pet, count in fair_windows.items() if count >= MIN_PET_WINDOWS)
    if len(able) < MIN_PETS:
        raise RunRefused(
            Reason.TOO_FEW_PETS,
            f"{len(able)} judges with at least {MIN_PET_WINDOWS} fair windows; {MIN_PETS} needed",
        )
    total = sum(fair_windows[pet] for pet in able)
    if total < MIN_WINDOWS:
        raise RunRefused(
            Reason.TOO_FEW_WINDOWS, f"the judges have {total} fair windows; {MIN_WINDOWS} needed"
        )
    return able


def require_better(whole: Scores, pets: Mapping[str, Scores]) -> None:
    """Let a challenger pass that is better on the whole, and not much worse for anyone.

    Args:
        whole: On all judges' windows.
        pets: On each judge's own.

    Raises:
        RunRefused: It is not.
    """
    gain = round(whole.challenger - whole.champion, 4)
    if not gain >= MIN_GAIN:  # a NaN is no gain
        raise RunRefused(
            Reason.NO_BETTER,
            f"macro-F1 {whole.challenger:.4f} against {whole.champion:.4f} on {whole.windows} "
            f"windows: {gain:+.4f}, where {MIN_GAIN:+.2f} is asked for",
        )
    for scores in (pets[pet_id] for pet_id in sorted(pets)):
        loss = round(scores.champion - scores.challenger - scores.chance, 4)
        if loss > MAX_LOSS:
            raise RunRefused(
                Reason.WORSE_FOR_A_PET,
                f"for one pet macro-F1 falls from {scores.champion:.4f} to "
                f"{scores.challenger:.4f}, {loss:.4f} of it beyond chance; {MAX_LOSS:.2f} is what "
                "any may lose at most",
            )
