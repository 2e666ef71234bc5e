"""The two species that wear a collar here."""

from enum import StrEnum


class Species(StrEnum):
    """What kind of animal wears the collar."""

    DOG = "dog"
    CAT = "cat"
